"""Commission plans: how gifts are divided between creator, platform and agency, in versions that are never changed."""

from msgspec import Struct

from gateway.auth import Identity
from gateway.http.operation import declare
from gateway.http.paging import TextPage, cut, wanted
from gateway.http.problems import Problem
from gateway.places import room_place, video_place
from gateway.services import Services
from gateway.wire.codes import Code
from gateway.wire.http.admin import Plan, PlanBody, PlanEvent, Plans
from gateway.wire.http.words import Word
from gateway.wire.messages import Seq
from ledger.books.terms import EventTerms, PlanTerms
from ledger.errors import ValueRefused
from ledger.guards.plans import Plan as Stored


class PlanVersion(Struct, frozen=True):
    """Which version.

    Attributes:
        version: the newest when absent.
    """

    version: Seq | None = None


async def list_plans(services: Services, query: TextPage) -> Plans:
    """List the newest version of each commission plan."""
    limit = wanted(query.limit, services.config.http.page_entries_max)
    rows = await services.office.plans.plans(after=query.after, limit=limit + 1)
    page = cut(rows, limit, lambda row: row.plan)
    return Plans([_answer(row) for row in page.rows], page.next)


async def read_plan(services: Services, plan: Word, query: PlanVersion) -> Plan:
    """Tell what a version of a commission plan says, for instance the one that a record names."""
    stored = await services.office.plans.plan(plan, query.version)
    if stored is None:
        raise Problem(Code.NOT_FOUND, "There is no such plan, or no such version of it.")
    return _answer(stored)


async def put_plan(services: Services, caller: Identity, plan: Word, body: PlanBody) -> Plan:
    """Add a version to a commission plan, which counts for gifts within seconds. What it says already adds none."""
    known = services.desk.catalog.gift
    unknown = [
        gift for gift in (*body.gifts, *(gift for event in body.events for gift in event.gifts)) if not known(gift)
    ]
    if unknown:
        raise Problem(Code.UNPROCESSABLE, f"There is no gift {unknown[0]}.", field="$.gifts")
    terms = PlanTerms(body.commission_bp, body.agency_bp, dict(body.gifts), tuple(map(_event_terms, body.events)))
    try:
        return _answer(await services.office.plans.put(plan, terms, caller.user))
    except ValueRefused as exc:
        raise Problem(Code.UNPROCESSABLE, str(exc), field="$.events") from None


def _event_terms(event: PlanEvent) -> EventTerms:
    places = (*map(room_place, event.rooms), *map(video_place, event.videos))
    return EventTerms(event.from_ms, event.until_ms, event.commission_bp, places, tuple(event.gifts))


def _answer(stored: Stored) -> Plan:
    terms = stored.terms
    return Plan(
        stored.plan,
        stored.version,
        stored.made_by,
        stored.made_ms,
        terms.commission_bp,
        terms.agency_bp,
        terms.items,
        [_event(event) for event in terms.events],
    )


def _event(event: EventTerms) -> PlanEvent:
    named: dict[str, list[str]] = {"room": [], "video": []}
    for place in event.places:
        kind, _, name = place.partition(":")
        named[kind].append(name)
    return PlanEvent(
        event.from_ms, event.until_ms, event.commission_bp, named["room"], named["video"], list(event.items)
    )


OPERATIONS = (
    declare("GET", "/v1/admin/plans", list_plans, tag="operators", roles=("operator",)),
    declare(
        "GET",
        "/v1/admin/plans/{plan}",
        read_plan,
        tag="operators",
        roles=("operator",),
        refuses=(Code.NOT_FOUND,),
    ),
    declare("PUT", "/v1/admin/plans/{plan}", put_plan, tag="operators", roles=("operator",)),
)
