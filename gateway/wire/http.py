"""The shapes of every HTTP body and answer, as frozen msgspec Structs.

The same rules as for the WebSocket's messages: unknown fields of a body are passed over, amounts are integers up to
2^53-1, times are milliseconds since the Unix epoch. Where an answer has nothing to say in a field it says null.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec import field as msgspec_field

from gateway.wire.messages import (
    AMOUNT_MAX,
    COUNT_MAX,
    MESSAGE_LENGTH_MAX,
    Amount,
    ComboCount,
    GiftEvent,
    Id,
    Name,
    RoomState,
    Seq,
    TimeMs,
    TopEntry,
)

Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}$", description="ISO 3166-1 alpha-2 code.")]
Platform = Literal["web", "ios", "android"]
PayoutState = Literal["requested", "review", "approved", "sent", "paid", "failed", "returned", "rejected"]
CreatorAccount = Literal["pending", "available", "payout_hold", "paid_out"]
Coins = Annotated[int, Meta(ge=1, le=AMOUNT_MAX)]
Diamonds = Annotated[int, Meta(ge=1, le=AMOUNT_MAX)]
Title = Annotated[str, Meta(max_length=200)]
Word = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Reason = Annotated[str, Meta(min_length=1, max_length=500)]
BasisPoints = Annotated[int, Meta(ge=0, le=10_000, description="Hundredths of a percent.")]
SignedAmount = Annotated[int, Meta(ge=-AMOUNT_MAX, le=AMOUNT_MAX)]


class ProblemDocument(Struct, frozen=True):
    """Why a request was not carried out (RFC 9457).

    Attributes:
        type: where the code is explained.
        title: one sentence, the same for a code.
        status: the HTTP status.
        code: from the registry that HTTP and the WebSocket share.
        retryable: whether the same request may succeed later.
        detail: what was wrong with this very request.
        field: the field of the body (`$.id`) or the parameter (`limit`) that was wrong.
        retry_after_ms: how long to wait before the next try.
        balance_coins: the wallet, with `insufficient_coins`.
        limit: the limit that would be passed.
        resets_at_ms: when that limit counts from zero again.
        missing: what cannot be used now, with the reason, when the process is not ready.
    """

    type: str
    title: str
    status: int
    code: str
    retryable: bool
    detail: str | UnsetType = UNSET
    field: str | UnsetType = UNSET
    retry_after_ms: int | UnsetType = UNSET
    balance_coins: int | UnsetType = UNSET
    limit: str | UnsetType = UNSET
    resets_at_ms: TimeMs | UnsetType = UNSET
    missing: dict[str, str] | UnsetType = UNSET


# Health.


class Health(Struct, frozen=True):
    """The process runs."""

    status: Literal["ok"]


class Readiness(Struct, frozen=True):
    """The process can do its work."""

    status: Literal["ready"]


# The catalogue.


class CatalogTier(Struct, frozen=True):
    """A shelf of the gift panel."""

    tier: int
    name: str
    price_coins_max: Amount


class CatalogGift(Struct, frozen=True):
    """Something that a viewer can send.

    Attributes:
        combo: may be sent in a run that counts up.
        icon, colour: what pages draw for it.
        animation: name of the animation that overlays play.
        effect: how large it is shown.
        duration_ms: how long the animation lasts.
        level_min: sender's level from which it may be sent.
        fans_only: only for members of the creator's fan club.
        on_video: may be sent on recorded videos too.
    """

    id: str
    name: str
    price_coins: Amount
    tier: int
    combo: bool
    icon: str
    colour: str
    animation: str
    effect: Literal["float", "banner", "screen"]
    duration_ms: int
    level_min: int
    fans_only: bool
    on_video: bool


class PackageOffer(Struct, frozen=True):
    """A package of coins as one buyer sees it now.

    Attributes:
        package: its id; `custom` for an amount of the buyer's own choice.
        bonus_coins: on top of `coins`.
        currency: ISO 4217 code.
        exponent: decimals of the currency: `price_minor` 129 is 1.29 with 2.
        price_minor: to be paid, in minor units.
        in_app_price_minor: what the same package costs in the stores, without promotion.
        saving_bp: how much less a coin costs than in the stores, in basis points.
        promotion: id of the promotion that made it so.
    """

    package: str
    coins: Amount
    bonus_coins: Amount
    currency: str
    exponent: int
    price_minor: Amount
    in_app_price_minor: Amount
    saving_bp: int
    promotion: str | None


class Catalog(Struct, frozen=True):
    """Everything that can be given and bought.

    Attributes:
        version: another for every change.
        packages: as a buyer on the web sees them who pays in the default currency.
        levels: coins spent over a lifetime from which level 1, 2, 3, … holds.
    """

    version: str
    tiers: list[CatalogTier]
    gifts: list[CatalogGift]
    packages: list[PackageOffer]
    levels: list[int]


class CustomAmounts(Struct, frozen=True):
    """Bounds of an amount of the buyer's own choice."""

    coins_min: Amount
    coins_max: Amount


class Packages(Struct, frozen=True):
    """What coins cost for a country and a platform. A first purchase may cost less; its price is told when it is made.

    Attributes:
        custom: null where only packages are sold.
    """

    country: str | None
    platform: Platform
    packages: list[PackageOffer]
    custom: CustomAmounts | None


# The viewer.


class Wallet(Struct, frozen=True):
    """A viewer's coins."""

    user: str
    name: str
    level: int
    balance_coins: int


class WalletEntry(Struct, frozen=True):
    """One movement of a wallet.

    Attributes:
        id: of the gift, grant or purchase.
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


class WalletEntries(Struct, frozen=True):
    """Movements of a wallet, the newest first."""

    entries: list[WalletEntry]
    next: int | None


class PurchaseBody(Struct, frozen=True):
    """Buy coins. The price is the catalogue's, never the client's.

    Attributes:
        package: its id, or `custom`.
        coins: how many, for `custom` alone.
        rail: the payment provider.
    """

    id: Id
    package: Word
    platform: Platform
    country: Country | None = None
    coins: Coins | None = None
    rail: Word = "sandbox"


class Purchase(Struct, frozen=True):
    """A purchase and where it stands.

    Attributes:
        checkout: what the provider needs to let the buyer pay, such as an address.
        balance_coins: the wallet right after the coins came in; null before.
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
    """

    id: str
    coins: Amount
    balance_coins: int
    replay: bool
    combo: ComboCount | UnsetType = UNSET


class GiftOutcome(Struct, frozen=True):
    """What became of a gift: it was paid. A gift that was not is a 404.

    Attributes:
        coins: paid for it.
        balance_coins: the wallet right after it.
        place: where it was given, such as `room:demo`.
        combo: running totals right after it; null for a gift outside any combo.
    """

    id: str
    state: Literal["accepted"]
    coins: Amount
    balance_coins: int
    place: str
    gift: str
    price_coins: Amount
    count: int
    creator: str
    at_ms: TimeMs
    combo: ComboCount | None


# Rooms.


class Room(Struct, frozen=True):
    """A room and who earns in it."""

    room: str
    title: str
    creator: str
    creator_name: str
    viewers: int


class Rooms(Struct, frozen=True):
    """Rooms in the order of their names."""

    rooms: list[Room]
    next: str | None


class RoomEvents(Struct, frozen=True):
    """Events of a room's history, the complete ones.

    Attributes:
        next: `after` of the next page; the same as was asked for when nothing new is there.
        recovered: false when events after the asked position are gone: these are the oldest that are left.
    """

    epoch: Seq
    events: list[GiftEvent]
    next: Seq
    recovered: bool


class Leaderboard(Struct, frozen=True):
    """Who gave most in a room."""

    entries: list[TopEntry]


# The creator.


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
        live_diamonds: all that was ever earned, up to this moment; for display.
        pending_diamonds: in the books, and not yet old enough to be withdrawn.
        available_diamonds: can be withdrawn now.
        on_hold_diamonds: in withdrawals that are not yet paid.
        paid_out_diamonds: withdrawn and paid.
        next_matures_ms: when the next pending diamonds become available.
    """

    creator: str
    live_diamonds: Amount
    pending_diamonds: Amount
    available_diamonds: Amount
    on_hold_diamonds: Amount
    paid_out_diamonds: Amount
    next_matures_ms: TimeMs | None
    share: Share
    example: ShareExample


class StatementEntry(Struct, frozen=True):
    """One movement of one of a creator's accounts.

    Attributes:
        id: of the gift or withdrawal.
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
    """What a creator earned on one day (UTC)."""

    day: str
    earned_diamonds: Amount
    gifts: int


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


class OwnRoomBody(Struct, frozen=True):
    """What a creator may change of a room."""

    title: Title


class OwnRoom(Struct, frozen=True):
    """A room as its creator sees it.

    Attributes:
        place: what gifts in it are booked under.
    """

    place: str
    state: RoomState
    share: Share


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


# The operator.


class GrantBody(Struct, frozen=True):
    """Give coins to a user.

    Attributes:
        reason: why; kept with the grant.
    """

    id: Id
    user: Name
    coins: Coins
    reason: Reason


class Grant(Struct, frozen=True):
    """Coins that were given.

    Attributes:
        balance_coins: the wallet right after it.
        replay: this id had been granted before; nothing was given again.
    """

    id: str
    user: str
    coins: Amount
    balance_coins: int
    replay: bool


class CreatorBody(Struct, frozen=True):
    """Make a creator, or replace what is known of one.

    Attributes:
        commission_bp: the platform's part; the deployment's own when absent.
    """

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    country: Country | None = None
    plan: Word = "standard"
    commission_bp: BasisPoints | None = None


class Creator(Struct, frozen=True):
    """Somebody who earns.

    Attributes:
        commission_bp: the platform's part that counts.
        share_percent: the creator's part.
    """

    creator: str
    name: str
    country: str | None
    plan: str
    commission_bp: BasisPoints
    share_percent: float


class Creators(Struct, frozen=True):
    """Creators in the order of their ids."""

    creators: list[Creator]
    next: str | None


class RoomBody(Struct, frozen=True):
    """Make a room, or give it to this creator.

    Attributes:
        title: stays as it is when absent.
    """

    creator: Name
    title: Title | None = None


class AdminRoom(Struct, frozen=True):
    """A room as the operator sees it."""

    room: str
    title: str
    creator: str
    creator_name: str
    commission_bp: BasisPoints


class AdminRooms(Struct, frozen=True):
    """Rooms in the order of their names."""

    rooms: list[AdminRoom]
    next: str | None


class User(Struct, frozen=True):
    """What is known of a user: as a viewer, and as a creator where it is one."""

    user: str
    balance_coins: int
    entries: list[WalletEntry]
    purchases: list[Purchase]
    creator: Creator | None


class AdminPackage(Struct, frozen=True):
    """A package with its price in the stores, by currency, in minor units."""

    id: str
    coins: Amount
    in_app_price_minor: dict[str, Amount]


class AdminPromotion(Struct, frozen=True):
    """Coins for less, or more coins.

    Attributes:
        discount_bp: taken off the price.
        bonus_bp: coins on top, in basis points of the package's.
        bonus_coins: coins on top, a fixed number.
        first_purchase: only for who has never bought.
        starts, ends: valid from and until (RFC 3339), the latter not included; always when null.
        countries, platforms, packages: where it holds; everywhere when empty.
    """

    id: str
    discount_bp: int
    bonus_bp: int
    bonus_coins: Amount
    first_purchase: bool
    starts: str | None
    ends: str | None
    countries: list[str]
    platforms: list[str]
    packages: list[str]


class AdminCatalog(Struct, frozen=True):
    """The catalogue as the operator wrote it.

    Attributes:
        catalog: what everyone sees.
        web_discount_bp: how much less coins cost on the web than in the stores.
    """

    catalog: Catalog
    packages: list[AdminPackage]
    promotions: list[AdminPromotion]
    web_discount_bp: int


class StepBody(Struct, frozen=True):
    """What is noted with a step of a withdrawal; the creator can read it."""

    note: Annotated[str, Meta(max_length=1_000)] = ""


class AuditInvariant(Struct, frozen=True):
    """One invariant, looked at over everything that is stored.

    Attributes:
        checked: how many things were looked at.
        violations: in words; empty when ok.
    """

    id: str
    title: str
    ok: bool
    checked: int
    violations: list[str]


class Audit(Struct, frozen=True):
    """All invariants.

    Attributes:
        units: totals of every account, by unit.
    """

    ok: bool
    checked_at_ms: TimeMs
    invariants: list[AuditInvariant]
    units: dict[str, dict[str, int]]


# The demo.


class Guest(Struct, frozen=True):
    """A viewer of the demo, with some coins to give."""

    token: str
    user: str
    room: str


class Studio(Struct, frozen=True):
    """The demo's creator, for the studio page."""

    token: str
    creator: str
    room: str


class DemoPaymentBody(Struct, frozen=True):
    """What the sandbox's buyer does."""

    outcome: Literal["paid", "declined", "expired"] = "paid"


class Heard(Struct, frozen=True):
    """A webhook was understood.

    Attributes:
        duplicate: this event had been heard before.
    """

    duplicate: bool
