"""The books in volumes: made ahead, made by the flusher in need, read as one; an id stays unique over all of them."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest
from redis.asyncio import Redis

from ledger.audits.audit import audit
from ledger.audits.rolling_audit import RollingAudit
from ledger.books.books import Books
from ledger.books.copy_rows import RECORD_COLUMNS, read_record
from ledger.books.postgres import Pool
from ledger.books.seals import Seals
from ledger.books.volumes import Volume, Volumes, make_volumes, read_volumes, volume_of
from ledger.config import LedgerConfig
from ledger.errors import InvariantBroken
from ledger.ids import new_id
from ledger.live.keys import Keys
from ledger.lots.statements import Statements
from ledger.model import Cause, JournalRecord, Partition
from ledger.service import Ledger
from tests.integration.ledger.orders import gift_order, grant
from tests.integration.ledger_postgres.cutting import cut_first_volume, detach_records
from tests.integration.ledger_postgres.flushing import flush_all, unit_sums
from tests.integration.ledger_postgres.journals import JournalWriter

BOTH = [Partition(0), Partition(1)]
HOUR_MS = 3_600_000
RECORDS = 4
"""Of each partition in a volume."""


@pytest.fixture
async def small(config: LedgerConfig, pool: Pool) -> LedgerConfig:
    """Volumes of four records."""
    await cut_first_volume(pool, RECORDS)
    return msgspec.structs.replace(config, volume_records=RECORDS)


@pytest.fixture
async def books(pool: Pool, small: LedgerConfig) -> Books:
    """Books of both partitions at their beginning, in small volumes."""
    return await fresh(pool, small)


@pytest.fixture
def journal(redis: Redis) -> JournalWriter:
    """Makes records of two partitions."""
    return JournalWriter(redis, Keys(2))


async def fresh(pool: Pool, config: LedgerConfig) -> Books:
    """Books as a process that has just started has them."""
    opened = Books(pool, BOTH, config)
    await opened.load_positions()
    return opened


async def stored(pool: Pool) -> list[JournalRecord]:
    """All records, read back from their rows."""
    query = f"SELECT {', '.join(RECORD_COLUMNS)} FROM journal_records ORDER BY partition, seq"  # noqa: S608
    return [read_record(row) for row in await pool.fetch(query)]


async def bounds(pool: Pool) -> list[tuple[int, int, int]]:
    """Every volume: number, first record, record behind the last."""
    async with pool.acquire() as connection:
        return [msgspec.structs.astuple(volume) for volume in await read_volumes(connection)]


def fill(journal: JournalWriter, gifts: int) -> None:
    """Ann has coins and gives so many gifts."""
    journal.credit("ann", 1_000)
    for coins in range(1, gifts + 1):
        journal.gift("ann", coins)


def test_volume_of_a_record_number() -> None:
    """From the first to the last of a volume, and none before or behind all of them."""
    volumes = [Volume(2, 5, 9), Volume(3, 9, 20)]
    found = [volume_of(volumes, seq) for seq in (4, 5, 8, 9, 19, 20)]
    assert [volume and volume.number for volume in found] == [None, 2, 2, 3, 3, None]


async def test_flusher_makes_what_the_duty_did_not(books: Books, journal: JournalWriter, pool: Pool) -> None:
    """Eleven records of one partition in one batch need three volumes; each row is where its number says."""
    fill(journal, 10)
    await books.write(journal.records)
    assert await bounds(pool) == [(1, 1, 5), (2, 5, 9), (3, 9, 13)]
    assert await stored(pool) == journal.records
    for number, records in ((1, 4), (2, 4), (3, 3)):
        assert await pool.fetchval(f"SELECT count(*) FROM journal_records_v{number}") == records  # noqa: S608
    assert await unit_sums(pool) == {"coins": 0, "diamonds": 0}


@pytest.mark.parametrize("at_once", [1, 2, 3, 5, 100])
async def test_batches_of_any_size_cross_volumes(
    books: Books, journal: JournalWriter, pool: Pool, small: LedgerConfig, at_once: int
) -> None:
    """However records are cut into batches, also after a restart, each is there once and accounts go on in order."""
    fill(journal, 10)
    for coins in range(1, 8):
        journal.credit("bob", coins)
    for start in range(0, len(journal.records), at_once):
        await books.write(journal.records[start : start + at_once])
        if start % 2:
            books = await fresh(pool, small)
    assert await stored(pool) == sorted(journal.records, key=lambda record: (record.partition, record.seq))
    numbers = "SELECT array_agg(number ORDER BY number) FROM entries GROUP BY account_id"
    for (found,) in await pool.fetch(numbers):
        assert found == list(range(1, len(found) + 1))


async def test_duty_is_a_whole_volume_ahead(
    books: Books, journal: JournalWriter, pool: Pool, small: LedgerConfig
) -> None:
    """After a round at least four numbers are free for the partition that is furthest; a second round makes none."""
    duty = Volumes(pool, small)
    assert await duty.round() == 0
    fill(journal, 4)
    await books.write(journal.records)
    assert (await duty.round(), await duty.round()) == (1, 0)
    stats = duty.stats
    assert (stats.rounds, stats.made, stats.volumes, stats.ahead_records) == (3, 1, 3, 12 - 5)
    assert await bounds(pool) == [(1, 1, 5), (2, 5, 9), (3, 9, 13)]


async def test_many_make_volumes_at_once(pool: Pool, small: LedgerConfig) -> None:
    """Each is made by one of them."""

    async def make() -> int:
        async with pool.acquire() as connection:
            return len(await make_volumes(connection, 18, small.volume_records))

    assert sum(await asyncio.gather(*(make() for _ in range(6)))) == 4
    assert await bounds(pool) == [(1, 1, 5), (2, 5, 9), (3, 9, 13), (4, 13, 17), (5, 17, 21)]


async def test_another_size_holds_for_later_volumes(pool: Pool, small: LedgerConfig) -> None:
    """What is made stays as it is."""
    await Volumes(pool, msgspec.structs.replace(small, volume_records=100)).round()
    assert await bounds(pool) == [(1, 1, 5), (2, 5, 105)]


async def test_a_reader_does_not_hold_up_a_new_volume(books: Books, journal: JournalWriter, pool: Pool) -> None:
    """A long look at the books, as of an audit, goes on while the flusher makes volumes, and sees its own moment."""
    fill(journal, 3)
    await books.write(journal.records)
    async with pool.acquire() as reader, reader.transaction(isolation="repeatable_read"):
        assert await reader.fetchval("SELECT count(*) FROM journal_records") == 4
        for coins in (1, 2, 3):
            journal.gift("ann", coins)
        await books.write(journal.records[4:])
        assert await reader.fetchval("SELECT count(*) FROM journal_records") == 4
    assert len(await bounds(pool)) == 2


TWICE: dict[str, Callable[[JournalWriter, bytes], object]] = {
    "a gift": lambda journal, same: journal.gift("ann", 1, gift_id=same),
    "a grant": lambda journal, same: journal.credit("ann", 1, credit_id=same),
    "a purchase": lambda journal, same: journal.credit("ann", 1, Cause.PURCHASE, same),
}


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("behind", [2, 6, 9], ids=["same volume", "next volume", "the one after"])
@pytest.mark.parametrize("name", TWICE)
async def test_id_is_taken_once_over_all_volumes(
    journal: JournalWriter, pool: Pool, small: LedgerConfig, name: str, behind: int, restarted: bool
) -> None:
    """The second record with an id stops the writer, in the batch of the first or any later one."""
    same = new_id(1)
    journal.credit("ann", 1_000)
    TWICE[name](journal, same)
    for _ in range(behind - 1):
        journal.gift("ann", 1)
    TWICE[name](journal, same)
    for at_once in (1, 100):
        books = await fresh(pool, small)
        if at_once == 1:
            for record in journal.records[:-1]:
                await books.write([record])
            if restarted:
                books = await fresh(pool, small)
        with pytest.raises(InvariantBroken, match=r"id of this|_id"):
            await books.write(journal.records[-1:] if at_once == 1 else journal.records)
        await pool.execute("TRUNCATE journal_records, entries, balances, accounts, creator_days")
        await pool.execute("UPDATE positions SET seq = 0, epoch = 0")


async def test_ids_of_others_and_of_other_kinds_may_be_the_same(
    books: Books, journal: JournalWriter, pool: Pool
) -> None:
    """An id belongs to its viewer and to what it is for, also from volume to volume."""
    same = new_id(1)
    journal.credit("ann", 1_000)
    journal.credit("bob", 1_000)
    journal.gift("ann", 1, gift_id=same)
    for viewer in ("ann", "bob") * 5:
        journal.gift(viewer, 1)
    journal.gift("bob", 1, gift_id=same)
    journal.credit("ann", 1, credit_id=same)
    await books.write(journal.records)
    assert len(await stored(pool)) == len(journal.records)


async def test_young_ids_are_not_looked_for(pool: Pool, small: LedgerConfig, journal: JournalWriter) -> None:
    """Once a volume has begun, an id that was made after that costs no look at older ones."""
    fill(journal, 4)
    books = await fresh(pool, small)
    await books.write(journal.records)
    late = [
        msgspec.structs.replace(journal.gift("ann", 1, gift_id=new_id(at_ms)), at_ms=at_ms)
        for at_ms in (journal.records[-1].at_ms + HOUR_MS * step for step in (1, 2))
    ]
    guard = books._ids
    before, lasts = {Partition(0): 5, Partition(1): 5}, {late[0].partition: 7}
    assert guard.suspects(late, before, lasts) == []
    old = msgspec.structs.replace(late[1], body=msgspec.structs.replace(late[1].body, id=new_id(1)))
    assert guard.suspects([late[0], old], before, lasts) == [old]


async def test_books_of_many_volumes_are_read_as_one(
    ledger: Ledger, redis: Redis, pool: Pool, small: LedgerConfig
) -> None:
    """Statements in pages, a gift by its id, seals and both audits see all volumes: 1,000 - 1 - 2 … - 20 coins."""
    await ledger.credit(grant("ann", 1_000))
    orders = [gift_order("ann", coins) for coins in range(1, 21)]
    for order in orders:
        await ledger.give(order)
    await flush_all(pool, redis, small)
    assert len(await bounds(pool)) >= 6
    await Seals(pool, small).round()
    statements = Statements(pool, ledger, small)
    left, found, after = 1_000 - sum(range(1, 21)), [], None
    while page := await statements.wallet_entries("ann", after=after, limit=6):
        found += page
        after = page[-1].number
    assert [entry.number for entry in found] == list(range(21, 0, -1))
    assert [entry.coins for entry in found] == [*range(-20, 0), 1_000]
    assert found[0].balance_coins == left
    for order in orders:
        row = await statements.gift("ann", order.id)
        assert row is not None
        assert row.coins == order.coins
    report = await audit(small)
    assert [(result.id, result.violations) for result in report.invariants if not result.ok] == []
    restless = msgspec.structs.replace(small, audit_rows=3, audit_share_permille=1_000)
    assert await RollingAudit(pool, redis, restless).round() == {}


async def test_audit_says_which_volume_is_detached(
    books: Books, journal: JournalWriter, pool: Pool, small: LedgerConfig
) -> None:
    """Its name and its records stand among what is missing; attached again, it is not named any more."""
    fill(journal, 10)
    await books.write(journal.records)
    await detach_records(pool, 1)
    missing = "volume 1: journal_records_v1 (records 1 to 4 of every partition) is not in the books"
    found = {result.id: result.violations for result in (await audit(small)).invariants}
    assert missing in found["I9"]
    await pool.execute(
        "ALTER TABLE journal_records_volumes ATTACH PARTITION journal_records_v1 FOR VALUES FROM (1) TO (5)"
    )
    found = {result.id: result.violations for result in (await audit(small)).invariants}
    assert missing not in found["I9"]
    more = journal.gift("ann", 1)
    await (await fresh(pool, small)).write([more])
    assert await stored(pool) == journal.records
