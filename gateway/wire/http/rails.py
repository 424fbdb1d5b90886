"""Bodies and answers of an operator about payment providers: what they said and no purchase could use."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from gateway.wire.http.admin import Reason
from gateway.wire.messages import TimeMs

UnusableEffect = Literal["wrong_amount", "unknown_purchase"]


class UnusableEvent(Struct, frozen=True):
    """What a payment provider said, signed, and no purchase could use: money may have been taken for nothing.

    Attributes:
        event: the provider's name of it.
        purchase: the id that the provider named.
        outcome: what became of the money, in our words.
        effect: `wrong_amount` where it speaks of other money than the purchase's, `unknown_purchase` where none is.
    """

    rail: str
    event: str
    purchase: str
    outcome: str
    amount_minor: int
    currency: str
    effect: UnusableEffect
    at_ms: TimeMs


class UnusableEvents(Struct, frozen=True):
    """Those that nobody has put aside, newest first."""

    events: list[UnusableEvent]


class LookedBody(Struct, frozen=True):
    """Put an event aside.

    Attributes:
        event: the provider's name of it.
        note: what was found; kept with the event.
    """

    event: Annotated[str, Meta(min_length=1, max_length=200)]
    note: Reason
