"""Purchases on real servers: begun once, moved by signed events, credited once."""

import asyncio
import datetime

import msgspec
import pytest

from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.errors import BadEvent, BadSignature, IdConflict, LimitReached, RailUnavailable, UnknownRail, ValueRefused
from ledger.ids import format_id, new_id
from ledger.model import AMOUNT_MAX, Cause, CreditOrder
from ledger.office import Office, open_office
from ledger.purchases.purchases import EventEffect, Purchase, PurchaseOrder, PurchaseState, RailOutcome
from ledger.rails.interface import Checkout
from ledger.rails.sandbox import SandboxRail
from ledger.service import Ledger
from tests.integration.ledger.orders import now_ms
from tests.integration.ledger_money.money import Money, purchase_order
from tests.integration.ledger_postgres.flushing import until

DECLINED = RailOutcome.DECLINED


def purchase_of(order: PurchaseOrder) -> Purchase:
    """A purchase that only its provider knows."""
    fields = {name: getattr(order, name) for name in PurchaseOrder.__struct_fields__}
    return Purchase(**fields, state=PurchaseState.PENDING, checkout="", created_ms=0, balance_coins=None)


async def test_begin_twice(office: Office) -> None:
    """The same order again is the same purchase; its checkout is where the rail said."""
    order = purchase_order()
    first = await office.purchases.begin(order)
    assert first == await office.purchases.begin(order)
    assert (first.state, first.checkout) == (PurchaseState.PENDING, f"/v1/demo/purchases/{format_id(order.id)}/pay")
    assert (first.coins, first.bonus_coins, first.price_minor, first.currency) == (100, 20, 129, "USD")
    assert first.balance_coins is None
    assert await office.purchases.get(order.id) == first


async def test_begin_many_at_once(office: Office, pool: Pool) -> None:
    """Ten calls with one id make one purchase."""
    order = purchase_order()
    purchases = await asyncio.gather(*(office.purchases.begin(order) for _ in range(10)))
    assert len({purchase.checkout for purchase in purchases}) == 1
    assert await pool.fetchval("SELECT count(*) FROM purchases") == 1


@pytest.mark.parametrize(
    "change",
    [
        {"viewer": "bob"},
        {"coins": 99},
        {"bonus_coins": 21},
        {"price_minor": 128},
        {"currency": "EUR"},
        {"country": None},
        {"platform": "ios"},
        {"promotion": "first"},
        {"package": "pack_500"},
    ],
)
async def test_begin_with_other_content(office: Office, change: dict[str, object]) -> None:
    """An id stands for one order, in every field."""
    order = purchase_order()
    first = await office.purchases.begin(order)
    with pytest.raises(IdConflict):
        await office.purchases.begin(msgspec.structs.replace(order, **change))
    assert await office.purchases.get(order.id) == first


@pytest.mark.parametrize("change", [{"price_minor": 0}, {"currency": "usd"}, {"country": "USA"}, {"platform": ""}])
async def test_begin_out_of_bounds(office: Office, pool: Pool, change: dict[str, object]) -> None:
    """Nothing is stored, so that the id is free."""
    with pytest.raises(ValueRefused):
        await office.purchases.begin(msgspec.structs.replace(purchase_order(), **change))
    assert await pool.fetchval("SELECT count(*) FROM credits") == 0


@pytest.mark.parametrize(("coins", "bonus_coins"), [(0, 0), (AMOUNT_MAX, 1)])
async def test_begin_too_few_or_too_many_coins(office: Office, coins: int, bonus_coins: int) -> None:
    """The sum is what a wallet can be given."""
    with pytest.raises(ValueError, match="coins"):
        await office.purchases.begin(purchase_order(coins=coins, bonus_coins=bonus_coins))


async def test_begin_at_an_unknown_rail(office: Office, pool: Pool) -> None:
    """A rail that is not set up is named before anything is stored."""
    with pytest.raises(UnknownRail):
        await office.purchases.begin(purchase_order(rail="paypal"))
    assert await pool.fetchval("SELECT count(*) FROM credits") == 0


async def test_begin_one_more_than_may_wait(config: LedgerConfig, ledger: Ledger, rail: SandboxRail) -> None:
    """A viewer's purchases that wait are bounded; one that is paid makes room."""
    office = await open_office(msgspec.structs.replace(config, purchases_pending_max=2), ledger, rails=[rail])
    orders = [purchase_order() for _ in range(3)]
    first = await office.purchases.begin(orders[0])
    await office.purchases.begin(orders[1])
    with pytest.raises(LimitReached):
        await office.purchases.begin(orders[2])
    await office.purchases.begin(purchase_order("bob"))
    await office.purchases.hear("sandbox", *rail.pay(first))
    await office.purchases.begin(orders[2])
    await office.close()


class Outage(SandboxRail):
    """A sandbox whose answers get lost while `lost` is set."""

    lost = True

    async def create_checkout(self, purchase: Purchase) -> Checkout:
        if self.lost:
            raise RailUnavailable("lost")
        return await super().create_checkout(purchase)


async def test_begin_again_after_the_rail_was_away(config: LedgerConfig, ledger: Ledger) -> None:
    """The purchase is stored before the rail is asked; the same id again asks once more."""
    rail = Outage(b"0123456789abcdef")
    office = await open_office(config, ledger, rails=[rail])
    order = purchase_order()
    with pytest.raises(RailUnavailable):
        await office.purchases.begin(order)
    stored = await office.purchases.get(order.id)
    assert stored is not None and stored.checkout == ""
    rail.lost = False
    assert (await office.purchases.begin(order)).checkout != ""
    await office.close()


async def test_paid_purchase(office: Office, ledger: Ledger, rail: SandboxRail, money: Money) -> None:
    """Coins and bonus come in as one record that names the purchase."""
    purchase = await office.purchases.begin(purchase_order(coins=100, bonus_coins=20))
    assert not await office.purchases.bought_before("ann")
    heard = await office.purchases.hear("sandbox", *rail.pay(purchase))
    assert heard.effect is EventEffect.APPLIED
    assert heard.purchase is not None
    assert (heard.purchase.state, heard.purchase.balance_coins) == (PurchaseState.CREDITED, 120)
    assert await ledger.balance("ann") == 120
    assert await office.purchases.bought_before("ann")
    await money.flush()
    entries = await office.statements.wallet_entries("ann", after=None, limit=10)
    assert [(one.cause, one.coins, one.id) for one in entries] == [("purchase", 120, purchase.id)]
    assert (await money.balance("wallet", "ann"), await money.balance("coins_sold")) == (120, -120)
    await money.assert_books_sum_to_zero()


async def test_webhook_many_times_at_once(
    office: Office, ledger: Ledger, rail: SandboxRail, money: Money, pool: Pool
) -> None:
    """One event told twenty times at once credits once, and every telling is answered."""
    purchase = await office.purchases.begin(purchase_order())
    headers, body = rail.pay(purchase)
    heard = await asyncio.gather(*(office.purchases.hear("sandbox", headers, body) for _ in range(20)))
    assert sorted(one.effect.value for one in heard) == ["applied"] + ["duplicate"] * 19
    assert await ledger.balance("ann") == 120
    assert await pool.fetchval("SELECT count(*) FROM rail_events") == 1
    await money.flush()
    assert await money.balance("wallet", "ann") == 120


async def test_webhooks_under_many_ids_at_once(office: Office, ledger: Ledger, rail: SandboxRail) -> None:
    """A payment that is told under ten event ids at once credits once."""
    purchase = await office.purchases.begin(purchase_order())
    told = [rail.pay(purchase) for _ in range(10)]
    heard = await asyncio.gather(*(office.purchases.hear("sandbox", *one) for one in told))
    assert sorted(one.effect.value for one in heard) == ["applied"] + ["no_change"] * 9
    assert await ledger.balance("ann") == 120


ORDERS_OF_EVENTS = """
# events told               | state at the end   coins   effect of each
  paid                      | credited           120     applied
  declined                  | declined           0       applied
  expired                   | expired            0       applied
  paid declined             | credited           120     applied no_change
  paid expired              | credited           120     applied no_change
  declined paid             | credited           120     applied applied
  expired paid              | credited           120     applied applied
  declined expired          | declined           0       applied no_change
  expired declined paid     | credited           120     applied no_change applied
  paid paid paid            | credited           120     applied no_change no_change
"""


@pytest.mark.parametrize("line", [line for line in ORDERS_OF_EVENTS.splitlines() if "|" in line and "#" not in line])
async def test_events_in_any_order(office: Office, ledger: Ledger, rail: SandboxRail, line: str) -> None:
    """Money that was taken is owed, whatever was said before, and nothing that is said later takes it back."""
    told, expected = (part.split() for part in line.split("|"))
    purchase = await office.purchases.begin(purchase_order())
    heard = [await office.purchases.hear("sandbox", *rail.pay(purchase, RailOutcome(one))) for one in told]
    after = await office.purchases.get(purchase.id)
    assert after is not None
    assert [after.state.value, str(await ledger.balance("ann"))] == expected[:2]
    assert [one.effect.value for one in heard] == expected[2:]


async def test_event_of_another_amount(office: Office, ledger: Ledger, rail: SandboxRail, pool: Pool) -> None:
    """Less money, or more, buys nothing; it is stored for the operator, and the right amount still counts."""
    purchase = await office.purchases.begin(purchase_order())
    for amount_minor in (128, 130, 0, -129):
        heard = await office.purchases.hear("sandbox", *rail.pay(purchase, amount_minor=amount_minor))
        assert (heard.effect, heard.purchase) == (EventEffect.WRONG_AMOUNT, None)
    in_yen = rail.pay(msgspec.structs.replace(purchase, currency="JPY"))
    assert (await office.purchases.hear("sandbox", *in_yen)).effect is EventEffect.WRONG_AMOUNT
    assert (await office.purchases.get(purchase.id), await ledger.balance("ann")) == (purchase, 0)
    assert await pool.fetchval("SELECT count(*) FROM rail_events WHERE effect = 'wrong_amount'") == 5
    await office.purchases.hear("sandbox", *rail.pay(purchase))
    assert await ledger.balance("ann") == 120


async def test_event_that_cannot_be_stored(office: Office, rail: SandboxRail, pool: Pool) -> None:
    """A name of an event that is too long, or an amount that no column holds, is the provider's fault."""
    purchase = await office.purchases.begin(purchase_order())
    for webhook in (rail.pay(purchase, event_id="e" * 201), rail.pay(purchase, amount_minor=2**63)):
        with pytest.raises(BadEvent):
            await office.purchases.hear("sandbox", *webhook)
    assert await pool.fetchval("SELECT count(*) FROM rail_events") == 0
    heard = await office.purchases.hear("sandbox", *rail.pay(purchase, event_id="e" * 200))
    assert heard.effect is EventEffect.APPLIED


async def test_event_of_an_unknown_purchase(office: Office, rail: SandboxRail, pool: Pool) -> None:
    """It is stored and answered, since no repetition would make the purchase known."""
    known = await office.purchases.begin(purchase_order())
    stranger = msgspec.structs.replace(known, id=new_id(now_ms()))
    heard = await office.purchases.hear("sandbox", *rail.pay(stranger))
    assert (heard.effect, heard.purchase) == (EventEffect.UNKNOWN_PURCHASE, None)
    assert await pool.fetchval("SELECT effect FROM rail_events") == "unknown_purchase"


async def test_unusable_events_are_listed(office: Office, rail: SandboxRail) -> None:
    """What needs a person is listed, newest first, and nothing else is."""
    purchase = await office.purchases.begin(purchase_order())
    stranger = msgspec.structs.replace(purchase, id=new_id(now_ms()))
    for webhook in (
        rail.pay(purchase, event_id="evt_1", amount_minor=1),
        rail.pay(stranger, DECLINED),
        rail.pay(purchase),
    ):
        await office.purchases.hear("sandbox", *webhook)
    newest, oldest = await office.purchases.unusable_events()
    assert (newest.effect, newest.purchase, newest.outcome) == (EventEffect.UNKNOWN_PURCHASE, stranger.id, DECLINED)
    assert (oldest.effect, oldest.event, oldest.amount_minor) == (EventEffect.WRONG_AMOUNT, "evt_1", 1)
    assert await office.purchases.unusable_events(limit=1) == [newest]


class OtherRail(SandboxRail):
    """A second provider."""

    @property
    def name(self) -> str:
        return "other"


async def test_event_of_another_rail(config: LedgerConfig, ledger: Ledger, rail: SandboxRail) -> None:
    """A provider has no say over what was bought at another one."""
    other = OtherRail(b"fedcba9876543210")
    office = await open_office(config, ledger, rails=[rail, other])
    purchase = await office.purchases.begin(purchase_order())
    heard = await office.purchases.hear("other", *other.pay(purchase))
    assert (heard.effect, heard.purchase) == (EventEffect.UNKNOWN_PURCHASE, None)
    with pytest.raises(BadSignature):
        await office.purchases.hear("sandbox", *other.pay(purchase))
    assert await ledger.balance("ann") == 0
    await office.close()


async def test_webhook_of_an_unknown_rail(office: Office) -> None:
    """Nobody to believe."""
    with pytest.raises(UnknownRail):
        await office.purchases.hear("paypal", {}, b"{}")


async def test_webhook_with_a_wrong_signature(office: Office, ledger: Ledger, rail: SandboxRail, pool: Pool) -> None:
    """Nothing of it is believed or stored: a changed byte, another key, an old time."""
    purchase = await office.purchases.begin(purchase_order())
    headers, body = rail.pay(purchase)
    old = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=6)
    for wrong in (
        (headers, body + b" "),
        (headers | {"webhook-id": "evt_other"}, body),
        ({name: value for name, value in headers.items() if name != "webhook-signature"}, body),
        SandboxRail.from_key("another key").pay(purchase),
        rail.pay(purchase, at=old),
    ):
        with pytest.raises(BadSignature):
            await office.purchases.hear("sandbox", *wrong)
    assert (await ledger.balance("ann"), await pool.fetchval("SELECT count(*) FROM rail_events")) == (0, 0)


async def test_webhook_at_its_longest(config: LedgerConfig, ledger: Ledger, rail: SandboxRail) -> None:
    """A body of the bound is read, one byte more is not even verified."""
    purchase = purchase_of(purchase_order())
    headers, body = rail.pay(purchase)
    for bound, error in ((len(body), None), (len(body) - 1, BadEvent)):
        office = await open_office(msgspec.structs.replace(config, webhook_bytes_max=bound), ledger, rails=[rail])
        if error is None:
            assert (await office.purchases.hear("sandbox", headers, body)).effect is EventEffect.UNKNOWN_PURCHASE
        else:
            with pytest.raises(error):
                await office.purchases.hear("sandbox", headers, body)
        await office.close()


async def test_paid_while_valkey_is_away(
    office: Office, config: LedgerConfig, nowhere: Ledger, ledger: Ledger, rail: SandboxRail, money: Money
) -> None:
    """The payment is kept before the wallet is asked; the duty credits it, once."""
    purchase = await office.purchases.begin(purchase_order())
    dark = await open_office(config, nowhere, rails=[rail])
    heard = await dark.purchases.hear("sandbox", *rail.pay(purchase))
    await dark.close()
    assert heard.purchase is not None
    assert (heard.effect, heard.purchase.state) == (EventEffect.APPLIED, PurchaseState.PAID)
    assert (await ledger.balance("ann"), await money.owed()) == (0, 1)
    assert sum(await asyncio.gather(office.purchases.settle(), office.purchases.settle())) >= 1
    after = await office.purchases.get(purchase.id)
    assert after is not None
    assert (after.state, after.balance_coins, await ledger.balance("ann")) == (PurchaseState.CREDITED, 120, 120)


async def test_duplicate_webhook_heals_a_crash(
    office: Office, config: LedgerConfig, nowhere: Ledger, ledger: Ledger, rail: SandboxRail
) -> None:
    """The provider's repetition finishes what the first hearing left undone."""
    purchase = await office.purchases.begin(purchase_order())
    headers, body = rail.pay(purchase)
    dark = await open_office(config, nowhere, rails=[rail])
    await dark.purchases.hear("sandbox", headers, body)
    await dark.close()
    heard = await office.purchases.hear("sandbox", headers, body)
    assert heard.effect is EventEffect.DUPLICATE
    assert heard.purchase is not None and heard.purchase.state is PurchaseState.CREDITED
    assert await ledger.balance("ann") == 120


async def test_crash_between_wallet_and_note(
    office: Office, config: LedgerConfig, nowhere: Ledger, ledger: Ledger, rail: SandboxRail, money: Money
) -> None:
    """Coins that came in unnoted, were flushed and forgotten by Valkey, are noted and not given again."""
    purchase = await office.purchases.begin(purchase_order())
    dark = await open_office(config, nowhere, rails=[rail])
    await dark.purchases.hear("sandbox", *rail.pay(purchase))
    await dark.close()
    await ledger.credit(CreditOrder(purchase.id, purchase.viewer, 120, Cause.PURCHASE, format_id(purchase.id)))
    await money.flush()
    for _, keys in ledger.keys.all():
        await ledger.redis.delete(keys.credits)
    assert await office.purchases.settle() == 1
    after = await office.purchases.get(purchase.id)
    assert after is not None
    assert (after.state, after.balance_coins, await ledger.balance("ann")) == (PurchaseState.CREDITED, 120, 120)


async def test_purchase_that_no_wallet_can_hold(
    office: Office, ledger: Ledger, rail: SandboxRail, money: Money
) -> None:
    """The viewer paid, so the coins stay owed; others are settled meanwhile."""
    await ledger.credit(CreditOrder(new_id(now_ms()), purchase_order().viewer, AMOUNT_MAX, Cause.GRANT, "all"))
    purchase = await office.purchases.begin(purchase_order())
    heard = await office.purchases.hear("sandbox", *rail.pay(purchase))
    assert heard.purchase is not None and heard.purchase.state is PurchaseState.PAID
    assert await office.purchases.settle() == 0
    assert (await money.owed(), office.settle_stats.owed) == (1, 1)


async def test_purchases_of_a_viewer_in_pages(office: Office) -> None:
    """Newest id first, and nobody else's."""
    ids = [new_id(now_ms() + number) for number in range(5)]
    for purchase_id in ids:
        await office.purchases.begin(purchase_order(purchase_id=purchase_id))
    await office.purchases.begin(purchase_order("bob"))
    first = await office.purchases.of_viewer("ann", limit=3)
    rest = await office.purchases.of_viewer("ann", after=first[-1].id, limit=3)
    assert [one.id for one in first + rest] == ids[::-1]


async def test_give_up_stale(config: LedgerConfig, ledger: Ledger, rail: SandboxRail, pool: Pool) -> None:
    """What was not paid in time expires; what was paid, and not told, is credited; what is young is left alone."""
    office = await open_office(msgspec.structs.replace(config, settle_rows_max=1), ledger, rails=[rail])
    unpaid, paid, young = [await office.purchases.begin(purchase_order(viewer)) for viewer in ("ann", "bob", "cat")]
    rail.pay(paid)
    query = "UPDATE purchases SET made_at = made_at - make_interval(secs => 86401) WHERE viewer <> 'cat'"
    await pool.execute(query)
    assert await office.purchases.give_up_stale() == 2
    assert await office.purchases.give_up_stale() == 0
    states = [one.state.value for viewer in ("ann", "bob", "cat") for one in await office.purchases.of_viewer(viewer)]
    assert states == ["expired", "credited", "pending"]
    assert await ledger.balance("bob") == 120
    late = await office.purchases.hear("sandbox", *rail.pay(unpaid))
    assert (late.effect, await ledger.balance("ann")) == (EventEffect.APPLIED, 120)
    assert await office.purchases.get(young.id) == young
    await office.close()


async def test_run_settles_until_cancelled(
    config: LedgerConfig, nowhere: Ledger, ledger: Ledger, rail: SandboxRail
) -> None:
    """The duty finds what is owed by itself."""
    office = await open_office(msgspec.structs.replace(config, credit_retry_ms=5), ledger, rails=[rail])
    purchase = await office.purchases.begin(purchase_order())
    duty = asyncio.create_task(office.purchases.run())
    dark = await open_office(config, nowhere, rails=[rail])
    await dark.purchases.hear("sandbox", *rail.pay(purchase))
    await dark.close()

    async def credited() -> bool:
        return await ledger.balance("ann") == 120

    await until(credited)
    duty.cancel()
    with pytest.raises(asyncio.CancelledError):
        await duty
    await office.close()
