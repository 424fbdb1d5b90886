"""Rooms over HTTP: who earns there, who gives most, and the complete history without a hole."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from gateway.app import build
from gateway.room.config import RoomConfig
from gateway.rooms.relay import Relay
from gateway.run.settings.config import Config
from tests.integration.http.api import CREATOR, OPERATOR, Api, Refusal, refusal
from tests.integration.http.conftest import PAGE_ENTRIES_MAX
from tests.waiting import back_off

EVENTS = "/v1/rooms/demo/events"
WITHIN_S = 10.0
GIFTS_MAX = 300


@contextlib.asynccontextmanager
async def relaying(api: Api) -> AsyncIterator[None]:
    """The relay runs meanwhile."""
    services = api.services
    task = asyncio.create_task(Relay(services.ledger, services.broker, services.config.rooms).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def told(api: Api, seq: int) -> None:
    """Wait until the room was told so many facts."""
    async with asyncio.timeout(WITHIN_S):
        while (await api.services.broker.snapshot("demo")).seq < seq:
            await back_off()


async def test_history_page_by_page(api: Api) -> None:
    """Every gift is there once, with its id, in order; `next` leads through all of them, and then stays."""
    await api.grant("vera", 100)
    async with relaying(api):
        gifts = [(await api.give("vera", count=number))["id"] for number in range(1, 6)]
        await told(api, 5)
    seen: list[Any] = []
    after = 0
    while True:
        page = await api.get(EVENTS, CREATOR, "creator", after=after, limit=1_000)
        assert page["recovered"] and len(page["events"]) <= PAGE_ENTRIES_MAX
        if not page["events"]:
            break
        seen, after = seen + page["events"], page["next"]
    assert [event["id"] for event in seen] == gifts
    assert [event["seq"] for event in seen] == [1, 2, 3, 4, 5]
    assert (after, page["next"]) == (5, 5)
    board = await api.get("/v1/rooms/demo/leaderboard")
    assert [(entry["user"], entry["coins"]) for entry in board["entries"]] == [("vera", 15)]


@pytest.fixture
async def forgetful(config: Config) -> AsyncIterator[Api]:
    """A gateway whose rooms keep few facts."""
    app = await build(msgspec.structs.replace(config, rooms=RoomConfig(history_facts_max=2)))
    await app.start()
    calls = Api(app)
    await calls.make_room()
    yield calls
    await calls.client.aclose()
    await app.stop()


async def test_history_that_is_gone(forgetful: Api) -> None:
    """Who asks for events that are gone is told so, and given the oldest that are left."""
    await forgetful.grant("vera", 1_000)
    async with relaying(forgetful):
        given, oldest = 0, 1
        while oldest == 1 and given < GIFTS_MAX:
            await forgetful.give("vera")
            given += 1
            await told(forgetful, given)
            oldest = (await forgetful.services.broker.snapshot("demo")).oldest_seq
    assert oldest > 1
    page = await forgetful.get(EVENTS, CREATOR, "creator", after=0)
    assert (page["recovered"], page["events"][0]["seq"]) == (False, oldest)
    assert page["next"] == page["events"][-1]["seq"]
    known = await forgetful.get(EVENTS, CREATOR, "creator", after=oldest)
    assert (known["recovered"], known["events"][0]["seq"]) == (True, oldest + 1)
    other_epoch = await forgetful.get(EVENTS, CREATOR, "creator", after=oldest, epoch=77)
    assert other_epoch["recovered"] is False


async def test_history_is_for_its_owner(api: Api) -> None:
    """The room's creator, its overlays and operators may read it; other creators and other rooms' tokens may not."""
    allowed = [api.token(CREATOR, "creator"), api.token(CREATOR, "overlay"), api.token(OPERATOR, "operator")]
    for token in (*allowed, api.token(CREATOR, "overlay", room="demo")):
        assert (await api.call("GET", EVENTS, token=token)).status_code == 200
    for token in (api.token("other", "creator"), api.token(CREATOR, "overlay", room="elsewhere")):
        assert refusal(await api.call("GET", EVENTS, token=token)) == Refusal(403, "not_allowed")


async def test_rooms_are_listed(api: Api) -> None:
    """Rooms come in the order of their names, each once, over all pages."""
    for room in ("a", "b", "c", "d", "zz"):
        await api.make_room(room)
    names: list[str] = []
    after = None
    while not names or after is not None:
        page = await api.get("/v1/rooms", **({} if after is None else {"after": after}), limit=2)
        names += [room["room"] for room in page["rooms"]]
        after = page["next"]
    assert names == ["a", "b", "c", "d", "demo", "zz"]
    listed = await api.get("/v1/admin/rooms", OPERATOR, "operator")
    assert [room["room"] for room in listed["rooms"]] == ["a", "b", "c"]
    assert listed["rooms"][0]["commission_bp"] == 5_000


async def test_room_of_nobody(api: Api) -> None:
    """A room needs a creator who exists, and a room that does not exist is a 404 everywhere."""
    response = await api.call("PUT", "/v1/admin/rooms/x", OPERATOR, "operator", json={"creator": "nobody"})
    assert refusal(response) == Refusal(422, "unprocessable", "$.creator")
    for path in ("/v1/rooms/x", "/v1/rooms/x/leaderboard", "/v1/rooms/x/events"):
        assert refusal(await api.call("GET", path, CREATOR, "creator")) == Refusal(404, "unknown_room")


async def test_room_that_was_asked_for_before_it_existed(api: Api) -> None:
    """A room exists from its PUT on, also where somebody had looked for it in vain."""
    assert (await api.call("GET", "/v1/rooms/later")).status_code == 404
    await api.make_room("later")
    await api.grant("vera", 1)
    assert (await api.give("vera", room="later"))["coins"] == 1
