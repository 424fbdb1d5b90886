"""Gifter levels: a badge beside the name, by the coins that a viewer has spent in all its life."""

import bisect
from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Struct


class Levels(Struct, frozen=True):
    """The table of levels.

    Attributes:
        coins_from: lifetime coins from which level 1, 2, 3, … holds; rising. Below the first one the level is 0.
    """

    coins_from: tuple[Annotated[int, Meta(ge=1)], ...]


def level_of(coins_from: Sequence[int], lifetime_coins: int) -> int:
    """The level that so many coins, spent over a lifetime, have reached; 0 before the first."""
    return bisect.bisect_right(coins_from, lifetime_coins)
