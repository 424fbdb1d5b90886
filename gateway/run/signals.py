"""How a process of ours is asked to stop."""

import asyncio
import os
import signal
from typing import Final

INTERRUPTED: Final = 130


def stop_asked(*, twice_is_now: bool = False) -> asyncio.Event:
    """An event that SIGTERM, SIGINT or SIGHUP set in the running loop.

    Args:
        twice_is_now: who asks twice is in a hurry: the process leaves at once. The kernel tells those that it started.
    """
    asked = asyncio.Event()

    def heard() -> None:
        if asked.is_set() and twice_is_now:
            os._exit(INTERRUPTED)
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, heard)
    return asked
