"""A timer finer than the event loop's.

uvloop and asyncio round timers to whole milliseconds. Late sending counts as latency here, so a generator
with such timers would add up to 1 ms to every gift. A Linux timerfd is exact to some ten microseconds.
"""

import asyncio
import ctypes
import os
from collections.abc import Callable
from typing import Final

_CLOCK_MONOTONIC: Final = 1
_TFD_NONBLOCK_CLOEXEC: Final = 0o4000 | 0o2000000
_TFD_TIMER_ABSTIME: Final = 1
_SECOND_NS: Final = 1_000_000_000

_libc: Final = ctypes.CDLL(None, use_errno=True)


class _TimerSpec(ctypes.Structure):
    # struct itimerspec: interval (unused, so zero), then the value.
    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class Alarm:
    """Calls back once for each time that it was set, at that time of the monotonic clock or as soon as
    possible after.

    Args:
        loop: the loop that runs the callback.
        ring: what to call; it may set the alarm again.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        descriptor = _libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK_CLOEXEC)
        if descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._fd = descriptor
        self._spec = _TimerSpec()
        self._spec_ref = ctypes.byref(self._spec)
        self._loop = loop
        self._ring = ring
        loop.add_reader(descriptor, self._on_readable)

    def set(self, at_ns: int) -> None:
        """Ring at this time (`time.monotonic_ns`), instead of at any time set before."""
        # A value of zero would disarm it; 1 ns after boot is in the past just as well.
        self._spec.value_s, self._spec.value_ns = divmod(max(at_ns, 1), _SECOND_NS)
        if _libc.timerfd_settime(self._fd, _TFD_TIMER_ABSTIME, self._spec_ref, None) != 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def close(self) -> None:
        """Never ring again."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _on_readable(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return
        self._ring()
