"""Bodies and answers that anyone may ask for: problems, health, catalogue, rooms, webhooks."""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from gateway.wire.http.words import Platform
from gateway.wire.messages import Amount, GiftEvent, Seq, TimeMs, TopEntry, UndoneEvent


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
        limit_coins, spent_coins: with a limit of coins, how many it allows and how many were counted before.
        resets_at_ms: when that limit counts from zero again.
        age_min: with `under_age` and `guardian_needed`, the age in years from which that ends.
        limits_needed: with `own_limits_needed`, which limits the viewer has to set.
        bound: where the server itself can take no more, of what; `bound_max`: how much that may be.
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
    limit_coins: Amount | UnsetType = UNSET
    spent_coins: Amount | UnsetType = UNSET
    age_min: int | UnsetType = UNSET
    limits_needed: list[str] | UnsetType = UNSET
    bound: str | UnsetType = UNSET
    bound_max: Amount | UnsetType = UNSET
    missing: dict[str, str] | UnsetType = UNSET


class Health(Struct, frozen=True):
    """The process runs."""

    status: Literal["ok"]


class Readiness(Struct, frozen=True):
    """The process can do its work."""

    status: Literal["ready"]


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
    events: list[GiftEvent | UndoneEvent]
    next: Seq
    recovered: bool


class Leaderboard(Struct, frozen=True):
    """Who gave most in a room."""

    entries: list[TopEntry]


class Heard(Struct, frozen=True):
    """A webhook was understood.

    Attributes:
        duplicate: this event had been heard before.
    """

    duplicate: bool
