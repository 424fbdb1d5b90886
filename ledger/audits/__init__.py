"""Whether what is stored holds the invariants: all of it on demand, and bit by bit all the time."""
