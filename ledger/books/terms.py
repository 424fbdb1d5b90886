"""Which part of a gift is whose: terms of plans, of creators, of gifts and of events. No I/O, no clock.

The most special rule counts: an event that runs at the place, else the gift's own rate in the plan, else the creator's
own, else the plan's, else the deployment's. The agency's part is taken from the commission, never from the creator.

A record keeps the terms that divided it as text: plan and version (`gold@3`), nothing where the deployment's own
counted, and behind a colon the commission in basis points where that is not of whole percents (`gold@3:3333`, `:3333`).
No other leaves a residue, so a record says of itself for ever how much it left.
"""

import functools
import re
from typing import Annotated, Final

from msgspec import Meta, Struct

from ledger.commission import divide, residue
from ledger.errors import InvariantBroken

RATE_MARK: Final = ":"
"""What stands before the rate in the terms of a record, and nowhere else in them."""
_RATE: Final = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)
_WHOLE_PERCENT: Final = 100
_TEXTS_CACHED_MAX: Final = 1 << 12
BasisPoints = Annotated[int, Meta(ge=0, le=10_000)]
EVENTS_MAX = 100
ITEMS_MAX = 1_000


class EventTerms(Struct, frozen=True):
    """A rate for a time.

    Attributes:
        from_ms, until_ms: when; the latter not included.
        places: where, such as `room:demo`; everywhere when empty.
        items: for which gifts of the catalogue; for all when empty.
    """

    from_ms: Annotated[int, Meta(ge=0)]
    until_ms: Annotated[int, Meta(ge=0)]
    commission_bp: BasisPoints
    places: tuple[str, ...] = ()
    items: tuple[str, ...] = ()

    def holds(self, place: str, item: str, now_ms: int) -> bool:
        """Whether it counts for this gift now."""
        return (
            self.from_ms <= now_ms < self.until_ms
            and (not self.places or place in self.places)
            and (not self.items or item in self.items)
        )


class PlanTerms(Struct, frozen=True):
    """What a version of a plan says.

    Attributes:
        commission_bp: the platform's part; None for the deployment's own.
        agency_bp: the agency's part of a gift's whole value, at most the commission; for creators that have an agency.
        items: a commission for a gift of the catalogue.
        events: the first that holds counts.
    """

    commission_bp: BasisPoints | None = None
    agency_bp: BasisPoints = 0
    items: Annotated[dict[str, BasisPoints], Meta(max_length=ITEMS_MAX)] = {}
    events: Annotated[tuple[EventTerms, ...], Meta(max_length=EVENTS_MAX)] = ()


class Parts(Struct, frozen=True):
    """A gift, divided.

    Attributes:
        creator_diamonds, commission_diamonds: their sum is the gift's value.
        agency_diamonds: what of the commission is the agency's.
        terms: what divided it, as its record keeps that.
    """

    creator_diamonds: int
    commission_diamonds: int
    agency_diamonds: int
    terms: str = ""


class Terms(Struct, frozen=True):
    """What counts for a creator.

    Attributes:
        plan, version: the plan by name, and which of its versions; 0 where there is no such plan.
        agency: who looks after the creator; empty for nobody.
        deployment_bp: the commission where nothing else says one.
        own_bp: agreed with this creator alone.
    """

    plan: str
    version: int
    agency: str
    deployment_bp: int
    own_bp: int | None
    of_plan: PlanTerms

    @property
    def name(self) -> str:
        """Plan and version; empty where the deployment's own terms count."""
        return f"{self.plan}@{self.version}" if self.version else ""

    @property
    def standing_bp(self) -> int:
        """The commission of gifts for which neither the plan nor an event says another."""
        if self.own_bp is not None:
            return self.own_bp
        return self.deployment_bp if self.of_plan.commission_bp is None else self.of_plan.commission_bp

    def commission_bp(self, place: str, item: str, now_ms: int) -> int:
        """The commission of one gift."""
        for event in self.of_plan.events:
            if event.holds(place, item, now_ms):
                return event.commission_bp
        return self.of_plan.items.get(item, self.standing_bp)

    def parts(self, coins: int, place: str, item: str, now_ms: int) -> Parts:
        """Divide a gift."""
        commission_bp = self.commission_bp(place, item, now_ms)
        terms = f"{self.name}{RATE_MARK}{commission_bp}" if commission_bp % _WHOLE_PERCENT else self.name
        return Parts(*divide(coins, commission_bp, self.of_plan.agency_bp if self.agency else 0), terms)


def default_terms(deployment_bp: int) -> Terms:
    """The terms of who has none of its own."""
    return Terms("", 0, "", deployment_bp, None, PlanTerms())


@functools.lru_cache(_TEXTS_CACHED_MAX)
def rate_of(terms: str) -> int | None:
    """The commission that a record's terms say, in basis points; None where they say none.

    Raises:
        InvariantBroken: they say something else (I1).
    """
    _, mark, rate = terms.partition(RATE_MARK)
    if not mark:
        return None
    if not _RATE.fullmatch(rate):
        raise InvariantBroken("I1", f"terms {terms!r} say no rate")
    return int(rate)


def residue_of(terms: str, coins: int) -> int:
    """The residue of a gift of so many coins by the terms of its record, in diamonds; raises as `rate_of`."""
    commission_bp = rate_of(terms)
    return 0 if commission_bp is None else residue(coins, commission_bp)
