"""Bodies and answers of the demo alone."""

from typing import Literal

from msgspec import Struct


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
