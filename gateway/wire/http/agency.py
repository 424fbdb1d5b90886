"""Bodies and answers of an agency: what it was given of its creators' gifts, and how it is paid."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from gateway.wire.http.creator import DayStatistics
from gateway.wire.http.words import Country
from gateway.wire.messages import Amount, TimeMs

AgencyAccount = Literal["available", "payout_hold"]


class AgencyBody(Struct, frozen=True):
    """Make an agency, or replace what is known of one. A creator that names an agency makes it, too."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    country: Country | None = None


class Agency(Struct, frozen=True):
    """An agency, and what it was given of all gifts in the books."""

    agency: str
    diamonds: Amount
    name: str = ""
    country: str | None = None


class Agencies(Struct, frozen=True):
    """Agencies by id."""

    agencies: list[Agency]
    next: str | None


class AgencyEarnings(Struct, frozen=True):
    """An agency's diamonds, as far as the books are.

    Attributes:
        given_diamonds: of all gifts, ever.
        pending_diamonds: not yet old enough to be withdrawn.
        available_diamonds: can be withdrawn now.
        on_hold_diamonds: in withdrawals that are not yet paid.
        paid_out_diamonds: withdrawn and paid.
        next_matures_ms: when the next pending diamonds become available.
        discounted_diamonds: what gifts brought less, ever, since their coins were not all paid for.
        payout_currency: what diamonds are paid out in (ISO 4217).
        diamonds_per_minor: diamonds for one minor unit of that currency.
    """

    agency: str
    given_diamonds: Amount
    pending_diamonds: Amount
    available_diamonds: Amount
    on_hold_diamonds: Amount
    paid_out_diamonds: Amount
    next_matures_ms: TimeMs | None
    discounted_diamonds: Amount
    payout_currency: str
    diamonds_per_minor: int


class AgencyStatistics(Struct, frozen=True):
    """What an agency was given, by day; days without a gift are left out."""

    agency: str
    days: list[DayStatistics]


class AgencyCreators(Struct, frozen=True):
    """The creators that an agency looks after now, by id."""

    agency: str
    creators: list[str]
    next: str | None
