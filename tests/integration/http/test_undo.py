"""Dear gifts over HTTP, in rooms and on videos: taken back in time, paid when the time is over."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from gateway.app import build
from gateway.room.config import RoomConfig
from gateway.run.settings.config import Config
from tests.integration.http.api import CREATOR, ROOM, Api, Refusal, fresh_id, refusal
from tests.waiting import until_true

GRANTED, COINS = 100, 15
SETTLE_S_MAX = 10.0
PLACES = pytest.mark.parametrize("place", [{"room": ROOM}, {"video": "song"}], ids=["room", "video"])


@pytest.fixture
async def api(config: Config) -> AsyncIterator[Api]:
    """A gateway where what costs 15 coins can be undone for a minute; Vera has coins, and there is a video."""
    rooms = RoomConfig(undo_coins_min=COINS, undo_window_ms=60_000)
    app = await build(msgspec.structs.replace(config, rooms=rooms))
    await app.start()
    calls = Api(app)
    await calls.make_room()
    await calls.put("/v1/admin/videos/song", {"creator": CREATOR})
    await calls.grant("vera", GRANTED)
    yield calls
    await calls.client.aclose()
    await app.stop()


async def give(api: Api, place: dict[str, str], count: int = 3, gift: str = "coffee") -> Any:
    """Coffees, three of which can be undone."""
    return await api.post("/v1/gifts", {"id": fresh_id(), "gift": gift, "count": count, **place}, "vera")


async def earned(api: Api) -> int:
    """What the creator has earned, live."""
    return int((await api.get("/v1/creators/me/earnings", CREATOR, "creator"))["live_diamonds"])


@PLACES
async def test_gift_is_taken_back(api: Api, place: dict[str, str]) -> None:
    """The coins are back, nobody earns anything, and the same again is a replay."""
    given = await give(api, place)
    assert given["balance_coins"] == GRANTED - COINS
    assert given["undo_until_ms"] > 0
    back = await api.post(f"/v1/gifts/{given['id']}/undo", None, "vera")
    assert back == {"id": given["id"], "coins": COINS, "balance_coins": GRANTED, "replay": False}
    again = await api.post(f"/v1/gifts/{given['id']}/undo", None, "vera")
    assert again == {"id": given["id"], "coins": COINS, "balance_coins": GRANTED, "replay": True}
    assert (await api.get("/v1/wallet", "vera"))["balance_coins"] == GRANTED
    assert await earned(api) == 0


async def test_operator_sees_what_is_held_among_what_coins_paid_for(api: Api) -> None:
    """A gift that can be undone is marked among the gifts that a grant paid for, and gone when it was undone."""
    await api.flush()
    lots = await api.get("/v1/admin/users/vera/lots", "olga", "operator")
    path = f"/v1/admin/purchases/{lots['lots'][0]['id']}/gifts"
    given, kept = await give(api, {"room": ROOM}), await give(api, {"room": ROOM}, count=1)
    await api.flush()

    async def listed() -> list[tuple[str, int, bool]]:
        gifts = (await api.get(path, "olga", "operator"))["gifts"]
        return [(gift["gift"], gift["coins"], gift["held"]) for gift in gifts]

    assert await listed() == [(given["id"], COINS, True), (kept["id"], 5, False)]
    await api.post(f"/v1/gifts/{given['id']}/undo", None, "vera")
    await api.flush()
    assert await listed() == [(kept["id"], 5, False)]


@pytest.mark.parametrize("flushed", [False, True], ids=["journal", "books"])
async def test_what_became_of_a_gift(api: Api, *, flushed: bool) -> None:
    """It is held while it can be undone, then undone; a cheap one is accepted from the beginning."""
    given, kept = await give(api, {"room": ROOM}), await give(api, {"room": ROOM}, count=1)
    path = f"/v1/gifts/{given['id']}"
    if flushed:
        await api.flush()
    held = await api.get(path, "vera")
    assert (held["state"], held["coins"], held["undo_until_ms"]) == ("held", COINS, given["undo_until_ms"])
    assert (await api.get(f"/v1/gifts/{kept['id']}", "vera"))["state"] == "accepted"
    await api.post(f"{path}/undo", None, "vera")
    for _ in range(2):
        undone = await api.get(path, "vera")
        assert (undone["state"], undone["coins"], undone["at_ms"]) == ("undone", COINS, held["at_ms"])
        assert (undone["balance_coins"], "undo_until_ms" in undone) == (GRANTED - COINS, False)
        await api.flush()
    entries = (await api.get("/v1/wallet/entries", "vera"))["entries"]
    assert [(entry["cause"], entry["id"], entry["coins"]) for entry in entries] == [
        ("undo", given["id"], COINS),
        ("gift", kept["id"], -5),
        ("gift", given["id"], -COINS),
    ]


async def test_what_became_of_a_gift_whose_time_is_over(config: Config) -> None:
    """It is accepted from that moment on, also before anybody settled it, and earned when somebody has."""
    rooms = RoomConfig(undo_coins_min=COINS, undo_window_ms=100)
    app = await build(msgspec.structs.replace(config, rooms=rooms))
    await app.start()
    api = Api(app)
    try:
        await api.make_room()
        await api.grant("vera", GRANTED)
        path = f"/v1/gifts/{(await give(api, {'room': ROOM}))['id']}"

        async def accepted() -> bool:
            return bool((await api.get(path, "vera"))["state"] == "accepted")

        await until_true(accepted, SETTLE_S_MAX)
        assert await earned(api) == 0
        partitions = [partition for partition, _ in api.services.ledger.keys.all()]
        assert await api.services.office.undos.settle_due(partitions) == 1
        await api.flush()
        settled = await api.get(path, "vera")
        assert (settled["state"], settled["coins"], "undo_until_ms" in settled) == ("accepted", COINS, False)
        assert await earned(api) == COINS * 50
        assert refusal(await api.call("POST", f"{path}/undo", "vera")) == Refusal(410, "undo_expired")
    finally:
        await api.client.aclose()
        await app.stop()


@PLACES
async def test_gift_that_cannot_be_undone(api: Api, place: dict[str, str]) -> None:
    """One below the bound is paid at once, and has no time that could be over."""
    given = await give(api, place, count=2)
    assert "undo_until_ms" not in given
    response = await api.call("POST", f"/v1/gifts/{given['id']}/undo", "vera")
    assert refusal(response) == Refusal(410, "undo_expired")
    assert await earned(api) == 10 * 50


async def test_gift_that_is_not_the_callers(api: Api) -> None:
    """Another viewer's gift, and an id of none, are not there; a creator may not ask, and nobody without a token."""
    given = await give(api, {"room": ROOM})
    path = f"/v1/gifts/{given['id']}/undo"
    assert refusal(await api.call("POST", path, "bo")) == Refusal(404, "not_found")
    assert refusal(await api.call("POST", f"/v1/gifts/{fresh_id()}/undo", "vera")) == Refusal(404, "not_found")
    assert refusal(await api.call("POST", path, CREATOR, "creator")) == Refusal(403, "not_allowed")
    assert refusal(await api.call("POST", path)) == Refusal(401, "unauthorized")
    assert refusal(await api.call("POST", "/v1/gifts/nonsense/undo", "vera")).status == 422
    assert (await api.get("/v1/wallet", "vera"))["balance_coins"] == GRANTED - COINS
