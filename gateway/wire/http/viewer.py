"""Bodies and answers of a viewer: wallet, purchases, gifts."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from gateway.wire.http.words import Coins, Country, HoldState, Platform, SignedAmount, Word
from gateway.wire.messages import COUNT_MAX, MESSAGE_LENGTH_MAX, Amount, ComboCount, Id, Name, TimeMs


class Wallet(Struct, frozen=True):
    """A viewer's coins."""

    user: str
    name: str
    level: int
    balance_coins: int


class WalletEntry(Struct, frozen=True):
    """One movement of a wallet.

    Attributes:
        id: of the gift, grant, purchase, refund or hold.
        coins: what came (positive) or went (negative).
        balance_coins: the wallet right after it.
        gift, place, creator: of a gift, else null.
    """

    id: str
    at_ms: TimeMs
    cause: str
    coins: SignedAmount
    balance_coins: int
    gift: str | None
    place: str | None
    creator: str | None


class WalletHold(Struct, frozen=True):
    """Coins of this wallet that are, or were, put aside for an order.

    Attributes:
        reference: what they are for, in the words of whoever holds them.
        state: `open` until they are taken (`settled`), or back in the wallet (`voided`, `expired`).
        taken_coins: of a hold that has ended; the others are back.
    """

    id: str
    coins: Amount
    reference: str
    state: HoldState
    begun_ms: TimeMs
    expires_ms: TimeMs
    taken_coins: Amount | None
    ended_ms: TimeMs | None


class WalletHolds(Struct, frozen=True):
    """Holds of a wallet, the newest first."""

    holds: list[WalletHold]
    next: int | None


class WalletEntries(Struct, frozen=True):
    """Movements of a wallet, the newest first."""

    entries: list[WalletEntry]
    next: int | None


class PendingLimit(Struct, frozen=True):
    """What holds from a time on.

    Attributes:
        coins: null for no limit of the viewer's own.
    """

    coins: Amount | None
    from_ms: TimeMs


class SpendLimit(Struct, frozen=True):
    """How many coins may be spent on a gift or in a period.

    Attributes:
        coins: what holds now: the smallest of the operator's, the viewer's own and that for its age; null for no limit.
        operator_coins, own_coins, age_coins: all three.
        pending: a raise of the viewer's own that is yet to hold.
        spent_coins: counted in this period; null for a gift, and where nothing is counted.
        resets_at_ms: when the next period begins; null for a gift.
    """

    coins: Amount | None
    operator_coins: Amount | None
    own_coins: Amount | None
    pending: PendingLimit | None
    spent_coins: Amount | None
    resets_at_ms: TimeMs | None
    age_coins: Amount | None


class RefusedByAge(Struct, frozen=True):
    """Why the viewer's age or country forbids all its gifts.

    Attributes:
        code: `under_age`, `guardian_needed`, `age_unknown` or `own_limits_needed`.
        age_min: the age in years from which that ends; null with the last two.
        limits_needed: with `own_limits_needed`, which limits the viewer has to set.
    """

    code: str
    age_min: int | None
    limits_needed: list[str]


class SpendLimits(Struct, frozen=True):
    """All limits of a viewer; days, weeks (from Monday) and months are those of UTC.

    Attributes:
        refused: what forbids all gifts whatever they cost; null for nothing.
    """

    gift: SpendLimit
    day: SpendLimit
    week: SpendLimit
    month: SpendLimit
    refused: RefusedByAge | None


class SpendLimitsBody(Struct, frozen=True):
    """Change one's own limits. What is absent stays as it is; null asks for no limit.

    Attributes:
        gift_coins: coins of one gift.
        day_coins, week_coins, month_coins: coins of all gifts in a period.
    """

    gift_coins: Amount | UnsetType | None = UNSET
    day_coins: Amount | UnsetType | None = UNSET
    week_coins: Amount | UnsetType | None = UNSET
    month_coins: Amount | UnsetType | None = UNSET


class PurchaseBody(Struct, frozen=True):
    """Buy coins. The price is the catalogue's, never the client's.

    Attributes:
        package: its id, or `custom`.
        coins: how many, for `custom` alone.
        rail: the payment provider; the deployment's own choice where it is absent.
    """

    id: Id
    package: Word
    platform: Platform
    country: Country | None = None
    coins: Coins | None = None
    rail: Word | None = None


class Purchase(Struct, frozen=True):
    """A purchase and where it stands.

    Attributes:
        checkout: what the provider needs to let the buyer pay, such as an address.
        balance_coins: the wallet right after the coins came in; null before.
        refunded_coins: how many of coins and bonus were refunded or charged back.
    """

    id: str
    package: str
    coins: Amount
    bonus_coins: Amount
    price_minor: Amount
    currency: str
    country: str | None
    platform: Platform
    promotion: str | None
    rail: str
    state: str
    checkout: str
    created_ms: TimeMs
    balance_coins: int | None
    refunded_coins: Amount = 0


class Purchases(Struct, frozen=True):
    """A viewer's purchases, the newest first."""

    purchases: list[Purchase]
    next: str | None


class GiftBody(Struct, frozen=True):
    """Send a gift in a room or on a video (exactly one of the two).

    Attributes:
        id: idempotency key; its time must lie inside the window.
        to: who is to earn; the place's creator when absent.
        combo: whether this gift belongs to a run of the same gift.
        anonymous: hide the sender from everyone else.
    """

    id: Id
    gift: Name
    room: Name | None = None
    video: Name | None = None
    count: Annotated[int, Meta(ge=1, le=COUNT_MAX)] = 1
    combo: bool = False
    to: Name | None = None
    message: Annotated[str, Meta(max_length=MESSAGE_LENGTH_MAX)] | None = None
    anonymous: bool = False


class GiftReceipt(Struct, frozen=True):
    """The gift is paid and its record is on disk.

    Attributes:
        coins: paid for this gift.
        balance_coins: the wallet after it (on a replay: the wallet now).
        replay: this id had been accepted before; nothing was charged again.
        undo_until_ms: before this time it can be undone; absent when it cannot (any more).
    """

    id: str
    coins: Amount
    balance_coins: int
    replay: bool
    combo: ComboCount | UnsetType = UNSET
    undo_until_ms: TimeMs | UnsetType = UNSET


class UndoReceipt(Struct, frozen=True):
    """The gift is taken back: its coins are in the wallet again.

    Attributes:
        coins: that came back.
        balance_coins: the wallet after it (on a replay: the wallet now).
        replay: it had been undone before; nothing came back again.
    """

    id: str
    coins: Amount
    balance_coins: int
    replay: bool


class GiftOutcome(Struct, frozen=True):
    """What became of a gift that was paid. One that was not is a 404.

    Attributes:
        state: `held` while it can be undone, `undone` when it was, else `accepted`: paid for good.
        coins: paid for it; of one that is undone, what came back.
        balance_coins: the wallet right after it.
        place: where it was given, such as `room:demo`.
        combo: running totals right after it; null for a gift outside any combo.
        undo_until_ms: of one that is `held`, until when it can be undone.
    """

    id: str
    state: Literal["accepted", "held", "undone"]
    coins: Amount
    balance_coins: int
    place: str
    gift: str
    price_coins: Amount
    count: int
    creator: str
    at_ms: TimeMs
    combo: ComboCount | None
    undo_until_ms: TimeMs | UnsetType = UNSET
