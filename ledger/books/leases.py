"""Leases: several workers, on one machine or many, share the partitions evenly; those of a dead one pass on.

PostgreSQL keeps them, by its own clock. A worker that was held up may go on for a moment with what is another's by now:
nothing here prevents that. It harms nobody, since whoever writes is stopped where it writes: the books take a record
only right behind their position, a room takes each record of a partition once, positions only rise, and a day matures
under its lock.

A worker that cannot ask keeps what it has: while PostgreSQL is away nobody can take it, and rooms must hear of gifts.
"""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

import structlog
from msgspec import Struct

from ledger.accounts import BOOKS_PARTITION
from ledger.books.postgres import Connection, Pool, connected, open_pool, transaction
from ledger.config import LedgerConfig
from ledger.errors import LedgerUnavailable
from ledger.model import Partition

_log = structlog.get_logger()
PLACE_CHARS_MAX: Final = 200
"""What is longer is cut: it only helps to find a worker."""
RENEWALS: Final = 3
"""A lease is renewed so often within its life: a renewal or two may be lost."""
MAKE: Final = "INSERT INTO leases (partition) SELECT unnest($1::smallint[]) ON CONFLICT DO NOTHING"
# The lock lets one worker at a time look and take: what it sees is what there is.
LOCK: Final = "LOCK TABLE leases IN SHARE ROW EXCLUSIVE MODE"
SEEN: Final = """
INSERT INTO workers (worker, until, place) VALUES ($1, clock_timestamp() + $2 * interval '1 ms', $3)
ON CONFLICT (worker) DO UPDATE SET until = excluded.until, place = excluded.place
"""
_FORGET: Final = "DELETE FROM workers WHERE until < clock_timestamp()"
_WORKERS: Final = "SELECT worker FROM workers ORDER BY worker"
_HELD: Final = "SELECT partition FROM leases WHERE worker = $1 ORDER BY partition"
_FREE: Final = "SELECT partition FROM leases WHERE worker IS NULL OR until < clock_timestamp() ORDER BY partition"
_TAKE: Final = """
UPDATE leases SET worker = $1, until = clock_timestamp() + $2 * interval '1 ms' WHERE partition = ANY ($3::smallint[])
"""
_GIVE: Final = """
UPDATE leases SET worker = NULL, until = '-infinity' WHERE worker = $1 AND partition <> ALL ($2::smallint[])
"""


class LeaseStats(Struct):
    """What this worker holds, and what came and went since the start."""

    held: int = 0
    taken: int = 0
    given: int = 0


class Leases:
    """The leases of one worker. `run` is its one task.

    Args:
        worker: 16 bytes. One that is started again under the same name has its leases back at once.
        place: where people find it; it is named by a repair that it stands in the way of.
    """

    def __init__(self, pool: Pool, worker: bytes, config: LedgerConfig, place: str = "") -> None:
        self.stats = LeaseStats()
        self._pool = pool
        self._worker = uuid.UUID(bytes=worker)
        self._place = place[:PLACE_CHARS_MAX]
        self._config = config
        self._shared = [BOOKS_PARTITION, *range(config.partitions)]
        self._held: frozenset[int] = frozenset()
        self._changed = asyncio.Event()

    @property
    def partitions(self) -> list[Partition]:
        """The partitions that are ours."""
        return [Partition(one) for one in sorted(self._held) if one != BOOKS_PARTITION]

    @property
    def books(self) -> bool:
        """Whether what belongs to no partition is ours."""
        return BOOKS_PARTITION in self._held

    async def run(self) -> None:
        """Renew until cancelled. PostgreSQL may be away meanwhile."""
        while True:
            await asyncio.sleep(self._config.lease_ms / 1000 / RENEWALS)
            try:
                await self.renew()
            except LedgerUnavailable as exc:
                _log.warning("leases_not_renewed", error=str(exc))

    async def renew(self) -> None:
        """Keep what is our part, give what is more, take what is free.

        Raises:
            LedgerUnavailable: PostgreSQL does not answer; what was held is held.
        """
        async with transaction(self._pool) as connection:
            await connection.execute(LOCK)
            await connection.execute(MAKE, self._shared)
            await connection.execute(SEEN, self._worker, self._config.lease_ms, self._place)
            await connection.execute(_FORGET)
            held = await self._fair(connection)
            await connection.execute(_GIVE, self._worker, held)
            await connection.execute(_TAKE, self._worker, self._config.lease_ms, held)
        self._hold(held)

    async def release(self) -> None:
        """Give everything, so that nobody has to wait for the end of the leases.

        Raises:
            LedgerUnavailable: PostgreSQL does not answer; the leases end by themselves.
        """
        async with connected(self._pool) as connection:
            await connection.execute(_GIVE, self._worker, [])
            await connection.execute("DELETE FROM workers WHERE worker = $1", self._worker)
        self._hold([])

    async def while_partitions(self, work: Callable[[Sequence[Partition]], Awaitable[None]]) -> None:
        """Do something for the partitions that are ours, begun anew whenever they are others, until cancelled.

        Raises:
            Exception: what the work raises.
        """
        while True:
            await self._during(lambda: work(self.partitions) if self.partitions else None)

    async def while_books(self, work: Callable[[], Awaitable[None]]) -> None:
        """The same for what belongs to no partition."""
        while True:
            await self._during(lambda: work() if self.books else None)

    async def _during(self, begin: Callable[[], Awaitable[None] | None]) -> None:
        """Until the leases change."""
        changed = self._changed
        waiting = asyncio.ensure_future(changed.wait())
        work = begin()
        working = None if work is None else asyncio.ensure_future(work)
        tasks = {task for task in (waiting, working) if task is not None}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if working is not None and not working.cancelled():
            working.result()

    async def _fair(self, connection: Connection) -> list[int]:
        """What this worker is to hold: as many as the others, give or take one, and of its own as many as it may."""
        workers = [row["worker"] for row in await connection.fetch(_WORKERS)]
        each, more = divmod(len(self._shared), len(workers))
        part = each + (workers.index(self._worker) < more)
        held = [row["partition"] for row in await connection.fetch(_HELD, self._worker)]
        free = [row["partition"] for row in await connection.fetch(_FREE)]
        wanted = [one for one in (*held, *(one for one in free if one not in held)) if one in self._shared]
        return wanted[:part]

    def _hold(self, held: Sequence[int]) -> None:
        fresh = frozenset(held)
        if fresh == self._held:
            return
        self.stats.taken += len(fresh - self._held)
        self.stats.given += len(self._held - fresh)
        self.stats.held = len(fresh)
        self._held = fresh
        _log.info("leases_changed", held=sorted(fresh))
        self._changed.set()
        self._changed = asyncio.Event()


@contextlib.asynccontextmanager
async def open_leases(config: LedgerConfig, worker: bytes, place: str = "") -> AsyncIterator[Leases]:
    """The leases of a worker, asked for once at the beginning and given back at the end of the block.

    Raises:
        LedgerUnavailable: PostgreSQL does not answer at the beginning.
    """
    pool = await open_pool(config)
    try:
        leases = Leases(pool, worker, config, place)
        await leases.renew()
        try:
            yield leases
        finally:
            with contextlib.suppress(LedgerUnavailable):
                await leases.release()
    finally:
        await pool.close()
