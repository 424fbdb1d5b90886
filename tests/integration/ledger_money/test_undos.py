"""Gifts that may be undone through the office: known for ever, settled by a duty, and no refund misses their coins."""

import asyncio
import contextlib
from collections.abc import Mapping

import pytest

from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.errors import LedgerUnavailable
from ledger.holds.undos import SETTLED_AT_ONCE
from ledger.ids import new_id
from ledger.model import GiftUndone, UndoRefusal, UndoRefused, ViewerId
from ledger.office import Office, open_office
from ledger.rails.sandbox import SandboxRail
from ledger.service import Ledger
from tests.integration.ledger.orders import gift_order, grant, now_ms
from tests.integration.ledger_money.money import Money
from tests.integration.ledger_money.refund_world import RefundWorld
from tests.integration.ledger_postgres.flushing import until
from tests.integration.ledger_postgres.undoing import give_dear, later, settle_all

ANN = ViewerId("ann")
SETTLED, NO_SUCH_GIFT = UndoRefused(UndoRefusal.SETTLED), UndoRefused(UndoRefusal.NO_SUCH_GIFT)
UNKNOWN = UndoRefused(UndoRefusal.UNKNOWN)


async def forget(ledger: Ledger) -> None:
    """The live ledger knows neither what was undone nor any id of a gift, as long after."""
    for name in await ledger.redis.keys("*:ids:*"):
        await ledger.redis.delete(name)
    await ledger.redis.delete(*[keys.undone_gifts for _, keys in ledger.keys.all()])


async def test_undoing_is_known_for_ever(office: Office, ledger: Ledger, money: Money) -> None:
    """While it is remembered, and when only the books know: the same answers."""
    await ledger.credit(grant("ann", 100))
    plain = gift_order("ann", 1)
    await ledger.give(plain)
    undone, settled = await give_dear(ledger, "ann", 30), await give_dear(ledger, "ann", 20)
    first = await office.undos.undo(undone, ANN)
    assert isinstance(first, GiftUndone) and (first.coins, first.balance_coins, first.replay) == (30, 79, False)
    again = GiftUndone(30, 79, first.at_ms, replay=True)
    await later(ledger)
    await settle_all(ledger)
    for _ in ("live", "flushed", "forgotten"):
        assert await office.undos.undo(undone, ANN) == again
        assert await office.undos.undo(settled, ANN) == SETTLED
        assert await office.undos.undo(plain.id, ANN) == SETTLED
        assert await office.undos.undo(undone, ViewerId("bob")) == NO_SUCH_GIFT
        assert await office.undos.undo(new_id(now_ms()), ANN) == NO_SUCH_GIFT
        if await money.balance("spent"):
            await forget(ledger)
        await money.flush()
    assert await ledger.balance("ann") == 79


async def test_gift_that_the_live_ledger_lost(office: Office, ledger: Ledger, money: Money) -> None:
    """The books have it as held, and the live ledger does not know it: nobody can say yet how it ends."""
    await ledger.credit(grant("ann", 100))
    gift_id = await give_dear(ledger, "ann", 30)
    await money.flush()
    keys = ledger.keys.of(ledger.keys.partition_of("ann"))
    await ledger.redis.delete(keys.open_gifts)
    await forget(ledger)
    assert await office.undos.undo(gift_id, ANN) == UNKNOWN


async def test_undo_while_servers_are_away(config: LedgerConfig, nowhere: Ledger, ledger: Ledger) -> None:
    """Without the live ledger the outcome is unknown; without the books a gift that is there can be undone."""
    office = await open_office(config, nowhere)
    assert await office.undos.undo(new_id(now_ms()), ANN) == UNKNOWN
    await office.close()
    await ledger.credit(grant("ann", 100))
    gift_id = await give_dear(ledger, "ann", 30)
    office = await open_office(
        LedgerConfig(redis_url=config.redis_url, database_url="postgresql://x@/x?host=/nowhere", partitions=2), ledger
    )
    assert isinstance(await office.undos.undo(gift_id, ANN), GiftUndone)
    with pytest.raises(LedgerUnavailable):
        await office.undos.undo(new_id(now_ms()), ANN)
    await office.close()


async def test_duty_settles_what_is_due(office: Office, ledger: Ledger) -> None:
    """In rounds, of all partitions it is given, and counts what is open."""
    partitions = [partition for partition, _ in ledger.keys.all()]
    for viewer in ("ann", "bob", "cid"):
        await ledger.credit(grant(viewer, 100))
        await give_dear(ledger, viewer, 10, 1)
    await give_dear(ledger, "ann", 10)
    duty = asyncio.create_task(office.undos.run(partitions))
    await until(lambda: office.undos.stats.settled == 3)
    await until(lambda: office.undos.stats.open == 1)
    duty.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await duty
    assert office.undos.stats.open == 0
    assert await ledger.live_earnings("cora") == 3 * 10 * 50


async def test_more_are_due_than_one_call_settles(office: Office, ledger: Ledger) -> None:
    """All of them are settled, once, also by two that settle at a time."""
    await ledger.credit(grant("ann", 1_000))
    gifts = SETTLED_AT_ONCE + 3
    await asyncio.gather(*(give_dear(ledger, "ann", 1, 1_000) for _ in range(gifts)))
    await later(ledger, 1_000)
    partitions = [partition for partition, _ in ledger.keys.all()]
    settled = await asyncio.gather(*(office.undos.settle_due(partitions) for _ in range(2)))
    assert sum(settled) == gifts
    assert await ledger.live_earnings("cora") == gifts * 50


async def test_duty_without_the_live_ledger(config: LedgerConfig, nowhere: Ledger) -> None:
    """It is said; whoever does duties begins again."""
    office = await open_office(config, nowhere)
    with pytest.raises(LedgerUnavailable):
        await office.undos.settle_due([nowhere.keys.partition_of("ann")])
    await office.close()


HARD: Mapping[str, object] = {"chargeback_viewer": "debt", "chargeback_creator": "pending", "maturing_days": 7}
# A charge-back of A, of whose coins 60 are in an open gift when it comes: what becomes of the gift decides who gives.
REFUNDS: dict[str, tuple[Mapping[str, object], str, list[str]]] = {
    "the gift is settled before": (
        HARD,
        """
        buy A 100            | 100
        dear g cora 60       | 40
        later                | 40
        settle               | 40
        chargeback r A 100   | taken 100, -60
        settle               | -60
        """,
        ["chargeback settled 100 100 60 3000 3000 0"],
    ),
    "the gift is settled after": (
        HARD,
        """
        buy A 100            | 100
        dear g cora 60       | 40
        settle               | 40
        chargeback r A 100   | owed 100, 40
        settle               | 40
        later                | 40
        settle               | -60
        """,
        ["chargeback settled 100 100 60 3000 3000 0"],
    ),
    "the gift is undone before": (
        HARD,
        """
        buy A 100            | 100
        dear g cora 60       | 40
        undo g               | 100
        settle               | 100
        chargeback r A 100   | taken 100, 0
        settle               | 0
        """,
        ["chargeback settled 100 100 0 0 0 0"],
    ),
    "the gift is undone after": (
        HARD,
        """
        buy A 100            | 100
        dear g cora 60       | 40
        settle               | 40
        chargeback r A 100   | owed 100, 40
        settle               | 40
        undo g               | 100
        settle               | 0
        """,
        ["chargeback settled 100 100 0 0 0 0"],
    ),
    "what is given meanwhile is paid at once": (
        HARD,
        """
        buy A 100            | 100
        dear g cora 60       | 40
        settle               | 40
        chargeback r A 100   | owed 100, 40
        gift dora 10         | 30
        undo g               | 90
        settle               | -10
        """,
        ["chargeback settled 100 100 10 500 500 0"],
    ),
    "coins of another purchase are another's": (
        {"refund_viewer": "absorb", "refund_creator": "pending", "maturing_days": 7},
        """
        buy A 50             | 50
        buy B 50             | 100
        dear g cora 70       | 30
        settle               | 30
        refund r B           | owed 50, 30
        undo g               | 100
        settle               | 50
        """,
        ["refund settled 50 50 0 0 0 0"],
    ),
}


@pytest.mark.parametrize("name", REFUNDS)
async def test_refund_beside_a_gift_that_may_be_undone(
    config: LedgerConfig, ledger: Ledger, rail: SandboxRail, pool: Pool, name: str
) -> None:
    """Whatever comes first, no coin and no diamond is missed, and none is given back by two."""
    policies, table, expected = REFUNDS[name]
    world = await RefundWorld.under(policies, config, ledger, rail, pool)
    await world.play(table)
    assert await world.refunds() == expected
    await world.assert_audit_holds()
    await world.office.close()


async def test_coins_of_a_purchase_name_gifts_that_are_open_and_paid(
    config: LedgerConfig, ledger: Ledger, rail: SandboxRail, pool: Pool
) -> None:
    """An undone gift was paid by none of them: its coins are in their own lots, and are spent next."""
    world = await RefundWorld.under({}, config, ledger, rail, pool)
    await world.play(
        """
        buy A 10          | 10
        dear g cora 6     | 4
        buy B 10          | 14
        gift dora 6       | 8
        dear h emma 3     | 5
        later             | 5
        dear i cora 2     | 3
        """
    )
    await world.money.flush()

    async def paid(purchase: str) -> list[tuple[str, int, bool]]:
        parts = await world.office.lots.paid_by(world.id(purchase))
        return [(part.creator, part.coins, part.held) for part in parts]

    assert await paid("A") == [("cora", 6, False), ("dora", 4, False)]
    assert await paid("B") == [("dora", 2, False), ("emma", 3, False), ("cora", 2, True)]
    await world.play("undo i | 5")
    await world.money.flush()
    assert await paid("B") == [("dora", 2, False), ("emma", 3, False)]
    lots = (await world.office.lots.of_viewer("ann")).lots
    assert [(lot.left_coins, lot.spent_coins) for lot in lots] == [(0, 10), (5, 5)]
    await world.assert_audit_holds()
    await world.office.close()


async def test_held_gift_of_coins_that_are_worth_less(
    config: LedgerConfig, ledger: Ledger, rail: SandboxRail, pool: Pool
) -> None:
    """What the creator gets less is posted with the settlement, by the coins that were next when it was given."""
    world = await RefundWorld.under({"bonus_worth_bp": 5_000, "granted_worth_bp": 0}, config, ledger, rail, pool)
    await world.play(
        """
        grant 4           | 4
        dear g cora 3     | 1
        dear h cora 1     | 0
        buy A 10          | 10
        undo h            | 11
        settle            | 11
        gift dora 3       | 8
        settle            | 8
        later             | 8
        settle            | 8
        """
    )
    # g is of granted coins alone; dora's gift of the one that came back, and of two paid ones.
    assert await world.money.balance("pending", "cora") == 0
    assert await world.money.balance("pending", "dora") == 100
    assert await world.money.balance("discount") == 150 + 50
    await world.assert_audit_holds()
    await world.office.close()
