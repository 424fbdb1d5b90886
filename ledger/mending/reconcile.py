"""Compares the live ledger with the books where a start must know it: how far each is, and whether one lost something.

The live ledger must never be behind the books: then Redis has lost records that were accepted, and a gift taken now
would write other records in their places. Nothing is repaired here; the differences are named, and it is said whether
`ledger/mending/repair.py` can mend them.
"""

from typing import Any, Final

import asyncpg
from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from ledger.books.books import LAST_REPAIR
from ledger.books.copy_rows import RECORD_COLUMNS, read_record
from ledger.books.migrate import check_schema
from ledger.books.postgres import Connection, open_pool, snapshot
from ledger.config import LedgerConfig
from ledger.errors import EpochAwaited, LedgerError, LedgerUnavailable
from ledger.live.journal import Position, decode_entry
from ledger.live.keys import DEPLOYMENT, REPAIR_EPOCH, Keys, Total
from ledger.live.promotion import PROMOTED, read_history
from ledger.live.redis_client import connect
from ledger.mending.replay import lives_in
from ledger.model import JournalRecord, Partition
from ledger.named_records import NamedRecord, named

RECORDS_NAMED_MAX: Final = 20
"""So many lost records of a partition are named in the sentence about them."""
LOST_NAMED_MAX: Final = 1_000
"""So many of a partition are named in all."""
ENTRIES_COMPARED_MAX: Final = 64
"""So many journal entries of a partition, the oldest there are and the newest, are compared with the books; before a
repair all are."""
RECORDS_COMPARED_AT_ONCE: Final = 2_000
_POSITIONS: Final = "SELECT partition, epoch, seq FROM positions WHERE partition >= 0 AND seq > 0"
_RECORDS: Final = f"""
SELECT {", ".join(RECORD_COLUMNS)} FROM journal_records WHERE partition = $1 AND seq BETWEEN $2 AND $3 ORDER BY seq
LIMIT $4
"""  # noqa: S608 - column names of ours
_THESE: Final = f"""
SELECT {", ".join(RECORD_COLUMNS)} FROM journal_records WHERE partition = $1 AND seq = ANY ($2::bigint[])
"""  # noqa: S608 - column names of ours


class LedgersDiffer(LedgerError):
    """The live ledger and the books contradict each other; the message names how."""


class StillAtWork(LedgerError):
    """Somebody works who must not work beside a repair; the message names who and where."""


class Standing(Struct, frozen=True):
    """How far a partition is.

    Attributes:
        live, books: the last record of each.
        trimmed_seq: the last record that has left the journal.
        lost: records that the books have and the live ledger has not; at most LOST_NAMED_MAX, the first ones.
        differences: what is not as it should be, in sentences; empty when the live ledger has all that the books have.
        contradicts: the two hold different things at one place, so that nobody can say which is right.
    """

    partition: Partition
    live: Position
    books: Position
    trimmed_seq: int
    lost: list[NamedRecord]
    differences: list[str]
    contradicts: bool

    @property
    def unflushed(self) -> int:
        """Records on their way into the books."""
        return max(0, self.live.seq - self.books.seq)

    @property
    def behind(self) -> int:
        """Records that the live ledger has lost."""
        return max(0, self.books.seq - self.live.seq)


class Reconciliation(Struct, frozen=True):
    """What a comparison found.

    Attributes:
        differences: of the deployment as a whole; nothing can be repaired while there are any.
        repair_epoch: a repair into this epoch has begun and not ended.
        promoted: the live ledger's server was a replica, and was promoted since the ledger ran.
        later_epoch: a repair has begun this epoch on another server than this one, which is a former one or a copy.
    """

    standings: list[Standing]
    differences: list[str]
    repair_epoch: int | None = None
    promoted: bool = False
    later_epoch: int | None = None

    @property
    def all_differences(self) -> list[str]:
        """Of the deployment and of every partition."""
        unfinished = [] if self.repair_epoch is None else [f"a repair into epoch {self.repair_epoch} has not ended"]
        promoted = [PROMOTED] if self.promoted else []
        former = [] if self.later_epoch is None else [f"a repair has begun epoch {self.later_epoch} on another server"]
        return unfinished + promoted + former + self.losses

    @property
    def losses(self) -> list[str]:
        """The differences of what is stored, whatever else a repair is needed for."""
        return self.differences + [words for one in self.standings for words in one.differences]

    @property
    def contradictions(self) -> list[str]:
        """The differences that nothing here can repair."""
        return self.differences + [words for one in self.standings if one.contradicts for words in one.differences]

    @property
    def repairable(self) -> bool:
        """Whether something is lost, and everything that is can be brought back from the books."""
        return bool(self.all_differences) and not self.contradictions


class _Journal(Struct, frozen=True):
    """What was read of a partition's journal. `records` may lack some in the middle."""

    trimmed_seq: int
    records: list[JournalRecord]


async def reconcile(config: LedgerConfig, *, whole: bool = False) -> Reconciliation:
    """Compare positions, and the records that both have. May run beside a working system.

    The journal is read first, then the books, then the live ledger's last record: each may be further by then, and
    none of that looks like a difference.

    Args:
        whole: compare everything that the journal holds with the books, and not only its ends.

    Returns:
        Without standings when the two are laid out for different numbers of partitions.

    Raises:
        LedgerUnavailable: a server did not answer.
        SchemaWrong: the database is not that of this code.
        InvariantBroken: a journal entry is damaged.
    """
    keys, pool, redis = Keys(config.partitions), await open_pool(config), connect(config, any_server=True)
    try:
        deployment: Any = DEPLOYMENT
        pinned: Any = await redis.hmget(deployment, ["partitions", REPAIR_EPOCH])
        stored, repair = pinned
        repair_epoch = None if repair is None else int(repair)
        promoted = (await read_history(redis)).promoted
        journals = [await _read_journal(redis, keys, partition, whole=whole) for partition, _ in keys.all()]
        async with snapshot(pool) as connection:
            await check_schema(connection)
            rows = await connection.fetch(_POSITIONS)
            last_repair = await connection.fetchval(LAST_REPAIR)
            books = {row["partition"]: Position(row["epoch"], row["seq"]) for row in rows}
            layout = _check_deployment(config, stored, books)
            if layout:
                return Reconciliation([], layout, repair_epoch, promoted)
            ends = [await _read_end(redis, keys, partition) for partition, _ in keys.all()]
            standings = [
                await _compare(connection, keys, journals[partition], books.get(partition, Position()), end, partition)
                for (partition, _), end in zip(keys.all(), ends, strict=True)
            ]
    except (RedisError, OSError) as exc:
        raise LedgerUnavailable(f"Redis does not answer: {exc}") from exc
    finally:
        await redis.aclose()
        await pool.close()
    newest = max(repair_epoch or 0, *(one.live.epoch for one in standings))
    later_epoch = last_repair if any(one.live.seq for one in standings) and newest < last_repair else None
    return Reconciliation(standings, [], repair_epoch, promoted, later_epoch)


async def require_agreement(config: LedgerConfig) -> None:
    """For a start: see that the live ledger has everything that the books have.

    Raises:
        LedgersDiffer: it has not; taking gifts now would make it worse.
        EpochAwaited: the server was promoted, and workers repair that by themselves (`on_promotion`).
        LedgerUnavailable, SchemaWrong, InvariantBroken: as `reconcile`.
    """
    found = await reconcile(config)
    differences = found.all_differences
    if found.promoted and config.on_promotion == "repair" and not found.contradictions:
        raise EpochAwaited(f"{PROMOTED}; a worker begins a new epoch")
    if differences:
        help_words = (
            "`giftwire reconcile --repair` brings back what the books have"
            if found.repairable
            else "`giftwire reconcile` shows all of it, and a copy of Redis' data that has the records helps"
        )
        raise LedgersDiffer(
            f"the live ledger and the books differ; {help_words}:\n  " + "\n  ".join(differences[:RECORDS_NAMED_MAX])
        )


async def book_records(
    connection: Connection, partition: Partition, first: int, last: int, limit: int
) -> list[JournalRecord]:
    """Records of the books from `first` to `last`, in order, at most `limit`."""
    rows: list[asyncpg.Record] = await connection.fetch(_RECORDS, partition, first, last, limit)
    return [read_record(row) for row in rows]


async def _read_journal(redis: Redis, keys: Keys, partition: Partition, *, whole: bool) -> _Journal:
    # The end is read first: where the journal is empty afterwards, everything up to it has left, so the books have it.
    end = await _read_end(redis, keys, partition)
    name: Any = keys.of(partition).journal
    page: Any = await redis.xrange(name, count=ENTRIES_COMPARED_MAX)
    entries: list[Any] = list(page)
    if whole:
        while page:
            page = await redis.xrange(name, min=_after(entries), count=ENTRIES_COMPARED_MAX)
            entries += page
    elif len(entries) == ENTRIES_COMPARED_MAX:
        newest: Any = await redis.xrevrange(name, min=_after(entries), count=ENTRIES_COMPARED_MAX)
        entries += reversed(newest)
    records = [record for stream_id, fields in entries for record in decode_entry(partition, stream_id, fields)]
    return _Journal(records[0].seq - 1 if records else end.seq, records)


def _after(entries: list[Any]) -> str:
    return f"({entries[-1][0].decode()}" if entries else "-"


async def _read_end(redis: Redis, keys: Keys, partition: Partition) -> Position:
    name: Any = keys.of(partition).totals
    epoch, seq = await redis.hmget(name, [Total.EPOCH, Total.SEQ])
    return Position(int(epoch or 0), int(seq or 0))


async def _compare(
    connection: Connection, keys: Keys, journal: _Journal, books: Position, live: Position, partition: Partition
) -> Standing:
    name = f"partition {partition}"
    differences: list[str] = []
    contradictions: list[str] = []
    lost: list[NamedRecord] = []
    if live.seq < books.seq:
        records = await book_records(connection, partition, live.seq + 1, books.seq, LOST_NAMED_MAX)
        lost = [named(record) for record in records]
        differences.append(
            f"{name}: the live ledger ends at record {live.seq}, the books at {books.seq}:"
            f" it has lost {books.seq - live.seq}: {', '.join(map(str, lost[:RECORDS_NAMED_MAX]))}"
            + (" and more" if books.seq - live.seq > RECORDS_NAMED_MAX else "")
        )
        if not lives_in(records, keys):
            contradictions.append(f"{name}: the books were written with another number of partitions")
    elif journal.trimmed_seq > books.seq:
        contradictions.append(
            f"{name}: records {books.seq + 1} to {journal.trimmed_seq} are neither in the journal nor in the books"
        )
    contradictions += await _compare_overlap(connection, partition, journal, books)
    return Standing(
        partition, live, books, journal.trimmed_seq, lost, differences + contradictions, bool(contradictions)
    )


async def _compare_overlap(
    connection: Connection, partition: Partition, journal: _Journal, books: Position
) -> list[str]:
    """Records that both have and that are not the same, as one sentence."""
    overlap = [record for record in journal.records if record.seq <= books.seq]
    other: list[tuple[JournalRecord, JournalRecord | None]] = []
    for start in range(0, len(overlap), RECORDS_COMPARED_AT_ONCE):
        part = overlap[start : start + RECORDS_COMPARED_AT_ONCE]
        seqs = [record.seq for record in part]
        rows = await connection.fetch(_THESE, partition, seqs)
        in_books = {record.seq: record for record in map(read_record, rows)}
        other += [(record, in_books.get(record.seq)) for record in part if in_books.get(record.seq) != record]
    if not other:
        return []
    words = [
        f"record {here.seq} of the journal is {named(here)}, in the books it is"
        f" {'missing' if there is None else named(there)}"
        for here, there in other[:RECORDS_NAMED_MAX]
    ]
    more = " and more" if len(other) > RECORDS_NAMED_MAX else ""
    return [f"partition {partition}: {'; '.join(words)}{more}; of {len(overlap)} compared {len(other)} differ"]


def _check_deployment(config: LedgerConfig, stored: bytes | None, books: dict[int, Position]) -> list[str]:
    differences = []
    if stored is not None and int(stored) != config.partitions:
        differences.append(f"the live ledger has {int(stored)} partitions, the configuration says {config.partitions}")
    beyond = [partition for partition in books if partition >= config.partitions]
    if beyond:
        differences.append(f"the books have partition {max(beyond)}, the configuration says {config.partitions}")
    return differences
