"""A creator's own rooms: how they stand, what they are called, and a gift to try the overlay with."""

import time
from typing import Final

import msgspec
from msgspec import UNSET

from gateway.auth import NAME_LENGTH_MAX, Identity
from gateway.filters import Filters, read_settings, write_settings
from gateway.gifts import shown_message
from gateway.http.creator.share import share_of
from gateway.http.operation import declare
from gateway.http.problems import Problem
from gateway.http.public.rooms import check_owner, find_room, viewers_of
from gateway.places import room_place
from gateway.room.facts import GiftFact
from gateway.services import Services
from gateway.shown import shown
from gateway.wire.codes import Code
from gateway.wire.http.creator import OwnRoom, OwnRoomBody, RoomFilters, TrialGift, TrialGiftBody
from gateway.wire.http.words import TITLE_LENGTH_MAX
from gateway.wire.messages import Name, RoomState
from ledger.guards.directory import Place

TRIAL_SENDER: Final = "test"


async def read_own_room(services: Services, caller: Identity, room: Name) -> OwnRoom:
    """Tell how a room stands, and what of a gift in it is the creator's."""
    return await _answer(services, room, await _own(services, caller, room))


async def change_own_room(services: Services, caller: Identity, room: Name, body: OwnRoomBody) -> OwnRoom:
    """Change a room's title, or which gifts are taken in it. Filters hold in every gateway within 5 seconds."""
    # Asked anew: what another gateway changed in the last seconds must not be undone.
    services.places.forget(room_place(room))
    place = await _own(services, caller, room)
    changed = await services.office.directory.put_place(
        place.place,
        creator=place.creator,
        title=None if body.title is UNSET else shown(body.title, TITLE_LENGTH_MAX),
        settings=None if body.filters is UNSET else _with_filters(place, body.filters),
    )
    services.places.forget(changed.place)
    services.rooms.place_changed(changed)
    return await _answer(services, room, changed)


async def send_trial_gift(services: Services, caller: Identity, room: Name, body: TrialGiftBody) -> TrialGift:
    """Show a gift that nobody paid, to try the overlay. It is marked `test`, and is in no total and on no list."""
    place = await _own(services, caller, room)
    gift = services.catalog.gift(body.gift)
    if gift is None:
        raise Problem(Code.UNKNOWN_GIFT)
    coins = gift.price_coins * body.count
    fact = GiftFact(
        partition=0,
        record=0,
        id=b"",
        sender=TRIAL_SENDER,
        name=shown(body.name, NAME_LENGTH_MAX) or TRIAL_SENDER,
        level=0,
        anonymous=False,
        to=place.creator,
        gift=gift.id,
        price_coins=gift.price_coins,
        count=body.count,
        coins=coins,
        at_ms=int(time.time() * 1000),
        message=shown_message(body.message),
        test=True,
    )
    await services.broker.test_gift(room, fact)
    return TrialGift(room, gift.id, coins)


def _with_filters(place: Place, filters: RoomFilters) -> bytes:
    changed = Filters(
        filters.gift_coins_min,
        frozenset(filters.blocked),
        None if filters.allowed is None else frozenset(filters.allowed),
        filters.viewer_day_coins_max,
    )
    return write_settings(msgspec.structs.replace(read_settings(place.settings), filters=changed))


def _shown_filters(place: Place) -> RoomFilters:
    filters = read_settings(place.settings).filters
    return RoomFilters(
        filters.gift_coins_min,
        sorted(filters.blocked),
        None if filters.allowed is None else sorted(filters.allowed),
        filters.viewer_day_coins_max,
    )


async def _own(services: Services, caller: Identity, room: str) -> Place:
    place = await find_room(services, room)
    check_owner(caller, room, place)
    return place


async def _answer(services: Services, room: str, place: Place) -> OwnRoom:
    state = RoomState(
        room=room,
        title=place.title,
        creator=place.creator,
        creator_name=place.creator_name,
        viewers=await viewers_of(services, room),
        leaderboard=await services.broker.board(room),
        combo_window_ms=services.config.rooms.combo_window_ms,
    )
    share = share_of(place.terms.standing_bp, services.config.ledger)
    return OwnRoom(room_place(room), state, share, _shown_filters(place))


_REFUSES: Final = (Code.UNKNOWN_ROOM,)

OPERATIONS = (
    declare("GET", "/v1/creators/me/rooms/{room}", read_own_room, tag="rooms", roles=("creator",), refuses=_REFUSES),
    declare("PUT", "/v1/creators/me/rooms/{room}", change_own_room, tag="rooms", roles=("creator",), refuses=_REFUSES),
    declare(
        "POST",
        "/v1/creators/me/rooms/{room}/test-gift",
        send_trial_gift,
        tag="overlays",
        roles=("creator",),
        refuses=(*_REFUSES, Code.UNKNOWN_GIFT),
    ),
)
