"""Judges a run from outside: what was told and answered against what was seen and read, by arithmetic alone.

Knows nothing of sockets or of the server's inside; every function takes books and adds faults to a list.
"""
