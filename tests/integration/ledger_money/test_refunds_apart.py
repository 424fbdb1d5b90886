"""Refunds that contradict the books: set apart with the reason, tried again, settled by hand. Real servers."""

import pytest

from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.errors import NotFound, WrongState
from ledger.ids import new_id
from ledger.model import RefundKind
from ledger.office import Office
from ledger.rails.sandbox import SandboxRail
from ledger.refunds.refunds import Refund, RefundState
from ledger.service import Ledger
from tests.integration.ledger.orders import now_ms
from tests.integration.ledger_money.money import Money, purchase_order
from tests.integration.ledger_money.refund_world import RefundWorld

CONTRADICTED = {
    "its gift's day of earnings is gone": (
        "DELETE FROM creator_days WHERE creator = 'cora'",
        "no such day of earnings",
    ),
    "its gift spends more than came": (
        "UPDATE journal_records SET coins = 170, creator_diamonds = 8500, commission_diamonds = 8500"
        " WHERE creator = 'cora'",
        "spent 70 coins of no lot",
    ),
    "its purchase is gone": (
        "UPDATE journal_records SET id = gen_random_uuid() WHERE seq = 1",
        "was refunded before it came in",
    ),
}
"""What is done to the books, and how the refund says so. Ann's purchase A paid 70 coins to cora."""


@pytest.fixture
def world(office: Office, ledger: Ledger, rail: SandboxRail, money: Money, pool: Pool) -> RefundWorld:
    """With the policies that nobody has changed."""
    return RefundWorld(office, ledger, rail, money, pool)


@pytest.mark.parametrize("name", CONTRADICTED)
async def test_refund_that_contradicts_the_books(
    name: str, world: RefundWorld, ledger: Ledger, rail: SandboxRail, pool: Pool
) -> None:
    """It is set apart with the reason; the other viewer's refund is settled in the same round."""
    statement, words = CONTRADICTED[name]
    await world.play("buy A 100 | 100\ngift cora 70 | 30\nchargeback r A | taken 100, -70")
    await world.money.flush()
    await pool.execute(statement)
    other = RefundWorld(world.office, ledger, rail, world.money, pool)
    bought = await world.office.purchases.begin(purchase_order("bob", 10, 0, purchase_id=other.id("B")))
    await world.office.purchases.hear("sandbox", *rail.pay(bought))
    await other.refund("s", "B", 10, RefundKind.REFUND)
    await world.money.flush()
    assert await world.office.refunds.settle() == 1
    assert (world.office.refunds.stats.waiting, world.office.refunds.stats.set_apart) == (0, 1)
    apart, settled = await world.office.refunds.get(world.id("r")), await world.office.refunds.get(other.id("s"))
    assert apart is not None
    assert settled is not None
    assert (apart.state, settled.state, settled.set_apart) == (RefundState.TAKEN, RefundState.SETTLED, None)
    assert words in (apart.set_apart or "")
    assert await world.office.refunds.settle() == 0


async def test_refund_that_was_set_apart_is_tried_again(world: RefundWorld, pool: Pool) -> None:
    """Set apart again while the books are wrong; settled as ever once they are right: 70 coins, 3,500 diamonds."""
    await world.play("buy A 100 | 100\ngift cora 70 | 30\nchargeback r A | taken 100, -70")
    await world.money.flush()
    refunds = world.office.refunds
    await pool.execute("UPDATE creator_days SET creator = 'gone' WHERE creator = 'cora'")
    await refunds.settle()
    assert (await refunds.retry(world.id("r"))).set_apart is not None
    await pool.execute("UPDATE creator_days SET creator = 'cora' WHERE creator = 'gone'")
    assert await refunds.settle() == 0
    done = await refunds.retry(world.id("r"))
    assert (done.state, done.set_apart, done.returned_coins, done.creator_diamonds) == ("settled", None, 70, 3_500)
    await refunds.settle()
    assert refunds.stats.set_apart == 0
    assert (await refunds.retry(world.id("r"))) == done
    with pytest.raises(NotFound):
        await refunds.retry(new_id(now_ms()))
    await world.assert_audit_holds()


async def test_refund_settled_by_hand(world: RefundWorld, pool: Pool) -> None:
    """Only one that is set apart, and once the books have what the wallet gave. Creators keep their part."""
    await world.play("buy A 100 | 100\ngift cora 70 | 30\nchargeback r A | taken 100, -70")
    refunds = world.office.refunds
    by_hand = {"by": "olga", "note": "looked through"}
    with pytest.raises(WrongState):
        await refunds.settle_by_hand(world.id("r"), **by_hand)
    await pool.execute("UPDATE refunds SET set_apart_at = now(), set_apart_why = 'a test'")
    with pytest.raises(WrongState):
        await refunds.settle_by_hand(world.id("r"), **by_hand)
    await world.money.flush()
    done = await refunds.settle_by_hand(world.id("r"), **by_hand)
    assert (done.state, done.settled_by, done.set_apart) == ("settled", "olga", None)
    assert (done.taken_coins, done.returned_coins, done.creator_diamonds) == (100, 0, 0)
    assert await refunds.settle_by_hand(world.id("r"), by="otto", note="again") == done
    with pytest.raises(NotFound):
        await refunds.settle_by_hand(new_id(now_ms()), **by_hand)
    assert await world.money.balance("pending", "cora") == 3_500
    await world.assert_audit_holds()


async def test_owed_refund_that_contradicts_the_books(
    config: LedgerConfig, ledger: Ledger, rail: SandboxRail, pool: Pool
) -> None:
    """What is left of its purchase cannot be told: set apart when it is ordered; nothing is taken until it can."""
    world = await RefundWorld.under({"refund_viewer": "absorb"}, config, ledger, rail, pool)
    await world.play("buy A 100 | 100\ngift cora 70 | 30")
    await world.money.flush()
    await pool.execute("UPDATE journal_records SET kind = 'grant', coins = 60 WHERE viewer = 'ann' AND seq = 1")
    found = await world.refund("r", "A", None, RefundKind.REFUND)
    assert isinstance(found, Refund)
    assert found.state == RefundState.OWED
    assert "coins of no lot" in (found.set_apart or "")
    assert await world.office.refunds.settle() == 0
    assert await ledger.balance("ann") == 30
    with pytest.raises(WrongState):
        await world.office.refunds.settle_by_hand(world.id("r"), by="olga", note="too soon")
    await pool.execute("UPDATE journal_records SET kind = 'purchase', coins = 100 WHERE viewer = 'ann' AND seq = 1")
    assert (await world.office.refunds.retry(world.id("r"))).state == RefundState.TAKEN
    assert await ledger.balance("ann") == 0
    await world.settle()
    assert await world.refunds() == ["refund settled 100 30 70 0 0 3500"]
    await world.assert_audit_holds()
    await world.office.close()
