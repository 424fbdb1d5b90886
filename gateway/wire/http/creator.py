"""Bodies and answers of a creator: earnings, payouts, overlay tokens, own rooms."""

from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec import field as msgspec_field

from gateway.wire.http.words import BasisPoints, SignedAmount, Title, Word
from gateway.wire.messages import AMOUNT_MAX, COUNT_MAX, MESSAGE_LENGTH_MAX, Amount, Id, Name, RoomState, TimeMs

PayoutState = Literal["requested", "review", "approved", "sent", "paid", "failed", "returned", "rejected"]
CreatorAccount = Literal["pending", "available", "payout_hold"]
Diamonds = Annotated[int, Meta(ge=1, le=AMOUNT_MAX)]
FILTER_NAMES_MAX: Final = 400
"""Two lists of so many names fit into what is kept of a room's settings."""
FilterNames = Annotated[list[Name], Meta(max_length=FILTER_NAMES_MAX)]


class Share(Struct, frozen=True):
    """What of a gift is the creator's.

    Attributes:
        commission_bp: the platform's part, in basis points.
        share_bp: the creator's part, in basis points; both add up to 10,000.
        diamonds_per_coin: the whole value of a coin, of which the share is taken.
        payout_currency: what diamonds are paid out in (ISO 4217).
        diamonds_per_minor: diamonds for one minor unit of that currency.
    """

    commission_bp: BasisPoints
    share_bp: BasisPoints
    share_percent: float
    diamonds_per_coin: int
    payout_currency: str
    diamonds_per_minor: int


class ShareExample(Struct, frozen=True):
    """One gift of 100 coins, divided: price = commission + share.

    Attributes:
        payout_minor: what the share comes to in minor units of the payout currency.
    """

    price_coins: Amount
    price_diamonds: Amount
    commission_diamonds: Amount
    share_diamonds: Amount
    payout_minor: Amount


class Earnings(Struct, frozen=True):
    """A creator's diamonds.

    Attributes:
        live_diamonds: all that was ever given, up to this moment, before anything was taken back; for display.
        pending_diamonds: in the books, and not yet old enough to be withdrawn.
        available_diamonds: can be withdrawn now; below zero when more was taken back than there was.
        on_hold_diamonds: in withdrawals that are not yet paid.
        paid_out_diamonds: withdrawn and paid.
        next_matures_ms: when the next pending diamonds become available.
        taken_back_diamonds: taken back for refunds and charge-backs, without what came back since.
        discounted_diamonds: what gifts brought less, ever, since their coins were not all paid for.
    """

    creator: str
    live_diamonds: Amount
    pending_diamonds: Amount
    available_diamonds: SignedAmount
    on_hold_diamonds: Amount
    paid_out_diamonds: Amount
    next_matures_ms: TimeMs | None
    share: Share
    example: ShareExample
    taken_back_diamonds: Amount = 0
    discounted_diamonds: Amount = 0


class StatementEntry(Struct, frozen=True):
    """One movement of one of a creator's accounts.

    Attributes:
        id: of the gift or withdrawal.
        cause: `gift`, `discount` (by how much that gift is worth less, since its coins were not all paid for),
            `matured`, `clawed_back` and those of withdrawals.
        diamonds: what came (positive) or went (negative).
        balance_diamonds: the account right after it.
        gift, place: of a gift, else null.
    """

    id: str
    at_ms: TimeMs
    cause: str
    diamonds: SignedAmount
    balance_diamonds: int
    gift: str | None
    place: str | None


class Statement(Struct, frozen=True):
    """Movements of one of a creator's accounts, the newest first."""

    account: str
    entries: list[StatementEntry]
    next: int | None


class DayStatistics(Struct, frozen=True):
    """What a creator earned on one day (UTC).

    Attributes:
        discounted_diamonds: how much more it would have been if all coins had been paid for.
    """

    day: str
    earned_diamonds: Amount
    gifts: int
    discounted_diamonds: Amount = 0


class Statistics(Struct, frozen=True):
    """What a creator earned, by day; days without a gift are left out."""

    creator: str
    days: list[DayStatistics]


class PayoutMethodBody(Struct, frozen=True):
    """Where money is to be sent.

    Attributes:
        kind: how money is sent, such as `bank`, `paypal` or `other`.
        label: how the creator recognises it; never the whole account number.
        details: what is needed to pay, such as an IBAN; kept for the operator and never shown again.
    """

    id: Id
    kind: Word
    label: Annotated[str, Meta(min_length=1, max_length=100)]
    details: Annotated[dict[str, str], Meta(max_length=30)] = msgspec_field(default_factory=dict)


class PayoutMethod(Struct, frozen=True):
    """Where money can be sent."""

    id: str
    kind: str
    label: str
    created_ms: TimeMs


class PayoutMethods(Struct, frozen=True):
    """All of a creator's."""

    methods: list[PayoutMethod]


class WithdrawalBody(Struct, frozen=True):
    """Ask for diamonds to be paid out.

    Attributes:
        method: id of a payout method.
    """

    id: Id
    method: Id
    diamonds: Diamonds


class Withdrawal(Struct, frozen=True):
    """A withdrawal and where it stands.

    Attributes:
        asked_diamonds: what was asked for.
        diamonds: what it takes; what is over a whole minor unit stays available.
        amount_minor: to be paid, in minor units of `currency`.
        creator, agency: whose it is; of an agency's `creator` is empty.
    """

    id: str
    creator: str
    method: str
    asked_diamonds: Amount
    diamonds: Amount
    amount_minor: Amount
    currency: str
    state: PayoutState
    requested_ms: TimeMs
    changed_ms: TimeMs
    agency: str | None = None


class WithdrawalStep(Struct, frozen=True):
    """One step of a withdrawal.

    Attributes:
        before: the state before it; null for the first.
        by: who made it; null where a creator asks and it was not the creator.
    """

    before: PayoutState | None
    after: PayoutState
    at_ms: TimeMs
    by: str | None
    note: str


class WithdrawalCourse(Struct, frozen=True):
    """A withdrawal with all of its steps.

    Attributes:
        slip: what is to be done to pay it, for the operator; null for the creator.
    """

    withdrawal: Withdrawal
    steps: list[WithdrawalStep]
    slip: str | None


class Withdrawals(Struct, frozen=True):
    """Withdrawals, the newest first."""

    withdrawals: list[Withdrawal]
    next: str | None


class OverlayTokenBody(Struct, frozen=True):
    """Make a token for an overlay.

    Attributes:
        room: the only room that it is good for; all of the creator's when absent.
        label: how the creator recognises it.
        days: how long it lasts; the server's default when absent.
    """

    room: Name | None = None
    label: Annotated[str, Meta(max_length=100)] = ""
    days: Annotated[int, Meta(ge=1, le=366)] | None = None


class OverlayTokenMade(Struct, frozen=True):
    """A new token. It is told once and cannot be asked for again.

    Attributes:
        jti: names the token, to take it back.
        overlay_path: the overlay's page with the token behind `#`, which browsers keep to themselves.
    """

    jti: str
    token: str
    room: str | None
    label: str
    expires_ms: TimeMs
    overlay_path: str | None


class OverlayToken(Struct, frozen=True):
    """A token that is good now."""

    jti: str
    room: str | None
    label: str
    created_ms: TimeMs
    expires_ms: TimeMs


class OverlayTokens(Struct, frozen=True):
    """All of a creator's that are good now, the newest first."""

    tokens: list[OverlayToken]


class RoomFilters(Struct, frozen=True):
    """Which gifts a creator takes in a room.

    Attributes:
        gift_coins_min: the least that a gift may cost in all, price times count.
        blocked: viewers whose gifts are refused.
        allowed: the only viewers whose gifts are taken; null for all.
        viewer_day_coins_max: coins that the creator takes from one viewer in a day (UTC), counted over all of its rooms
            that have such a limit; null for no limit.
    """

    gift_coins_min: Amount = 0
    blocked: FilterNames = []
    allowed: FilterNames | None = None
    viewer_day_coins_max: Amount | None = None


class OwnRoomBody(Struct, frozen=True):
    """What a creator may change of a room. What is absent stays as it is.

    Attributes:
        filters: takes the place of all of them.
    """

    title: Title | UnsetType = UNSET
    filters: RoomFilters | UnsetType = UNSET


class OwnRoom(Struct, frozen=True):
    """A room as its creator sees it.

    Attributes:
        place: what gifts in it are booked under.
    """

    place: str
    state: RoomState
    share: Share
    filters: RoomFilters


class TrialGiftBody(Struct, frozen=True):
    """Show a gift that nobody paid, to try the overlay."""

    gift: Name
    count: Annotated[int, Meta(ge=1, le=COUNT_MAX)] = 1
    name: Annotated[str, Meta(min_length=1, max_length=40)] = "Test"
    message: Annotated[str, Meta(max_length=MESSAGE_LENGTH_MAX)] | None = None


class TrialGift(Struct, frozen=True):
    """The test gift was told to the room; it is in no total."""

    room: str
    gift: str
    coins: Amount
