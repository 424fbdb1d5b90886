"""The number that a random test begins with: a new one each time, printed, and the same again when it is asked for."""

import os
import secrets
import sys

SEED = "GIFTWIRE_TEST_SEED"
"""Names the number in the place of a new one."""


def printed_seed() -> int:
    """The number; pytest shows what was printed with a test that failed."""
    asked = os.environ.get(SEED)
    number = secrets.randbelow(2**32) if asked is None else int(asked)
    sys.stdout.write(f"{SEED}={number}\n")
    return number
