"""Which recorded videos gifts can be given on, and who earns with them.

Nobody is in a video as one is in a room: its gifts are paid and booked, and shown nowhere by us.
"""

from typing import Final

from gateway.http.operation import declare
from gateway.http.paging import TextPage, cut, wanted
from gateway.http.problems import Problem
from gateway.places import video_place
from gateway.services import Services
from gateway.shown import shown
from gateway.wire.codes import Code
from gateway.wire.http.admin import AdminVideo, AdminVideos, VideoBody
from gateway.wire.http.words import TITLE_LENGTH_MAX
from gateway.wire.messages import Name
from ledger.errors import NotFound
from ledger.guards.directory import Place

_PREFIX: Final = video_place("")


async def list_videos(services: Services, query: TextPage) -> AdminVideos:
    """List videos in the order of their names."""
    limit = wanted(query.limit, services.config.http.page_entries_max)
    after = None if query.after is None else video_place(query.after)
    places = await services.office.directory.places(prefix=_PREFIX, after=after, limit=limit + 1)
    page = cut(places, limit, _video_name)
    return AdminVideos([_answer(place) for place in page.rows], page.next)


async def read_video(services: Services, video: Name) -> AdminVideo:
    """Tell who earns with a video."""
    place = await services.places.find(video_place(video))
    if place is None:
        raise Problem(Code.UNKNOWN_ROOM)
    return _answer(place)


async def put_video(services: Services, video: Name, body: VideoBody) -> AdminVideo:
    """Make a video known, or give it to this creator: gifts can be sent on it from now on."""
    title = None if body.title is None else shown(body.title, TITLE_LENGTH_MAX)
    try:
        place = await services.office.directory.put_place(video_place(video), creator=body.creator, title=title)
    except NotFound:
        raise Problem(Code.UNPROCESSABLE, "There is no such creator.", field="$.creator") from None
    services.places.forget(place.place)
    return _answer(place)


def _answer(place: Place) -> AdminVideo:
    return AdminVideo(_video_name(place), place.title, place.creator, place.creator_name, place.terms.standing_bp)


def _video_name(place: Place) -> str:
    return place.place.removeprefix(_PREFIX)


OPERATIONS = (
    declare("GET", "/v1/admin/videos", list_videos, tag="operators", roles=("operator",)),
    declare(
        "GET",
        "/v1/admin/videos/{video}",
        read_video,
        tag="operators",
        roles=("operator",),
        refuses=(Code.UNKNOWN_ROOM,),
    ),
    declare("PUT", "/v1/admin/videos/{video}", put_video, tag="operators", roles=("operator",)),
)
