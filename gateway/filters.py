"""What a creator takes at a place: the settings that the ledger's directory keeps for us, and what they bar.

Names and amounts of the gift at hand are all that this looks at. What has to be counted, the coins of a viewer in a
day, goes with the order to the money script; so does a bar, since the gift may be a replay of one that was paid before.
"""

import functools
from typing import Final

import msgspec
from msgspec import Struct

_SETTINGS_CACHED_MAX: Final = 1_000


class Filters(Struct, frozen=True, omit_defaults=True):
    """Which gifts a creator takes.

    Attributes:
        gift_coins_min: the least that a gift may cost in all, price times count.
        blocked: viewers whose gifts are refused.
        allowed: the only viewers whose gifts are taken; None for all.
        viewer_day_coins_max: coins that one viewer may give the creator in a day (UTC); None for no cap.
    """

    gift_coins_min: int = 0
    blocked: frozenset[str] = frozenset()
    allowed: frozenset[str] | None = None
    viewer_day_coins_max: int | None = None

    def bar(self, viewer: str, coins: int) -> str | None:
        """Why a gift is not taken, for people; None when it is."""
        if viewer in self.blocked:
            return "The creator takes no gifts from you here."
        if self.allowed is not None and viewer not in self.allowed:
            return "The creator takes gifts here from chosen viewers only."
        if coins < self.gift_coins_min:
            return f"Gifts here cost {self.gift_coins_min} coins or more."
        return None


class PlaceSettings(Struct, frozen=True, omit_defaults=True):
    """All settings of a place."""

    filters: Filters = Filters()


NO_FILTERS: Final = Filters()


@functools.lru_cache(maxsize=_SETTINGS_CACHED_MAX)
def read_settings(stored: bytes) -> PlaceSettings:
    """The settings of a place as the directory holds them; cheap when they were read before.

    Raises:
        msgspec.DecodeError: something else stored them.
    """
    return msgspec.msgpack.decode(stored, type=PlaceSettings) if stored else PlaceSettings()


def write_settings(settings: PlaceSettings) -> bytes:
    """The settings as the directory is to hold them."""
    return msgspec.msgpack.encode(settings)
