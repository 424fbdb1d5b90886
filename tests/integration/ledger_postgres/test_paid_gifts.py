"""Every paid gift is found at its place, wherever it is on its way into the books."""

import msgspec
import pytest
from redis.asyncio import Redis

from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.errors import LedgerUnavailable
from ledger.lots.paid_gifts import open_paid_gifts
from ledger.model import GiftAccepted, GiftOrder
from ledger.service import Ledger
from tests.integration.ledger.orders import gift_order, grant
from tests.integration.ledger_postgres.flushing import flush_all


async def pay(ledger: Ledger, viewer: str, place: str = "room:demo") -> bytes:
    """Pay for a gift; its id."""
    order: GiftOrder = msgspec.structs.replace(gift_order(viewer, 5), place=place)
    assert isinstance(await ledger.give(order), GiftAccepted)
    return order.id


async def test_paid_gifts_in_books_and_journal(ledger: Ledger, pool: Pool, redis: Redis, config: LedgerConfig) -> None:
    """Gifts that were flushed, that were not, and that were paid or flushed since the question before are all found."""
    for viewer in ("ada", "bob", "eve"):
        await ledger.credit(grant(viewer, 1000))
    paid = [await pay(ledger, "ada"), await pay(ledger, "bob")]
    await pay(ledger, "eve", "room:other")
    await flush_all(pool, redis, config)
    paid.append(await pay(ledger, "ada"))
    async with open_paid_gifts(ledger, config) as gifts:
        assert sorted(gift.id for gift in await gifts.at("room:demo")) == sorted(paid)
        paid += [await pay(ledger, "eve"), await pay(ledger, "bob")]
        assert sorted(gift.id for gift in await gifts.at("room:demo")) == sorted(paid)
        await flush_all(pool, redis, config)
        paid.append(await pay(ledger, "eve"))
        await flush_all(pool, redis, config)
        found = await gifts.at("room:demo")
        assert sorted(gift.id for gift in found) == sorted(paid)
        assert {(gift.viewer, gift.count, gift.coins) for gift in found} == {
            ("ada", 1, 5),
            ("bob", 1, 5),
            ("eve", 1, 5),
        }
        assert len(await gifts.at("room:other")) == 1
        assert await gifts.at("room:none") == []


async def test_paid_gifts_without_postgres(ledger: Ledger, config: LedgerConfig) -> None:
    """A server that is away is told as such."""
    lost = msgspec.structs.replace(config, database_url="postgresql://giftwire@/none?host=/nowhere")
    with pytest.raises(LedgerUnavailable):
        async with open_paid_gifts(ledger, lost):
            pass
