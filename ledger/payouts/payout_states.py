"""The states of a withdrawal and the steps between them: a table without I/O.

Diamonds are held from the request on. They leave the creator for good when the payout is paid, and come back when it
is rejected, fails or is returned. The table stands once more in `0002_office.sql`, as a check on every step; a test
compares the two.
"""

import enum
from typing import Final


class PayoutState(enum.StrEnum):
    """Where a withdrawal stands."""

    REQUESTED = "requested"
    REVIEW = "review"
    APPROVED = "approved"
    SENT = "sent"
    """The money is on its way."""
    PAID = "paid"
    FAILED = "failed"
    """The rail could not pay."""
    RETURNED = "returned"
    """The money came back from the creator's bank, sometimes days after it was paid."""
    REJECTED = "rejected"


class HoldEffect(enum.Enum):
    """What a step does with the diamonds of the withdrawal."""

    NONE = "none"
    GIVE_BACK = "give_back"
    """From the hold to available."""
    PAY_OUT = "pay_out"
    """From the hold to redeemed, against money from the payout funds."""
    TAKE_BACK = "take_back"
    """The reversal of PAY_OUT, straight to available."""


_S = PayoutState
STEPS: Final[dict[tuple[PayoutState, PayoutState], HoldEffect]] = {
    (_S.REQUESTED, _S.REVIEW): HoldEffect.NONE,
    (_S.REQUESTED, _S.REJECTED): HoldEffect.GIVE_BACK,
    (_S.REVIEW, _S.APPROVED): HoldEffect.NONE,
    (_S.REVIEW, _S.REJECTED): HoldEffect.GIVE_BACK,
    (_S.APPROVED, _S.SENT): HoldEffect.NONE,
    (_S.APPROVED, _S.REJECTED): HoldEffect.GIVE_BACK,
    (_S.SENT, _S.PAID): HoldEffect.PAY_OUT,
    (_S.SENT, _S.FAILED): HoldEffect.GIVE_BACK,
    (_S.SENT, _S.RETURNED): HoldEffect.GIVE_BACK,
    (_S.PAID, _S.RETURNED): HoldEffect.TAKE_BACK,
}
"""Every step that is allowed, with its effect. What is not here is refused, also a step to the same state."""

HOLDING: Final = frozenset({_S.REQUESTED, _S.REVIEW, _S.APPROVED, _S.SENT})
"""States in which the diamonds are on hold."""
CAME_BACK: Final = frozenset({_S.REJECTED, _S.FAILED, _S.RETURNED})
"""States in which the creator has the diamonds again; they do not count against the limit of a day."""


def effect_of(before: PayoutState, after: PayoutState) -> HoldEffect | None:
    """What this step does with the diamonds; None when the table does not allow it."""
    return STEPS.get((before, after))


def next_states(state: PayoutState) -> list[PayoutState]:
    """Where a withdrawal can go from here, in the order of the table."""
    return [after for before, after in STEPS if before is state]
