"""A payment provider that takes no money: for the demo and for tests, with real signatures.

It plays both sides. As a rail it reads webhooks signed by the Standard Webhooks scheme
(https://www.standardwebhooks.com, HMAC-SHA256 over id, time and the raw body; five minutes of tolerance); as the
provider it makes them. Never set it up where coins are worth something: whoever can reach its provider side gets them.
"""

import datetime
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct
from standardwebhooks import Webhook, WebhookVerificationError

from ledger.errors import BadEvent, BadSignature
from ledger.ids import format_id, new_id, parse_id
from ledger.purchases.purchase_states import Purchase, RailOutcome
from ledger.rails.interface import Checkout, RailEvent

NAME: Final = "sandbox"
CHECKOUT: Final = "/v1/demo/purchases/{id}/pay"
SECRET_BYTES_MIN: Final = 16
_REMEMBERED_MAX: Final = 10_000


class _Payment(Struct, frozen=True):
    purchase: str
    outcome: RailOutcome
    amount_minor: int
    currency: str
    about: str = ""


class _Notice(Struct, frozen=True):
    type: str
    data: _Payment


_decoder = msgspec.json.Decoder(_Notice)


class SandboxRail:
    """The rail and its provider, in this process. It remembers what was paid here, of the last 10,000 purchases.

    Args:
        secret: signs and verifies; at least 16 bytes.
        checkout: the path under which the buyer says how the payment ends, with `{id}` for the purchase.
    """

    def __init__(self, secret: bytes, checkout: str = CHECKOUT) -> None:
        if len(secret) < SECRET_BYTES_MIN:
            raise ValueError(f"a webhook secret is of at least {SECRET_BYTES_MIN} bytes")
        self._webhook = Webhook(secret)
        self._checkout = checkout
        self._events: OrderedDict[bytes, RailEvent] = OrderedDict()

    @classmethod
    def from_key(cls, key: str) -> "SandboxRail":
        """With a secret of its own, derived from another key of the deployment: every process gets the same."""
        return cls(hmac.digest(key.encode(), b"giftwire sandbox rail", hashlib.sha256))

    @property
    def name(self) -> str:
        """`sandbox`."""
        return NAME

    async def create_checkout(self, purchase: Purchase) -> Checkout:
        """A path of ours, under which the demo asks how the payment shall end."""
        return Checkout(self._checkout.replace("{id}", format_id(purchase.id)))

    async def read_webhook(self, headers: Mapping[str, str], body: bytes) -> RailEvent | None:
        """As the interface says."""
        given = {name.lower(): value for name, value in headers.items()}
        try:
            self._webhook.verify(body, given, json_parse=False)
        except (WebhookVerificationError, ValueError) as exc:
            # ValueError: bytes that are no text, a signature that is no base64.
            raise BadSignature(f"the webhook is not signed by the sandbox: {exc}") from exc
        try:
            notice = _decoder.decode(body)
            payment = notice.data
            purchase = parse_id(payment.purchase)
        except (msgspec.DecodeError, ValueError) as exc:
            raise BadEvent(f"the sandbox sent what cannot be read: {exc}") from exc
        content = (payment.outcome, payment.amount_minor, payment.currency, payment.about)
        return RailEvent(given["webhook-id"], purchase, *content)

    async def status(self, purchase: Purchase) -> RailEvent | None:
        """What was done with it in this process."""
        return self._events.get(purchase.id)

    async def cancel(self, purchase: Purchase) -> bool:
        """Always possible until it was paid."""
        event = self._events.get(purchase.id)
        return event is None or event.outcome in (RailOutcome.DECLINED, RailOutcome.EXPIRED)

    async def close(self) -> None:
        """There is nothing to let go of."""

    def pay(
        self,
        purchase: Purchase,
        outcome: RailOutcome = RailOutcome.PAID,
        *,
        event_id: str | None = None,
        amount_minor: int | None = None,
        at: datetime.datetime | None = None,
        about: str = "",
    ) -> tuple[dict[str, str], bytes]:
        """The provider's side: let a payment end so, or give back of its money what `amount_minor` says.

        Args:
            event_id, amount_minor, at: what to say in the place of a fresh id, the right amount and the time now.
            about: of a reinstatement, which event it takes back.

        Returns:
            Headers and body of the webhook that tells it.
        """
        at = at or datetime.datetime.now(datetime.UTC)
        event_id = event_id or f"evt_{format_id(new_id(round(at.timestamp() * 1000)))}"
        amount_minor = purchase.price_minor if amount_minor is None else amount_minor
        content = (outcome, amount_minor, purchase.currency, about)
        self._remember(RailEvent(event_id, purchase.id, *content))
        body = msgspec.json.encode(_Notice(f"payment.{outcome}", _Payment(format_id(purchase.id), *content)))
        headers = {
            "content-type": "application/json",
            "webhook-id": event_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": self._webhook.sign(event_id, at, body.decode()),
        }
        return headers, body

    def _remember(self, event: RailEvent) -> None:
        self._events[event.purchase] = event
        while len(self._events) > _REMEMBERED_MAX:
            self._events.popitem(last=False)
