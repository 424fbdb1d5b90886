"""Brings back into the live ledger what the books have and it has lost: its end, or all of it.

The books' records are replayed in order, as the records that they were, so what follows the journal (rooms, combos, the
audit) needs no second way. Meanwhile every partition is fenced (epoch 0) and takes no orders; afterwards all of them go
on in one new epoch. Killed anywhere, it is run again and goes on: a partition's own seq says how far it is, and the
deployment remembers the epoch. Where live ledger and books contradict each other nothing is touched.

After a promotion it may be done while gateways and workers run: none of them reaches the server
(`ledger.live.promotion`), and what flushers have in their hands does not reach the books any more. In the moment in
which orders are let in the server is noted, and all of them can go on.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol

import structlog
from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from ledger.books.books import LAST_REPAIR
from ledger.books.postgres import Connection, Pool, connected, open_pool, transaction
from ledger.books.sole import alone
from ledger.config import LedgerConfig
from ledger.errors import InvariantBroken, LedgerUnavailable
from ledger.guards.guard_counts import recount
from ledger.guards.guards import Guards
from ledger.live.journal import Position
from ledger.live.keys import DEPLOYMENT, FIRST_EPOCH, REPAIR_EPOCH, SERVER, Keys, Total
from ledger.live.promotion import read_history
from ledger.live.redis_client import connect
from ledger.live.scripts import Script, Scripts
from ledger.mending.reconcile import (
    LedgersDiffer,
    Reconciliation,
    Standing,
    StillAtWork,
    book_records,
    reconcile,
)
from ledger.mending.replay import RECORDS_REPLAYED_MAX, Replay, lives_in, next_slice
from ledger.model import GiftBody, GiftSettledBody, JournalRecord, Partition
from ledger.named_records import NamedRecord, named
from ledger.service import Ledger

REPAIRED_NAMED_MAX: Final = 1_000
"""So many records that were brought back are named; all are counted."""
_NOTE_EPOCH: Final = "INSERT INTO repairs (epoch) VALUES ($1) ON CONFLICT DO NOTHING"
# Waits for whoever writes now; what comes later finds that it was read before.
_MOVE_POSITIONS: Final = """
INSERT INTO positions (partition, repairs) SELECT unnest($1::smallint[]), 1
ON CONFLICT (partition) DO UPDATE SET repairs = positions.repairs + 1
"""
_shut_out: Final = Script("shut_out")
_log = structlog.get_logger()


class Rooms(Protocol):
    """What the rooms must do meanwhile. Each may be done again after a kill, from the beginning."""

    async def require_nobody(self) -> None:
        """See that no gateway runs: it would show old gifts as new ones.

        Raises:
            LedgersDiffer: one does.
        """
        ...

    async def begin(self, epoch: int) -> None:
        """No room goes on in an earlier epoch: what clients know of it may be lost."""
        ...

    async def tell(self, epoch: int, before_ms: int | None) -> None:
        """Tell the rooms everything that the journal holds, and note how far that is.

        Args:
            before_ms: what is yet to come back is not older: only combos whose deadline lies before are over. None once
                everything is back.
        """
        ...

    async def verify(self) -> list[str]:
        """What is wrong with all that is stored now, in sentences."""
        ...


class Repair(Struct, frozen=True):
    """What was done.

    Attributes:
        epoch: in which the live ledger goes on; None when there was nothing to repair.
        records, gifts, coins: brought back; `coins` were spent by these gifts. One that may be undone is neither until
            it is settled.
        by_partition: records brought back to each.
        named: the first REPAIRED_NAMED_MAX of them.
        violations: what the audit found afterwards; orders are not let in while there is any.
    """

    epoch: int | None
    records: int = 0
    gifts: int = 0
    coins: int = 0
    by_partition: dict[int, int] = {}
    named: list[NamedRecord] = []
    violations: list[str] = []


class _Done(Struct):
    records: int = 0
    gifts: int = 0
    coins: int = 0
    by_partition: dict[int, int] = {}
    named: list[NamedRecord] = []

    def count(self, records: list[JournalRecord]) -> None:
        partition = int(records[0].partition)
        self.by_partition[partition] = self.by_partition.get(partition, 0) + len(records)
        self.records += len(records)
        gifts = [record.body.coins for record in records if isinstance(record.body, GiftBody | GiftSettledBody)]
        self.gifts += len(gifts)
        self.coins += sum(gifts)
        self.named += [named(record) for record in records[: REPAIRED_NAMED_MAX - len(self.named)]]


async def repair(config: LedgerConfig, rooms: Rooms, progress: Callable[[int, int], None] | None = None) -> Repair:
    """Bring back what is lost, then let orders in again. Nothing is done when nothing is lost.

    Gateways and workers must not run, unless the server was promoted; those that do get no orders through while it
    lasts. It holds all leases of workers meanwhile.

    Args:
        progress: hears how many records are back, and of how many.

    Raises:
        LedgersDiffer: the two contradict each other; a person must say which is right.
        StillAtWork: a worker works somewhere, or another repair. Nothing was touched.
        InvariantBroken: what stands in the live ledger is not what the books say that stood there (I9). Orders stay
            shut out.
        LedgerUnavailable, SchemaWrong: a server did not answer, or is not ours; to be run again.
    """
    found = await reconcile(config, whole=True)
    if not found.all_differences:
        return Repair(None)
    _refuse_contradictions(found)
    await rooms.require_nobody()
    pool, redis = await open_pool(config), connect(config, any_server=True)
    try:
        async with alone(pool, config, from_workers=found.promoted):
            if found.promoted and not (await read_history(redis)).promoted:
                # Orders are let in already: nobody may be shut out once more.
                raise StillAtWork("another repair has ended meanwhile")
            return await _Repairing(config, pool, redis, rooms, progress).run(found)
    except (RedisError, OSError) as exc:
        raise LedgerUnavailable(f"Redis does not answer: {exc}") from exc
    finally:
        await redis.aclose()
        await pool.close()


async def shut_out(redis: Redis, config: LedgerConfig) -> bool:
    """See whether the server was promoted; then no order is let in any more until a repair has begun a new epoch.

    Args:
        redis: connected to any server.

    Raises:
        redis.RedisError, OSError: the server does not answer.
    """
    history = await read_history(redis)
    # Of a chain of replicas the first one may be promoted, which makes this one follow another history.
    if not history.promoted or history.is_replica:
        return False
    names = [DEPLOYMENT, *(keys.totals for _, keys in Keys(config.partitions).all())]
    return bool(await _shut_out.call(redis.execute_command, names, [history.noted]))


class _Repairing:
    def __init__(
        self,
        config: LedgerConfig,
        pool: Pool,
        redis: Redis,
        rooms: Rooms,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._config = config
        self._pool = pool
        self._redis = redis
        self._rooms = rooms
        self._progress = progress
        self._keys = Keys(config.partitions)
        self._scripts = Scripts(redis, self._keys, config)
        self._replay = Replay(redis.execute_command, self._keys, config)
        self._done = _Done()
        self._goes_on = False
        self._server: bytes | None = None

    async def run(self, found: Reconciliation) -> Repair:
        epoch = await self._begin(found)
        # An order may have come in between the comparison and the fence. Now none does.
        found = await reconcile(self._config, whole=True)
        _refuse_contradictions(found)
        _log.warning("repair_begins", epoch=epoch, lost={one.partition: one.behind for one in found.standings})
        await self._tell_all_again(found.standings)
        await self._rooms.begin(epoch)
        await self._bring_back(found.standings, epoch)
        violations = await self._rooms.verify()
        if not violations:
            await self._end(epoch, found.standings)
        done = self._done
        _log.warning("repair_ended", epoch=epoch, records=done.records, gifts=done.gifts, violations=violations)
        return Repair(epoch, done.records, done.gifts, done.coins, done.by_partition, done.named, violations)

    async def _begin(self, found: Reconciliation) -> int:
        """Remember the epoch of this repair, and shut orders out."""
        deployment: Any = DEPLOYMENT
        self._server = (await read_history(self._redis)).own
        known = [position.epoch for one in found.standings for position in (one.live, one.books)]
        for name in ("partitions", "id_bucket_ms", "id_window_ms"):
            await self._redis.hsetnx(deployment, name, str(getattr(self._config, name)))
        async with transaction(self._pool) as connection:
            before = await connection.fetchval(LAST_REPAIR)
            wanted = str(max(int(FIRST_EPOCH), before, *known) + 1)
            self._goes_on = not await self._redis.hsetnx(deployment, REPAIR_EPOCH, wanted)
            epoch: Any = await self._redis.hget(deployment, REPAIR_EPOCH)
            await connection.execute(_NOTE_EPOCH, int(epoch))
            await connection.execute(_MOVE_POSITIONS, [partition for partition, _ in self._keys.all()])
        for _, keys in self._keys.all():
            totals: Any = keys.totals
            await self._redis.hset(totals, Total.EPOCH, "0")
        return int(epoch)

    async def _tell_all_again(self, standings: list[Standing]) -> None:
        """Let the rooms hear all that the journal holds, whatever is noted; they pass over what they know.

        A relay that ran on over an emptied server has noted there what rooms had heard that are gone.
        """
        for one in standings:
            name: Any = self._keys.of(one.partition).relay
            if await self._redis.exists(name):
                await self._redis.set(name, str(Position(0, one.trimmed_seq)))

    async def _end(self, epoch: int, standings: list[Standing]) -> None:
        """Let orders in again, judged by all that was decided about viewers and by what they have spent."""
        ledger = Ledger(self._redis, self._config)
        await Guards(self._pool, ledger, self._config).tell_all()
        # What the books have not heard of was counted as it came, and nobody else counts it.
        lacking = [one.partition for one in standings if one.behind or (self._goes_on and not one.unflushed)]
        await recount(self._pool, ledger, self._config, lacking)
        await self._let_in(epoch)

    async def _let_in(self, epoch: int) -> None:
        deployment: Any = DEPLOYMENT
        # Over one connection: where the next failover comes amid the repair, nothing is let in on the server after.
        async with self._redis.client() as redis:
            own = (await read_history(redis)).own
            if own != self._server:
                raise LedgerUnavailable("Redis is another server than when the repair began; repair again")
            pipeline = redis.pipeline(transaction=True)
            for _, keys in self._keys.all():
                totals: Any = keys.totals
                pipeline.hset(totals, Total.EPOCH, str(epoch))
            if own is not None:
                pipeline.hset(deployment, SERVER, own)
            pipeline.hdel(deployment, REPAIR_EPOCH)
            await pipeline.execute()

    async def _bring_back(self, standings: list[Standing], epoch: int) -> None:
        total = sum(one.behind for one in standings)
        books = {one.partition: one.books for one in standings}
        next_seqs = {one.partition: one.live.seq + 1 for one in standings if one.behind}
        waiting: dict[Partition, list[JournalRecord]] = {partition: [] for partition in next_seqs}
        # Also when nothing is missing (any more): a kill may have come between a replay and the telling.
        await self._rooms.tell(epoch, 0 if waiting else None)
        await self._trim(books)
        while waiting:
            await self._read_on(waiting, next_seqs, books)
            whole = {partition for partition in waiting if next_seqs[partition] > books[partition].seq}
            back = next_slice(waiting, whole)
            for records in back.values():
                await self._write(records)
            waiting = {
                partition: records
                for partition, records in waiting.items()
                if records or next_seqs[partition] <= books[partition].seq
            }
            newest_ms = max((records[-1].at_ms for records in back.values()), default=0)
            await self._rooms.tell(epoch, newest_ms if waiting else None)
            await self._trim(books)
            if self._progress is not None:
                self._progress(self._done.records, total)

    async def _read_on(
        self,
        waiting: dict[Partition, list[JournalRecord]],
        next_seqs: dict[Partition, int],
        books: dict[Partition, Position],
    ) -> None:
        async with connected(self._pool) as connection:
            for partition, records in waiting.items():
                if not records:
                    first = next_seqs[partition]
                    waiting[partition] = await self._read(connection, partition, first, books[partition].seq)
                    next_seqs[partition] = first + len(waiting[partition])

    async def _read(self, connection: Connection, partition: Partition, first: int, last: int) -> list[JournalRecord]:
        if first > last:
            return []
        records = await book_records(connection, partition, first, last, RECORDS_REPLAYED_MAX)
        if [record.seq for record in records] != list(range(first, first + len(records))) or not records:
            raise InvariantBroken("I9", f"the books lack records of partition {partition} after {first - 1}")
        if not lives_in(records, self._keys):
            raise InvariantBroken("I9", f"partition {partition}: a viewer of the books belongs to another partition")
        return records

    async def _write(self, records: list[JournalRecord]) -> None:
        seconds, micros = await self._redis.time()
        await self._replay.bring_back(records, seconds * 1000 + micros // 1000)
        self._done.count(records)

    async def _trim(self, books: dict[Partition, Position]) -> None:
        """Keep the journal small: what comes back is in the books, and the rooms have been told."""
        for partition, keys in self._keys.all():
            name: Any = keys.relay
            told: Any = await self._redis.get(name)
            upto = min(books.get(partition, Position()), Position() if told is None else Position.parse(told))
            if upto.seq:
                await self._scripts.trim(partition, upto.epoch, upto.seq, books[partition].seq)


def _refuse_contradictions(found: Reconciliation) -> None:
    if found.contradictions:
        raise LedgersDiffer(
            "the live ledger and the books contradict each other, so nothing is repaired:\n  "
            + "\n  ".join(found.contradictions)
        )
