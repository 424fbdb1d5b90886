"""The HTTP side: one file per resource, one table of operations, and one way to refuse."""
