"""Which rooms there are, and who earns in them."""

from gateway.http.operation import declare
from gateway.http.paging import TextPage, cut, wanted
from gateway.http.problems import Problem
from gateway.http.public.rooms import find_room, room_name
from gateway.places import room_place
from gateway.room.facts import ROOM_PLACE
from gateway.services import Services
from gateway.shown import shown
from gateway.wire.codes import Code
from gateway.wire.http.admin import AdminRoom, AdminRooms, RoomBody
from gateway.wire.http.words import TITLE_LENGTH_MAX
from gateway.wire.messages import Name
from ledger.errors import NotFound
from ledger.guards.directory import Place


async def list_admin_rooms(services: Services, query: TextPage) -> AdminRooms:
    """List rooms in the order of their names."""
    limit = wanted(query.limit, services.config.http.page_entries_max)
    after = None if query.after is None else room_place(query.after)
    places = await services.office.directory.places(prefix=ROOM_PLACE, after=after, limit=limit + 1)
    page = cut(places, limit, room_name)
    return AdminRooms([_answer(place) for place in page.rows], page.next)


async def read_admin_room(services: Services, room: Name) -> AdminRoom:
    """Tell who earns in a room."""
    return _answer(await find_room(services, room))


async def put_room(services: Services, room: Name, body: RoomBody) -> AdminRoom:
    """Make a room, or give it to this creator: gifts can be sent in it from now on."""
    title = None if body.title is None else shown(body.title, TITLE_LENGTH_MAX)
    directory = services.office.directory
    before = await directory.place(room_place(room))
    # Whom one creator blocked, another did not.
    settings = None if before is None or before.creator == body.creator else b""
    try:
        place = await directory.put_place(room_place(room), creator=body.creator, title=title, settings=settings)
    except NotFound:
        raise Problem(Code.UNPROCESSABLE, "There is no such creator.", field="$.creator") from None
    services.places.forget(place.place)
    services.rooms.place_changed(place)
    return _answer(place)


def _answer(place: Place) -> AdminRoom:
    return AdminRoom(room_name(place), place.title, place.creator, place.creator_name, place.terms.standing_bp)


OPERATIONS = (
    declare("GET", "/v1/admin/rooms", list_admin_rooms, tag="operators", roles=("operator",)),
    declare(
        "GET",
        "/v1/admin/rooms/{room}",
        read_admin_room,
        tag="operators",
        roles=("operator",),
        refuses=(Code.UNKNOWN_ROOM,),
    ),
    declare("PUT", "/v1/admin/rooms/{room}", put_room, tag="operators", roles=("operator",)),
)
