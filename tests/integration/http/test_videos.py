"""Gifts on recorded videos: paid and booked like any other, shown in no room."""

from tests.integration.http.api import CREATOR, OPERATOR, Api, Refusal, fresh_id, refusal

VIDEO = "first_song"


async def test_gift_on_a_video(api: Api) -> None:
    """It costs the viewer its price, brings the creator half of it, and the statement names the video."""
    await api.put(f"/v1/admin/videos/{VIDEO}", {"creator": CREATOR, "title": "My first song"})
    await api.grant("vera", 20)
    order = {"id": fresh_id(), "video": VIDEO, "gift": "coffee", "count": 3}
    given = await api.post("/v1/gifts", order, "vera")
    assert (given["coins"], given["balance_coins"]) == (15, 5)
    await api.flush()
    entry = (await api.get("/v1/wallet/entries", "vera"))["entries"][0]
    assert (entry["id"], entry["coins"], entry["balance_coins"]) == (order["id"], -15, 5)
    earnings = await api.get("/v1/creators/me/earnings", CREATOR, "creator")
    assert earnings["pending_diamonds"] + earnings["available_diamonds"] == 15 * 50
    again = await api.post("/v1/gifts", order, "vera")
    assert (again["replay"], again["balance_coins"]) == (True, 5)


async def test_gift_that_is_for_rooms_only(api: Api) -> None:
    """A gift that the catalogue does not offer on videos is refused there, and costs nothing."""
    await api.put(f"/v1/admin/videos/{VIDEO}", {"creator": CREATOR})
    await api.grant("vera", 5)
    order = {"id": fresh_id(), "video": VIDEO, "gift": "rose"}
    assert refusal(await api.call("POST", "/v1/gifts", "vera", json=order)) == Refusal(409, "gift_not_available")
    assert (await api.get("/v1/wallet", "vera"))["balance_coins"] == 5


async def test_videos_are_listed_apart_from_rooms(api: Api) -> None:
    """A room and a video may bear one name; each is found under its own."""
    await api.put("/v1/admin/videos/demo", {"creator": CREATOR, "title": "A film of that name"})
    await api.put(f"/v1/admin/videos/{VIDEO}", {"creator": CREATOR})
    page = await api.get("/v1/admin/videos", OPERATOR, "operator", limit=1)
    assert [video["video"] for video in page["videos"]] == ["demo"]
    page = await api.get("/v1/admin/videos", OPERATOR, "operator", after=page["next"])
    assert [(video["video"], video["title"]) for video in page["videos"]] == [(VIDEO, "")]
    assert (await api.get("/v1/admin/videos/demo", OPERATOR, "operator"))["title"] == "A film of that name"
    assert (await api.get("/v1/admin/rooms/demo", OPERATOR, "operator"))["title"] == "Room demo"


async def test_video_of_nobody(api: Api) -> None:
    """A video needs a creator who exists; on one that is not known nothing can be sent."""
    response = await api.call("PUT", "/v1/admin/videos/x", OPERATOR, "operator", json={"creator": "nobody"})
    assert refusal(response) == Refusal(422, "unprocessable", "$.creator")
    assert refusal(await api.call("GET", "/v1/admin/videos/x", OPERATOR, "operator")) == Refusal(404, "unknown_room")
    order = {"id": fresh_id(), "video": "x", "gift": "coffee"}
    assert refusal(await api.call("POST", "/v1/gifts", "vera", json=order)) == Refusal(404, "unknown_room")
