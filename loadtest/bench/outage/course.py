"""The phases of the bench: all well, PostgreSQL away, back until the books have caught up, and after it."""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Final

import asyncpg

from loadtest.bench.outage.absence import Absence, answers
from loadtest.bench.outage.checks import Connection, written
from loadtest.bench.outage.gifts import SteadyGifts
from loadtest.bench.outage.looking import LOOK_S, Looking, Watcher
from loadtest.bench.outage.result import CatchUp, End, PhaseName, Plan
from loadtest.bench.outage.stores import Stores, asked
from loadtest.bench.overload.flood import FloodFailed
from loadtest.bench.server import BenchServer, ServerFailed
from loadtest.server.local_server import LocalServer, find_local_server

CATCH_UP_S_MAX: Final = 600.0
"""How long the books are waited for, and then PostgreSQL itself."""
CONNECT_S: Final = 5.0
PROBE_S: Final = 2.0
POLL_S: Final = 0.1
ANSWERS_S_MAX: Final = 30.0


class Course:
    """Goes through the phases, once.

    Attributes:
        looking: what was seen meanwhile.
        absence: how PostgreSQL was away.
        ends: how things stood at the end of each phase.
        went_s, back_s: when PostgreSQL went and came back, by the monotonic clock.
        answered_us: whether it answered while it was away.
        journal_bytes: what the journals took of Valkey's memory at the end of the outage.
        catch_up: how the books caught up.
        died: processes of the server that are others than before.
    """

    def __init__(
        self, server: BenchServer, plan: Plan, watcher: Watcher, database_url: str, stores: Stores, gifts: SteadyGifts
    ) -> None:
        self.looking = Looking(stores, gifts.book, plan, watcher)
        self.absence = Absence(lambda: server.processes)
        self.ends: dict[PhaseName, End] = {}
        self.went_s = self.back_s = 0.0
        self.answered_us = False
        self.journal_bytes = 0
        self.catch_up: CatchUp | None = None
        self.died: list[str] = []
        self._plan = plan
        self._watcher = watcher
        self._database_url = database_url
        self._stores = stores
        self._gifts = gifts
        self._local: LocalServer | None = find_local_server(server.data_dir, server.url)
        self._aside: set[asyncio.Task[None]] = set()
        self._books_had = 0

    async def run(self) -> None:
        """All of it; PostgreSQL runs again afterwards, however it ends.

        Raises:
            ServerFailed, FloodFailed: it could not be gone through.
        """
        named = {} if self._local is None else self._local.named()
        self._aside = {
            asyncio.create_task(self._gifts.give(), name="bench-gifts"),
            asyncio.create_task(self.looking.run(), name="bench-looks"),
        }
        try:
            await self._phase(PhaseName.BEFORE, self._for(self._plan.before_s))
            await self._phase(PhaseName.AWAY, self._away())
            await self._phase(PhaseName.BACK, self._back())
            await self._phase(PhaseName.AFTER, self._for(self._plan.after_s))
            self._gifts.end()
            self._watcher.stage("waiting for answers")
            await self._gifts.answered(ANSWERS_S_MAX)
        finally:
            self.absence.end()
            for task in self._aside:
                task.cancel()
            await asyncio.gather(*self._aside, return_exceptions=True)
        self._gifts.book.gather()
        now = {} if self._local is None else self._local.named()
        self.died = sorted(name for name, pid in named.items() if now.get(name) != pid)

    async def _phase(self, phase: PhaseName, doing: Awaitable[None]) -> None:
        self._gifts.book.begin_phase(phase)
        self._watcher.stage(phase)
        began_s = time.monotonic()
        await doing
        standing, held = await asked(self._stores.standing), await asked(self._stores.held)
        self.ends[phase] = End(time.monotonic() - began_s, self._gifts.book.accepted, standing, held)

    async def _for(self, seconds: float) -> None:
        """Wait so long; what goes wrong aside comes out here."""
        done, _ = await asyncio.wait(self._aside, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
            raise FloodFailed(f"{task.get_name()} ended by itself")

    async def _away(self) -> None:
        seconds, probes = self._plan.seconds, list[asyncio.Task[bool]]()
        async with connected(self._database_url) as connection:
            self._books_had = await written(connection)
        self.went_s = time.monotonic()
        await self.absence.begin()
        begun_s = time.monotonic()
        probes_after_s = [0.0, seconds / 2]
        while (passed_s := time.monotonic() - begun_s) < seconds:
            if probes_after_s and passed_s >= probes_after_s[0]:
                probes_after_s.pop(0)
                probe_s = min(PROBE_S, seconds / 4)
                probes.append(asyncio.create_task(answers(self._database_url, probe_s), name="bench-probe"))
            await self._for(min(seconds - passed_s, LOOK_S))
            self.absence.look()
        self.answered_us = any([await probe for probe in probes])
        self.journal_bytes = await asked(self._stores.journal_bytes)
        self.absence.look()

    async def _back(self) -> None:
        lag_before = max(look.unflushed for look in self.looking.of(PhaseName.BEFORE))
        normal = max(lag_before, math.ceil(self._plan.rate * POLL_S))
        lag = (await asked(self._stores.standing)).unflushed
        self._gifts.book.watch_for_return()
        self.absence.end()
        self.back_s = time.monotonic()
        begins_s, seconds, now = 0.0, None, self._books_had
        async with connected(self._database_url) as connection:
            answers_s = time.monotonic() - self.back_s
            while (passed_s := time.monotonic() - self.back_s) < CATCH_UP_S_MAX:
                now, standing = await written(connection), await asked(self._stores.standing)
                if now <= self._books_had:
                    begins_s = passed_s
                elif standing.last - now <= normal:
                    seconds = time.monotonic() - self.back_s
                    break
                await self._for(POLL_S)
        end, records = self.ends[PhaseName.BEFORE], now - self._books_had
        passed_s, live_per_s = seconds or CATCH_UP_S_MAX, end.accepted / end.seconds
        per_s = records / (passed_s - begins_s)
        self.catch_up = CatchUp(
            lag_before=lag_before,
            lag=lag,
            answers_after_s=round(answers_s, 2),
            begins_after_s=round(begins_s, 2),
            seconds=None if seconds is None else round(seconds, 2),
            records=records,
            per_s=round(per_s, 1),
            ratio=round(per_s / live_per_s, 2),
            ratio_from_return=round(records / passed_s / live_per_s, 2),
        )


@contextlib.asynccontextmanager
async def connected(database_url: str) -> AsyncIterator[Connection]:
    """A connection to the books, asked for until there is one.

    Raises:
        ServerFailed: PostgreSQL does not answer.
    """
    deadline_s = time.monotonic() + CATCH_UP_S_MAX
    while True:
        try:
            connection = await asyncpg.connect(database_url, timeout=CONNECT_S)
            break
        except (OSError, TimeoutError, asyncpg.PostgresError) as exc:
            if time.monotonic() > deadline_s:
                raise ServerFailed(f"PostgreSQL does not answer: {exc}") from exc
            await asyncio.sleep(POLL_S)
    try:
        yield connection
    finally:
        await connection.close()
