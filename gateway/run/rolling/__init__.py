"""Replacing the processes of a running `serve` one after another, and taking in a changed configuration with that."""
