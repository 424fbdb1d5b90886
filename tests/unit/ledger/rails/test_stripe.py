"""The rail's side of signatures, and its calls against Stripe's API on loopback."""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Iterator

import msgspec
import pytest
import stripe as library
from msgspec import structs

from ledger.errors import BadEvent, BadSignature, RailRefused, RailUnavailable
from ledger.ids import format_id, new_id
from ledger.purchases.purchase_states import Purchase, RailOutcome
from ledger.rails.config import StripeConfig
from ledger.rails.interface import PaymentRail, RailEvent
from ledger.rails.stripe import SESSION_MS_MIN, StripeRail
from tests.integration.ledger_money.stripe_world import stripe_config, stripe_rail
from tests.stripe_api import KEY, SECRET, Stripe, running_stripe, signed
from tests.unit.ledger.rails.test_sandbox import purchase as sandbox_purchase


@pytest.fixture
def stripe() -> Iterator[Stripe]:
    """Stripe's side."""
    with running_stripe() as opened:
        yield opened


def purchase(price_minor: int = 129, currency: str = "USD") -> Purchase:
    """A purchase that was begun now."""
    at_ms = time.time_ns() // 1_000_000
    return structs.replace(
        sandbox_purchase(),
        id=new_id(at_ms),
        rail="stripe",
        created_ms=at_ms,
        price_minor=price_minor,
        currency=currency,
        bonus_coins=1_100,
    )


def event() -> dict[str, object]:
    """An event that is about nothing of ours."""
    return {"id": "evt_1", "object": "event", "type": "customer.created", "data": {"object": {"id": "cus_1"}}}


async def test_checkout(stripe: Stripe) -> None:
    """The buyer is asked for the price and nothing else, and everything at Stripe names the purchase."""
    bought = purchase()
    async with stripe_rail(stripe, cancel_url="https://example.com/left?{purchase}") as opened:
        rail: PaymentRail = opened
        checkout = await rail.create_checkout(bought)
    session = stripe.session_of(format_id(bought.id))
    assert (checkout.address, checkout.reference) == (session["url"], session["id"])
    assert (session["amount_total"], session["currency"]) == (129, "usd")
    form = stripe.forms[session["id"]]
    assert form["line_items[0][price_data][product_data][name]"] == "1,200 coins"
    assert form["adaptive_pricing[enabled]"] == "false"
    assert form["payment_intent_data[metadata][giftwire_purchase]"] == format_id(bought.id)
    assert form["metadata[giftwire_purchase]"] == format_id(bought.id)
    assert form["success_url"] == "https://gifts.example/"
    assert form["cancel_url"] == f"https://example.com/left?{format_id(bought.id)}"
    assert int(form["expires_at"]) == bought.created_ms // 1000 + 7_200
    assert stripe.heads[0]["idempotency-key"] == format_id(bought.id)


@pytest.mark.parametrize(
    ("price_minor", "currency", "amount"), [(500, "JPY", 500), (500, "ISK", 50_000), (1_230, "KWD", 1_230)]
)
async def test_checkout_in_other_currencies(stripe: Stripe, price_minor: int, currency: str, amount: int) -> None:
    """The price is the same money in Stripe's units, and comes back as the same price."""
    bought = purchase(price_minor, currency)
    async with stripe_rail(stripe) as rail:
        await rail.create_checkout(bought)
        session = stripe.session_of(format_id(bought.id))
        assert session["amount_total"] == amount
        heard = await rail.read_webhook(*signed(stripe.pay(session)))
    assert heard == RailEvent(f"{session['id']}/paid", bought.id, RailOutcome.PAID, price_minor, currency)


@pytest.mark.parametrize(("price_minor", "currency"), [(1_234, "KWD"), (1_000, "UGX")])
async def test_checkout_of_an_amount_that_stripe_does_not_have(stripe: Stripe, price_minor: int, currency: str) -> None:
    """It is refused before Stripe is asked."""
    async with stripe_rail(stripe) as rail:
        with pytest.raises(RailRefused):
            await rail.create_checkout(purchase(price_minor, currency))
    assert stripe.calls == []


async def test_checkout_twice(stripe: Stripe) -> None:
    """The same purchase is the same checkout, also when both are asked for at once."""
    bought = purchase()
    async with stripe_rail(stripe) as rail:
        checkouts = await asyncio.gather(*(rail.create_checkout(bought) for _ in range(4)))
    assert len(set(checkouts)) == len(stripe.sessions) == 1


async def test_checkout_that_changed_meanwhile(stripe: Stripe) -> None:
    """An id that was used at Stripe for another price is refused, not sold."""
    bought = purchase()
    async with stripe_rail(stripe) as rail:
        await rail.create_checkout(bought)
        with pytest.raises(RailRefused):
            await rail.create_checkout(structs.replace(bought, price_minor=130))
    assert len(stripe.sessions) == 1


async def test_checkout_of_a_purchase_that_is_old(stripe: Stripe) -> None:
    """Stripe takes none that would end within half an hour; until shortly before, it is taken."""
    bought = purchase()
    ends_ms = bought.created_ms + 7_200_000
    rail = StripeRail(stripe_config(stripe), "https://gifts.example/", lambda: ends_ms - SESSION_MS_MIN + 1)
    with pytest.raises(RailRefused, match="too long ago"):
        await rail.create_checkout(bought)
    await rail.close()
    rail = StripeRail(stripe_config(stripe), "https://gifts.example/", lambda: ends_ms - SESSION_MS_MIN)
    await rail.create_checkout(bought)
    await rail.close()


@pytest.mark.parametrize("fault", [500, 503, 429, 401, 403, 409, "drop"])
async def test_call_that_fails(stripe: Stripe, fault: int | str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever is not Stripe's word on the payment itself may be asked again, and no key is told to anybody."""
    bought = purchase()
    async with stripe_rail(stripe) as rail:
        stripe.faults.append(fault)
        with pytest.raises(RailUnavailable) as caught:
            await rail.create_checkout(bought)
        assert (await rail.create_checkout(bought)).reference
    told = capsys.readouterr()
    assert KEY not in f"{caught.value!r} {caught.value.__cause__!r} {told.out} {told.err}"
    assert len(stripe.sessions) == 1


async def test_call_with_a_wrong_key(stripe: Stripe, capsys: pytest.CaptureFixture[str]) -> None:
    """Stripe's text of such a refusal stays out of logs and errors."""
    config = structs.replace(stripe_config(stripe), secret_key="sk_test_wrongkey")
    rail = StripeRail(config, "https://gifts.example/")
    with pytest.raises(RailUnavailable) as caught:
        await rail.create_checkout(purchase())
    await rail.close()
    told = capsys.readouterr()
    assert "wrongkey" not in f"{caught.value} {told.out} {told.err}"
    assert "AuthenticationError" in told.out


async def test_call_tried_again(stripe: Stripe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within its attempts a call outlives faults, as one checkout; beyond them it fails."""
    monkeypatch.setattr(library.HTTPXClient.__mro__[1], "INITIAL_DELAY", 0.001)
    async with stripe_rail(stripe, retries_max=2) as rail:
        stripe.faults.extend([503, "drop"])
        await rail.create_checkout(purchase())
        assert (len(stripe.calls), len(stripe.sessions)) == (3, 1)
        stripe.faults.extend([503, 503, 503])
        with pytest.raises(RailUnavailable):
            await rail.create_checkout(purchase())
    assert (len(stripe.calls), len(stripe.sessions)) == (6, 1)


async def test_call_that_is_never_answered(stripe: Stripe) -> None:
    """It ends by itself, and the checkout that was made meanwhile is found by asking again."""
    bought = purchase()
    stripe.faults.append("hang")
    async with stripe_rail(stripe, attempt_ms_max=100) as rail:
        with pytest.raises(RailUnavailable):
            await rail.create_checkout(bought)
    stripe.released.set()
    async with stripe_rail(stripe) as rail:
        assert (await rail.create_checkout(bought)).reference == stripe.session_of(format_id(bought.id))["id"]


async def test_call_to_nobody() -> None:
    """Where nothing listens, the rail is away."""
    with running_stripe() as stripe:
        config = stripe_config(stripe)
    rail = StripeRail(config, "https://gifts.example/")
    with pytest.raises(RailUnavailable):
        await rail.create_checkout(purchase())
    await rail.close()


async def test_status_and_cancel(stripe: Stripe) -> None:
    """A checkout that is open can be closed, also twice; one that was paid cannot; the word on both is Stripe's."""
    async with stripe_rail(stripe) as rail:
        for paid in (False, True):
            bought = purchase()
            bought = structs.replace(bought, reference=(await rail.create_checkout(bought)).reference)
            session = stripe.session_of(format_id(bought.id))
            assert await rail.status(bought) is None
            if paid:
                heard = await rail.read_webhook(*signed(stripe.pay(session)))
                assert heard is not None
                assert await rail.status(bought) == heard
                assert not await rail.cancel(bought)
            else:
                assert await rail.cancel(bought)
                assert await rail.cancel(bought)
                ended = RailEvent(f"{session['id']}/expired", bought.id, RailOutcome.EXPIRED, 129, "USD")
                assert await rail.status(bought) == ended


async def test_status_and_cancel_without_a_checkout(stripe: Stripe) -> None:
    """Where no address was ever given out, nobody can pay."""
    async with stripe_rail(stripe) as rail:
        assert await rail.status(purchase()) is None
        assert await rail.cancel(purchase())
    assert stripe.calls == []


async def test_status_and_cancel_of_what_stripe_does_not_know(stripe: Stripe) -> None:
    """A key of another account is no reason to give a purchase up that may be paid."""
    bought = structs.replace(purchase(), reference="cs_test_elsewhere")
    async with stripe_rail(stripe) as rail:
        with pytest.raises(RailUnavailable):
            await rail.status(bought)
        with pytest.raises(RailUnavailable):
            await rail.cancel(bought)


WRONG = {
    "none": "",
    "no scheme": "t=1",
    "no time": "v1=00",
    "no hex": "t=1,v1=zz",
    "words": "nonsense",
    "empty parts": ",,=,",
    "time that is no number": "t=now,v1=00",
    "time without an end": f"t={'9' * 5_000},v1=00",
    "other letters": "t=1,v1=é",
    "an older scheme": "t={t},v0={v1}",
    "another secret": "t={t},v1={other}",
    "another time": "t=1,v1={v1}",
}


@pytest.mark.parametrize("name", WRONG)
async def test_webhook_with_a_wrong_signature(stripe: Stripe, name: str) -> None:
    """Whatever stands in the header, what is not signed is not believed, and nothing else is raised."""
    headers, body = signed(event())
    now = headers["Stripe-Signature"].split(",")[0][2:]
    v1 = headers["Stripe-Signature"].split("v1=")[1]
    other = hmac.new(b"whsec_other", now.encode() + b"." + body, hashlib.sha256).hexdigest()
    header = WRONG[name].format(t=now, v1=v1, other=other)
    async with stripe_rail(stripe) as rail:
        with pytest.raises(BadSignature):
            await rail.read_webhook({"stripe-signature": header}, body)


async def test_webhook_of_another_body(stripe: Stripe) -> None:
    """The signature is over the raw bytes: the same JSON written otherwise is not signed."""
    headers, body = signed(event())
    async with stripe_rail(stripe) as rail:
        for other in (body.replace(b": ", b":"), body[:-1], b"", b"\xff\xfe", body + b" "):
            with pytest.raises(BadSignature):
                await rail.read_webhook(headers, other)
        with pytest.raises(BadSignature):
            await rail.read_webhook({}, body)


async def test_webhook_that_is_old(stripe: Stripe) -> None:
    """A signature that is right and older than allowed may be a replay."""
    async with stripe_rail(stripe, signature_ms_max=60_000) as rail:
        assert await rail.read_webhook(*signed(event(), at_s=int(time.time()) - 30)) is None
        with pytest.raises(BadSignature):
            await rail.read_webhook(*signed(event(), at_s=int(time.time()) - 90))


async def test_webhook_while_secrets_change(stripe: Stripe) -> None:
    """While a secret is replaced, Stripe signs with both, and one that is right is enough."""
    headers, body = signed(event())
    both = headers["Stripe-Signature"].replace(",v1=", f",v1={'0' * 64},v1=")
    async with stripe_rail(stripe) as rail:
        assert await rail.read_webhook({"STRIPE-SIGNATURE": both}, body) is None


async def test_webhook_as_the_library_signs_it(stripe: Stripe) -> None:
    """The scheme as the tests write it is that of Stripe's own library."""
    headers, body = signed(event(), at_s=int(time.time()))
    stamp = int(headers["Stripe-Signature"].split(",")[0][2:])
    made = library.WebhookSignature.generate_signature_header(body.decode(), SECRET, stamp)
    assert made == headers["Stripe-Signature"]


async def test_webhook_that_is_signed_nonsense(stripe: Stripe) -> None:
    """What Stripe signed and we cannot read is told apart from what it did not sign."""
    async with stripe_rail(stripe) as rail:
        for body in (b"", b"[]", b"not json"):
            with pytest.raises(BadEvent):
                await rail.read_webhook(*signed(body))


@pytest.mark.parametrize("missing", ["secret_key", "webhook_secret"])
def test_rail_without_a_secret(missing: str) -> None:
    """Both are needed."""
    given = {"secret_key": KEY, "webhook_secret": SECRET, missing: None}
    with pytest.raises(ValueError, match="secret"):
        StripeRail(msgspec.convert(given, StripeConfig), "https://gifts.example/")


def test_library_tells_nothing_about_this_machine() -> None:
    """It would keep an id in the home folder and send it."""
    assert library.enable_telemetry is False
