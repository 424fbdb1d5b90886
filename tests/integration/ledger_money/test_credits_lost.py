"""Coins that were noted as credited, and whose record a failover lost before the books had it, come in again, once."""

from typing import Any

import pytest

from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.errors import LedgerUnavailable
from ledger.ids import new_id
from ledger.live.keys import Total
from ledger.model import ViewerId
from ledger.office import Office
from ledger.purchases.grants import Granted, GrantOrder
from ledger.purchases.purchases import PurchaseState
from ledger.rails.sandbox import SandboxRail
from ledger.service import Ledger
from tests.integration.ledger.orders import now_ms
from tests.integration.ledger_money.money import Money
from tests.integration.ledger_money.refund_world import RefundWorld


class Copy:
    """All that Valkey held at a time, as a replica that was cut off then."""

    def __init__(self, ledger: Ledger) -> None:
        self._redis: Any = ledger.redis
        self._stored: dict[bytes, bytes] = {}

    async def take(self) -> None:
        """Of now."""
        self._stored = {name: await self._redis.dump(name) for name in await self._redis.keys("*")}

    async def promote(self) -> None:
        """Everything since then is lost."""
        await self._redis.flushall()
        for name, stored in self._stored.items():
            await self._redis.restore(name, 0, stored)


@pytest.fixture
def world(office: Office, ledger: Ledger, rail: SandboxRail, money: Money, pool: Pool) -> RefundWorld:
    """With the policies that nobody has changed."""
    return RefundWorld(office, ledger, rail, money, pool)


@pytest.fixture
async def copy(ledger: Ledger, world: RefundWorld) -> Copy:
    """Taken when ann had 10 coins, of which the books know."""
    await world.play("grant 10 | 10")
    await world.money.flush()
    taken = Copy(ledger)
    await taken.take()
    return taken


async def test_credits_that_a_failover_lost(world: RefundWorld, copy: Copy, ledger: Ledger) -> None:
    """A purchase and a grant come in again at the next round, and no more often, whatever is lost in between."""
    order = GrantOrder(new_id(now_ms()), ViewerId("ann"), 7, "a prize", "olga")
    await world.play("buy A 100 | 110")
    assert await world.office.grants.grant(order) == Granted(117, replay=False)
    for again in (2, 4):
        await copy.promote()
        assert await ledger.balance("ann") == 10
        await world.office.purchases.settle()
        assert (await ledger.balance("ann"), world.office.settle_stats.again) == (117, again)
    await world.settle()
    await world.settle()
    assert (await ledger.balance("ann"), world.office.settle_stats.again) == (117, 4)
    purchase = await world.office.purchases.get(world.id("A"))
    assert purchase is not None and (purchase.state, purchase.balance_coins) == (PurchaseState.CREDITED, 110)
    assert await world.office.grants.grant(order) == Granted(117, replay=True)
    await world.assert_audit_holds()


async def test_credits_that_are_on_their_way_into_the_books(world: RefundWorld, ledger: Ledger) -> None:
    """They are asked for again in vain, also when the live ledger takes no orders."""
    await world.play("buy A 100 | 100")
    await world.office.purchases.settle()
    keys: Any = ledger.keys.of(ledger.keys.partition_of("ann"))
    await ledger.redis.hset(keys.totals, Total.EPOCH, "0")
    await ledger.redis.hdel(keys.credits, world.id("A"))
    await world.office.purchases.settle()
    assert (await ledger.balance("ann"), world.office.settle_stats.again) == (100, 0)


async def test_lost_credits_behind_more_than_a_round_reads(
    world: RefundWorld, copy: Copy, ledger: Ledger, config: LedgerConfig, rail: SandboxRail, pool: Pool
) -> None:
    """Each is found, however many there are, also by a worker that starts now."""
    for name in "ABCDE":
        await world.do(["buy", name, "100"])
    await copy.promote()
    fresh = await RefundWorld.under({"settle_rows_max": 2}, config, ledger, rail, pool)
    for _ in range(3):
        await fresh.settle()
    assert (await ledger.balance("ann"), fresh.office.settle_stats.again) == (510, 5)
    await fresh.assert_audit_holds()
    await fresh.office.close()


async def test_refund_of_a_purchase_that_a_failover_lost(world: RefundWorld, copy: Copy, ledger: Ledger) -> None:
    """It waits until the purchase is in again, so that the books never see the refund first; then all adds up."""
    await world.play("buy A 100 | 110\ngift cora 60 | 50\nchargeback r A | taken 100, -50")
    await copy.promote()
    await world.office.refunds.settle()
    assert await ledger.balance("ann") == 10
    await world.settle()
    await world.settle()
    # The gift is lost as well.
    assert await ledger.balance("ann") == 10
    assert await world.refunds() == ["chargeback settled 100 100 0 0 0 0"]
    await world.assert_audit_holds()


async def test_refund_of_an_unbooked_purchase_while_valkey_is_away(
    world: RefundWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can say whether its coins are there: the refund stays owed."""

    async def away(credit_id: bytes, viewer: str) -> bool:
        raise LedgerUnavailable("planted")

    monkeypatch.setattr(world.ledger, "knows_credit", away)
    await world.play("buy A 100 | 100\nrefund r A 40 | owed 40, 100")
    monkeypatch.undo()
    await world.play("settle | 60")
    await world.assert_audit_holds()
