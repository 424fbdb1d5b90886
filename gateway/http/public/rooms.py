"""Rooms as anyone may see them, and their complete history for those who show it."""

import asyncio
from typing import Annotated

from msgspec import Meta, Struct

from gateway.auth import Identity
from gateway.http.operation import declare
from gateway.http.paging import ENTRIES_DEFAULT, Limit, TextPage, cut, wanted
from gateway.http.problems import Problem
from gateway.places import room_place
from gateway.room.facts import ROOM_PLACE, complete_events
from gateway.services import Services
from gateway.wire.codes import Code
from gateway.wire.http.public import Leaderboard, Room, RoomEvents, Rooms
from gateway.wire.messages import Name, Seq
from ledger.guards.directory import Place

_ASKER = "http"
"""Asks how many viewers a room has, in the name of no gateway: it has none of its own to add."""


class EventsPage(Struct, frozen=True):
    """Where to go on in a room's history.

    Attributes:
        after: seq of the last event that is known; 0 for the beginning.
        epoch: the epoch of that seq; the room's present one when absent.
    """

    after: Seq = 0
    epoch: Seq | None = None
    limit: Limit = ENTRIES_DEFAULT


class BoardSize(Struct, frozen=True):
    """How long the list is to be."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 10


async def list_rooms(services: Services, query: TextPage) -> Rooms:
    """List the rooms, in the order of their names."""
    limit = wanted(query.limit, services.config.http.page_entries_max)
    after = None if query.after is None else room_place(query.after)
    places = await services.office.directory.places(prefix=ROOM_PLACE, after=after, limit=limit + 1)
    page = cut(places, limit, lambda place: room_name(place))
    viewers = await asyncio.gather(*(viewers_of(services, room_name(place)) for place in page.rows))
    return Rooms([_room(place, seen) for place, seen in zip(page.rows, viewers, strict=True)], page.next)


async def read_room(services: Services, room: Name) -> Room:
    """Tell who earns in a room and how many watch."""
    place = await find_room(services, room)
    return _room(place, await viewers_of(services, room))


async def read_leaderboard(services: Services, room: Name, query: BoardSize) -> Leaderboard:
    """Tell who gave most in a room, the highest first; anonymous gifts are not counted."""
    await find_room(services, room)
    return Leaderboard(await services.broker.board(room, query.limit))


async def read_events(services: Services, caller: Identity, room: Name, query: EventsPage) -> RoomEvents:
    """Read a room's history: every gift with its id, in order and without a hole.

    For the room's creator, its overlays and operators. When events after the asked position are gone, `recovered` is
    false and the oldest that are left are given.
    """
    place = await find_room(services, room)
    check_owner(caller, room, place)
    return await _events(services, room, query)


async def find_room(services: Services, room: str) -> Place:
    """A room's place.

    Raises:
        Problem: there is no such room.
    """
    place = await services.places.find(room_place(room))
    if place is None:
        raise Problem(Code.UNKNOWN_ROOM)
    return place


def check_owner(caller: Identity, room: str, place: Place) -> None:
    """See that a room is the caller's own, and that its token is good for it. All rooms are an operator's.

    Raises:
        Problem: it is not.
    """
    if caller.room is not None and caller.room != room:
        raise Problem(Code.NOT_ALLOWED, "This token is for another room.")
    if caller.role != "operator" and caller.user != place.creator:
        raise Problem(Code.NOT_ALLOWED, "This room is another creator's.")


async def viewers_of(services: Services, room: str) -> int:
    """How many viewers a room has, on all gateways together."""
    return await services.broker.count_viewers(room, _ASKER, 0)


def room_name(place: Place) -> str:
    """The room that a place is."""
    return place.place.removeprefix(ROOM_PLACE)


async def _events(services: Services, room: str, query: EventsPage) -> RoomEvents:
    limit = wanted(query.limit, services.config.http.page_entries_max)
    snapshot = await services.broker.snapshot(room)
    epoch = snapshot.epoch if query.epoch is None else query.epoch
    batches = await services.broker.since(room, epoch, query.after, limit)
    recovered = batches is not None
    if batches is None:
        # What was asked for is gone, and the oldest may go while we ask: then the page is empty and asked for again.
        batches = await services.broker.since(room, snapshot.epoch, snapshot.oldest_seq - 1, limit) or []
    events = [event for batch in batches for event in complete_events(batch)]
    reached = batches[-1].last_seq if batches else (query.after if recovered else snapshot.oldest_seq - 1)
    return RoomEvents(batches[-1].epoch if batches else snapshot.epoch, events, reached, recovered)


def _room(place: Place, viewers: int) -> Room:
    return Room(room_name(place), place.title, place.creator, place.creator_name, viewers)


OPERATIONS = (
    declare("GET", "/v1/rooms", list_rooms, tag="rooms"),
    declare("GET", "/v1/rooms/{room}", read_room, tag="rooms", refuses=(Code.UNKNOWN_ROOM,)),
    declare("GET", "/v1/rooms/{room}/leaderboard", read_leaderboard, tag="rooms", refuses=(Code.UNKNOWN_ROOM,)),
    declare(
        "GET",
        "/v1/rooms/{room}/events",
        read_events,
        tag="rooms",
        roles=("creator", "overlay", "operator"),
        refuses=(Code.UNKNOWN_ROOM,),
    ),
)
