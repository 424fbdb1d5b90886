"""The live half of Giftwire: sockets, rooms, HTTP, the relay and the processes that carry them."""
