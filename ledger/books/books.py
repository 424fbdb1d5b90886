"""Writes batches of journal records into PostgreSQL: records, entries, balances and positions in one transaction.

A partition's position is locked while its records are written, and each batch must begin right after it. So a batch is
written whole or not at all, and never twice: after a lost connection the position tells which. Records that are there
already are compared with what is stored; a difference stops the writer.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

import asyncpg
import structlog

from ledger.accounts import Account, lock_accounts, open_accounts, save_balances
from ledger.books.copy_rows import ENTRY_COLUMNS, RECORD_COLUMNS, read_record
from ledger.books.flush_batch import Composer, FlushBatch, OpenBook, day_date
from ledger.books.postgres import CONTRADICTED, Connection, Pool, connected
from ledger.books.volumes import IdGuard, Volume, make_volumes, read_volumes, refuse_known_ids
from ledger.config import LedgerConfig
from ledger.errors import InvariantBroken, LedgerError
from ledger.live.journal import Position
from ledger.lots.worth_rows import any_open, read_open, read_worths, store_discounts, store_open, walk_open
from ledger.model import CreditBody, GiftBody, GiftSettledBody, JournalRecord, Partition

_log = structlog.get_logger()
_MAKE_POSITIONS: Final = "INSERT INTO positions (partition) SELECT unnest($1::smallint[]) ON CONFLICT DO NOTHING"
_POSITIONS: Final = (
    "SELECT partition, epoch, seq, repairs FROM positions WHERE partition = ANY ($1::smallint[]) ORDER BY partition"
)
LAST_REPAIR: Final = "SELECT coalesce(max(epoch), 0) FROM repairs"
_SAVE_POSITIONS: Final = """
UPDATE positions SET epoch = moved.epoch, seq = moved.seq, at = to_timestamp(moved.at_ms / 1000.0)
FROM unnest($1::smallint[], $2::int[], $3::bigint[], $4::bigint[]) AS moved (partition, epoch, seq, at_ms)
WHERE positions.partition = moved.partition
"""
_SAVE_DAYS: Final = """
INSERT INTO creator_days AS days (creator, day, earned, gifts)
SELECT * FROM unnest($1::text[], $2::date[], $3::bigint[], $4::bigint[]) AS made (creator, day, earned, gifts)
ORDER BY creator COLLATE "C", day
ON CONFLICT (creator, day) DO UPDATE SET earned = days.earned + excluded.earned, gifts = days.gifts + excluded.gifts
"""
_SAVE_DISCOUNTED: Final = """
UPDATE creator_days SET discounted = creator_days.discounted + moved.diamonds
FROM unnest($1::text[], $2::date[], $3::bigint[]) AS moved (creator, day, diamonds)
WHERE creator_days.creator = moved.creator AND creator_days.day = moved.day
"""
_EARNING: Final = (GiftBody, GiftSettledBody)
_COMPOSED_AT_ONCE: Final = 100
_COPY_CHUNK_BYTES: Final = 1 << 18
_STORED: Final = f"""
SELECT {", ".join(RECORD_COLUMNS)} FROM journal_records WHERE partition = $1 AND seq BETWEEN $2 AND $3 ORDER BY seq
"""  # noqa: S608 - column names of ours


class PositionMoved(LedgerError):
    """Somebody else wrote records of these partitions meanwhile, or repaired the live ledger, which may have lost what
    was read before. Nothing was written; read and write again."""


class Books:
    """Writes the records of some partitions. Not for several tasks at once.

    Args:
        config: how many wallets to remember with their balance, and how large a volume is.

    Attributes:
        repaired_epoch: of the last repair of the live ledger that had begun when the positions were loaded; 0 for none.
    """

    def __init__(self, pool: Pool, partitions: Sequence[Partition], config: LedgerConfig) -> None:
        self._pool = pool
        self._partitions = list(partitions)
        self._config = config
        self._positions: dict[Partition, Position] = {}
        self._repairs: dict[Partition, int] = {}
        self.repaired_epoch = 0
        self._book = OpenBook()
        self._any_discounts = False
        self._volumes: list[Volume] = []
        self._ids = IdGuard(config.id_ahead_ms)

    async def load_positions(self) -> dict[Partition, Position]:
        """How far each partition is written; what was remembered is dropped.

        Raises:
            LedgerUnavailable: PostgreSQL does not answer.
        """
        self._book.clear()
        async with connected(self._pool) as connection:
            await connection.execute(_MAKE_POSITIONS, self._partitions)
            rows = await connection.fetch(_POSITIONS, self._partitions)
            self._positions, self._repairs = _read_positions(rows), _read_repairs(rows)
            self.repaired_epoch = await connection.fetchval(LAST_REPAIR)
            self._any_discounts = await any_open(connection)
            self._volumes = await read_volumes(connection)
            await self._ids.load(connection, self._seqs(self._positions), self._volumes)
        return dict(self._positions)

    @property
    def positions(self) -> dict[Partition, Position]:
        """Committed positions as of the last load or write, as a copy."""
        return dict(self._positions)

    async def write(self, records: Sequence[JournalRecord]) -> FlushBatch | None:
        """Write records, of each partition in the order of `seq`; those that are there already are passed over.

        Returns:
            What was written; None when everything was there already.

        Raises:
            InvariantBroken: a record is missing before these, one is stored with other content, or the amounts
                contradict. Nothing was written.
            PositionMoved: see there.
            LedgerUnavailable: PostgreSQL was lost. `load_positions` tells whether this was written.
        """
        fresh, known = split_known(records, self._positions)
        try:
            async with connected(self._pool) as connection:
                for same in known:
                    await _compare(connection, same)
                if not fresh:
                    return None
                # Between two passes over all records others have their turn: the relay shares this loop.
                await asyncio.sleep(0)
                await self._open(connection, fresh)
                await self._see_volumes(connection, fresh)
                await asyncio.sleep(0)
                batch = await self._write(connection, fresh)
        except BaseException as exc:
            # The balances in memory may be ahead of the books now.
            self._book.clear()
            if isinstance(exc, CONTRADICTED):
                raise InvariantBroken("I9", f"PostgreSQL refuses journal records: {exc}") from exc
            raise
        self._ids.wrote(fresh, self._seqs(self._positions), {p: last.seq for p, last in batch.lasts.items()})
        for partition, last in batch.lasts.items():
            self._positions[partition] = Position(last.epoch, last.seq)
        return batch

    async def _open(self, connection: Connection, records: Sequence[JournalRecord]) -> None:
        if len(self._book.wallets) > self._config.accounts_cached_max:
            self._book.clear()
        await self._open_lots(connection, records)
        missing = self._book.missing(records)
        if missing:
            for key, account in (await open_accounts(connection, missing)).items():
                self._book.add(key, account)

    async def _open_lots(self, connection: Connection, records: Sequence[JournalRecord]) -> None:
        """Know the open lots of every viewer here who has coins that are worth less, or gets some now."""
        book = self._book
        if self._any_discounts:
            unknown = {record.body.viewer for record in records if record.body.viewer not in book.wallets}
            if unknown:
                book.open_lots.update(await read_open(connection, list(unknown)))
        credits_ = [record for record in records if type(record.body) is CreditBody]
        book.worths = await read_worths(connection, [one.body.id for one in credits_]) if credits_ else {}
        for credit in credits_:
            viewer = credit.body.viewer
            if credit.body.id in book.worths and viewer not in book.open_lots:
                self._any_discounts = True
                until_seq = self._positions[credit.partition].seq
                book.open_lots[viewer] = await walk_open(connection, viewer, until_seq)

    async def _write(self, connection: Connection, records: Sequence[JournalRecord]) -> FlushBatch:
        creators = {record.body.creator for record in records if isinstance(record.body, _EARNING)}
        shared = [self._book.pending[creator] for creator in creators]
        partitions = sorted({record.partition for record in records})
        async with connection.transaction():
            rows = await connection.fetch(_POSITIONS + " FOR UPDATE", partitions)
            locked = _read_positions(rows)
            expected = {partition: self._positions[partition] for partition in partitions}
            if locked != expected:
                raise PositionMoved(f"expected {expected}, found {locked}")
            if _read_repairs(rows) != {partition: self._repairs[partition] for partition in partitions}:
                raise PositionMoved("the live ledger was repaired since these records were read")
            await lock_accounts(connection, shared)
            composer = Composer(self._book)
            for start in range(0, len(records), _COMPOSED_AT_ONCE):
                composer.add(records[start : start + _COMPOSED_AT_ONCE])
                # The relay shares this loop, and rooms wait for it: a thousand records take 5 ms.
                await asyncio.sleep(0)
            batch = composer.finish()
            await _store(connection, batch, shared)
            lasts = {partition: last.seq for partition, last in batch.lasts.items()}
            await refuse_known_ids(connection, self._ids.suspects(records, self._seqs(self._positions), lasts))
        for viewer, (_, lots) in batch.open_lots.items():
            if not lots.discounted:
                del self._book.open_lots[viewer]
        return batch

    async def _see_volumes(self, connection: Connection, records: Sequence[JournalRecord]) -> None:
        """Have a place for each record, also where the duty that makes volumes was away."""
        highest = max(record.seq for record in records)
        if self._volumes and highest < self._volumes[-1].end_seq:
            return
        if await make_volumes(connection, highest, self._config.volume_records):
            _log.warning("volume_made_by_flusher", error="no volume was made ahead", seq=highest)
        self._volumes = await read_volumes(connection)
        self._ids.volumes_are(self._volumes)

    @staticmethod
    def _seqs(positions: Mapping[Partition, Position]) -> dict[Partition, int]:
        return {partition: position.seq for partition, position in positions.items()}


def split_known(
    records: Sequence[JournalRecord], positions: Mapping[Partition, Position]
) -> tuple[list[JournalRecord], list[list[JournalRecord]]]:
    """Tell records that follow the positions from those that lie before them.

    Returns:
        The fresh ones, and for each partition those that must be stored already.

    Raises:
        InvariantBroken: a record is missing, or they are out of order.
    """
    fresh: list[JournalRecord] = []
    known: dict[Partition, list[JournalRecord]] = {}
    last = dict(positions)
    for record in records:
        before = last[record.partition]
        if record.seq == before.seq + 1 and record.epoch >= before.epoch:
            fresh.append(record)
            last[record.partition] = Position(record.epoch, record.seq)
        elif record.seq <= before.seq and before == positions[record.partition]:
            known.setdefault(record.partition, []).append(record)
        else:
            raise InvariantBroken(
                "I9", f"partition {record.partition}: record {record.epoch}-{record.seq} does not follow {before}"
            )
    return fresh, list(known.values())


async def _compare(connection: Connection, records: Sequence[JournalRecord]) -> None:
    """See that these records of one partition are stored as they are.

    Raises:
        InvariantBroken: one is not, or is stored with other content.
    """
    partition, seqs = records[0].partition, [record.seq for record in records]
    rows = await connection.fetch(_STORED, partition, min(seqs), max(seqs))
    stored = {row["seq"]: read_record(row) for row in rows}
    for record in records:
        if stored.get(record.seq) != record:
            raise InvariantBroken(
                "I9", f"record {record.epoch}-{record.seq} of partition {partition} is stored with other content"
            )


async def _store(connection: Connection, batch: FlushBatch, shared: Sequence[Account]) -> None:
    # PostgreSQL finds each row's volume: for that no difference could be measured (300,000 gifts, 4.8 to 5.1 µs each).
    for table, columns, rows in (
        ("journal_records", RECORD_COLUMNS, batch.records),
        ("entries", ENTRY_COLUMNS, batch.entries),
    ):
        await connection.copy_to_table(table, source=_chunks(rows), columns=columns, format="binary")
    if shared:
        await save_balances(connection, shared)
    if batch.days:
        creators, days = zip(*batch.days, strict=True)
        earned = [day.earned for day in batch.days.values()]
        gifts = [day.gifts for day in batch.days.values()]
        await connection.execute(_SAVE_DAYS, creators, [day_date(day) for day in days], earned, gifts)
    if batch.open_lots:
        await _store_worth(connection, batch)
    lasts = list(batch.lasts.values())
    await connection.execute(
        _SAVE_POSITIONS,
        [last.partition for last in lasts],
        [last.epoch for last in lasts],
        [last.seq for last in lasts],
        [last.at_ms for last in lasts],
    )


async def _store_worth(connection: Connection, batch: FlushBatch) -> None:
    lots_of = {viewer: lots for viewer, (_, lots) in batch.open_lots.items()}
    seqs = {viewer: batch.lasts[partition].seq for viewer, (partition, _) in batch.open_lots.items()}
    await store_open(connection, lots_of, seqs)
    if batch.discounts:
        await store_discounts(connection, batch.discounts)
        days = [
            (creator, day_date(day), one.discounted) for (creator, day), one in batch.days.items() if one.discounted
        ]
        if days:
            await connection.execute(_SAVE_DISCOUNTED, *map(list, zip(*days, strict=True)))


async def _chunks(rows: bytearray) -> AsyncIterator[bytes]:
    for start in range(0, len(rows), _COPY_CHUNK_BYTES):
        yield bytes(rows[start : start + _COPY_CHUNK_BYTES])


def _read_positions(rows: Sequence[asyncpg.Record]) -> dict[Partition, Position]:
    return {Partition(row["partition"]): Position(row["epoch"], row["seq"]) for row in rows}


def _read_repairs(rows: Sequence[asyncpg.Record]) -> dict[Partition, int]:
    return {Partition(row["partition"]): row["repairs"] for row in rows}
