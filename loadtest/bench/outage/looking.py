"""Looks at the server once a second while the bench runs, and keeps as many of the looks as a reader can use."""

import asyncio
import contextlib
import math
import time
from typing import Final, Protocol

from redis.exceptions import RedisError

from loadtest.bench.outage.gifts import Book
from loadtest.bench.outage.result import Look, PhaseName, Plan
from loadtest.bench.outage.stores import MB, Stores
from loadtest.bench.server import ServerFailed
from loadtest.record.latency import Latencies

LOOK_S: Final = 1.0
LOOKS_KEPT: Final = 240
"""Of the looks at a long outage; a kept one tells the latencies since the one that was kept before."""
HELD_BY_VALKEY: Final = "held by Valkey"


class Watcher(Protocol):
    """Is told how the bench goes on."""

    def stage(self, words: str) -> None:
        """What it does now."""

    def look(self, look: Look) -> None:
        """The server as it is now."""


class Looking:
    """Looks on and on. A look that fails leaves a hole.

    Attributes:
        looks: those that are kept, in order.
        peaks: the most of all looks, by what: a part's resident memory, or HELD_BY_VALKEY, in MB.
        untold_max: records that the rooms were not told, at most, by phase.
        bound: the look after the first refusal in a partition at its bound.
        start_s: what `at_s` of a look counts from, by the monotonic clock.
    """

    def __init__(self, stores: Stores, book: Book, plan: Plan, watcher: Watcher) -> None:
        self.looks: list[Look] = []
        self.peaks: dict[str, float] = {}
        self.untold_max: dict[PhaseName, int] = {}
        self.bound: Look | None = None
        self.start_s = time.monotonic()
        self._stores = stores
        self._book = book
        self._watcher = watcher
        self._every_s = plan.seconds / LOOKS_KEPT
        self._unflushed_max = plan.unflushed_max
        self._kept_s = -math.inf
        self._since_kept = Latencies()

    async def run(self) -> None:
        """Look until cancelled."""
        # redis-py sends inside of `asyncio.wait_for`, which up to Python 3.11 may lose a cancellation.
        while not ((task := asyncio.current_task()) and task.cancelling()):
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                self.note(await self._look())
            await asyncio.sleep(LOOK_S)

    def of(self, phase: PhaseName) -> list[Look]:
        """The looks that are kept of a phase, one or more.

        Raises:
            ServerFailed: none succeeded.
        """
        looks = [look for look in self.looks if look.phase == phase]
        if not looks:
            raise ServerFailed(f"nothing could be seen of the server in the phase `{phase}`")
        return looks

    def note(self, look: Look) -> None:
        """Keep what a look adds: of a long outage every few looks one, and of all of them the peaks."""
        self._watcher.look(look)
        for what, mb in {**look.rss_mb, HELD_BY_VALKEY: look.valkey_mb}.items():
            self.peaks[what] = max(mb, self.peaks.get(what, 0.0))
        self.untold_max[look.phase] = max(look.untold, self.untold_max.get(look.phase, 0))
        refused = self._book.first_overloaded_ns > 0 and self.bound is None
        if refused and look.fullest >= self._unflushed_max:
            self.bound = look
        elif refused:
            # For load: what is looked for has not come yet.
            self._book.first_overloaded_ns = 0
        if look is self.bound or look.phase is not PhaseName.AWAY or look.at_s - self._kept_s >= self._every_s:
            self.looks.append(look)
            self._since_kept, self._kept_s = Latencies(), look.at_s

    async def _look(self) -> Look:
        standing, held = await self._stores.standing(), await self._stores.held()
        book, took = self._book, self._since_kept
        took.add(book.gather())
        return Look(
            at_s=round(time.monotonic() - self.start_s, 2),
            phase=book.tally.phase,
            sent=book.sent,
            accepted=book.accepted,
            refused=dict(book.refused),
            p50_ms=took.percentile_ms(50),
            p99_ms=took.percentile_ms(99),
            max_ms=took.percentile_ms(100),
            unflushed=standing.unflushed,
            fullest=standing.fullest,
            untold=standing.untold,
            valkey_mb=round(held.used / MB, 1),
            aof_mb=round(held.aof / MB, 1),
            rss_mb=self._stores.rss_mb(),
        )
