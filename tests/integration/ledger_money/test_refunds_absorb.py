"""What a wallet gives under the policy `absorb` while coins move that the books lack: those of the purchase alone.

A race is played in the very moment between the look into the books and the call that takes the coins.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.ids import new_id
from ledger.model import EndRefused, GiftRefused, HoldEnd, HoldOrder, ReversalOutcome, ViewerId
from ledger.rails.sandbox import SandboxRail
from ledger.service import Ledger
from tests.integration.ledger.orders import now_ms
from tests.integration.ledger_money.refund_world import RefundWorld

ANN = ViewerId("ann")


@pytest.fixture
async def world(config: LedgerConfig, ledger: Ledger, rail: SandboxRail, pool: Pool) -> AsyncIterator[RefundWorld]:
    """Wallets give what is left of the refunded purchase; creators keep what they have."""
    policies = {"chargeback_viewer": "absorb", "chargeback_creator": "absorb"}
    made = await RefundWorld.under(policies, config, ledger, rail, pool)
    yield made
    await made.office.close()


def race(world: RefundWorld, monkeypatch: pytest.MonkeyPatch, table: str) -> list[int]:
    """Play these lines when coins are about to be taken for the first time; how often that was tried."""
    reverse, tries = world.ledger.reverse, [0]

    async def racing(*order: Any, **bounds: Any) -> ReversalOutcome:
        tries[0] += 1
        if tries[0] == 1:
            await world.play(table)
        return await reverse(*order, **bounds)

    monkeypatch.setattr(world.ledger, "reverse", racing)
    return tries


async def hold(world: RefundWorld, coins: int) -> bytes:
    """Coins of ann are put aside."""
    order = HoldOrder(new_id(now_ms()), ANN, coins, 60_000, "an order")
    assert not isinstance(await world.ledger.hold(order), GiftRefused)
    return order.id


async def void(world: RefundWorld, held: bytes) -> None:
    """All of them go back."""
    assert not isinstance(await world.ledger.end_hold(held, ANN, HoldEnd.VOIDED), EndRefused)


async def test_absorb_while_another_purchase_comes_in(world: RefundWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of A is given away and B is bought behind the look: nothing of A is left, and B stays."""
    await world.play("buy A 100 | 100\nsettle | 100")
    tries = race(world, monkeypatch, "gift cora 100 | 0\nbuy B 50 | 50")
    await world.play("chargeback r A | owed 100, 50\nsettle | 50\nsettle | 50")
    assert tries[0] > 1
    assert await world.refunds() == ["chargeback settled 100 0 100 0 0 5000"]
    await world.assert_audit_holds()


async def test_absorb_while_a_hold_comes_back(world: RefundWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Coins of B come back from a hold behind the look, and A is given away: B stays."""
    await world.play("buy A 10 | 10\nbuy B 50 | 60")
    held = await hold(world, 60)
    await world.play("settle | 0\nbuy C 5 | 5\nsettle | 5")
    reverse, tries = world.ledger.reverse, 0

    async def racing(*order: Any, **bounds: Any) -> ReversalOutcome:
        nonlocal tries
        tries += 1
        if tries == 1:
            await void(world, held)
            await world.play("gift cora 40 | 25")
        return await reverse(*order, **bounds)

    monkeypatch.setattr(world.ledger, "reverse", racing)
    await world.play("chargeback r C | owed 5, 25\nsettle | 20\nsettle | 20")
    assert await world.refunds() == ["chargeback settled 5 5 0 0 0 0"]
    lots = await world.office.lots.of_viewer("ann")
    assert [(lot.coins, lot.left_coins, lot.reversed_coins) for lot in lots.lots] == [
        (10, 0, 0),
        (50, 20, 0),
        (5, 0, 5),
    ]
    await world.assert_audit_holds()


async def test_absorb_waits_for_the_end_of_a_hold(world: RefundWorld) -> None:
    """The books think that A is held; it has come back, and is taken once they know."""
    await world.play("buy A 100 | 100\nbuy B 50 | 150")
    held = await hold(world, 120)
    await world.play("settle | 30")
    await void(world, held)
    await world.play("chargeback r A | owed 100, 150\nsettle | 50")
    assert await world.refunds() == ["chargeback settled 100 100 0 0 0 0"]
    await world.assert_audit_holds()


async def test_absorb_waits_for_another_refund(world: RefundWorld) -> None:
    """B was refunded, and the books have it still: it is no reason to leave coins of A."""
    await world.play("buy A 100 | 100\nbuy B 50 | 150\nsettle | 150\nchargeback r B | taken 50, 100")
    await world.play("chargeback s A | owed 100, 100\nsettle | 0\nsettle | 0")
    assert await world.refunds() == ["chargeback settled 50 50 0 0 0 0", "chargeback settled 100 100 0 0 0 0"]
    await world.assert_audit_holds()


async def test_absorb_beside_coins_that_are_owed(world: RefundWorld, pool: Pool) -> None:
    """B was paid and has not come in: its coins are not in the wallet, so they are no reason to leave coins of A."""
    await world.play("buy A 100 | 100\nbegin B 50 | pending\nsettle | 100")
    await pool.execute("UPDATE credits SET due_at = now() WHERE id = $1", uuid.UUID(bytes=world.id("B")))
    await world.play("chargeback r A | taken 100, 0\npay B | 50\nsettle | 50")
    assert await world.refunds() == ["chargeback settled 100 100 0 0 0 0"]
    await world.assert_audit_holds()


async def test_absorb_beside_everything(world: RefundWorld) -> None:
    """Gifts, purchases and refunds at once: each refund takes what was left of its purchase, and of no other."""
    names = [f"P{number}" for number in range(12)]
    for name in names:
        await world.play(f"begin {name} 50 | pending")
    await world.play(f"pay {names[0]} | 50\nsettle | 50")
    given = [world.do(["gift", "cora", "17"]) for _ in range(25)]
    bought = [world.do(["pay", name]) for name in names[1:]]
    refunds = [world.do(["chargeback", f"r{name}", name, "40"]) for name in names[::2]]
    outcomes = await asyncio.gather(*given, *bought, *refunds, world.settle())
    spent = 17 * sum(outcome.isdecimal() for outcome in outcomes[: len(given)] if outcome is not None)
    for _ in names:
        await world.settle()
    lots = await world.office.lots.of_viewer("ann")
    assert lots.debt_coins == 0
    refunded = {world.id(name) for name in names[::2]}
    assert all(lot.reversed_coins == 0 for lot in lots.lots if lot.id not in refunded)
    assert all(lot.reversed_coins == 40 or lot.left_coins == 0 for lot in lots.lots if lot.id in refunded)
    assert sum(lot.spent_coins for lot in lots.lots) == spent
    taken = sum(lot.reversed_coins for lot in lots.lots)
    assert await world.ledger.balance("ann") == 50 * len(names) - spent - taken
    await world.assert_audit_holds()
