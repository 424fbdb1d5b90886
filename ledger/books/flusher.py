"""The flusher: carries the journal into PostgreSQL, batch after batch, and lets the journal go behind it.

It survives PostgreSQL or Redis being away: it comes back to the last committed position, so nothing is lost and nothing
written twice. Where stored money contradicts itself it stops for good. The journal is trimmed only up to what both
PostgreSQL holds and the rooms were told.
"""

import asyncio
import contextlib
import enum
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Final

import structlog
from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from ledger.books.books import Books, PositionMoved
from ledger.books.postgres import Pool, open_pool
from ledger.config import LedgerConfig
from ledger.errors import InvariantBroken, LedgerUnavailable
from ledger.live.credit_ids import CreditIds
from ledger.live.journal import Batch, JournalReader, Position
from ledger.live.keys import Keys, Total
from ledger.live.promotion import note_server
from ledger.live.redis_client import connect
from ledger.live.scripts import Scripts
from ledger.mending.reconcile import require_agreement
from ledger.model import HoldEnd, JournalRecord, Partition

_log = structlog.get_logger()
_IDLE_BLOCK_MS: Final = 500
_RETRY_S_MIN: Final = 0.05


class FlusherCondition(enum.StrEnum):
    """How the flusher is."""

    STARTING = "starting"
    RUNNING = "running"
    RETRYING = "retrying"
    """A server does not answer."""
    STOPPED = "stopped"
    """An invariant is broken; nothing is written until somebody has looked."""


class FormerServer(LedgerUnavailable):
    """A repair has begun a later epoch on another server. Nothing of this one may reach the books any more."""


class FlusherStats(Struct):
    """Where the flusher stands and what it did since the start, for metrics and readiness.

    Attributes:
        broken: what stopped it for good; empty while nothing did.
        retries: how often it began again because a server did not answer.
        moved: how often somebody else had written its partitions.
        last_at_ms: commit time of the newest record in PostgreSQL, 0 before the first.
        forgotten_ids: ids of grants and purchases that left Redis.
        lag_records: records that it has read and not yet written.
    """

    condition: FlusherCondition = FlusherCondition.STARTING
    broken: str = ""
    transactions: int = 0
    gifts: int = 0
    gifts_held: int = 0
    gifts_settled: int = 0
    gifts_undone: int = 0
    credits: int = 0
    reversals: int = 0
    holds: int = 0
    holds_settled: int = 0
    holds_voided: int = 0
    holds_expired: int = 0
    passed_over: int = 0
    retries: int = 0
    moved: int = 0
    trimmed_entries: int = 0
    forgotten_ids: int = 0
    last_at_ms: int = 0
    lag_records: int = 0


class Flusher:
    """Flushes some partitions. `run` is its one task.

    Args:
        redis: a connection pool of its own is not needed, but a read may block on it for half a second.
        partitions: which; two flushers of one partition do no harm, but get in each other's way.
        stats: where to count on, for one that takes the place of another.
    """

    def __init__(
        self,
        pool: Pool,
        redis: Redis,
        keys: Keys,
        partitions: Sequence[Partition],
        config: LedgerConfig,
        stats: FlusherStats | None = None,
    ) -> None:
        self.stats = stats or FlusherStats()
        self._redis = redis
        self._keys = keys
        self._partitions = list(partitions)
        self._config = config
        self._books = Books(pool, partitions, config)
        self._scripts = Scripts(redis, keys, config)
        self._credit_ids = CreditIds(pool, redis, keys, partitions, config)
        self._trimmed: dict[Partition, tuple[Position, int]] = {}
        self._trim_at_s = 0.0

    async def run(self) -> None:
        """Flush until cancelled. A server that is away is waited for.

        Raises:
            InvariantBroken: stored money contradicts itself; nothing after it was written.
        """
        pause_s = _RETRY_S_MIN
        while True:
            transactions = self.stats.transactions
            try:
                await self._flush_on()
            except InvariantBroken as exc:
                self.stats.condition, self.stats.broken = FlusherCondition.STOPPED, str(exc)
                _log.critical("flusher_stopped", invariant=exc.invariant, error=str(exc))
                raise
            except PositionMoved as exc:
                self.stats.moved += 1
                _log.warning("flusher_position_moved", error=str(exc))
            except (LedgerUnavailable, RedisError, OSError) as exc:
                self.stats.retries += 1
                self.stats.condition = FlusherCondition.RETRYING
                _log.warning("flusher_retries", error=f"{type(exc).__name__}: {exc}", retries=self.stats.retries)
            if self.stats.transactions > transactions:
                pause_s = _RETRY_S_MIN
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, self._config.flush_retry_ms_max / 1000)

    async def _flush_on(self) -> None:
        positions = await self._books.load_positions()
        await self._check_server()
        reader = JournalReader(self._redis, self._keys, self._partitions, positions)
        self.stats.condition = FlusherCondition.RUNNING
        # From small to large: after an outage one read could otherwise bring more than memory holds.
        entries_max, block_ms = 1, None
        while True:
            batch = await self._read(reader, block_ms, entries_max)
            await self._write(batch.records)
            await self._trim_when_due()
            entries_max = self._next_entries_max(entries_max, len(batch.records))
            more_waits = block_ms is None and batch.caught_up_to_ms is None
            if not more_waits and len(batch.records) < self._config.flush_records_max // 2:
                # Caught up: let some gather, since a transaction costs the same for one record as for many.
                block_ms = None if batch.records else _IDLE_BLOCK_MS
                await asyncio.sleep(self._config.flush_interval_ms / 1000)

    async def _read(self, reader: JournalReader, block_ms: int | None, entries_max: int) -> Batch:
        try:
            return await reader.read(block_ms=block_ms, entries_max=entries_max)
        except InvariantBroken as exc:
            # Another flusher may have written and trimmed what is missing here, while this one was held up.
            before = self._books.positions
            if await self._books.load_positions() != before:
                raise PositionMoved(f"another flusher is ahead: {exc}") from exc
            raise

    async def _write(self, records: Sequence[JournalRecord]) -> None:
        self.stats.lag_records = len(records)
        for part in _parts(records, self._config.flush_records_max):
            written = await self._books.write(part)
            if written is None:
                self.stats.passed_over += len(part)
                continue
            self.stats.transactions += 1
            self.stats.gifts += written.gifts
            self.stats.gifts_held += written.gifts_held
            self.stats.gifts_settled += written.gifts_settled
            self.stats.gifts_undone += written.gifts_undone
            self.stats.credits += written.credits
            self.stats.reversals += written.reversals
            self.stats.holds += written.holds
            self.stats.holds_settled += written.ends.get(HoldEnd.SETTLED, 0)
            self.stats.holds_voided += written.ends.get(HoldEnd.VOIDED, 0)
            self.stats.holds_expired += written.ends.get(HoldEnd.EXPIRED, 0)
            self.stats.passed_over += len(part) - written.records_written
            self.stats.last_at_ms = max(self.stats.last_at_ms, *(last.at_ms for last in written.lasts.values()))
            self.stats.lag_records -= len(part)

    def _next_entries_max(self, entries_max: int, records: int) -> int:
        """Entries to ask for next, so that one read is about what one transaction takes."""
        if records > self._config.flush_records_max:
            return max(1, entries_max // 2)
        return min(self._config.flush_entries_max, entries_max * 2)

    async def _trim_when_due(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s < self._trim_at_s:
            return
        self._trim_at_s = now_s + self._config.trim_interval_ms / 1000
        await self._check_server()
        committed_of = self._books.positions
        relays: Any = await self._redis.mget([self._keys.of(partition).relay for partition in committed_of])
        for (partition, committed), told in zip(committed_of.items(), relays, strict=True):
            relayed = Position() if told is None else Position.parse(told)
            target = (min(committed, relayed), committed.seq)
            if self._trimmed.get(partition) != target:
                upto = target[0]
                went = await self._scripts.trim(partition, upto.epoch, upto.seq, committed.seq)
                self.stats.trimmed_entries += went
                self._trimmed[partition] = target
        self.stats.forgotten_ids += await self._credit_ids.forget_some(now_s, committed_of)

    async def _check_server(self) -> None:
        """Note on which server the ledger runs, again and again: the first replica that comes gives it a new id."""
        await note_server(self._redis)
        await self._check_not_behind()

    async def _check_not_behind(self) -> None:
        """See that Redis still has every record that PostgreSQL has, in no earlier epoch than the last repair's; a
        partition that is not so takes no orders.

        Raises:
            InvariantBroken: Redis went back in time (I4).
            FormerServer: see there.
        """
        pipeline = self._redis.pipeline(transaction=False)
        for partition in self._partitions:
            pipeline.hmget(self._keys.of(partition).totals, [Total.SEQ, Total.EPOCH])
        ends = await pipeline.execute()
        behind: list[str] = []
        former, later = False, self._books.repaired_epoch
        for partition, ends_at in zip(self._partitions, ends, strict=True):
            last, epoch = (int(number or 0) for number in ends_at)
            written = self._books.positions[partition].seq
            if last < written or 0 < epoch < later:
                # Epoch 0 shuts out orders: gateways may run on over a Redis that was exchanged under them, and what
                # they took now would stand in the places of the lost records.
                totals: Any = self._keys.of(partition).totals
                await self._redis.hset(totals, Total.EPOCH, "0")
            if 0 < epoch < later:
                _log.critical("former_server", partition=partition, error=f"epoch {later} has begun on another server")
            if last < written:
                behind.append(f"partition {partition}: Redis ends at record {last}, PostgreSQL has {written}")
            former = former or (epoch < later and (epoch > 0 or last > 0))
        if behind:
            raise InvariantBroken("I4", f"{'; '.join(behind)}; `giftwire reconcile` names what is missing")
        if former:
            raise FormerServer(f"epoch {later} has begun on another server; this one takes no orders")


class FlusherOf:
    """Makes flushers for whatever partitions are to be flushed, one after another, on the same connections."""

    def __init__(self, pool: Pool, redis: Redis, config: LedgerConfig) -> None:
        self.stats = FlusherStats()
        self._pool = pool
        self._redis = redis
        self._config = config
        self._keys = Keys(config.partitions)

    async def run(self, partitions: Sequence[Partition]) -> None:
        """As `Flusher.run`, for these partitions. They are read from the books' positions on."""
        await Flusher(self._pool, self._redis, self._keys, partitions, self._config, self.stats).run()


@contextlib.asynccontextmanager
async def open_flusher(config: LedgerConfig) -> AsyncIterator[FlusherOf]:
    """Flushers with connections of their own that end with the block.

    Raises:
        SchemaWrong: the database is not migrated to this code's schema.
        LedgersDiffer: Redis has lost records that the books have.
        LedgerUnavailable: PostgreSQL or Redis does not answer.
    """
    await require_agreement(config)
    pool, redis = await open_pool(config), connect(config)
    try:
        yield FlusherOf(pool, redis, config)
    finally:
        await redis.aclose()
        await pool.close()


def _parts(records: Sequence[JournalRecord], size: int) -> Iterator[Sequence[JournalRecord]]:
    for start in range(0, len(records), size):
        yield records[start : start + size]
