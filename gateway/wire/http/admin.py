"""Bodies and answers of an operator: grants, creators, rooms, catalogue, withdrawals, audit."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from gateway.wire.http.public import Catalog
from gateway.wire.http.words import BasisPoints, Coins, Country, HoldState, SignedAmount, Title, Word
from gateway.wire.messages import Amount, Id, Name, TimeMs

Reason = Annotated[str, Meta(min_length=1, max_length=500)]
RefundKind = Literal["refund", "chargeback"]
RefundState = Literal["owed", "taken", "settled", "voided"]


GRANT_COINS_MAX: Final = 10**12
"""Some zeros too many must not fill what a partition can count in all: no purchase would come in there any more."""
GrantedCoins = Annotated[int, Meta(ge=1, le=GRANT_COINS_MAX)]


class GrantBody(Struct, frozen=True):
    """Give coins to a user.

    Attributes:
        reason: why; kept with the grant.
        worth_bp: what one of the coins is worth to the creator that it is given to, in basis points of a paid coin; as
            the server is configured when absent. It stays with the coins.
    """

    id: Id
    user: Name
    coins: GrantedCoins
    reason: Reason
    worth_bp: BasisPoints | None = None


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


class RefundBody(Struct, frozen=True):
    """Give coins of a purchase back.

    Attributes:
        coins: of those bought and their bonus; all that are left to refund when absent.
        reason: why; kept with the refund.
        money: whether the payment provider gives the money back, and may tell of it, or it goes another way.
    """

    id: Id
    purchase: Id
    kind: RefundKind
    reason: Reason
    coins: Coins | None = None
    money: Literal["provider", "other"] = "provider"


class RefundByHandBody(Struct, frozen=True):
    """Settle a refund by hand that is set apart.

    Attributes:
        note: why; kept with the refund.
    """

    note: Reason


class Reinstated(Struct, frozen=True):
    """What was taken for a refund comes back: a dispute was won, or the refund failed.

    Attributes:
        by: the operator, or the payment provider that told of it.
        done_ms: absent, with what follows, while the refund is not settled or voided.
        coins: granted to the user.
        creator_diamonds: given back to creators, at once available.
    """

    by: str
    reason: str
    done_ms: TimeMs | None = None
    coins: Amount | None = None
    creator_diamonds: Amount | None = None


class Refund(Struct, frozen=True):
    """A refund or charge-back.

    Attributes:
        by: the operator, or the payment provider that told of it.
        state: `owed` until the wallet gave what it has to give, then `taken`, then `settled` when the creators' part is
            done; `voided` when the purchase was wholly refunded before it was paid.
        taken_coins: from the wallet; `balance_coins` is the wallet right after.
        returned_coins: those of `coins` that had paid for gifts.
        creator_diamonds, commission_diamonds: taken back for them.
        borne_diamonds: the creators' part that they keep, at the platform's cost.
        set_apart: why it contradicts the books and waits for an operator; absent while it does not.
        settled_by: the operator who settled it by hand.
        reinstated: what comes back for it; absent while nothing does.
        money: `told` where the payment provider told of it, else as it was ordered.
    """

    id: str
    purchase: str
    user: str
    kind: RefundKind
    coins: Amount
    reason: str
    by: str
    state: RefundState
    at_ms: TimeMs
    taken_coins: Amount | None
    balance_coins: int | None
    returned_coins: Amount | None
    creator_diamonds: Amount | None
    commission_diamonds: Amount | None
    borne_diamonds: Amount | None
    set_apart: str | None = None
    settled_by: str | None = None
    reinstated: Reinstated | None = None
    money: Literal["told", "provider", "other"] = "provider"


class Refunds(Struct, frozen=True):
    """Refunds by their ids, the greatest first."""

    refunds: list[Refund]
    next: str | None


HoldEndState = Literal["settled", "voided", "expired"]


class HoldBody(Struct, frozen=True):
    """Put coins of a user aside.

    Attributes:
        lasts_ms: after so long the hold expires, unless it was settled or voided.
        reference: what it is for, such as an order's number; kept with the hold.
    """

    id: Id
    user: Name
    coins: Coins
    lasts_ms: Annotated[int, Meta(ge=1, le=2**40)]
    reference: Annotated[str, Meta(max_length=200)] = ""


class HoldBegun(Struct, frozen=True):
    """Coins that were put aside.

    Attributes:
        expires_ms: from then on nothing can be taken.
        balance_coins: the wallet right after it.
        replay: this id had been told before; nothing was put aside again.
    """

    id: str
    user: str
    coins: Amount
    expires_ms: TimeMs
    balance_coins: int
    replay: bool


class HoldSettleBody(Struct, frozen=True):
    """Take coins of a hold.

    Attributes:
        coins: how many; all when absent.
    """

    coins: Coins | None = None


class HoldEnded(Struct, frozen=True):
    """A hold that has ended.

    Attributes:
        coins: what it held; all but `taken_coins` went back into the wallet.
        balance_coins: the wallet right after it ended.
        replay: it had ended before.
    """

    id: str
    user: str
    state: HoldEndState
    coins: Amount
    taken_coins: Amount
    balance_coins: int
    at_ms: TimeMs
    replay: bool


class Hold(Struct, frozen=True):
    """A hold as it stands; `taken_coins` and `ended_ms` are of one that has ended."""

    id: str
    user: str
    coins: Amount
    reference: str
    state: HoldState
    begun_ms: TimeMs
    expires_ms: TimeMs
    taken_coins: Amount | None
    ended_ms: TimeMs | None


class Holds(Struct, frozen=True):
    """A user's holds, the newest first."""

    holds: list[Hold]
    next: int | None


class ViewerLot(Struct, frozen=True):
    """Coins of one purchase (or its bonus) or grant; coins = left + spent + reversed.

    Attributes:
        id: of the purchase or grant.
        spent_coins: paid for gifts, in a hold or taken of one; `returned_coins` of them were refunded since.
        reversed_coins: taken out of the wallet by refunds.
        worth_bp: what one of the coins is worth to the creator that it is given to, in basis points of a paid coin.
    """

    id: str
    kind: Literal["paid", "bonus", "granted"]
    at_ms: TimeMs
    coins: Amount
    left_coins: Amount
    spent_coins: Amount
    reversed_coins: Amount
    returned_coins: Amount
    worth_bp: BasisPoints = 10_000


class ViewerLots(Struct, frozen=True):
    """A user's coins by where they came from, in the order in which they are spent.

    Attributes:
        debt_coins: what refunds took beyond all lots.
    """

    user: str
    debt_coins: Amount
    lots: list[ViewerLot]
    next: int | None


class PaidGift(Struct, frozen=True):
    """What coins of a purchase or grant paid of a gift.

    Attributes:
        creator_diamonds: with what coins that were not paid for are worth less; the platform has the rest.
        bonus: paid with the bonus coins of the purchase.
        refunded: these coins were refunded since.
        held: the gift may be undone still; its creator has nothing of it yet.
    """

    gift: str
    creator: str
    place: str
    at_ms: TimeMs
    coins: Amount
    creator_diamonds: Amount
    commission_diamonds: Amount
    bonus: bool
    refunded: bool
    held: bool


class PaidGifts(Struct, frozen=True):
    """What the coins of a purchase or grant paid for, in the order of the gifts."""

    id: str
    gifts: list[PaidGift]
    next: int | None


class CreatorBody(Struct, frozen=True):
    """Make a creator, or replace what is known of one.

    Attributes:
        plan: a commission plan; one that does not exist has the deployment's own terms.
        commission_bp: the platform's part, agreed with this creator; the plan's when absent.
        agency: who looks after the creator and is given the plan's `agency_bp` of the platform's part.
    """

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    country: Country | None = None
    plan: Word = "standard"
    commission_bp: BasisPoints | None = None
    agency: Name | None = None


class Creator(Struct, frozen=True):
    """Somebody who earns.

    Attributes:
        commission_bp: the platform's part that counts.
        share_percent: the creator's part.
        plan_version: which of the plan's versions counts; 0 where there is no such plan.
    """

    creator: str
    name: str
    country: str | None
    plan: str
    commission_bp: BasisPoints
    share_percent: float
    plan_version: int = 0
    agency: str | None = None


class Creators(Struct, frozen=True):
    """Creators in the order of their ids."""

    creators: list[Creator]
    next: str | None


class PlanEvent(Struct, frozen=True):
    """Another commission for a time.

    Attributes:
        from_ms, until_ms: when; the latter not included.
        rooms, videos: where; everywhere when both are empty.
        gifts: for which gifts; for all when empty.
    """

    from_ms: TimeMs
    until_ms: TimeMs
    commission_bp: BasisPoints
    rooms: list[Name] = []
    videos: list[Name] = []
    gifts: list[Name] = []


class PlanBody(Struct, frozen=True):
    """What a commission plan says from now on. The first event that runs counts, else the gift's rate, else the plan's.

    Attributes:
        commission_bp: the platform's part; the deployment's own when absent.
        agency_bp: of a gift's whole value, what the creator's agency is given of the platform's part.
        gifts: a commission for single gifts.
    """

    commission_bp: BasisPoints | None = None
    agency_bp: BasisPoints = 0
    gifts: Annotated[dict[Name, BasisPoints], Meta(max_length=1_000)] = {}
    events: Annotated[list[PlanEvent], Meta(max_length=100)] = []


class Plan(Struct, frozen=True):
    """One version of a commission plan. Records of gifts name the one that divided them."""

    plan: str
    version: int
    made_by: str
    made_at_ms: TimeMs
    commission_bp: BasisPoints | None
    agency_bp: BasisPoints
    gifts: dict[str, BasisPoints]
    events: list[PlanEvent]


class Plans(Struct, frozen=True):
    """The newest version of each plan, by name."""

    plans: list[Plan]
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


class VideoBody(Struct, frozen=True):
    """Make a recorded video known, or give it to this creator.

    Attributes:
        title: stays as it is when absent.
    """

    creator: Name
    title: Title | None = None


class AdminVideo(Struct, frozen=True):
    """A recorded video as the operator sees it."""

    video: str
    title: str
    creator: str
    creator_name: str
    commission_bp: BasisPoints


class AdminVideos(Struct, frozen=True):
    """Videos in the order of their names."""

    videos: list[AdminVideo]
    next: str | None


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


AccountKindName = Literal[
    "wallet",
    "coins_sold",
    "coins_granted",
    "coins_reversed",
    "coins_held",
    "coins_charged",
    "spent",
    "issuance",
    "commission",
    "residue",
    "discount",
    "agency",
    "pending",
    "available",
    "payout_hold",
    "paid_out",
    "agency_matured",
    "commission_returned",
    "residue_returned",
    "redeemed",
    "payout_funds",
]
Unit = Annotated[str, Meta(pattern=r"^(coins|diamonds|[A-Z]{3})$(?!\n)", description="Where there are several.")]


class AccountEntry(Struct, frozen=True):
    """One movement of an account.

    Attributes:
        number: 1, 2, 3 and so on over the life of the account.
        id: of the gift, grant, purchase or step that moved it.
        at_ms: when it took effect.
        recorded_at_ms: when the books came to have it; null of one from before that was kept.
        amount: what was moved, negative when it left.
        balance_after: what the account held right after it.
    """

    number: int
    id: str
    at_ms: TimeMs
    recorded_at_ms: TimeMs | None
    cause: str
    amount: SignedAmount
    balance_after: SignedAmount


class Account(Struct, frozen=True):
    """An account at a time.

    Attributes:
        partition: whose journal moves it; -1 when several do, or the books themselves.
        balance: all that had happened by then.
        entries: up to then, the newest first.
    """

    kind: AccountKindName
    owner: str
    unit: str
    partition: int
    at_ms: TimeMs
    balance: SignedAmount
    entries: list[AccountEntry]
    next: int | None


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
