"""The search for what a server can carry: rates are raised until more offered brings no more accepted."""

from collections.abc import Awaitable, Callable
from typing import Final

from msgspec import Struct

FIRST_RATE: Final = 2_000.0
STEP_FACTOR: Final = 1.4
FRUITLESS_MAX: Final = 2
"""The search ends after so many rates in a row that brought no more than lower ones."""


class Capacity(Struct, frozen=True):
    """What rising rates have shown: gifts a second that were accepted at most, and at most offered and held."""

    most_per_s: float
    held_per_s: float | None


class Step(Struct, frozen=True):
    """What came of one rate: gifts a second that were accepted, and whether all were, and soon."""

    accepted_per_s: float
    held: bool


async def climb(offer: Callable[[float], Awaitable[Step]], rate_max: float) -> Capacity:
    """Raise the rate until more offered brings no more accepted.

    Args:
        offer: offers a rate for some seconds.
        rate_max: of what is offered.
    """
    most, held, rate, fruitless = 0.0, 0.0, FIRST_RATE, 0
    while rate <= rate_max and fruitless < FRUITLESS_MAX:
        step = await offer(rate)
        held = rate if step.held else held
        fruitless = 0 if step.accepted_per_s > most else fruitless + 1
        most, rate = max(most, step.accepted_per_s), rate * STEP_FACTOR
    return Capacity(most, held)
