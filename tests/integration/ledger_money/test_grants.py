"""Coins that an operator gives: once, whatever dies in between."""

import asyncio

import msgspec
import pytest

from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.errors import IdConflict, InvariantBroken, ValueRefused
from ledger.ids import format_id, new_id
from ledger.model import AMOUNT_MAX, Cause, CreditOrder, CreditRefused, Refusal, ViewerId
from ledger.office import Office, open_office
from ledger.purchases.grants import Granted, GrantOrder
from ledger.service import Ledger
from tests.integration.ledger.orders import now_ms
from tests.integration.ledger_money.money import Money, purchase_order


def grant_order(coins: int = 100, viewer: str = "ann") -> GrantOrder:
    """A grant by Olga."""
    return GrantOrder(new_id(now_ms()), ViewerId(viewer), coins, "a prize", "olga")


async def test_grant_twice(office: Office, ledger: Ledger) -> None:
    """The second call is answered as the first, also when the wallet has moved on."""
    order = grant_order(100)
    assert await office.grants.grant(order) == Granted(100, replay=False)
    await office.grants.grant(grant_order(7))
    assert await office.grants.grant(msgspec.structs.replace(order, by="otto")) == Granted(100, replay=True)
    assert await ledger.balance("ann") == 107


async def test_grant_many_at_once(office: Office, ledger: Ledger, money: Money) -> None:
    """Twenty calls with one id give the coins once, and all say the same."""
    order = grant_order(100)
    answers = await asyncio.gather(*(office.grants.grant(order) for _ in range(20)))
    assert {answer.balance_coins for answer in answers if isinstance(answer, Granted)} == {100}
    assert [answer for answer in answers if isinstance(answer, CreditRefused)] == []
    assert await ledger.balance("ann") == 100
    await money.flush()
    assert await money.balance("wallet", "ann") == 100
    assert await money.balance("coins_granted") == -100
    await money.assert_books_sum_to_zero()


@pytest.mark.parametrize("change", [{"coins": 101}, {"viewer": ViewerId("bob")}, {"reason": "another"}])
async def test_grant_with_other_content(office: Office, ledger: Ledger, change: dict[str, int | str]) -> None:
    """An id stands for one content."""
    order = grant_order(100)
    await office.grants.grant(order)
    with pytest.raises(IdConflict):
        await office.grants.grant(msgspec.structs.replace(order, **change))
    assert (await ledger.balance("ann"), await ledger.balance("bob")) == (100, 0)


async def test_grant_with_the_id_of_a_purchase(office: Office) -> None:
    """Grants and purchases share their ids, so that neither can stand in the way of the other's coins."""
    order = grant_order()
    await office.purchases.begin(purchase_order(purchase_id=order.id))
    with pytest.raises(IdConflict):
        await office.grants.grant(order)
    other = grant_order()
    await office.grants.grant(other)
    with pytest.raises(IdConflict):
        await office.purchases.begin(purchase_order(purchase_id=other.id))


@pytest.mark.parametrize("coins", [0, -1, AMOUNT_MAX + 1])
async def test_grant_out_of_bounds(office: Office, pool: Pool, coins: int) -> None:
    """Nothing is stored of it."""
    with pytest.raises(ValueRefused):
        await office.grants.grant(grant_order(coins))
    assert await pool.fetchval("SELECT count(*) FROM credits") == 0


async def test_grant_that_no_wallet_can_hold(office: Office, ledger: Ledger) -> None:
    """Refused for good: it does not come later by surprise."""
    await office.grants.grant(grant_order(AMOUNT_MAX, "rich"))
    order = grant_order(1, "rich")
    refused = CreditRefused(Refusal.AMOUNT_OVERFLOW)
    assert await office.grants.grant(order) == refused
    assert await office.grants.grant(order) == refused
    assert await office.purchases.settle() == 0
    assert await ledger.balance("rich") == AMOUNT_MAX


async def test_grant_while_valkey_is_away(
    office: Office, config: LedgerConfig, nowhere: Ledger, ledger: Ledger, money: Money
) -> None:
    """The grant is owed, and the duty brings it once."""
    dark = await open_office(config, nowhere)
    order = grant_order(100)
    assert await dark.grants.grant(order) == CreditRefused(Refusal.UNKNOWN)
    assert await dark.purchases.settle() == 0
    await dark.close()
    assert (await ledger.balance("ann"), await money.owed()) == (0, 1)
    assert await office.purchases.settle() == 1
    assert await office.purchases.settle() == 0
    assert (await ledger.balance("ann"), await money.owed()) == (100, 0)
    assert await office.grants.grant(order) == Granted(100, replay=True)


async def owe(config: LedgerConfig, nowhere: Ledger, order: GrantOrder) -> CreditOrder:
    """Leave a grant as a crash before the wallet leaves it; the credit that belongs to it."""
    dark = await open_office(config, nowhere)
    await dark.grants.grant(order)
    await dark.close()
    return CreditOrder(order.id, order.viewer, order.coins, Cause.GRANT, order.reason)


async def test_settle_after_a_crash_behind_the_wallet(
    office: Office, config: LedgerConfig, nowhere: Ledger, ledger: Ledger, money: Money
) -> None:
    """Coins that came in unnoted are noted, not given again; many duties at once do no harm."""
    order = grant_order(100)
    await ledger.credit(await owe(config, nowhere, order))
    await office.grants.grant(grant_order(5))
    await asyncio.gather(*(office.purchases.settle() for _ in range(5)))
    assert (await ledger.balance("ann"), await money.owed()) == (105, 0)
    assert await office.grants.grant(order) == Granted(100, replay=True)


async def test_settle_after_valkey_forgot_the_id(
    office: Office, config: LedgerConfig, nowhere: Ledger, ledger: Ledger, money: Money
) -> None:
    """An id that left Valkey after its record was flushed is found in the books."""
    order = grant_order(100)
    await ledger.credit(await owe(config, nowhere, order))
    await money.flush()
    for _, keys in ledger.keys.all():
        await ledger.redis.delete(keys.credits)
    assert await office.grants.grant(order) == Granted(100, replay=True)
    assert (await ledger.balance("ann"), await money.owed()) == (100, 0)


async def test_settle_more_than_one_bite(config: LedgerConfig, nowhere: Ledger, ledger: Ledger, money: Money) -> None:
    """Every owed row is reached, however few are taken at a time, also behind one that cannot be credited."""
    orders = [grant_order(coins, "ann") for coins in (1, 2, 3, 4, 5)]
    for order in orders:
        await owe(config, nowhere, order)
    small = await open_office(msgspec.structs.replace(config, settle_rows_max=2), ledger)
    assert await small.purchases.settle() == 5
    assert small.settle_stats.credited == 5
    await small.close()
    assert (await ledger.balance("ann"), await money.owed()) == (15, 0)


async def test_settle_an_id_that_valkey_knows_otherwise(
    office: Office, config: LedgerConfig, nowhere: Ledger, ledger: Ledger
) -> None:
    """Money that contradicts itself stops the duty."""
    order = grant_order(100)
    credit = await owe(config, nowhere, order)
    await ledger.credit(msgspec.structs.replace(credit, coins=99))
    with pytest.raises(InvariantBroken, match="I3"):
        await office.purchases.settle()
    assert await ledger.balance("ann") == 99


async def test_grant_is_stored_with_who_and_why(office: Office, pool: Pool) -> None:
    """The row tells for ever who gave what to whom and why."""
    order = grant_order(100)
    await office.grants.grant(order)
    row = await pool.fetchrow("SELECT * FROM grants JOIN credits USING (id)")
    assert row is not None
    assert (format_id(row["id"].bytes), row["granted_by"], row["reference"]) == (
        format_id(order.id),
        "olga",
        "a prize",
    )
    assert (row["viewer"], row["coins"], row["balance_coins"]) == ("ann", 100, 100)
