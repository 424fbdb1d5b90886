"""The server as a run may see it from outside: metrics, processes, and blows."""
