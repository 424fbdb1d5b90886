"""Buying coins by Stripe over HTTP: the deployment's rail by default, and its webhooks at `/v1/webhooks/stripe`."""

from collections.abc import AsyncIterator, Iterator

import httpx
import msgspec
import pytest

from gateway.app import build
from gateway.run.settings.config import Config
from tests.integration.http.api import OPERATOR, Api, Refusal, fresh_id, refusal, told
from tests.integration.http.test_purchases import body
from tests.integration.ledger_money.stripe_world import stripe_config
from tests.stripe_api import Stripe, Webhook, running_stripe, signed


@pytest.fixture
def stripe() -> Iterator[Stripe]:
    """Stripe's side."""
    with running_stripe() as opened:
        yield opened


@pytest.fixture
async def shop(config: Config, stripe: Stripe) -> AsyncIterator[Api]:
    """A gateway that sells by Stripe and is no demo, with a room."""
    selling = msgspec.structs.replace(
        config, demo=False, public_url="https://gifts.example", http=type(config.http)(), stripe=stripe_config(stripe)
    )
    app = await build(selling)
    await app.start()
    calls = Api(app)
    await calls.make_room()
    yield calls
    await calls.client.aclose()
    await app.stop()


async def hear(shop: Api, webhook: Webhook) -> httpx.Response:
    """A webhook comes."""
    return await shop.call("POST", "/v1/webhooks/stripe", headers=webhook[0], content=webhook[1])


async def test_purchase_from_begin_to_refund(shop: Api, stripe: Stripe) -> None:
    """Bought at the deployment's rail, paid, given from, and given back in part: 96 cents for 120 coins."""
    asked = body()
    begun = await shop.post("/v1/purchases", asked, "vera")
    session = stripe.session_of(begun["id"])
    assert (begun["rail"], begun["state"], begun["checkout"]) == ("stripe", "pending", session["url"])
    assert (session["amount_total"], stripe.forms[session["id"]]["success_url"]) == (96, "https://gifts.example/")
    assert await shop.post("/v1/purchases", asked | {"rail": "stripe"}, "vera") == begun
    paid = signed(stripe.pay(session))
    assert [told(await hear(shop, paid)) for _ in range(2)] == [{"duplicate": False}, {"duplicate": True}]
    assert (await shop.get(f"/v1/purchases/{begun['id']}", "vera"))["state"] == "credited"
    await shop.give("vera", count=20)
    assert (await shop.get("/v1/wallet", "vera"))["balance_coins"] == 100
    for event in stripe.refund(session, 48):
        told(await hear(shop, signed(event)))
    # Half of the price is 60 coins, and the wallet has them.
    assert (await shop.get("/v1/wallet", "vera"))["balance_coins"] == 40
    listed = await shop.get("/v1/admin/refunds", OPERATOR, "operator", purchase=begun["id"])
    assert [(one["coins"], one["by"]) for one in listed["refunds"]] == [(60, "stripe")]


async def refund_here(shop: Api, purchase: str, **more: object) -> httpx.Response:
    """An operator orders a refund of some coins, of which Stripe may tell as well."""
    asked = {"id": fresh_id(), "purchase": purchase, "kind": "refund", "reason": "a mistake", **more}
    return await shop.call("POST", "/v1/admin/refunds", OPERATOR, "operator", json=asked)


async def test_refund_that_is_ordered_and_told(shop: Api, stripe: Stripe) -> None:
    """An operator orders a part here and gives its money back at Stripe, which tells of it: its coins are taken once.
    So are those of what follows, whichever is first."""
    begun = await shop.post("/v1/purchases", body(), "vera")
    session = stripe.session_of(begun["id"])
    told(await hear(shop, signed(stripe.pay(session))))
    ordered = told(await refund_here(shop, begun["id"], coins=60))
    assert (ordered["state"], ordered["money"]) == ("taken", "provider")
    for event in stripe.refund(session, 48):
        told(await hear(shop, signed(event)))
    assert (await shop.get("/v1/wallet", "vera"))["balance_coins"] == 60
    # Another quarter of the price is told first; the order of its 30 coins could be of the same money.
    for event in stripe.refund(session, 24):
        told(await hear(shop, signed(event)))
    again = await refund_here(shop, begun["id"], coins=30)
    assert refusal(again) == Refusal(409, "wrong_state")
    assert "money for 90 coins" in again.json()["detail"]
    assert (await shop.get("/v1/wallet", "vera"))["balance_coins"] == 30
    beside = told(await refund_here(shop, begun["id"], coins=10, money="other"))
    assert (beside["state"], beside["money"], beside["balance_coins"]) == ("taken", "other", 20)
    # The last quarter stands for 30 coins, and 20 are left: more went back than was paid, and somebody is asked.
    for event in stripe.refund(session, 24):
        told(await hear(shop, signed(event)))
    assert (await shop.get("/v1/wallet", "vera"))["balance_coins"] == 20
    (unusable,) = (await shop.get("/v1/admin/unusable-events", OPERATOR, "operator"))["events"]
    assert (unusable["effect"], unusable["amount_minor"]) == ("wrong_amount", 24)
    listed = await shop.get("/v1/admin/refunds", OPERATOR, "operator", purchase=begun["id"])
    assert sorted((one["coins"], one["money"]) for one in listed["refunds"]) == [
        (10, "other"),
        (30, "told"),
        (60, "provider"),
    ]


async def test_webhook_that_is_refused(shop: Api, stripe: Stripe) -> None:
    """Forged, of another secret, without a signature, unreadable, or not to be looked up now: each has its answer."""
    begun = await shop.post("/v1/purchases", body(), "vera")
    event = stripe.pay(stripe.session_of(begun["id"]))
    headers, raw = signed(event)
    for webhook in ((headers, raw.replace(b"96", b"95")), signed(event, secret="whsec_other"), ({}, raw)):
        assert refusal(await hear(shop, webhook)) == Refusal(401, "bad_signature")
    assert refusal(await hear(shop, signed(b"{}"))) == Refusal(400, "bad_request")
    stripe.faults.append(500)
    refund = stripe.refund(stripe.session_of(begun["id"]), 48)[0]
    assert refusal(await hear(shop, signed(refund))) == Refusal(503, "unavailable")
    assert (await shop.get("/v1/wallet", "vera"))["balance_coins"] == 0


async def test_purchase_while_stripe_is_away(shop: Api, stripe: Stripe) -> None:
    """The buyer is told to try again, and the same id goes on where it stood."""
    asked = body()
    stripe.faults.append("drop")
    assert refusal(await shop.call("POST", "/v1/purchases", "vera", json=asked)) == Refusal(503, "unavailable")
    assert (await shop.get(f"/v1/purchases/{asked['id']}", "vera"))["checkout"] == ""
    assert (await shop.post("/v1/purchases", asked, "vera"))["checkout"] == stripe.session_of(asked["id"])["url"]


async def test_purchase_that_stripe_refuses(shop: Api, stripe: Stripe) -> None:
    """It is declined; the same id again says so."""
    asked = body(package="custom", coins=50)
    stripe.faults.append(400)
    assert refusal(await shop.call("POST", "/v1/purchases", "vera", json=asked)) == Refusal(422, "unprocessable")
    assert (await shop.post("/v1/purchases", asked, "vera"))["state"] == "declined"


async def test_sandbox_beside_stripe(shop: Api) -> None:
    """Outside of the demo nobody gets coins for nothing."""
    asked = body(rail="sandbox")
    assert refusal(await shop.call("POST", "/v1/purchases", "vera", json=asked)) == Refusal(404, "unknown_provider")


async def test_stripe_that_is_not_set_up(api: Api, config: Config) -> None:
    """Its webhooks and purchases are of no provider; where none is set up at all, nothing can be bought."""
    assert refusal(await hear(api, signed({"id": "evt_1"}))) == Refusal(404, "unknown_provider")
    assert refusal(await api.call("POST", "/v1/purchases", "vera", json=body(rail="stripe"))) == Refusal(
        404, "unknown_provider"
    )
    app = await build(msgspec.structs.replace(config, demo=False))
    await app.start()
    bare = Api(app)
    assert refusal(await bare.call("POST", "/v1/purchases", "vera", json=body())) == Refusal(404, "unknown_provider")
    assert refusal(await bare.call("GET", f"/v1/purchases/{fresh_id()}", "vera")) == Refusal(404, "not_found")
    await bare.client.aclose()
    await app.stop()
