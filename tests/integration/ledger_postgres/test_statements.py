"""What viewers and creators read of their money: line by line it adds up, and a gift is found for ever."""

import asyncio
import itertools
from typing import Any

import msgspec
import pytest

from ledger.accounts import AccountKind
from ledger.books.postgres import Pool, open_pool
from ledger.config import LedgerConfig
from ledger.errors import LedgerUnavailable
from ledger.ids import new_id
from ledger.lots.statements import Statements
from ledger.model import GiftAccepted, GiftRefused, Refusal
from ledger.service import Ledger
from tests.integration.ledger.orders import gift_order, grant, now_ms
from tests.integration.ledger_postgres.flushing import flush_all


@pytest.fixture
def statements(pool: Pool, ledger: Ledger, config: LedgerConfig) -> Statements:
    """Statements of the live ledger and its books."""
    return Statements(pool, ledger, config)


async def test_wallet_lines_add_up(
    statements: Statements, ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """Each line's balance is the one before it plus its coins, over all pages; the first line shows the wallet now."""
    await ledger.credit(grant("ann", 100))
    for coins in range(1, 12):
        await ledger.give(gift_order("ann", coins))
        await ledger.give(gift_order("bob", coins))
    await flush_all(pool, redis, config)
    lines, after = [], None
    while page := await statements.wallet_entries("ann", after=after, limit=5):
        assert len(page) <= 5
        lines += page
        after = page[-1].number
    assert [line.number for line in lines] == list(range(12, 0, -1))
    assert lines[0].balance_coins == await ledger.balance("ann")
    for newer, older in itertools.pairwise(lines):
        assert newer.balance_coins == older.balance_coins + newer.coins
    assert (lines[-1].cause, lines[-1].coins, lines[-1].item) == ("grant", 100, None)
    assert (lines[0].cause, lines[0].coins, lines[0].item, lines[0].place) == ("gift", -11, "rose", "room:demo")


async def test_list_is_bounded(ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig) -> None:
    """No answer has more than `list_rows_max` lines, whatever is asked for."""
    for _ in range(4):
        await ledger.credit(grant("ann", 1))
    await flush_all(pool, redis, config)
    bounded = Statements(pool, ledger, msgspec.structs.replace(config, list_rows_max=3))
    assert len(await bounded.wallet_entries("ann", after=None, limit=1_000)) == 3
    assert await bounded.wallet_entries("ann", after=None, limit=-1) == []
    assert await bounded.wallet_entries("nobody", after=None, limit=3) == []


async def test_creator_lines_and_days_add_up(
    statements: Statements, ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """Pending earnings line by line reach what the live stripes say, and so do the days."""
    for viewer in ("ann", "bob", "cid"):
        await ledger.credit(grant(viewer, 100))
        await ledger.give(gift_order(viewer, 7, creator="cora"))
        await ledger.give(gift_order(viewer, 1, creator="dora"))
    await flush_all(pool, redis, config)
    lines = await statements.creator_entries("cora", after=None, limit=10)
    assert [line.diamonds for line in lines] == [350, 350, 350]
    assert [line.balance_diamonds for line in lines] == [1_050, 700, 350]
    assert lines[0].balance_diamonds == await ledger.live_earnings("cora")
    days = await statements.creator_days("cora", days=30)
    assert sum(day.earned_diamonds for day in days) == 1_050
    assert sum(day.gifts for day in days) == 3
    assert await statements.creator_entries("cora", after=None, limit=10, account=AccountKind.AVAILABLE) == []
    with pytest.raises(ValueError, match="wallet"):
        await statements.creator_entries("cora", after=None, limit=1, account=AccountKind.WALLET)


async def test_gift_is_found_before_and_after_it_was_flushed(
    statements: Statements, ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """The same row from the journal, from the books, and from the books alone when Redis has forgotten all of it."""
    await ledger.credit(grant("ann", 100))
    order = gift_order("ann", 7, combo=True)
    outcome = await ledger.give(order)
    assert isinstance(outcome, GiftAccepted)
    live = await statements.gift("ann", order.id)
    assert live is not None
    assert (live.id, live.coins, live.balance_coins, live.combo) == (order.id, 7, 93, outcome.combo)
    assert (live.seq, live.epoch, live.details) == (outcome.seq, outcome.epoch, b"details")
    await flush_all(pool, redis, config)
    assert await statements.gift("ann", order.id) == live
    await redis.flushall()
    assert await statements.gift("ann", order.id) == live


async def test_gift_deep_in_the_journal_is_found(
    statements: Statements, ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """The search goes on past one read, from where the books end."""
    await ledger.credit(grant("ann", 100_000))
    await flush_all(pool, redis, config)
    for _ in range(150):
        await ledger.give(gift_order("ann", 1))
    order = gift_order("ann", 2)
    await ledger.give(order)
    found = await statements.gift("ann", order.id)
    assert found is not None and found.coins == 2


async def test_gift_that_was_never_accepted_is_none(
    statements: Statements, ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """Neither an unknown id, nor a refused gift, nor another viewer's gift."""
    await ledger.credit(grant("ann", 10))
    refused, accepted = gift_order("ann", 11), gift_order("ann", 1)
    await asyncio.gather(ledger.give(refused), ledger.give(accepted))
    for viewer, gift_id in (
        ("ann", refused.id),
        ("bob", accepted.id),
        ("ann", new_id(now_ms())),
        ("ann", new_id(1_000)),
    ):
        assert await statements.gift(viewer, gift_id) is None


async def test_old_id_is_searched_in_the_journal(ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig) -> None:
    """An id whose memory has passed, while PostgreSQL was away for as long, is still found."""
    await ledger.credit(grant("ann", 10))
    forgetful = msgspec.structs.replace(config, id_window_ms=1, id_bucket_ms=1)
    order = gift_order("ann", 1, gift_id=new_id(now_ms() - 10_000))
    await ledger.give(order)
    ids = ledger.keys.of(ledger.keys.partition_of("ann")).ids(order.id_ms // config.id_bucket_ms)
    await redis.hset(ids, b"other", b"")
    await redis.hdel(ids, order.id + b"ann")
    assert await Statements(pool, ledger, config).gift("ann", order.id) is None
    assert await Statements(pool, ledger, forgetful).gift("ann", order.id) is not None


async def test_gift_whose_bucket_was_forgotten_is_found(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """The server's clock ran ahead, and is right again; the books lack the gift still. It is not said to be unknown."""
    await ledger.credit(grant("ann", 10))
    order = gift_order("ann", 1)
    await ledger.give(order)
    ids = ledger.keys.of(ledger.keys.partition_of("ann")).ids(order.id_ms // config.id_bucket_ms)
    assert await redis.pexpireat(ids, 1)
    refused = await ledger.give(order)
    assert isinstance(refused, GiftRefused) and refused.refusal is Refusal.ID_EXPIRED
    found = await Statements(pool, ledger, config).gift("ann", order.id)
    assert found is not None and found.coins == 1


async def test_absent_books_are_unavailable(ledger: Ledger, config: LedgerConfig) -> None:
    """Without PostgreSQL there is no answer, rather than a wrong one."""
    pool = await open_pool(msgspec.structs.replace(config, database_url="postgresql://giftwire@/x?host=/nowhere"))
    lost = Statements(pool, ledger, config)
    with pytest.raises(LedgerUnavailable):
        await lost.gift("ann", new_id(now_ms()))
    await pool.close()
