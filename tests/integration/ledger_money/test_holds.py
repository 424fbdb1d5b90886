"""Holds through the office: remembered for ever, refused clearly, expired by a duty whoever does it."""

import asyncio
import contextlib

import msgspec
import pytest

from ledger.audits.audit import audit
from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.guards.guard_counts import recount
from ledger.holds.holds import EXPIRED_AT_ONCE, Hold, is_as_asked
from ledger.ids import new_id
from ledger.live.keys import Total
from ledger.lots.lots import LotKind
from ledger.model import (
    EndRefusal,
    EndRefused,
    GiftRefused,
    Held,
    HoldEnd,
    HoldEnded,
    HoldOrder,
    Limit,
    Partition,
    Refusal,
    ViewerId,
)
from ledger.office import Office, open_office
from ledger.purchases.grants import GrantOrder
from ledger.rails.sandbox import SandboxRail
from ledger.service import Ledger, open_ledger
from tests.integration.ledger.orders import gift_order, grant, now_ms
from tests.integration.ledger_money.money import Money
from tests.integration.ledger_money.refund_world import RefundWorld
from tests.integration.ledger_postgres.flushing import until

ANN = ViewerId("ann")
LONG_MS = 600_000


def order_of(coins: int, lasts_ms: int = LONG_MS, viewer: ViewerId = ANN) -> HoldOrder:
    """Coins for an order of somebody's shop."""
    return HoldOrder(new_id(now_ms()), viewer, coins, lasts_ms, "order 7")


async def forget_ended(ledger: Ledger) -> None:
    """The live ledger has forgotten how holds ended, as long after."""
    await ledger.redis.delete(*[keys.ended_holds for _, keys in ledger.keys.all()])


async def test_hold_is_known_for_ever(office: Office, ledger: Ledger, money: Money) -> None:
    """While only the journal has it, while it is remembered, and when only the books know: the same answers."""
    await ledger.credit(grant("ann", 100))
    order = order_of(30)
    first = await office.holds.begin(order)
    assert isinstance(first, Held) and first.balance_coins == 70
    begun_ms = first.expires_ms - LONG_MS
    still_open = Hold(order.id, ANN, 30, "order 7", begun_ms, first.expires_ms)
    assert await office.holds.get(order.id, ANN) == still_open
    await money.flush()
    assert await office.holds.get(order.id, ANN) == still_open
    ended = await office.holds.settle(order.id, ANN, 12)
    assert isinstance(ended, HoldEnded) and (ended.taken_coins, ended.balance_coins) == (12, 88)
    over = msgspec.structs.replace(still_open, end=HoldEnd.SETTLED, taken_coins=12, ended_ms=ended.at_ms)
    assert await office.holds.get(order.id, ANN) == over
    await money.flush()
    await forget_ended(ledger)
    assert await office.holds.get(order.id, ANN) == over
    again = msgspec.structs.replace(ended, replay=True)
    assert await office.holds.settle(order.id, ANN, 12) == again
    assert await office.holds.void(order.id, ANN) == again
    assert await office.holds.begin(order) == msgspec.structs.replace(first, replay=True)
    for other in ({"coins": 31}, {"lasts_ms": 1}, {"reference": "order 8"}):
        changed = msgspec.structs.replace(order, **other)
        assert await office.holds.begin(changed) == GiftRefused(Refusal.ID_CONFLICT)
    assert await ledger.balance("ann") == 88


async def test_hold_that_nobody_knows(office: Office) -> None:
    """It cannot be ended, and there is nothing to be told of it."""
    assert await office.holds.settle(new_id(now_ms()), ANN, None) == EndRefused(EndRefusal.NO_SUCH_HOLD)
    assert await office.holds.void(new_id(now_ms()), ANN) == EndRefused(EndRefusal.NO_SUCH_HOLD)
    assert await office.holds.get(new_id(now_ms()), ANN) is None


async def test_hold_that_the_live_ledger_lost(office: Office, ledger: Ledger, money: Money) -> None:
    """The books have it as begun, and the live ledger, empty or in repair, does not know it: it is not said that there
    is none, but that nobody can say yet how it ends."""
    unknown = EndRefused(EndRefusal.UNKNOWN)
    await ledger.credit(grant("ann", 100))
    order = order_of(30)
    await office.holds.begin(order)
    await money.flush()
    keys = ledger.keys.of(ledger.keys.partition_of("ann"))
    await ledger.redis.delete(keys.holds)
    assert await office.holds.settle(order.id, ANN, 12) == unknown
    await ledger.redis.flushall()
    for hold_id in (order.id, new_id(now_ms())):
        assert await ledger.end_hold(hold_id, ANN, HoldEnd.VOIDED) == unknown
        assert await office.holds.settle(hold_id, ANN, 12) == unknown


async def test_hold_while_the_live_ledger_is_away(config: LedgerConfig, nowhere: Ledger) -> None:
    """The outcome is unknown, and said to be."""
    office = await open_office(config, nowhere)
    assert await office.holds.begin(order_of(5)) == GiftRefused(Refusal.UNKNOWN)
    assert await office.holds.void(new_id(now_ms()), ANN) == EndRefused(EndRefusal.UNKNOWN)
    await office.close()


async def test_list_of_a_viewers_holds(office: Office, ledger: Ledger, money: Money) -> None:
    """Newest first, in pages, each as it stands; nobody else's are among them."""
    await ledger.credit(grant("ann", 100))
    await ledger.credit(grant("bob", 100))
    orders = [order_of(coins) for coins in (1, 2, 3)]
    for order in orders:
        await office.holds.begin(order)
    await office.holds.begin(order_of(9, viewer=ViewerId("bob")))
    await office.holds.settle(orders[1].id, ANN, 1)
    await money.flush()
    first = await office.holds.of_viewer("ann", after=None, limit=2)
    assert [(hold.coins, hold.end, hold.taken_coins) for _, hold in first] == [(3, None, None), (2, HoldEnd.SETTLED, 1)]
    second = await office.holds.of_viewer("ann", after=first[-1][0], limit=2)
    assert [hold.id for _, hold in second] == [orders[0].id]
    assert [await office.holds.get(hold.id, ANN) for _, hold in (*first, *second)] == [h for _, h in (*first, *second)]


async def test_holds_expire_by_the_duty(office: Office, ledger: Ledger, money: Money, config: LedgerConfig) -> None:
    """Those whose time is over, more than one read brings, and no others; two workers at once end each once."""
    config = msgspec.structs.replace(config, viewer_holds_max=1_000, holds_expired_ms=1)
    wide = await open_office(config, ledger)
    partitions = [partition for partition, _ in ledger.keys.all()]
    await ledger.credit(grant("ann", 10_000))
    holds = EXPIRED_AT_ONCE * 2 + 1
    free = open_ledger(config)
    await free.start()
    for _ in range(holds):
        assert isinstance(await free.hold(order_of(3, lasts_ms=1)), Held)
    long = order_of(500)
    assert isinstance(await free.hold(long), Held)
    assert await ledger.balance("ann") == 10_000 - 3 * holds - 500
    duties = [asyncio.create_task(one.holds.run(partitions)) for one in (office, wide)]
    await until(lambda: office.holds.stats.expired + wide.holds.stats.expired >= holds)
    for duty in duties:
        duty.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await duty
    assert office.holds.stats.expired + wide.holds.stats.expired == holds
    assert await ledger.balance("ann") == 10_000 - 500
    await money.flush()
    assert await money.balance("coins_held") == 500
    assert (await audit(money.config)).ok
    await free.stop()
    await wide.close()


async def test_duty_tells_how_many_holds_are_open(office: Office, ledger: Ledger, config: LedgerConfig) -> None:
    """Of its partitions, while it runs; none afterwards."""
    partitions = [partition for partition, _ in ledger.keys.all()]
    await ledger.credit(grant("ann", 10))
    for _ in range(3):
        await office.holds.begin(order_of(1))
    duty = asyncio.create_task(office.holds.run(partitions))
    await until(lambda: office.holds.stats.rounds > 0)
    assert office.holds.stats.open == 3
    duty.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await duty
    assert office.holds.stats.open == 0


async def test_deadline_of_no_hold_does_not_keep_the_duty_busy(office: Office, ledger: Ledger) -> None:
    """What contradicts itself is for the audit to name; the duty goes on."""
    await ledger.redis.zadd(ledger.keys.of(Partition(0)).hold_deadlines, {bytes(16) + b"eve": 1})
    assert await office.holds.expire([Partition(0)]) == 0


@pytest.mark.parametrize(
    ("ended", "taken", "asked", "coins", "fits"),
    [
        ("settled", 10, "settled", None, True),
        ("settled", 4, "settled", 4, True),
        ("settled", 4, "settled", None, False),
        ("settled", 4, "settled", 5, False),
        ("settled", 10, "voided", None, False),
        ("voided", 0, "voided", None, True),
        ("expired", 0, "voided", None, True),
        ("voided", 0, "settled", None, False),
        ("expired", 0, "settled", 10, False),
    ],
)
def test_end_is_as_it_was_asked_for(ended: str, taken: int, asked: str, coins: int | None, fits: bool) -> None:
    """A void is content when all coins are back, a settlement when so many were taken."""
    assert is_as_asked(HoldEnded(HoldEnd(ended), 10, taken, 0, 0, True), HoldEnd(asked), coins) is fits


async def test_recount_after_a_loss_counts_holds(
    ledger: Ledger, money: Money, pool: Pool, office: Office, config: LedgerConfig
) -> None:
    """Open holds whole, ended ones without what came back."""
    await ledger.credit(grant("ann", 100))
    orders = [order_of(coins) for coins in (5, 10, 20)]
    for order in orders:
        await office.holds.begin(order)
    await office.holds.settle(orders[1].id, ANN, 4)
    await office.holds.void(orders[2].id, ANN)
    await ledger.give(gift_order("ann", 1))
    await money.flush()
    capped = msgspec.structs.replace(config, month_coins_max=500)
    assert await recount(pool, ledger, capped) == 1
    at_ms = await ledger.partition_now_ms(ledger.keys.partition_of("ann"))
    assert (await ledger.guard("ann")).spent(Limit.MONTH, at_ms) == 5 + 4 + 1


async def test_coins_in_a_hold_when_their_purchase_is_refunded(
    config: LedgerConfig, ledger: Ledger, rail: SandboxRail, pool: Pool
) -> None:
    """A charge-back makes a debt that they pay when they come back; no creator gives anything for them."""
    world = await RefundWorld.under({}, config, ledger, rail, pool)
    await world.play("buy A 100 | 100")
    order = order_of(60)
    assert isinstance(await world.office.holds.begin(order), Held)
    await world.play(
        """
        gift cora 10        | 30
        chargeback r A      | taken 100, -70
        """
    )
    await world.settle()
    assert await world.refunds() == ["chargeback settled 100 100 10 500 500 0"]
    ended = await world.office.holds.settle(order.id, ANN, 15)
    assert isinstance(ended, HoldEnded) and (ended.taken_coins, ended.balance_coins) == (15, -25)
    await world.money.flush()
    lots = await world.office.lots.of_viewer("ann")
    assert lots.debt_coins == 25
    assert [(lot.kind, lot.left_coins, lot.spent_coins, lot.reversed_coins) for lot in lots.lots] == [
        # 10 given and 15 charged; 30 were left and 45 came back, and all of those paid for the charge-back.
        (LotKind.PAID, 0, 25, 75)
    ]
    assert await world.money.balance("coins_charged") == 15
    assert await world.money.balance("coins_held") == 0
    await world.assert_audit_holds()
    await world.office.close()


async def test_lots_of_holds(office: Office, ledger: Ledger, money: Money) -> None:
    """What comes back is spent before what was bought later; a hold taken whole is seen too."""
    first, second = grant("ann", 10), grant("ann", 10)
    await ledger.credit(first)
    await ledger.credit(second)
    whole, part = order_of(4), order_of(9)
    for order in (whole, part):
        await office.holds.begin(order)
    await office.holds.settle(whole.id, ANN, None)
    await office.holds.settle(part.id, ANN, 2)
    await ledger.give(gift_order("ann", 5))
    await money.flush()
    lots = await office.lots.of_viewer("ann")
    assert [(lot.left_coins, lot.spent_coins) for lot in lots.lots] == [(0, 10), (9, 1)]


async def test_statement_of_holds(office: Office, ledger: Ledger, money: Money) -> None:
    """Each hold takes its coins, and what comes back is an entry of the same id."""
    await ledger.credit(grant("ann", 100))
    whole, part = order_of(4), order_of(9)
    for order in (whole, part):
        await office.holds.begin(order)
    await office.holds.settle(whole.id, ANN, None)
    await office.holds.settle(part.id, ANN, 2)
    await money.flush()
    entries = await office.statements.wallet_entries("ann", after=None, limit=10)
    assert [(entry.cause, entry.coins, entry.balance_coins, entry.id) for entry in entries[:3]] == [
        ("hold_ended", 7, 94, part.id),
        ("hold", -9, 87, part.id),
        ("hold", -4, 96, whole.id),
    ]


async def test_hold_counts_in_the_totals(office: Office, ledger: Ledger) -> None:
    """What is held and what was charged stand in the totals of the viewer's partition, and in no other's."""
    await ledger.credit(grant("ann", 100))
    orders = [order_of(4), order_of(9)]
    for order in orders:
        await office.holds.begin(order)
    await office.holds.settle(orders[0].id, ANN, 3)
    own = ledger.keys.partition_of("ann")
    for partition, keys in ledger.keys.all():
        found = await ledger.redis.hmget(keys.totals.decode(), [Total.HELD, Total.CHARGED])
        assert found == ([b"9", b"3"] if partition == own else [None, None])


async def test_coins_in_a_hold_that_are_worth_less(office: Office, ledger: Ledger, money: Money) -> None:
    """They leave and come back in the order of their lots, also over restarts of the flusher."""
    for coins, worth_bp in ((10, 0), (10, None), (10, 5_000)):
        order = GrantOrder(new_id(now_ms()), ANN, coins, "test", "olga", worth_bp)
        await office.grants.grant(order)
    await money.flush()
    wide, narrow = order_of(25), order_of(3)
    await office.holds.begin(wide)
    await money.flush()
    await office.holds.begin(narrow)
    await money.flush()
    # The first 4 of the 25 are gone, and 6 that are worth nothing lie in front again.
    await office.holds.settle(wide.id, ANN, 4)
    await money.flush()
    await ledger.give(gift_order("ann", 8))
    await money.flush()
    await office.holds.void(narrow.id, ANN)
    await money.flush()
    await ledger.give(gift_order("ann", 18, creator="cleo"))
    await money.flush()
    assert await ledger.balance("ann") == 0
    # 6 coins of nothing and 2 whole ones; then 8 whole ones and 10 of half.
    assert await money.balance("pending", "cora") == 2 * 50
    assert await money.balance("pending", "cleo") == 8 * 50 + 10 * 25
    assert (await audit(money.config)).ok
    await money.assert_books_sum_to_zero()
