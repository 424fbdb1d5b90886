"""Lots as the books tell them, after purchases, grants and gifts on real servers."""

import pytest

from ledger.errors import NotFound
from ledger.ids import new_id
from ledger.lots.lots import LotKind
from ledger.model import ViewerId
from ledger.office import Office
from ledger.purchases.grants import GrantOrder
from ledger.rails.sandbox import SandboxRail
from ledger.service import Ledger
from tests.integration.ledger.orders import gift_order, now_ms
from tests.integration.ledger_money.money import Money, purchase_order


async def buy(office: Office, rail: SandboxRail, coins: int, bonus_coins: int) -> bytes:
    """A purchase that is paid and credited; its id."""
    purchase = await office.purchases.begin(purchase_order(coins=coins, bonus_coins=bonus_coins))
    await office.purchases.hear("sandbox", *rail.pay(purchase))
    return purchase.id


async def give(ledger: Ledger, coins: int, creator: str) -> bytes:
    """A gift of ann's; its id."""
    order = gift_order("ann", coins, creator=creator)
    await ledger.give(order)
    return order.id


async def test_lots_of_purchases_and_grants(
    office: Office, ledger: Ledger, rail: SandboxRail, money: Money, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A grant of 10, then 100 + 20 bought: gifts of 50 and 70 leave 10 of the bonus. Read two entries at a time."""
    monkeypatch.setattr("ledger.lots.lot_statements.SLICE_ROWS", 2)
    granted = new_id(now_ms())
    await office.grants.grant(GrantOrder(granted, ViewerId("ann"), 10, "a prize", "olga"))
    bought = await buy(office, rail, 100, 20)
    first, second = await give(ledger, 50, "cora"), await give(ledger, 70, "carl")
    await money.flush()
    lots = await office.lots.of_viewer("ann")
    assert [(lot.id, lot.kind, lot.coins, lot.left_coins, lot.spent_coins) for lot in lots.lots] == [
        (granted, LotKind.GRANTED, 10, 0, 10),
        (bought, LotKind.PAID, 100, 0, 100),
        (bought, LotKind.BONUS, 20, 10, 10),
    ]
    assert lots.debt_coins == 0
    parts = await office.lots.paid_by(bought)
    assert [(part.gift, part.creator, part.coins, part.creator_diamonds, part.lot) for part in parts] == [
        (first, "cora", 40, 2_000, LotKind.PAID),
        (second, "carl", 60, 3_000, LotKind.PAID),
        (second, "carl", 10, 500, LotKind.BONUS),
    ]
    assert [(part.place, part.commission_diamonds, part.returned) for part in parts] == [
        ("room:demo", 2_000, False),
        ("room:demo", 3_000, False),
        ("room:demo", 500, False),
    ]
    assert [(part.gift, part.coins) for part in await office.lots.paid_by(granted)] == [(first, 10)]


async def test_lots_of_nobody(office: Office) -> None:
    """Nothing is known of a viewer never heard of, nor of a purchase that was never begun."""
    assert (await office.lots.of_viewer("nobody")).lots == []
    with pytest.raises(NotFound):
        await office.lots.paid_by(new_id(now_ms()))


async def test_lots_of_a_purchase_that_is_not_paid(office: Office) -> None:
    """It has paid for nothing."""
    purchase = await office.purchases.begin(purchase_order())
    assert await office.lots.paid_by(purchase.id) == []
