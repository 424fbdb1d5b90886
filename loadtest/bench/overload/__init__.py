"""Twice the gifts that the server can carry: a cheap sender, its book, the search for the most, and the overload."""
