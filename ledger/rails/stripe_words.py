"""What Stripe says, read and put into the words of rails: values and functions, without I/O.

A checkout's end is told by its session, which the webhook carries. Refunds and disputes are looked up at Stripe when a
webhook names one: the events of one come in any order, and neither names our purchase.
"""

import enum
from typing import Final

import msgspec
from msgspec import Raw, Struct

from ledger.errors import BadEvent
from ledger.ids import parse_id
from ledger.purchases.purchase_states import RailOutcome
from ledger.rails.interface import RailEvent
from ledger.rails.stripe_amounts import from_stripe

PURCHASE: Final = "giftwire_purchase"
"""The key in Stripe's metadata under which our purchase's id stands; what has none is not ours."""


class BackKind(enum.StrEnum):
    """A way in which money goes back."""

    REFUND = "refund"
    DISPUTE = "dispute"


class Intent(Struct, frozen=True):
    """Stripe's payment, of which we need to know whose it is and whether it may still succeed."""

    id: str
    metadata: dict[str, str] = {}
    status: str = ""


class Session(Struct, frozen=True):
    """A checkout.

    Attributes:
        status: open, complete or expired.
        payment_status: unpaid, paid, or no_payment_required.
        payment_intent: only its id, unless it was asked for.
    """

    id: str
    status: str | None = None
    payment_status: str = "unpaid"
    amount_total: int | None = None
    currency: str | None = None
    metadata: dict[str, str] | None = None
    payment_intent: Intent | str | None = None
    url: str | None = None


class Back(Struct, frozen=True):
    """A refund or a dispute as it is at Stripe now, with its payment."""

    id: str
    amount: int
    currency: str
    status: str | None = None
    payment_intent: Intent | str | None = None


class Named(Struct, frozen=True):
    """A webhook is about this refund or dispute, which has to be looked up."""

    kind: BackKind
    id: str


class _Data(Struct, frozen=True):
    object: Raw


class _Event(Struct, frozen=True):
    id: str
    type: str
    data: _Data


class _Object(Struct, frozen=True):
    id: str


_NAMING: Final = {
    **dict.fromkeys(
        ("refund.created", "refund.updated", "refund.failed", "charge.refund.updated"),
        BackKind.REFUND,
    ),
    **dict.fromkeys(
        (
            "charge.dispute.created",
            "charge.dispute.updated",
            "charge.dispute.closed",
            "charge.dispute.funds_withdrawn",
            "charge.dispute.funds_reinstated",
        ),
        BackKind.DISPUTE,
    ),
}
_SESSION_ENDS: Final = {
    "checkout.session.async_payment_succeeded": RailOutcome.PAID,
    "checkout.session.async_payment_failed": RailOutcome.DECLINED,
    "checkout.session.expired": RailOutcome.EXPIRED,
}
_COMPLETED: Final = "checkout.session.completed"
_UNPAID: Final = "unpaid"
_MONEY_IS_GONE: Final = frozenset(
    {"needs_response", "under_review", "lost", "appeal_needs_response", "appeal_under_review"}
)
"""States of a dispute in which the bank has the money. Not in those that begin with `warning_`, which are inquiries,
nor once it was won or prevented."""
_WON: Final = "won"
_NEVER_WENT: Final = frozenset({"failed", "canceled"})
"""States of a refund whose money is with us, also after it had succeeded."""
_NO_MORE: Final = frozenset({"requires_payment_method", "canceled"})
"""States of a payment after its one attempt has failed."""

_events: Final = msgspec.json.Decoder(_Event)
_sessions: Final = msgspec.json.Decoder(Session)
_objects: Final = msgspec.json.Decoder(_Object)


def read_event(body: bytes) -> RailEvent | Named | None:
    """What a webhook says, or what it makes us look up; None when purchases do not care for it.

    `charge.refunded` is not read: `refund.created` says the same of each part. A checkout that was completed and is not
    paid has a bank transfer or the like under way; its end comes as an event of its own.

    Raises:
        BadEvent: it cannot be understood.
    """
    try:
        event = _events.decode(body)
        kind = _NAMING.get(event.type)
        if kind is not None:
            return Named(kind, _objects.decode(event.data.object).id)
        if event.type == _COMPLETED or event.type in _SESSION_ENDS:
            return _session_event(event.type, _sessions.decode(event.data.object))
    except msgspec.DecodeError as exc:
        raise BadEvent(f"Stripe sent what cannot be read: {exc}") from exc
    return None


def session_end(session: Session) -> RailEvent | None:
    """How a checkout ended that was looked up, with its payment; None while it has not."""
    if session.status == "expired":
        return _of_session(session, RailOutcome.EXPIRED)
    if session.status != "complete":
        return None
    if session.payment_status != _UNPAID:
        return _of_session(session, RailOutcome.PAID)
    intent = session.payment_intent
    failed = isinstance(intent, Intent) and intent.status in _NO_MORE
    return _of_session(session, RailOutcome.DECLINED) if failed else None


def gone_back(kind: BackKind, back: Back) -> RailEvent | None:
    """The money that went back; None while, or when, it did not, and when it is not about a purchase.

    The event's id is that of the refund or dispute, so whatever is told of one counts once; so does its end in our
    favour, which takes back what was told under that id.
    """
    outcome = _outcome_of(kind, back.status)
    if outcome is None or not isinstance(back.payment_intent, Intent):
        return None
    if outcome is RailOutcome.REINSTATED:
        event = _event(f"{back.id}/{outcome}", outcome, back.payment_intent.metadata, back.amount, back.currency)
        return None if event is None else msgspec.structs.replace(event, about=back.id)
    return _event(back.id, outcome, back.payment_intent.metadata, back.amount, back.currency)


def is_ours(back: Back) -> bool:
    """Whether it is about a payment for a purchase."""
    return isinstance(back.payment_intent, Intent) and PURCHASE in back.payment_intent.metadata


def _outcome_of(kind: BackKind, status: str | None) -> RailOutcome | None:
    match kind:
        case BackKind.REFUND:
            if status in _NEVER_WENT:
                return RailOutcome.REINSTATED
            return RailOutcome.REFUNDED if status == "succeeded" else None
        case BackKind.DISPUTE:
            if status == _WON:
                return RailOutcome.REINSTATED
            return RailOutcome.CHARGED_BACK if status in _MONEY_IS_GONE else None


def _session_event(event_type: str, session: Session) -> RailEvent | None:
    if event_type != _COMPLETED:
        return _of_session(session, _SESSION_ENDS[event_type])
    return None if session.payment_status == _UNPAID else _of_session(session, RailOutcome.PAID)


def _of_session(session: Session, outcome: RailOutcome) -> RailEvent | None:
    metadata = session.metadata or {}
    if PURCHASE not in metadata:
        return None
    if session.amount_total is None or session.currency is None:
        raise BadEvent(f"Stripe says of {session.id} no amount")
    # A session ends in each way once, whatever Stripe calls the events that say so.
    return _event(f"{session.id}/{outcome}", outcome, metadata, session.amount_total, session.currency)


def _event(
    event_id: str, outcome: RailOutcome, metadata: dict[str, str], amount: int, currency: str
) -> RailEvent | None:
    if PURCHASE not in metadata:
        return None
    code = currency.upper()
    amount_minor = from_stripe(amount, code)
    if amount_minor is None:
        raise BadEvent(f"Stripe says {amount} {code} of {event_id}, which is no amount of ours")
    try:
        purchase = parse_id(metadata[PURCHASE])
    except ValueError as exc:
        raise BadEvent(f"Stripe says of {event_id} what is no id of a purchase") from exc
    return RailEvent(event_id, purchase, outcome, amount_minor, code)
