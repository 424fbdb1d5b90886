"""From what the ledger refused to what a client is told: the one table, and the shapes that carry it."""

from typing import Final, NamedTuple, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from gateway.wire.codes import FACTS, Code
from gateway.wire.messages import Refused
from ledger.model import AMOUNT_MAX, Bound, BoundReached, CapPassed, GiftRefused, Limit, Refusal

CODES: Final[dict[Refusal, Code]] = {
    Refusal.INSUFFICIENT_COINS: Code.INSUFFICIENT_COINS,
    Refusal.ID_CONFLICT: Code.ID_CONFLICT,
    Refusal.ID_EXPIRED: Code.ID_EXPIRED,
    Refusal.AMOUNT_OVERFLOW: Code.NOT_ALLOWED,
    Refusal.OVERLOADED: Code.OVERLOADED,
    Refusal.UNKNOWN: Code.UNAVAILABLE,
    Refusal.FROZEN: Code.NOT_ALLOWED,
    Refusal.OWN_GIFT: Code.NOT_ALLOWED,
    Refusal.BARRED: Code.NOT_ALLOWED,
    Refusal.LIMIT_EXCEEDED: Code.LIMIT_EXCEEDED,
    Refusal.RATE_LIMITED: Code.RATE_LIMITED,
    Refusal.TOO_MANY_HOLDS: Code.LIMIT_REACHED,
    Refusal.UNDER_AGE: Code.UNDER_AGE,
    Refusal.GUARDIAN_NEEDED: Code.GUARDIAN_NEEDED,
    Refusal.AGE_UNKNOWN: Code.AGE_UNKNOWN,
    Refusal.OWN_CAPS_NEEDED: Code.OWN_LIMITS_NEEDED,
}
_Value = TypeVar("_Value")
_MESSAGES: Final[dict[Refusal, str]] = {
    Refusal.AMOUNT_OVERFLOW: f"A balance would pass {AMOUNT_MAX}, the largest amount that an account can hold.",
    Refusal.UNKNOWN: "It is not known whether the gift was paid: send it again with the same id.",
    Refusal.FROZEN: "This account is frozen.",
    Refusal.OWN_GIFT: "Nobody can give to themselves.",
    Refusal.RATE_LIMITED: "Gifts come faster than they may.",
}
_FULL: Final[dict[Bound, str]] = {
    Bound.VIEWER_HOLDS: "{} holds of this user are open, as many as there may be.",
    Bound.PARTITION_HOLDS: "{} holds are open of the users that this one is stored with, as many as there may be.",
}
_CAPS: Final[dict[Limit, str]] = {
    Limit.GIFT: "This gift costs more than a gift may.",
    Limit.DAY: "This would pass the limit of coins for a day.",
    Limit.WEEK: "This would pass the limit of coins for a week.",
    Limit.MONTH: "This would pass the limit of coins for a month.",
    Limit.CREATOR_DAY: "The creator takes no more from one viewer in a day.",
}
IN_FLIGHT: Final = "in_flight"
"""The gateway's own bound, beside those of the ledger: gifts of one session that are not answered yet."""
RETRY_AFTER_MS: Final = 1_000
"""After `overloaded` and `unavailable`: long enough for a queue of 20,000 gifts to be worked off."""


class Bar(NamedTuple):
    """Why the gateway handed an order in as barred.

    Attributes:
        message: in the place of the code's own sentence.
    """

    code: Code
    message: str | None = None


def refused(
    code: Code,
    message: str | None = None,
    *,
    ref: str | UnsetType = UNSET,
    id: str | UnsetType = UNSET,
    field: str | UnsetType = UNSET,
    balance_coins: int | UnsetType = UNSET,
    retry_after_ms: int | UnsetType = UNSET,
    bound: BoundReached | None = None,
) -> Refused:
    """A refusal with what its code promises filled in.

    Args:
        message: in the place of the code's own sentence.
        retry_after_ms: in the place of RETRY_AFTER_MS, for a code that can be tried again.
        bound: which bound of the server was met.
    """
    facts = FACTS[code]
    if facts.retryable and retry_after_ms is UNSET:
        retry_after_ms = RETRY_AFTER_MS
    return Refused(
        code=code.value,
        message=message or facts.title,
        retryable=facts.retryable,
        ref=ref,
        id=id,
        retry_after_ms=retry_after_ms if facts.retryable else UNSET,
        field=field,
        balance_coins=balance_coins,
        bound=UNSET if bound is None else bound.bound.value,
        bound_max=UNSET if bound is None else _set(bound.most),
    )


def too_many_in_flight(most: int, *, ref: str, id: str) -> Refused:
    """As many gifts of this session as may be are not answered yet."""
    return msgspec.structs.replace(refused(Code.OVERLOADED, ref=ref, id=id), bound=IN_FLIGHT, bound_max=most)


def refused_by_ledger(refusal: GiftRefused, *, ref: str, id: str, bar: Bar | None = None) -> Refused:
    """What the sender of a gift is told when the ledger refused it.

    Args:
        bar: why the order was handed in as barred.
    """
    code, cap, message = CODES[refusal.refusal], refusal.cap, _MESSAGES.get(refusal.refusal)
    if refusal.refusal is Refusal.BARRED and bar is not None:
        code, message = bar
    if refusal.reason:
        message = f"{message} {refusal.reason}"
    if refusal.window_ms is not None:
        old_s, ahead_s = (ms / 1000 for ms in refusal.window_ms)
        message = (
            f"The time in this id is more than {old_s:g} s ago or {ahead_s:g} s ahead, or too much was forgotten since."
        )
    if refusal.bound is not None and refusal.bound.bound in _FULL:
        message = _FULL[refusal.bound.bound].format(refusal.bound.most)
    reply = refused(
        code,
        message if cap is None else _CAPS[cap.limit],
        ref=ref,
        id=id,
        balance_coins=_set(refusal.balance_coins) if code is Code.INSUFFICIENT_COINS else UNSET,
        retry_after_ms=_set(refusal.retry_after_ms),
        bound=refusal.bound,
    )
    if refusal.age is not None or refusal.caps_needed:
        needed = [limit.value for limit in refusal.caps_needed] or UNSET
        reply = msgspec.structs.replace(reply, age_min=_set(refusal.age), limits_needed=needed)
    return reply if cap is None else _with_cap(reply, cap)


def _with_cap(reply: Refused, cap: CapPassed) -> Refused:
    return msgspec.structs.replace(
        reply,
        limit=cap.limit.value,
        limit_coins=cap.coins,
        spent_coins=UNSET if cap.limit is Limit.GIFT else cap.spent_coins,
        resets_at_ms=_set(cap.resets_at_ms),
    )


def _set(value: _Value | None) -> _Value | UnsetType:
    return UNSET if value is None else value
