"""Processes of clients, and those who lead them."""
