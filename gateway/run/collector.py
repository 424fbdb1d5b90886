"""Python's garbage collector, told that this process makes many short-lived objects and few cycles.

By its defaults it looked through thousands of gifts in flight several hundred times a second: a fifth of a gateway's
time at 4,000 gifts/s (sampled by py-spy). What exists at the start stays for ever and need not be looked at again.
"""

import gc
from typing import Final

ALLOCATIONS: Final = 100_000
"""Containers made, above those that went, before the youngest are looked at."""


def calm_collector() -> None:
    """Call once, when everything that stays has been built."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(ALLOCATIONS, 20, 20)
