"""Payments by Stripe: the buyer pays on a page of Stripe's (Checkout), and webhooks tell how it ended.

Needs the extra `payments`. Every call goes by Stripe's own library, with bounded time and attempts; a purchase's id is
the idempotency key, so asking again never makes a second checkout. The API key appears in no log and no error.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
import stripe
import structlog

from ledger.errors import BadEvent, BadSignature, RailRefused, RailUnavailable
from ledger.ids import format_id
from ledger.purchases.purchase_states import Purchase
from ledger.rails.config import StripeConfig
from ledger.rails.interface import Checkout, RailEvent
from ledger.rails.stripe_amounts import to_stripe
from ledger.rails.stripe_words import (
    PURCHASE,
    Back,
    BackKind,
    Named,
    Session,
    gone_back,
    is_ours,
    read_event,
    session_end,
)

if TYPE_CHECKING:
    from stripe.params.checkout import SessionCreateParams

NAME: Final = "stripe"
SESSION_MS_MIN: Final = 31 * 60_000
"""Stripe refuses a checkout that would end within 30 minutes; a minute more for clocks that differ."""
_HEADER: Final = "stripe-signature"
_WITH_PAYMENT: Final = ["payment_intent"]
_Answer = TypeVar("_Answer", bound=msgspec.Struct)
_log = structlog.get_logger()

# The library would write an id into the home folder and send it, with the machine's platform, to Stripe.
stripe.enable_telemetry = False


class StripeRail:
    """The rail. One for a process, used in one event loop and closed there.

    Args:
        config: with both secrets.
        return_url: where the buyer goes afterwards, where the configuration does not say.
        now_ms: the time, in milliseconds since the Unix epoch.
    """

    def __init__(
        self, config: StripeConfig, return_url: str, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    ) -> None:
        if config.secret_key is None or config.webhook_secret is None:
            raise ValueError("payments by Stripe need the API key and the webhook's secret")
        self._config = config
        self._return_url = return_url
        self._now_ms = now_ms
        self._http = stripe.HTTPXClient(timeout=config.attempt_ms_max / 1000)
        self._stripe = stripe.StripeClient(
            config.secret_key,
            base_addresses={"api": config.api_url},
            max_network_retries=config.retries_max,
            http_client=self._http,
        )

    @property
    def name(self) -> str:
        """`stripe`."""
        return NAME

    async def create_checkout(self, purchase: Purchase) -> Checkout:
        """As the interface says. Everything in the request follows from purchase and configuration, so the same again
        is the same to Stripe."""
        amount = to_stripe(purchase.price_minor, purchase.currency)
        if amount is None:
            raise RailRefused(f"Stripe takes no {purchase.price_minor} minor units of {purchase.currency}")
        ends_ms = purchase.created_ms + self._config.session_ms
        if ends_ms < self._now_ms() + SESSION_MS_MIN:
            raise RailRefused("the purchase was begun too long ago")
        params = self._session_params(purchase, amount, ends_ms // 1000)
        key = format_id(purchase.id)
        session = await self._ask(
            Session,
            lambda: self._stripe.v1.checkout.sessions.create_async(params, {"idempotency_key": key}),
        )
        if not session.url:
            raise RailUnavailable(f"Stripe gave no address for {session.id}")
        return Checkout(session.url, session.id)

    async def read_webhook(self, headers: Mapping[str, str], body: bytes) -> RailEvent | None:
        """As the interface says; a refund or dispute costs one call to Stripe."""
        self._verify(headers, body)
        read = read_event(body)
        if not isinstance(read, Named):
            return read
        back = await self._look_up(read)
        event = gone_back(read.kind, back)
        if is_ours(back) and (event is None or (event.about and read.kind is BackKind.REFUND)):
            # Refunds that are not through or failed, and inquiries: the buyer may have to be paid in another way.
            _log.warning("stripe_needs_a_look", kind=read.kind.value, id=back.id, status=back.status)
        return event

    async def status(self, purchase: Purchase) -> RailEvent | None:
        """As the interface says; None also where Stripe was never heard to have made a checkout."""
        if not purchase.reference:
            return None
        try:
            return session_end(await self._session(purchase.reference))
        except BadEvent as exc:
            raise RailUnavailable(str(exc)) from exc

    async def cancel(self, purchase: Purchase) -> bool:
        """As the interface says; True also where there is no checkout whose address anybody knows."""
        reference = purchase.reference
        if not reference:
            return True
        try:
            await self._ask(Session, lambda: self._stripe.v1.checkout.sessions.expire_async(reference))
        except RailRefused:
            # It is not open any more: paid, being paid, or expired by itself.
            return (await self._session(reference)).status == "expired"
        return True

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.close_async()  # type: ignore[no-untyped-call]  # the library has no type for it

    def _session_params(self, purchase: Purchase, amount: int, ends_s: int) -> "SessionCreateParams":
        purchase_id = format_id(purchase.id)
        metadata = {PURCHASE: purchase_id}
        urls = (self._config.success_url, self._config.cancel_url)
        success_url, cancel_url = ((url or self._return_url).replace("{purchase}", purchase_id) for url in urls)
        return {
            "mode": "payment",
            "client_reference_id": purchase_id,
            "metadata": metadata,
            # Refunds and disputes name the payment only, so it has to name the purchase.
            "payment_intent_data": {"metadata": metadata},
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": purchase.currency.lower(),
                        "unit_amount": amount,
                        "product_data": {"name": f"{purchase.coins + purchase.bonus_coins:,} coins"},
                    },
                }
            ],
            # What is paid has to be the purchase's price, in its currency.
            "adaptive_pricing": {"enabled": False},
            "expires_at": ends_s,
            "success_url": success_url,
            "cancel_url": cancel_url,
        }

    def _verify(self, headers: Mapping[str, str], body: bytes) -> None:
        header = next((value for name, value in headers.items() if name.lower() == _HEADER), "")
        try:
            if not header.isascii():
                raise ValueError("no signature is written so")
            stripe.WebhookSignature.verify_header(
                body, header, self._config.webhook_secret, self._config.signature_ms_max // 1000
            )
        except (stripe.SignatureVerificationError, ValueError) as exc:
            # ValueError: also of bytes that are no text.
            raise BadSignature(f"the webhook is not signed by Stripe: {exc}") from exc

    async def _look_up(self, named: Named) -> Back:
        expand: Any = {"expand": _WITH_PAYMENT}
        try:
            match named.kind:
                case BackKind.REFUND:
                    return await self._ask(Back, lambda: self._stripe.v1.refunds.retrieve_async(named.id, expand))
                case BackKind.DISPUTE:
                    return await self._ask(Back, lambda: self._stripe.v1.disputes.retrieve_async(named.id, expand))
        except RailRefused as exc:
            # Signed by our endpoint, and unknown to our key: they are of two accounts or modes. Stripe repeats it.
            raise RailUnavailable(f"Stripe does not show {named.id} to our key: {exc}") from exc

    async def _session(self, reference: str) -> Session:
        expand: Any = {"expand": _WITH_PAYMENT}
        try:
            return await self._ask(Session, lambda: self._stripe.v1.checkout.sessions.retrieve_async(reference, expand))
        except RailRefused as exc:
            raise RailUnavailable(f"Stripe does not show {reference} to our key: {exc}") from exc

    async def _ask(self, kind: type[_Answer], call: Callable[[], Awaitable[stripe.StripeObject]]) -> _Answer:
        """Make a call and read its answer.

        Raises:
            RailRefused: Stripe understood and will not.
            RailUnavailable: anything else.
        """
        try:
            # The library's own limit is for each read or write; this one is for all of a call, its pauses included.
            async with asyncio.timeout(self._call_s):
                answer = await call()
            return msgspec.convert(answer.to_dict(), kind)
        except (stripe.InvalidRequestError, stripe.IdempotencyError) as exc:
            _log.error("stripe_refused", **_told(exc))
            raise RailRefused(f"{exc.code or type(exc).__name__}: {exc.user_message or 'no reason given'}") from exc
        except stripe.StripeError as exc:
            _log.warning("stripe_failed", **_told(exc))
            raise RailUnavailable(f"Stripe did not answer as it should: {type(exc).__name__}") from exc
        except TimeoutError as exc:
            raise RailUnavailable("Stripe did not answer in time") from exc
        except msgspec.ValidationError as exc:
            raise RailUnavailable(f"Stripe answered what cannot be read: {exc}") from exc

    @property
    def _call_s(self) -> float:
        attempts = self._config.retries_max + 1
        return attempts * self._config.attempt_ms_max / 1000 + self._config.retries_max * self._http.MAX_DELAY


def _told(exc: stripe.StripeError) -> dict[str, object]:
    """What of an error may be logged: not its text where that names a key."""
    text = exc.user_message if isinstance(exc, stripe.InvalidRequestError | stripe.IdempotencyError) else None
    return {
        "error": type(exc).__name__,
        "code": exc.code,
        "status": exc.http_status,
        "request": exc.request_id,
        "text": text,
    }
