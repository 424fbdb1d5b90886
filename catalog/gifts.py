"""What can be given: gifts in tiers. Who may send which is decided here, from the gift's fields alone."""

import enum
from typing import Annotated, Literal

from msgspec import Meta, Struct

PRICE_COINS_MAX = 1_000_000
LEVEL_MAX = 100

GiftId = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Label = Annotated[str, Meta(min_length=1, max_length=40)]
Price = Annotated[int, Meta(ge=1, le=PRICE_COINS_MAX)]


class Tier(Struct, frozen=True):
    """A shelf of the gift panel.

    Attributes:
        tier: its place, from 1 (the cheapest).
        price_coins_max: gifts of this tier cost at most this, and more than the tier before.
    """

    tier: Annotated[int, Meta(ge=1, le=9)]
    name: Label
    price_coins_max: Price


class Gift(Struct, frozen=True):
    """Something that a viewer can send.

    Attributes:
        tier: which shelf; must fit the price.
        combo: may be sent in a run that counts up. Dear gifts are one-off instead.
        effect: how large it is shown: `float` beside the feed, `banner` across, `screen` over everything.
        icon, colour: what pages draw for it; `icon` names a drawing that the pages bring along.
        animation: name of the animation that overlays play.
        duration_ms: how long the animation lasts.
        level_min: sender's level from which it may be sent.
        fans_only: only for members of the creator's fan club.
        on_video: may be sent on recorded videos too.
    """

    id: GiftId
    name: Label
    price_coins: Price
    tier: Annotated[int, Meta(ge=1, le=9)]
    icon: GiftId
    colour: Annotated[str, Meta(pattern=r"^#[0-9a-f]{6}$")]
    animation: GiftId
    effect: Literal["float", "banner", "screen"]
    duration_ms: Annotated[int, Meta(ge=500, le=30_000)]
    combo: bool = False
    level_min: Annotated[int, Meta(ge=0, le=LEVEL_MAX)] = 0
    fans_only: bool = False
    on_video: bool = False


class Barrier(enum.Enum):
    """Why a gift cannot be sent by this sender here."""

    LEVEL = "level"
    FANS_ONLY = "fans_only"
    NOT_ON_VIDEO = "not_on_video"


def barrier(gift: Gift, *, level: int, fan: bool, on_video: bool) -> Barrier | None:
    """What stands between a sender and a gift; None when it may be sent.

    Args:
        level: of the sender.
        fan: whether the sender belongs to the receiver's fan club.
        on_video: whether it is meant for a recorded video, not a room.
    """
    if level < gift.level_min:
        return Barrier.LEVEL
    if gift.fans_only and not fan:
        return Barrier.FANS_ONLY
    if on_video and not gift.on_video:
        return Barrier.NOT_ON_VIDEO
    return None
