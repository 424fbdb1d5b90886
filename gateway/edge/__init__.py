"""The edge: sockets, sessions and their queues. One object a connection, no task and no queue of its own."""
