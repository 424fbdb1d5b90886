"""What a refund or charge-back is, who bears it, and how its parts are worked out: values and functions, without I/O.

Every refunded coin was either left in its purchase's lot or had paid for a gift. What was left the wallet gives. For
the others two policies say, each on its own, what the viewer owes and what the creators of those gifts give back; the
platform bears the rest.
"""

import enum
from typing import Final

from msgspec import Struct

from ledger.model import RefundKind, ViewerId

CLAWED_BACK: Final = "clawed_back"
"""The kind of the books' record by which a creator gives back."""


class RefundState(enum.StrEnum):
    """How far a refund is."""

    OWED = "owed"
    """Its coins are to be taken; it waits for its purchase to be credited, or for Valkey."""
    TAKEN = "taken"
    """The wallet gave what it had to give; the creators' part follows when the books have that record."""
    SETTLED = "settled"
    VOIDED = "voided"
    """Its purchase was wholly refunded before it was paid, and is never credited: there is nothing to take."""


class RefundMoney(enum.StrEnum):
    """How the money of a refund goes back, so that its coins are taken once."""

    TOLD = "told"
    """The purchase's provider told of it."""
    PROVIDER = "provider"
    """An operator ordered it. The provider gives the money back, and what it tells of that is of the same coins."""
    OTHER = "other"
    """An operator ordered it, and the money goes another way: its coins are beside those that the provider tells of."""


class ViewerPolicy(enum.StrEnum):
    """What a wallet gives for refunded coins that were spent."""

    DEBT = "debt"
    """All of them: the wallet falls below zero, no gift is paid, and coins that come in pay the debt first."""
    FLOOR = "floor"
    """What it holds, also coins of other purchases."""
    ABSORB = "absorb"
    """Nothing: only what is left of the refunded purchase is taken."""


class CreatorPolicy(enum.StrEnum):
    """What a creator gives back of gifts that refunded coins had paid for."""

    ABSORB = "absorb"
    """Nothing; the commission stays as well."""
    PENDING = "pending"
    """What is still pending of them."""
    EARNED = "earned"
    """What is still pending of them, then what is available."""
    OWE = "owe"
    """All of it: what is available may fall below zero, and earnings that mature pay that first."""


class RefundOrder(Struct, frozen=True):
    """Coins of a purchase that an operator gives back.

    Attributes:
        id: UUIDv7, 16 bytes.
        coins: 1 to what is left to refund; None for all of that.
        reason: 1 to 500 characters, stored for ever.
        by: the operator; not compared when the id comes again.
        money: how the money goes back.
    """

    id: bytes
    purchase: bytes
    coins: int | None
    kind: RefundKind
    reason: str
    by: str
    money: RefundMoney = RefundMoney.PROVIDER


class Reinstated(Struct, frozen=True):
    """What was taken for a refund comes back: its money never went, or came back to us.

    Attributes:
        by: the rail that told of it, or the operator.
        done_ms: None while the refund is not through, and with it what follows.
        coins: granted to the viewer.
        creator_diamonds: given back to creators.
    """

    by: str
    reason: str
    done_ms: int | None
    coins: int | None
    creator_diamonds: int | None


class Refund(Struct, frozen=True):
    """A refund as it stands.

    Attributes:
        coins: of the purchase and its bonus.
        taken_coins: what the wallet gave; `balance_coins` is the wallet right after. None until then.
        returned_coins: those of `coins` that had paid for gifts. This and what follows is None until it is settled.
        creator_diamonds, commission_diamonds: taken back for them from creators, and from the platform's commission
            and residue.
        borne_diamonds: the creators' part that they keep, at the platform's cost.
        set_apart: why it is set apart and waits for an operator; None while it is not.
        settled_by: the operator who settled it by hand.
        reinstated: None while nothing comes back.
    """

    id: bytes
    purchase: bytes
    viewer: ViewerId
    kind: RefundKind
    coins: int
    reason: str
    by: str
    state: RefundState
    made_ms: int
    taken_coins: int | None
    balance_coins: int | None
    returned_coins: int | None
    creator_diamonds: int | None
    commission_diamonds: int | None
    borne_diamonds: int | None
    set_apart: str | None = None
    settled_by: str | None = None
    reinstated: Reinstated | None = None
    money: RefundMoney = RefundMoney.PROVIDER


class RefundRefused(Struct, frozen=True):
    """Nothing was stored: more coins than are left to refund were asked for, or none are left; or the order may be of
    money of which the provider has told already.

    Attributes:
        told_coins: what the money stands for that its provider told of, where operators ordered fewer; else 0.
    """

    left_coins: int
    told_coins: int = 0


class Counted(Struct, frozen=True):
    """What was refunded of a purchase, as far as its provider's word is concerned, in coins.

    Attributes:
        taken: for money of which the provider told, and of operators' orders of which it may tell. Not what came back
            of the latter: then the money did not go.
        ordered: the latter alone.
        came_back: for money of which the provider told, and told again that it did not go.
    """

    taken: int
    ordered: int
    came_back: int

    def not_taken_yet(self, told_coins: int) -> int:
        """Of the coins that all money stands for of which the provider told by now, those to be taken now."""
        return max(0, told_coins - self.taken)

    def may_be_the_same(self, told_coins: int) -> bool:
        """Whether an operator's order of some coins may be of money of which the provider told before."""
        return told_coins - self.came_back > self.ordered


class Shared(Struct, frozen=True):
    """How the value of refunded coins of one creator and day is borne, in diamonds; the commission with the residue."""

    from_pending: int
    from_available: int
    commission: int
    borne: int


def bear(
    policy: CreatorPolicy, creator_diamonds: int, commission_diamonds: int, pending: int, available: int
) -> Shared:
    """Who bears the parts of some gifts of one day.

    The commission goes back where the creator's part does, in whole or in part.

    Args:
        creator_diamonds, commission_diamonds: the two parts.
        pending: what is left of that day's earnings, before they mature.
        available: what the creator has available; below zero with a debt.
    """
    from_pending = from_available = 0
    if policy is not CreatorPolicy.ABSORB:
        from_pending = min(creator_diamonds, pending)
    rest = creator_diamonds - from_pending
    if policy is CreatorPolicy.EARNED:
        from_available = min(rest, max(0, available))
    elif policy is CreatorPolicy.OWE:
        from_available = rest
    given = from_pending + from_available
    returns = policy is not CreatorPolicy.ABSORB and (given > 0 or creator_diamonds == 0)
    return Shared(from_pending, from_available, commission_diamonds if returns else 0, creator_diamonds - given)
