"""From what the ledger refused to what a client is told: the one table, and the shapes that carry it."""

from typing import Final

from msgspec import UNSET, UnsetType

from gateway.wire.codes import FACTS, Code
from gateway.wire.messages import Refused
from ledger.model import GiftRefused, Refusal

CODES: Final[dict[Refusal, Code]] = {
    Refusal.INSUFFICIENT_COINS: Code.INSUFFICIENT_COINS,
    Refusal.ID_CONFLICT: Code.ID_CONFLICT,
    Refusal.ID_EXPIRED: Code.ID_EXPIRED,
    Refusal.AMOUNT_OVERFLOW: Code.NOT_ALLOWED,
    Refusal.OVERLOADED: Code.OVERLOADED,
    Refusal.UNKNOWN: Code.UNAVAILABLE,
}
_MESSAGES: Final[dict[Refusal, str]] = {
    Refusal.AMOUNT_OVERFLOW: "A balance would pass the largest amount that an account can hold.",
    Refusal.UNKNOWN: "It is not known whether the gift was paid: send it again with the same id.",
}
RETRY_AFTER_MS: Final = 1_000
"""After `overloaded` and `unavailable`: long enough for a queue of 20,000 gifts to be worked off."""


def refused(
    code: Code,
    message: str | None = None,
    *,
    ref: str | UnsetType = UNSET,
    id: str | UnsetType = UNSET,
    field: str | UnsetType = UNSET,
    balance_coins: int | UnsetType = UNSET,
    retry_after_ms: int | UnsetType = UNSET,
) -> Refused:
    """A refusal with what its code promises filled in.

    Args:
        message: in the place of the code's own sentence.
        retry_after_ms: in the place of RETRY_AFTER_MS, for a code that can be tried again.
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
    )


def refused_by_ledger(refusal: GiftRefused, *, ref: str, id: str) -> Refused:
    """What the sender of a gift is told when the ledger refused it."""
    code = CODES[refusal.refusal]
    balance = refusal.balance_coins
    with_balance = code is Code.INSUFFICIENT_COINS and balance is not None
    return refused(
        code,
        _MESSAGES.get(refusal.refusal),
        ref=ref,
        id=id,
        balance_coins=balance if with_balance and balance is not None else UNSET,
    )
