"""Measurements of the server as ratios to a reference taken in the same run, on the same machine.

A number without its reference says more about the machine than about the server; see `docs/performance.md`.
"""
