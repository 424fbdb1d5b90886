"""The sandbox's signatures, against an HMAC of our own, and everything that is not signed."""

import base64
import datetime
import hashlib
import hmac

import msgspec
import pytest

from ledger.errors import BadEvent, BadSignature
from ledger.ids import format_id, new_id
from ledger.model import ViewerId
from ledger.purchases.purchase_states import Purchase, PurchaseState, RailOutcome
from ledger.rails.interface import Checkout, PaymentRail, RailEvent
from ledger.rails.sandbox import SandboxRail

SECRET = b"0123456789abcdef"


def purchase() -> Purchase:
    """A purchase of 1.29 USD."""
    return Purchase(
        id=new_id(1_700_000_000_000),
        viewer=ViewerId("ann"),
        package="pack_100",
        coins=100,
        bonus_coins=0,
        price_minor=129,
        currency="USD",
        country=None,
        platform="web",
        promotion=None,
        rail="sandbox",
        state=PurchaseState.PENDING,
        checkout="",
        created_ms=0,
        balance_coins=None,
    )


def in_minutes(minutes: int) -> datetime.datetime:
    """A time from now."""
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)


def signed(
    body: bytes, event_id: str = "evt_1", secret: bytes = SECRET, at: datetime.datetime | None = None
) -> dict[str, str]:
    """Headers by the Standard Webhooks scheme, worked out here: HMAC-SHA256 over `id.time.body`."""
    stamp = str(int((at or in_minutes(0)).timestamp()))
    digest = hmac.digest(secret, b".".join((event_id.encode(), stamp.encode(), body)), hashlib.sha256)
    signature = "v1," + base64.b64encode(digest).decode()
    return {"webhook-id": event_id, "webhook-timestamp": stamp, "webhook-signature": signature}


def body_of(bought: Purchase, outcome: str = "paid") -> bytes:
    """What the provider says."""
    data = {"purchase": format_id(bought.id), "outcome": outcome, "amount_minor": 129, "currency": "USD"}
    return msgspec.json.encode({"type": f"payment.{outcome}", "data": data})


@pytest.mark.parametrize("outcome", RailOutcome)
async def test_pay_signs_what_it_says(outcome: RailOutcome) -> None:
    """The webhook carries the signature that the scheme asks for, and reads back as the event."""
    rail: PaymentRail = SandboxRail(SECRET)
    bought = purchase()
    now = in_minutes(0)
    headers, body = SandboxRail(SECRET).pay(bought, outcome, event_id="evt_1", at=now)
    assert headers.items() >= signed(body, at=now).items()
    assert await rail.read_webhook(headers, body) == RailEvent("evt_1", bought.id, outcome, 129, "USD")


def test_pay_twice_has_two_ids() -> None:
    """Each telling without a given id is an event of its own."""
    rail, bought = SandboxRail(SECRET), purchase()
    assert rail.pay(bought)[0]["webhook-id"] != rail.pay(bought)[0]["webhook-id"]


async def test_read_webhook_with_headers_in_capitals() -> None:
    """Names of headers mean the same in any case."""
    body = body_of(purchase())
    headers = {name.title(): value for name, value in signed(body).items()}
    assert await SandboxRail(SECRET).read_webhook(headers, body) is not None


WRONG_HEADERS: list[dict[str, str]] = [
    {"webhook-signature": ""},
    {"webhook-signature": "v1"},
    {"webhook-signature": "v1,"},
    {"webhook-signature": "v1,%%%"},
    {"webhook-signature": "v2," + "A" * 43 + "="},
    {"webhook-signature": "v1,a,b"},
    {"webhook-timestamp": "now"},
    {"webhook-timestamp": "nan"},
    {"webhook-timestamp": "9" * 400},
    {"webhook-timestamp": "0"},
    {"webhook-id": "evt_2"},
    {"webhook-id": ""},
]


@pytest.mark.parametrize("change", WRONG_HEADERS, ids=str)
async def test_read_webhook_with_a_wrong_header(change: dict[str, str]) -> None:
    """Whatever stands in a header, what is not signed is not believed, and nothing else is raised."""
    body = body_of(purchase())
    with pytest.raises(BadSignature):
        await SandboxRail(SECRET).read_webhook(signed(body) | change, body)


@pytest.mark.parametrize("minutes", [-6, 30])
async def test_read_webhook_of_another_time(minutes: int) -> None:
    """A signature that is right, and too old or too new, may be a replay."""
    body = body_of(purchase())
    headers = signed(body, at=in_minutes(minutes))
    with pytest.raises(BadSignature):
        await SandboxRail(SECRET).read_webhook(headers, body)


async def test_read_webhook_of_another_body() -> None:
    """The signature is over the raw bytes: the same JSON written otherwise is not signed."""
    body = body_of(purchase())
    for other in (body.replace(b":", b": "), body[:-1], b"", b"\xff\xfe"):
        with pytest.raises(BadSignature):
            await SandboxRail(SECRET).read_webhook(signed(body), other)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"not json",
        b'{"type":"payment.paid","data":{"purchase":"x","outcome":"paid","amount_minor":1,"currency":"USD"}}',
        body_of(purchase(), "lost"),
        body_of(purchase()).replace(b"129", b'"129"'),
    ],
    ids=["nothing", "list", "empty", "no-json", "no-id", "unknown-event", "amount-as-text"],
)
async def test_read_webhook_that_is_signed_nonsense(body: bytes) -> None:
    """What the provider signed and we cannot read is told apart from what it did not sign."""
    with pytest.raises(BadEvent):
        await SandboxRail(SECRET).read_webhook(signed(body), body)


async def test_from_key_is_the_same_everywhere() -> None:
    """Two processes with one key trust each other; another key does not. The key itself signs nothing."""
    key = "a key of thirty-two characters...."
    bought = purchase()
    webhook = SandboxRail.from_key(key).pay(bought)
    assert await SandboxRail.from_key(key).read_webhook(*webhook) is not None
    for other in (SandboxRail.from_key(key + "."), SandboxRail(key.encode())):
        with pytest.raises(BadSignature):
            await other.read_webhook(*webhook)


def test_secret_that_is_too_short() -> None:
    """A secret that can be guessed is refused."""
    with pytest.raises(ValueError, match="16"):
        SandboxRail(SECRET[:-1])


async def test_status_says_what_was_paid() -> None:
    """The provider's last word, and whether it can still be cancelled."""
    rail, bought = SandboxRail(SECRET), purchase()
    assert await rail.status(bought) is None
    assert await rail.cancel(bought)
    rail.pay(bought, event_id="evt_1")
    assert await rail.status(bought) == RailEvent("evt_1", bought.id, RailOutcome.PAID, 129, "USD")
    assert not await rail.cancel(bought)


async def test_create_checkout_twice() -> None:
    """One purchase has one checkout."""
    rail, bought = SandboxRail(SECRET, "/pay/{id}"), purchase()
    checkout = Checkout(f"/pay/{format_id(bought.id)}")
    assert await rail.create_checkout(bought) == await rail.create_checkout(bought) == checkout
