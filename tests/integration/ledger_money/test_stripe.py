"""Coins that are bought by Stripe: every order of its events, on real servers and Stripe's API on loopback."""

from collections.abc import AsyncIterator, Iterator

import pytest
from msgspec import structs

from ledger.audits.audit import audit
from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.errors import RailRefused, RailUnavailable
from ledger.ids import format_id, new_id
from ledger.model import RefundKind
from ledger.purchases.purchases import PurchaseState
from ledger.service import Ledger
from tests.integration.ledger.orders import now_ms
from tests.integration.ledger_money.money import Money, purchase_order
from tests.integration.ledger_money.stripe_world import StripeWorld, stripe_rail
from tests.stripe_api import Stripe, running_stripe

TABLES = {
    "twice": """
        begin                  | pending
        pay paid               |
        hear paid              | applied, 120
        hear paid              | duplicate, 120
        hear paid again        | duplicate, 120
        state                  | credited 0
    """,
    "transfer": """
        begin                  | pending
        transfer under-way     |
        hear under-way         | not_ours, 0
        state                  | pending 0
        arrive arrived         |
        hear arrived           | applied, 120
        hear under-way         | not_ours, 120
    """,
    "transfer that bounces": """
        begin                  | pending
        transfer under-way     |
        bounce bounced         |
        hear bounced           | applied, 0
        hear under-way         | not_ours, 0
        state                  | declined 0
    """,
    "expired, then paid after all": """
        begin                  | pending
        expire expired         |
        hear expired           | applied, 0
        state                  | expired 0
        pay paid               |
        hear paid              | applied, 120
        hear expired again     | duplicate, 120
    """,
    "refund in parts, told by two events each": """
        begin                  | pending
        pay paid               |
        hear paid              | applied, 120
        refund first 43        |
        refund second 86       |
        hear second-created    | applied, 40
        hear second-refunded   | not_ours, 40
        hear first-refunded    | not_ours, 40
        hear first-created     | applied, 0
        move first succeeded refund.updated charge.refund.updated |
        hear first-updated     | duplicate, 0
        state                  | credited 120
    """,
    "refund before the payment is heard of": """
        begin                  | pending
        pay paid               |
        refund back 43         |
        hear back-created      | applied, 80
        hear paid              | no_change, 80
        state                  | credited 40
    """,
    "all of it back before the payment is heard of": """
        begin                  | pending
        pay paid               |
        refund back 129        |
        hear back-created      | applied, 0
        hear paid              | no_change, 0
        state                  | voided 120
    """,
    "refund that takes days, and one that fails": """
        begin                  | pending
        pay paid               |
        hear paid              | applied, 120
        refund slow 43 pending |
        refund lost 43 pending |
        hear slow-created      | not_ours, 120
        hear lost-created      | not_ours, 120
        move slow succeeded refund.updated |
        move lost failed refund.failed     |
        hear slow-updated      | applied, 80
        hear lost-failed       | no_change, 80
        state                  | credited 40
    """,
    "dispute": """
        begin                  | pending
        pay paid               |
        hear paid              | applied, 120
        gift 20                | 100
        dispute bank 129       |
        hear bank-funds_withdrawn | applied, -20
        hear bank-created      | duplicate, -20
        move bank lost charge.dispute.closed |
        hear bank-closed       | duplicate, -20
        state                  | credited 120
    """,
    "dispute that is won after its coins were taken": """
        begin                  | pending
        pay paid               |
        hear paid              | applied, 120
        dispute bank 129       |
        hear bank-created      | applied, 0
        move bank won charge.dispute.closed charge.dispute.funds_reinstated |
        hear bank-closed       | applied, 0
        hear bank-funds_reinstated | duplicate, 0
        hear bank-funds_withdrawn  | duplicate, 0
        state                  | credited 120
    """,
    "dispute that was won before any of it is heard": """
        begin                  | pending
        pay paid               |
        hear paid              | applied, 120
        dispute bank 129       |
        move bank won charge.dispute.closed |
        hear bank-closed       | no_change, 120
        hear bank-created      | duplicate, 120
        hear bank-funds_withdrawn | duplicate, 120
    """,
    "inquiry that becomes a dispute": """
        begin                  | pending
        pay paid               |
        hear paid              | applied, 120
        dispute bank 43 warning_needs_response |
        hear bank-created      | not_ours, 120
        move bank needs_response charge.dispute.updated |
        hear bank-updated      | applied, 80
    """,
    "dispute of more than is left after a refund": """
        begin                  | pending
        pay paid               |
        hear paid              | applied, 120
        refund back 43         |
        hear back-created      | applied, 80
        dispute bank 129       |
        hear bank-created      | wrong_amount, 80
    """,
    "wrong amount": """
        begin                  | pending
        pay paid               |
        hear paid with amount_total 128 | wrong_amount, 0
        state                  | pending 0
    """,
    "wrong currency": """
        begin                  | pending
        pay paid               |
        hear paid with currency eur | wrong_amount, 0
    """,
    "nothing to pay": """
        begin                  | pending
        pay paid               |
        hear paid with payment_status no_payment_required | applied, 120
    """,
    "purchase that nobody began": """
        begin                  | pending
        pay paid               |
        hear paid with metadata.giftwire_purchase 01890000-0000-7000-8000-000000000000 | unknown_purchase, 0
    """,
}


@pytest.fixture(scope="module")
def module_stripe() -> Iterator[Stripe]:
    """One Stripe for all tests of the module."""
    with running_stripe() as stripe:
        yield stripe


@pytest.fixture
async def world(module_stripe: Stripe, config: LedgerConfig, ledger: Ledger) -> AsyncIterator[StripeWorld]:
    """A viewer who buys by Stripe."""
    async with stripe_rail(module_stripe) as rail, StripeWorld(module_stripe, rail, config, ledger).opened() as opened:
        yield opened


@pytest.mark.parametrize("name", TABLES)
async def test_events(world: StripeWorld, name: str) -> None:
    """Whatever order its events come in, the money of a payment counts once, and so does each part that goes back."""
    await world.play(TABLES[name])


async def test_checkout_of_somebody_else(world: StripeWorld) -> None:
    """A payment that does not name a purchase of ours is none, and neither is its refund."""
    await world.begin()
    event = world.stripe.pay(world.session)
    world.stripe.intents[world.session["payment_intent"]]["metadata"] = {"order": "7"}
    event["data"]["object"]["metadata"] = {"order": "7"}
    assert await world.hear(event) == "not_ours, 0"
    for told in world.stripe.refund(world.session, 129):
        assert await world.hear(told) == "not_ours, 0"


async def test_refund_while_stripe_is_away(world: StripeWorld) -> None:
    """A refund that cannot be looked up is not answered with success, so Stripe tells it again."""
    await world.play("begin | pending\npay paid |\nhear paid | applied, 120\nrefund back 43 |")
    for fault in (500, 429, 401, 404, "drop"):
        world.stripe.faults.append(fault)
        with pytest.raises(RailUnavailable):
            await world.hear(world.events["back-created"])
    assert await world.hear(world.events["back-created"]) == "applied, 80"


async def test_circle(world: StripeWorld, config: LedgerConfig, ledger: Ledger, money: Money, pool: Pool) -> None:
    """Bought, paid, given, partly refunded, charged back: 120 coins for 129 cents come and go, and all books agree."""
    await world.play(
        """
        begin                | pending
        pay paid             |
        hear paid            | applied, 120
        gift 60              | 60
        refund back 43       |
        hear back-created    | applied, 20
        hear back-refunded   | not_ours, 20
        """
    )
    await money.flush()
    await world.office.refunds.settle()
    (refund,) = await world.office.refunds.refunds()
    # 43 of 129 cents are a third of the price: 40 coins, all of which were left.
    assert (refund.kind, refund.coins, refund.taken_coins, refund.returned_coins) == (RefundKind.REFUND, 40, 40, 0)
    await world.play(
        """
        dispute bank 86      |
        hear bank-created    | applied, -60
        hear bank-funds_withdrawn | duplicate, -60
        """
    )
    await money.flush()
    await world.office.refunds.settle()
    chargeback = next(one for one in await world.office.refunds.refunds() if one.kind is RefundKind.CHARGEBACK)
    # The other 80: 20 were left, 60 were given and are a debt; cora's half of them had not matured.
    assert (chargeback.coins, chargeback.taken_coins, chargeback.returned_coins) == (80, 80, 60)
    assert (chargeback.creator_diamonds, chargeback.commission_diamonds) == (3_000, 3_000)
    await money.flush()
    sold, reversed_ = await money.balance("coins_sold"), await money.balance("coins_reversed")
    assert (sold, reversed_, await money.balance("wallet", "ann")) == (-120, 120, -60)
    assert (await money.balance("spent"), await money.balance("pending", "cora")) == (60, 0)
    assert await pool.fetchval("SELECT refunded_minor FROM purchases") == 43 + 86 == 129
    await money.assert_books_sum_to_zero()
    report = await audit(config)
    assert report.ok, [result.violations for result in report.invariants if not result.ok]


async def _age(pool: Pool) -> None:
    await pool.execute(
        "UPDATE purchases SET made_at = made_at - interval '2 days', asked_at = asked_at - interval '1 h'"
    )


async def test_give_up_stale(world: StripeWorld, pool: Pool) -> None:
    """A checkout that nobody paid is closed at Stripe, then the purchase is given up."""
    await world.begin()
    await _age(pool)
    assert await world.office.purchases.give_up_stale() == 1
    assert world.session["status"] == "expired"
    assert await world.do(["state"]) == "expired 0"


async def test_give_up_stale_whose_webhook_was_lost(world: StripeWorld, pool: Pool) -> None:
    """A payment that nobody told of is found by asking; the webhook, when it comes after all, says nothing new."""
    await world.begin()
    event = world.stripe.pay(world.session)
    await _age(pool)
    assert await world.office.purchases.give_up_stale() == 1
    assert await world.ledger.balance("ann") == 120
    assert await world.hear(event) == "duplicate, 120"


async def test_give_up_stale_with_a_transfer_under_way(world: StripeWorld, pool: Pool) -> None:
    """It is not given up, and not asked after again before its time; once it has failed it is declined."""
    await world.begin()
    world.stripe.pay(world.session, at_once=False)
    await _age(pool)
    assert await world.office.purchases.give_up_stale() == 0
    asked = len(world.stripe.calls)
    assert await world.office.purchases.give_up_stale() == 0
    assert len(world.stripe.calls) == asked
    world.stripe.end_later(world.session, well=False)
    await _age(pool)
    assert await world.office.purchases.give_up_stale() == 1
    assert await world.do(["state"]) == "declined 0"


async def test_give_up_stale_while_stripe_is_away(world: StripeWorld, pool: Pool) -> None:
    """The first that is not answered ends the round for that rail, whatever waits behind; the next round asks again."""
    for _ in range(3):
        world.purchase_id = new_id(now_ms())
        await world.begin()
    await _age(pool)
    asked = len(world.stripe.calls)
    world.stripe.faults.append(500)
    assert await world.office.purchases.give_up_stale() == 0
    assert len(world.stripe.calls) == asked + 1
    assert await world.office.purchases.give_up_stale() == 3


async def test_begin_that_stripe_refuses(world: StripeWorld, pool: Pool) -> None:
    """What Stripe never takes is declined at once, and the same id again says so without asking."""
    order = structs.replace(purchase_order(purchase_id=world.purchase_id, rail="stripe"), price_minor=49)
    with pytest.raises(RailRefused, match="amount_too_small"):
        await world.office.purchases.begin(order)
    asked = len(world.stripe.calls)
    again = await world.office.purchases.begin(order)
    assert (again.state, again.checkout, len(world.stripe.calls)) == (PurchaseState.DECLINED, "", asked)
    assert await pool.fetchval("SELECT event FROM rail_events") == f"refused_{format_id(order.id)}"


async def test_begin_again_after_the_answer_was_lost(world: StripeWorld) -> None:
    """Stripe made a checkout and nobody heard of it: the same purchase again is given that one."""
    world.stripe.faults.append("drop")
    with pytest.raises(RailUnavailable):
        await world.begin()
    made = world.session
    assert await world.begin() == "pending"
    purchase = await world.office.purchases.get(world.purchase_id)
    assert purchase is not None
    assert (purchase.checkout, purchase.reference) == (made["url"], made["id"])
