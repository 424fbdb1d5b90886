"""Keeps a task to a share of one processor: after each slice of work it rests in proportion.

A slice is charged by the clock. One task waits for one answer at a time, so its own processor time and what it costs
the servers together are never more than that; where others keep a processor busy the slice takes longer, and the task
yields further.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

CHARGED_S_MAX: Final = 0.25
"""A bounded slice does not work for longer than this; what is beyond it was waiting for a server that was held up."""


class Pacer:
    """Measures slices, and rests after each.

    Args:
        share: of one processor, above 0 and at most 1; with 1 it never rests.
        clock: seconds that only rise.
        sleep: rests.

    Attributes:
        busy_s: what all slices took.
        slices: how many there were.
    """

    def __init__(
        self,
        share: float,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.busy_s = 0.0
        self.slices = 0
        self._share = share
        self._clock = clock
        self._sleep = sleep

    @contextlib.asynccontextmanager
    async def slice(self, *, bounded: bool = True) -> AsyncIterator[None]:
        """Around a piece of work; rests afterwards, also when it was for nothing.

        Args:
            bounded: false for work that may take long, and is charged in full.
        """
        began_s = self._clock()
        yield
        took_s = self._clock() - began_s
        self.busy_s += took_s
        self.slices += 1
        await self._sleep(rest_s(took_s, self._share, CHARGED_S_MAX if bounded else took_s))


def rest_s(took_s: float, share: float, charged_s_max: float = CHARGED_S_MAX) -> float:
    """How long to rest after working for `took_s`, so that work is at most `share` of the time."""
    return min(took_s, charged_s_max) * (1 / share - 1)
