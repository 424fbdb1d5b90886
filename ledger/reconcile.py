"""Compares the live ledger with the books where a start must know it: how far each is, and whether one lost something.

The live ledger must never be behind the books: then Redis has lost records that were accepted, and a gift taken now
would write other records in their places. Nothing is repaired here; the differences are named.
"""

from typing import Any, Final

import asyncpg
from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from ledger.config import LedgerConfig
from ledger.copy_rows import RECORD_COLUMNS, read_record
from ledger.errors import LedgerError, LedgerUnavailable
from ledger.ids import format_id
from ledger.journal import Position, decode_entry
from ledger.keys import DEPLOYMENT, Keys, Total
from ledger.migrate import check_schema
from ledger.model import GiftBody, JournalRecord, Partition
from ledger.postgres import Connection, open_pool, snapshot
from ledger.redis_client import connect

RECORDS_NAMED_MAX: Final = 20
"""So many lost records of a partition are named."""
ENTRIES_COMPARED_MAX: Final = 64
"""So many journal entries of a partition, the oldest there are, are compared with the books."""
_POSITIONS: Final = "SELECT partition, epoch, seq FROM positions WHERE partition >= 0 AND seq > 0"
_RECORDS: Final = f"""
SELECT {", ".join(RECORD_COLUMNS)} FROM journal_records WHERE partition = $1 AND seq BETWEEN $2 AND $3 ORDER BY seq
LIMIT $4
"""  # noqa: S608 - column names of ours


class LedgersDiffer(LedgerError):
    """The live ledger and the books contradict each other; the message names how."""


class Standing(Struct, frozen=True):
    """How far a partition is.

    Attributes:
        live, books: the last record of each.
        trimmed_seq: the last record that has left the journal.
        differences: what contradicts, in sentences; empty when the live ledger has all that the books have.
    """

    partition: Partition
    live: Position
    books: Position
    trimmed_seq: int
    differences: list[str]

    @property
    def unflushed(self) -> int:
        """Records on their way into the books."""
        return max(0, self.live.seq - self.books.seq)


class Reconciliation(Struct, frozen=True):
    """What a comparison found.

    Attributes:
        differences: of the deployment as a whole.
    """

    standings: list[Standing]
    differences: list[str]

    @property
    def all_differences(self) -> list[str]:
        """Of the deployment and of every partition."""
        return self.differences + [words for standing in self.standings for words in standing.differences]


class _Journal(Struct, frozen=True):
    """The front of a partition's journal."""

    trimmed_seq: int
    records: list[JournalRecord]


async def reconcile(config: LedgerConfig) -> Reconciliation:
    """Compare positions, and the records that both have. May run beside a working system.

    The journal is read first, then the books, then the live ledger's last record: each may be further by then, and
    none of that looks like a difference.

    Returns:
        Without standings when the two are laid out for different numbers of partitions.

    Raises:
        LedgerUnavailable: a server did not answer.
        SchemaWrong: the database is not that of this code.
        InvariantBroken: a journal entry is damaged.
    """
    keys, pool, redis = Keys(config.partitions), await open_pool(config), connect(config)
    try:
        deployment: Any = DEPLOYMENT
        stored: Any = await redis.hget(deployment, "partitions")
        journals = [await _read_front(redis, keys, partition) for partition, _ in keys.all()]
        async with snapshot(pool) as connection:
            await check_schema(connection)
            rows = await connection.fetch(_POSITIONS)
            books = {row["partition"]: Position(row["epoch"], row["seq"]) for row in rows}
            layout = _check_deployment(config, stored, books)
            if layout:
                return Reconciliation([], layout)
            ends = [await _read_end(redis, keys, partition) for partition, _ in keys.all()]
            standings = [
                await _compare(connection, partition, journals[partition], books.get(partition, Position()), end)
                for (partition, _), end in zip(keys.all(), ends, strict=True)
            ]
    except (RedisError, OSError) as exc:
        raise LedgerUnavailable(f"Redis does not answer: {exc}") from exc
    finally:
        await redis.aclose()
        await pool.close()
    return Reconciliation(standings, [])


async def require_agreement(config: LedgerConfig) -> None:
    """For a start: see that the live ledger has everything that the books have.

    Raises:
        LedgersDiffer: it has not; taking gifts now would make it worse.
        LedgerUnavailable, SchemaWrong, InvariantBroken: as `reconcile`.
    """
    differences = (await reconcile(config)).all_differences
    if differences:
        raise LedgersDiffer(
            "the live ledger and the books differ; `giftwire reconcile` shows all of it, and a copy of Redis' data that"
            " has the records helps:\n  " + "\n  ".join(differences[:RECORDS_NAMED_MAX])
        )


async def _read_front(redis: Redis, keys: Keys, partition: Partition) -> _Journal:
    # The end is read first: where the journal is empty afterwards, everything up to it has left, so the books have it.
    end = await _read_end(redis, keys, partition)
    name: Any = keys.of(partition).journal
    entries: Any = await redis.xrange(name, count=ENTRIES_COMPARED_MAX)
    records = [record for stream_id, fields in entries for record in decode_entry(partition, stream_id, fields)]
    return _Journal(records[0].seq - 1 if records else end.seq, records)


async def _read_end(redis: Redis, keys: Keys, partition: Partition) -> Position:
    name: Any = keys.of(partition).totals
    epoch, seq = await redis.hmget(name, [Total.EPOCH, Total.SEQ])
    return Position(int(epoch or 0), int(seq or 0))


async def _compare(
    connection: Connection, partition: Partition, journal: _Journal, books: Position, live: Position
) -> Standing:
    name = f"partition {partition}"
    differences = []
    if live.seq < books.seq:
        lost = await _records(connection, partition, live.seq + 1, books.seq, RECORDS_NAMED_MAX)
        differences.append(
            f"{name}: the live ledger ends at record {live.seq}, the books at {books.seq}:"
            f" it has lost {books.seq - live.seq}: {', '.join(map(_words, lost))}"
            + (" and more" if books.seq - live.seq > RECORDS_NAMED_MAX else "")
        )
    elif journal.trimmed_seq > books.seq:
        differences.append(
            f"{name}: records {books.seq + 1} to {journal.trimmed_seq} are neither in the journal nor in the books"
        )
    overlap = [record for record in journal.records if record.seq <= books.seq]
    if overlap:
        stored = await _records(connection, partition, overlap[0].seq, overlap[-1].seq, len(overlap))
        in_books = {record.seq: record for record in stored}
        other = [record for record in overlap if in_books.get(record.seq) != record]
        if other:
            first, there = other[0], in_books.get(other[0].seq)
            differences.append(
                f"{name}: record {first.seq} of the journal is {_words(first)}, in the books it is"
                f" {'missing' if there is None else _words(there)}; of {len(overlap)} compared {len(other)} differ"
            )
    return Standing(partition, live, books, journal.trimmed_seq, differences)


async def _records(
    connection: Connection, partition: Partition, first: int, last: int, limit: int
) -> list[JournalRecord]:
    rows: list[asyncpg.Record] = await connection.fetch(_RECORDS, partition, first, last, limit)
    return [read_record(row) for row in rows]


def _words(record: JournalRecord) -> str:
    body = record.body
    what = "gift" if isinstance(body, GiftBody) else body.cause.value
    return f"{what} {format_id(body.id)} of {body.viewer} ({body.coins} coins)"


def _check_deployment(config: LedgerConfig, stored: bytes | None, books: dict[int, Position]) -> list[str]:
    differences = []
    if stored is not None and int(stored) != config.partitions:
        differences.append(f"the live ledger has {int(stored)} partitions, the configuration says {config.partitions}")
    beyond = [partition for partition in books if partition >= config.partitions]
    if beyond:
        differences.append(f"the books have partition {max(beyond)}, the configuration says {config.partitions}")
    return differences
