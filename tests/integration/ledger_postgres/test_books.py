"""Books on a real PostgreSQL: each record written once and whole, or the writer stops."""

import asyncio
import contextlib
import itertools
import random
import uuid
from collections.abc import AsyncIterator

import asyncpg
import msgspec
import pytest
from redis.asyncio import Redis

from ledger.accounts import AccountKind
from ledger.books.books import Books, PositionMoved
from ledger.books.copy_rows import RECORD_COLUMNS, read_record
from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.errors import InvariantBroken, LedgerUnavailable
from ledger.ids import new_id
from ledger.live.journal import Position
from ledger.live.keys import Keys
from ledger.model import AMOUNT_MAX, Cause, ComboTotals, GiftBody, JournalRecord, Partition
from tests.integration.ledger_postgres.flushing import unit_sums, until
from tests.integration.ledger_postgres.journals import JournalWriter

BOTH = [Partition(0), Partition(1)]


@pytest.fixture
def journal(redis: Redis) -> JournalWriter:
    """Makes records of two partitions."""
    return JournalWriter(redis, Keys(2))


@pytest.fixture
async def books(pool: Pool, config: LedgerConfig) -> Books:
    """Books of both partitions at their beginning."""
    opened = Books(pool, BOTH, config)
    await opened.load_positions()
    return opened


async def stored(pool: Pool) -> list[JournalRecord]:
    """All records, read back from their rows."""
    query = f"SELECT {', '.join(RECORD_COLUMNS)} FROM journal_records ORDER BY partition, seq"  # noqa: S608
    return [read_record(row) for row in await pool.fetch(query)]


async def balance(pool: Pool, kind: AccountKind, owner: str = "") -> int:
    """The sum of what the accounts of this kind and owner hold."""
    query = "SELECT coalesce(sum(amount), 0)::bigint FROM entries JOIN accounts ON id = account_id WHERE kind = $1"
    return int(await pool.fetchval(query + " AND owner = $2", kind.value, owner))


def by_place(records: list[JournalRecord]) -> list[JournalRecord]:
    """In the order of `stored`."""
    return sorted(records, key=lambda record: (record.partition, record.seq))


async def test_records_come_back_as_they_were(books: Books, journal: JournalWriter, pool: Pool) -> None:
    """Record → row → record is the identity, for gifts with and without combo, and for both causes of credits."""
    journal.credit("ann", AMOUNT_MAX, Cause.PURCHASE)
    journal.credit("Zoë \U0001f339", 500)
    journal.gift("ann", AMOUNT_MAX // 100)
    journal.gift("Zoë \U0001f339", 3, creator="ünï", combo=ComboTotals(new_id(1_700_000_000_123), 7, 21))
    journal.gift("Zoë \U0001f339", 1, commission_bp=0)
    journal.gift("Zoë \U0001f339", 1, commission_bp=10_000)
    await books.write(journal.records)
    assert await stored(pool) == by_place(journal.records)


async def test_accounts_hold_what_the_records_say(books: Books, journal: JournalWriter, pool: Pool) -> None:
    """Every account has its part of the movements, and each unit sums to zero."""
    journal.credit("ann", 100)
    journal.credit("bob", 50, Cause.PURCHASE)
    journal.gift("ann", 30, creator="cora", commission_bp=3_000)
    journal.gift("bob", 10, creator="dora")
    await books.write(journal.records)
    assert await balance(pool, AccountKind.WALLET, "ann") == 70
    assert await balance(pool, AccountKind.WALLET, "bob") == 40
    assert await balance(pool, AccountKind.COINS_GRANTED) == -100
    assert await balance(pool, AccountKind.COINS_SOLD) == -50
    assert await balance(pool, AccountKind.SPENT) == 40
    assert await balance(pool, AccountKind.PENDING, "cora") == 2_100
    assert await balance(pool, AccountKind.PENDING, "dora") == 500
    assert await balance(pool, AccountKind.COMMISSION) == 900 + 500
    assert await balance(pool, AccountKind.ISSUANCE) == -4_000
    assert await unit_sums(pool) == {"coins": 0, "diamonds": 0}
    assert await pool.fetchval("SELECT sum(balance)::bigint FROM balances") == 2_600
    assert await pool.fetchval("SELECT sum(earned)::bigint FROM creator_days") == 2_600
    assert await pool.fetchval("SELECT sum(gifts)::bigint FROM creator_days") == 2


async def test_random_batches_stay_balanced(books: Books, journal: JournalWriter, pool: Pool) -> None:
    """However records are cut into transactions, entries number on without a gap and add up to their balances."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - told when the test fails
    dice = random.Random(seed)
    viewers = [f"v{n}" for n in range(9)]
    for viewer in viewers:
        journal.credit(viewer, 10_000, dice.choice(list(Cause)))
    for _ in range(400):
        journal.gift(dice.choice(viewers), dice.randint(1, 20), creator=f"c{dice.randrange(4)}")
    rest = list(journal.records)
    while rest:
        cut = dice.randint(1, 60)
        await books.write(rest[:cut])
        rest = rest[cut:]
    assert await unit_sums(pool) == {"coins": 0, "diamonds": 0}
    rows = await pool.fetch("SELECT account_id, number, amount, balance_after FROM entries ORDER BY 1, 2")
    for _, entries in itertools.groupby(rows, key=lambda row: row["account_id"]):
        total = 0
        for number, entry in enumerate(entries, start=1):
            total += entry["amount"]
            assert (entry["number"], entry["balance_after"]) == (number, total)
    assert books.positions == {p: Position(1, sum(r.partition == p for r in journal.records)) for p in BOTH}


async def test_same_batch_again_passes_over(books: Books, journal: JournalWriter, pool: Pool) -> None:
    """Records that are there already are compared, and not written twice, alone or before fresh ones."""
    journal.credit("ann", 100)
    journal.gift("ann", 5)
    first = list(journal.records)
    await books.write(first)
    assert await books.write(first) is None
    journal.gift("ann", 6)
    batch = await books.write(journal.records)
    assert batch is not None and (batch.gifts, batch.credits) == (1, 0)
    assert await stored(pool) == by_place(journal.records)


async def test_other_content_stops_the_writer(books: Books, journal: JournalWriter, pool: Pool) -> None:
    """A record that is stored with other content is never passed over, and what follows it is not written."""
    journal.credit("ann", 100)
    gift = journal.gift("ann", 5)
    await books.write(journal.records)
    assert isinstance(gift.body, GiftBody)
    other = msgspec.structs.replace(gift, body=msgspec.structs.replace(gift.body, item="lion"))
    journal.gift("ann", 6)
    with pytest.raises(InvariantBroken, match="other content"):
        await books.write([other, *journal.records[2:]])
    assert len(await stored(pool)) == 2


async def test_missing_record_stops_the_writer(books: Books, journal: JournalWriter, pool: Pool) -> None:
    """A batch that does not begin right after the position, or has a hole, is not written."""
    journal.credit("ann", 100)
    for coins in (1, 2, 3):
        journal.gift("ann", coins)
    for broken in (journal.records[1:], journal.records[:1] + journal.records[2:]):
        with pytest.raises(InvariantBroken, match="does not follow"):
            await books.write(broken)
    assert await stored(pool) == []


async def test_wallet_that_contradicts_the_journal_stops_the_writer(
    books: Books, journal: JournalWriter, pool: Pool
) -> None:
    """The wallet in the journal must be the one that the books arrive at; after the stop the books can go on."""
    journal.credit("ann", 100)
    await books.write(journal.records)
    gift = journal.gift("ann", 5)
    with pytest.raises(InvariantBroken, match="I9") as caught:
        await books.write([msgspec.structs.replace(gift, wallet_after=94)])
    assert "ann" in str(caught.value)
    assert await books.write([gift]) is not None
    assert await stored(pool) == by_place(journal.records)


async def test_id_that_is_stored_already_stops_the_writer(books: Books, journal: JournalWriter, pool: Pool) -> None:
    """PostgreSQL itself refuses a second charge for an id of a viewer (I3)."""
    gift_id = new_id(1)
    journal.credit("ann", 100)
    journal.gift("ann", 5, gift_id=gift_id)
    journal.gift("ann", 5, gift_id=gift_id)
    with pytest.raises(InvariantBroken, match="journal_records_v1_id"):
        await books.write(journal.records)
    assert await stored(pool) == []


async def test_two_writers_never_write_twice(
    books: Books, journal: JournalWriter, pool: Pool, config: LedgerConfig
) -> None:
    """The slower of two writers is told that the position moved, and finds everything written when it looks."""
    other = Books(pool, BOTH, config)
    await other.load_positions()
    journal.credit("ann", 100)
    journal.credit("bob", 100)
    journal.gift("ann", 5)
    await books.write(journal.records)
    with pytest.raises(PositionMoved):
        await other.write(journal.records)
    assert await other.load_positions() == books.positions
    assert await other.write(journal.records) is None
    assert await unit_sums(pool) == {"coins": 0, "diamonds": 0}


async def test_racing_writers_share_the_work(pool: Pool, journal: JournalWriter, config: LedgerConfig) -> None:
    """Two writers of the same records at the same time end with each record once."""
    journal.credit("ann", 1_000)
    journal.credit("bob", 1_000)
    for coins in range(1, 41):
        journal.gift("ann", coins, creator="cora")
        journal.gift("bob", coins, creator="dora")

    async def write_all(writer: Books) -> None:
        await writer.load_positions()
        for start in range(0, len(journal.records), 6):
            part = journal.records[start : start + 6]
            while True:
                try:
                    await writer.write(part)
                    break
                except PositionMoved:
                    await writer.load_positions()

    await asyncio.gather(*(write_all(Books(pool, BOTH, config)) for _ in range(2)))
    assert await stored(pool) == by_place(journal.records)
    assert await unit_sums(pool) == {"coins": 0, "diamonds": 0}


async def test_connection_killed_in_the_transaction_is_written_once(
    books: Books, journal: JournalWriter, pool: Pool, config: LedgerConfig
) -> None:
    """A backend that dies while it writes leaves nothing; the same records are written whole after that."""
    journal.credit("ann", 100)
    journal.gift("ann", 5, creator="cora")
    await books.write(journal.records)
    journal.gift("ann", 7, creator="cora")
    async with blocked_row(config, "UPDATE balances SET number = number") as blocker:
        writing = asyncio.create_task(books.write(journal.records[2:]))
        await until(lambda: terminated_waiting(blocker))
        with pytest.raises(LedgerUnavailable):
            await writing
    positions = await books.load_positions()
    assert sum(position.seq for position in positions.values()) == 2
    batch = await books.write(journal.records)
    assert batch is not None and batch.gifts == 1
    assert await stored(pool) == by_place(journal.records)
    assert await balance(pool, AccountKind.WALLET, "ann") == 88


async def test_accounts_forgotten_for_the_bound_are_read_again(
    pool: Pool, journal: JournalWriter, config: LedgerConfig
) -> None:
    """With room for one account the books are as right as with many."""
    small = Books(pool, BOTH, msgspec.structs.replace(config, accounts_cached_max=1))
    await small.load_positions()
    for viewer in ("ann", "bob", "cid"):
        journal.credit(viewer, 100)
    for coins in range(1, 10):
        for viewer in ("ann", "bob", "cid"):
            journal.gift(viewer, coins)
    for record in journal.records:
        await small.write([record])
    assert await stored(pool) == by_place(journal.records)
    assert await balance(pool, AccountKind.WALLET, "cid") == 55


async def test_gift_id_and_grant_id_may_be_the_same(books: Books, journal: JournalWriter, pool: Pool) -> None:
    """Ids are compared inside a kind and a viewer only."""
    same = uuid.uuid4().bytes
    journal.credit("ann", 100, credit_id=same)
    journal.gift("ann", 5, gift_id=same)
    journal.credit("bob", 100, credit_id=same)
    journal.gift("bob", 5, gift_id=same)
    await books.write(journal.records)
    assert len(await stored(pool)) == 4


@contextlib.asynccontextmanager
async def blocked_row(config: LedgerConfig, statement: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection in a transaction that holds locks until the end of the block."""
    connection = await asyncpg.connect(config.database_url)
    try:
        await connection.execute("BEGIN")
        await connection.execute(statement)
        yield connection
    finally:
        await connection.close()


async def terminated_waiting(connection: "asyncpg.Connection[asyncpg.Record]") -> bool:
    """End the backend that waits for a lock; False while none waits."""
    query = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    return bool(await connection.fetchval(query))
