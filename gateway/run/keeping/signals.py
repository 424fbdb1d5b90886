"""How a process of ours is asked to stop."""

import asyncio
import os
import signal
from typing import Final

INTERRUPTED: Final = 130


class StopAsked(asyncio.Event):
    """Set once the process was asked to stop.

    Attributes:
        by: the signal that asked first; None before that.
    """

    def __init__(self) -> None:
        super().__init__()
        self.by: signal.Signals | None = None


def stop_asked(*, twice_is_now: bool = False, hangup: bool = True) -> StopAsked:
    """An event that SIGTERM, SIGINT or SIGHUP set in the running loop.

    Args:
        twice_is_now: who asks twice is in a hurry: the process leaves at once. The kernel tells those that it started.
        hangup: whether SIGHUP is one of them.
    """
    asked = StopAsked()

    def heard(number: signal.Signals) -> None:
        if asked.is_set() and twice_is_now:
            os._exit(INTERRUPTED)
        asked.by = asked.by or number
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT, *([signal.SIGHUP] if hangup else [])):
        asyncio.get_running_loop().add_signal_handler(number, heard, number)
    return asked


class Terminal:
    """The terminal that this process was started from, if any. SIGHUP from a terminal that has gone means: stop."""

    def __init__(self) -> None:
        self._handles = [handle for handle in (0, 1, 2) if os.isatty(handle)]

    @property
    def has_gone(self) -> bool:
        """There was one, and it is closed."""
        return bool(self._handles) and not any(os.isatty(handle) for handle in self._handles)
