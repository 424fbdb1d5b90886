"""What a purchase of coins is, and how what a rail says moves it: values and a table, without I/O.

Money that was taken is owed, whenever we hear of it: a payment counts after a declined card and after we had given the
purchase up. Money that came back was taken before, also when the webhook of the payment is late or lost. A refund of
what was credited is no state of the purchase: it has a row of its own (`refund_states`).
"""

import enum
from typing import Final

from msgspec import Struct

from ledger.model import RefundKind, ViewerId


class PurchaseState(enum.StrEnum):
    """Where a purchase stands."""

    PENDING = "pending"
    PAID = "paid"
    """The coins are owed, and follow within moments."""
    CREDITED = "credited"
    DECLINED = "declined"
    EXPIRED = "expired"
    VOIDED = "voided"
    """All of it was refunded before its coins were owed; they never come."""


class RailOutcome(enum.StrEnum):
    """What a rail says became of a payment."""

    PAID = "paid"
    DECLINED = "declined"
    EXPIRED = "expired"
    """It was not paid in time, or was given up, and cannot be paid any more."""
    REFUNDED = "refunded"
    """Some or all of the money went back to the buyer."""
    CHARGED_BACK = "charged_back"
    """The buyer's bank took some or all of the money back."""
    REINSTATED = "reinstated"
    """Money of which one of these two was told did not go, or came back to us."""


class PurchaseOrder(Struct, frozen=True):
    """Coins that a viewer wants to buy, at a price that the caller has worked out.

    Attributes:
        id: UUIDv7, 16 bytes.
        package: the catalogue's id of what is bought, 1 to 100 characters.
        coins, bonus_coins: credited together, as one record.
        price_minor, currency: what the rail must take, in minor units of an ISO 4217 code; at least 1.
        country: ISO 3166-1 alpha-2 code.
        platform: where it is bought, such as `web`; up to 40 characters.
        rail: the provider that takes the money.
        bonus_worth_bp: what a bonus coin is worth to the creator that it is given to, in basis points of a paid coin;
            None for the deployment's `bonus_worth_bp` of now. It stays with the coins for ever.
    """

    id: bytes
    viewer: ViewerId
    package: str
    coins: int
    bonus_coins: int
    price_minor: int
    currency: str
    country: str | None
    platform: str
    promotion: str | None
    rail: str
    bonus_worth_bp: int | None = None


class Purchase(Struct, frozen=True):
    """A purchase as it stands; its order's fields are among these.

    Attributes:
        checkout: where the viewer pays, in the rail's words; empty until the rail has answered.
        balance_coins: the wallet right after the coins came in.
        refunded_coins: how many of coins and bonus were refunded or charged back.
        reference: the rail's own name of the checkout; empty where it has none, or has not answered.
    """

    id: bytes
    viewer: ViewerId
    package: str
    coins: int
    bonus_coins: int
    price_minor: int
    currency: str
    country: str | None
    platform: str
    promotion: str | None
    rail: str
    state: PurchaseState
    checkout: str
    created_ms: int
    balance_coins: int | None
    refunded_coins: int = 0
    bonus_worth_bp: int | None = None
    reference: str = ""


REFUND_KINDS: Final = {
    RailOutcome.REFUNDED: RefundKind.REFUND,
    RailOutcome.CHARGED_BACK: RefundKind.CHARGEBACK,
}
"""The outcomes that give money back."""
_TAKEN: Final = dict.fromkeys((RailOutcome.PAID, *REFUND_KINDS), PurchaseState.PAID)
_OPEN: Final = {
    **_TAKEN,
    RailOutcome.DECLINED: PurchaseState.DECLINED,
    RailOutcome.EXPIRED: PurchaseState.EXPIRED,
}
MOVES: Final[dict[PurchaseState, dict[RailOutcome, PurchaseState]]] = {
    PurchaseState.PENDING: _OPEN,
    PurchaseState.DECLINED: _TAKEN,
    PurchaseState.EXPIRED: _TAKEN,
    PurchaseState.PAID: {},
    PurchaseState.CREDITED: {},
    PurchaseState.VOIDED: {},
}


def after_outcome(state: PurchaseState, outcome: RailOutcome) -> PurchaseState | None:
    """Where the rail's word moves a purchase; None when it changes nothing."""
    return MOVES[state].get(outcome)
