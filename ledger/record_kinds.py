"""What journal records are called in the books, and texts of SQL that tell them apart."""

from typing import Final

from ledger.model import (
    Body,
    CreditBody,
    GiftBody,
    GiftSettledBody,
    GiftUndoneBody,
    HeldGiftBody,
    HoldBody,
    HoldEndBody,
    RefundKind,
    ReversalBody,
)

GIFT: Final = "gift"
GIFT_HELD: Final = "gift_held"
"""A gift that may be undone; it has one end, `gift_settled` or `gift_undone`."""
GIFT_SETTLED: Final = "gift_settled"
GIFT_UNDONE: Final = "gift_undone"
GIFT_KINDS: Final = (GIFT, GIFT_HELD, GIFT_SETTLED, GIFT_UNDONE)
REVERSALS: Final = frozenset(kind.value for kind in RefundKind)
HOLD: Final = "hold"
HOLD_ENDED: Final = "hold_ended"

EARNING: Final = f"('{GIFT}', '{GIFT_SETTLED}')"
"""Kinds by which creators earn, as SQL."""
ACCEPTED: Final = f"('{GIFT}', '{GIFT_HELD}')"
"""Kinds by which a gift leaves the wallet, as SQL."""
OVER: Final = f"('{GIFT_SETTLED}', '{GIFT_UNDONE}')"
"""Kinds by which a gift that may be undone ends, as SQL."""
SPLIT: Final = f"('{GIFT}', '{GIFT_HELD}', '{GIFT_SETTLED}', '{GIFT_UNDONE}')"
"""Kinds that say what becomes of a gift's coins, as SQL."""
TOLD: Final = f"('{GIFT}', '{GIFT_HELD}', '{GIFT_UNDONE}')"
"""Kinds that the room is told of, as SQL."""
CAUSE: Final = f"""
CASE WHEN a.kind = 'pending' AND r.kind IN {EARNING} AND e.amount < 0 THEN 'discount'
    WHEN r.kind IN ('{GIFT_HELD}', '{GIFT_SETTLED}') THEN '{GIFT}' WHEN r.kind = '{GIFT_UNDONE}' THEN 'undo'
    ELSE r.kind END
"""
"""SQL for what an owner is told of the entry `e` that the record `r` made in the account `a`."""

_RATE: Final = "nullif(split_part(r.plan, ':', 2), '')::integer"
RESIDUE: Final = f"""
CASE WHEN r.plan LIKE '%:%' AND r.coins % 100 * {_RATE} % 100 <> 0 THEN 1 ELSE 0 END
"""
"""SQL for what the gift of the record `r` leaves by its terms, in diamonds."""
UNSPLIT: Final = f"""
r.kind IN {SPLIT} AND (
    r.creator_diamonds + r.commission_diamonds <> r.coins * 100
    OR r.plan LIKE '%:%' AND r.creator_diamonds
        <> r.coins / 100 * (10000 - {_RATE}) + r.coins % 100 * (10000 - {_RATE}) / 100
)
"""
"""SQL for whether the parts of the record `r` are not those of its coins, or of its terms where those say a rate."""


def kind_of(body: Body) -> str:
    """What a record is in the books."""
    match body:
        case GiftBody():
            return GIFT
        case HeldGiftBody():
            return GIFT_HELD
        case GiftSettledBody():
            return GIFT_SETTLED
        case GiftUndoneBody():
            return GIFT_UNDONE
        case HoldBody():
            return HOLD
        case HoldEndBody():
            return HOLD_ENDED
        case CreditBody() | ReversalBody():
            return body.cause.value
