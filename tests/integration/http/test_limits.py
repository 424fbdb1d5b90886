"""Limits on spending, frozen accounts and a room's filters over HTTP: the shapes, and that gifts are judged by them."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from gateway.app import build
from gateway.run.settings.config import Config
from tests.integration.http.api import CREATOR, OPERATOR, ROOM, Api, Refusal, fresh_id, refusal

DAY_MS = 86_400_000


async def refused(api: Api, user: str = "vera", gift: str = "rose", count: int = 1, **more: Any) -> dict[str, Any]:
    """The problem document of a gift that must be refused."""
    body = {"id": fresh_id(), "room": ROOM, "gift": gift, "count": count, **more}
    response = await api.call("POST", "/v1/gifts", user, json=body)
    refusal(response)
    document: dict[str, Any] = response.json()
    return document


async def own_room(api: Api, **changes: Any) -> Any:
    """The creator changes the room."""
    return await api.put(f"/v1/creators/me/rooms/{ROOM}", changes, CREATOR, "creator")


@pytest.fixture
async def capped(config: Config) -> AsyncIterator[Api]:
    """A gateway with an operator's cap of 100 coins a day, and two gifts a minute of which both may come at once."""
    ledger = msgspec.structs.replace(config.ledger, day_coins_max=100, gifts_per_minute=2, gifts_burst=2)
    app = await build(msgspec.structs.replace(config, ledger=ledger))
    await app.start()
    calls = Api(app)
    await calls.make_room()
    yield calls
    await calls.client.aclose()
    await app.stop()


async def test_limits_of_a_viewer_who_has_none(api: Api) -> None:
    """Everything is null but the times at which periods end."""
    told = await api.get("/v1/me/limits", "vera")
    assert told.keys() == {"gift", "day", "week", "month", "refused"}
    fields = ("coins", "operator_coins", "own_coins", "age_coins", "pending", "spent_coins", "resets_at_ms")
    nothing = dict.fromkeys(fields)
    assert told["refused"] is None
    assert told["gift"] == nothing
    assert told["day"] == nothing | {"resets_at_ms": told["day"]["resets_at_ms"]}
    assert told["day"]["resets_at_ms"] % DAY_MS == 0
    assert told["day"]["resets_at_ms"] <= min(told["week"]["resets_at_ms"], told["month"]["resets_at_ms"])


async def test_own_limit_from_set_to_refused(api: Api) -> None:
    """A limit that is set holds at once; the refusal says which, how far, and when it begins anew."""
    await api.grant("vera", 1_000)
    told = await api.put("/v1/me/limits", {"day_coins": 10}, "vera", "viewer")
    assert (told["day"]["coins"], told["day"]["own_coins"], told["day"]["spent_coins"]) == (10, 10, 0)
    assert told["week"]["own_coins"] is None
    await api.give("vera", count=8)
    problem = await refused(api, count=3)
    assert (problem["status"], problem["code"], problem["retryable"]) == (403, "limit_exceeded", False)
    assert (problem["limit"], problem["limit_coins"], problem["spent_coins"]) == ("day", 10, 8)
    assert problem["resets_at_ms"] == told["day"]["resets_at_ms"]
    assert (await api.get("/v1/me/limits", "vera"))["day"]["spent_coins"] == 8


async def test_own_limit_of_a_gift_in_a_refusal(api: Api) -> None:
    """It counts nothing and never begins anew, so the refusal has neither."""
    await api.put("/v1/me/limits", {"gift_coins": 5}, "vera", "viewer")
    problem = await refused(api, count=6)
    assert (problem["limit"], problem["limit_coins"]) == ("gift", 5)
    assert not {"spent_coins", "resets_at_ms"} & problem.keys()


async def test_own_limit_raised_and_removed(api: Api) -> None:
    """The old one holds for a day and the new one is shown with its time; what is absent stays."""
    await api.put("/v1/me/limits", {"day_coins": 10, "month_coins": 50}, "vera", "viewer")
    raised = await api.put("/v1/me/limits", {"day_coins": 20}, "vera", "viewer")
    assert (raised["day"]["coins"], raised["day"]["own_coins"]) == (10, 10)
    assert raised["day"]["pending"]["coins"] == 20
    removed = await api.put("/v1/me/limits", {"day_coins": None}, "vera", "viewer")
    assert removed["day"]["pending"]["coins"] is None
    assert removed["day"]["pending"]["from_ms"] >= raised["day"]["pending"]["from_ms"]
    assert removed["month"] == raised["month"] and removed["month"]["coins"] == 50
    kept = await api.put("/v1/me/limits", {"day_coins": 10}, "vera", "viewer")
    assert kept["day"]["pending"] is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"day_coins": -1}, "$.day_coins"),
        ({"gift_coins": 2**53}, "$.gift_coins"),
        ({"week_coins": "5"}, "$.week_coins"),
    ],
)
async def test_own_limit_out_of_its_bounds(api: Api, body: dict[str, Any], field: str) -> None:
    """The field at fault is named, and nothing is changed."""
    response = await api.call("PUT", "/v1/me/limits", "vera", json=body)
    assert refusal(response) == Refusal(422, "unprocessable", field)
    assert (await api.get("/v1/me/limits", "vera"))["day"]["own_coins"] is None


async def test_operators_limit_and_rate(capped: Api) -> None:
    """Both hold for everybody; the rate says when to come back, also in the header."""
    await capped.grant("vera", 1_000)
    told = await capped.get("/v1/me/limits", "vera")
    assert (told["day"]["coins"], told["day"]["operator_coins"], told["day"]["spent_coins"]) == (100, 100, 0)
    problem = await refused(capped, count=101)
    assert (problem["limit"], problem["limit_coins"], problem["spent_coins"]) == ("day", 100, 0)
    await capped.give("vera", count=60)
    await capped.give("vera", count=40)
    assert (await refused(capped))["code"] == "limit_exceeded"
    await capped.grant("vito", 10)
    await capped.give("vito")
    await capped.give("vito")
    body = {"id": fresh_id(), "room": ROOM, "gift": "rose"}
    response = await capped.call("POST", "/v1/gifts", "vito", json=body)
    assert refusal(response) == Refusal(429, "rate_limited")
    assert 0 < response.json()["retry_after_ms"] <= 30_000
    assert 0 < int(response.headers["retry-after"]) <= 30


async def test_account_frozen_and_thawed(api: Api) -> None:
    """Its gifts are refused with the operator's reason, a replay is not, and the operator sees it."""
    await api.grant("vera", 100)
    body = {"id": fresh_id(), "room": ROOM, "gift": "rose"}
    await api.post("/v1/gifts", body, "vera")
    frozen = await api.put("/v1/admin/users/vera", {"frozen": True, "reason": "A payment was taken back."})
    assert (frozen["frozen"], frozen["frozen_reason"], frozen["balance_coins"]) == (
        True,
        "A payment was taken back.",
        99,
    )
    problem = await refused(api)
    assert (problem["status"], problem["code"]) == (403, "not_allowed")
    assert problem["detail"] == "This account is frozen. A payment was taken back."
    assert (await api.post("/v1/gifts", body, "vera"))["replay"] is True
    assert (await api.get("/v1/admin/users/vera", OPERATOR, "operator"))["frozen"] is True
    thawed = await api.put("/v1/admin/users/vera", {"frozen": False})
    assert (thawed["frozen"], thawed["frozen_reason"]) == (False, None)
    await api.give("vera")


@pytest.mark.parametrize("body", [{"frozen": True}, {"frozen": True, "reason": " "}, {"frozen": False, "reason": "x"}])
async def test_freeze_without_a_reason_or_thaw_with_one(api: Api, body: dict[str, Any]) -> None:
    """The user is told why; without that nothing is frozen."""
    response = await api.call("PUT", "/v1/admin/users/vera", OPERATOR, "operator", json=body)
    assert refusal(response) == Refusal(422, "unprocessable", "$.reason")
    assert (await api.get("/v1/admin/users/vera", OPERATOR, "operator"))["frozen"] is False


async def test_who_may_freeze_and_who_has_limits(api: Api) -> None:
    """Only operators freeze, only viewers have limits of their own."""
    for method, path, role in (
        ("PUT", "/v1/admin/users/vera", "viewer"),
        ("PUT", "/v1/admin/users/vera", "creator"),
        ("GET", "/v1/me/limits", "operator"),
        ("PUT", "/v1/me/limits", "creator"),
    ):
        body = {"frozen": False} if "admin" in path else {}
        response = await api.call(method, path, "vera", role, json=body)  # type: ignore[arg-type]
        assert refusal(response) == Refusal(403, "not_allowed")


async def test_gift_to_oneself(api: Api) -> None:
    """A viewer who is the room's creator is refused, whatever it holds."""
    await api.grant(CREATOR, 10)
    problem = await refused(api, CREATOR)
    assert (problem["code"], problem["detail"]) == ("not_allowed", "Nobody can give to themselves.")


async def test_filters_of_a_room(api: Api) -> None:
    """They hold in the room at once, are shown to the creator, and stay when the title changes."""
    await api.grant("vera", 100)
    await api.grant("vito", 100)
    filters = {"gift_coins_min": 5, "blocked": ["vito"], "allowed": None, "viewer_day_coins_max": 12}
    changed = await own_room(api, filters=filters)
    assert changed["filters"] == filters
    assert (await refused(api, "vito", count=5))["detail"] == "The creator takes no gifts from you here."
    assert (await refused(api, count=4))["detail"] == "Gifts here cost 5 coins or more."
    await api.give("vera", count=5)
    await api.give("vera", count=5)
    problem = await refused(api, count=5)
    assert (problem["code"], problem["limit"]) == ("limit_exceeded", "creator_day")
    assert (problem["limit_coins"], problem["spent_coins"], problem["resets_at_ms"] % DAY_MS) == (12, 10, 0)
    titled = await own_room(api, title="Another title")
    assert (titled["state"]["title"], titled["filters"]) == ("Another title", filters)
    allowed = await own_room(api, filters={"allowed": ["vito"]})
    assert allowed["state"]["title"] == "Another title"
    assert (await refused(api, count=5))["detail"] == "The creator takes gifts here from chosen viewers only."
    await api.give("vito")
    await own_room(api, filters={})
    await api.give("vera", count=90)


async def test_replay_of_a_gift_whose_sender_was_blocked_since(api: Api) -> None:
    """It was paid, and that is what the same id is answered with; another content is still a conflict."""
    await api.grant("vera", 100)
    body = {"id": fresh_id(), "room": ROOM, "gift": "rose"}
    await api.post("/v1/gifts", body, "vera")
    await own_room(api, filters={"blocked": ["vera"]})
    assert (await api.post("/v1/gifts", body, "vera"))["replay"] is True
    response = await api.call("POST", "/v1/gifts", "vera", json=body | {"count": 2})
    assert refusal(response) == Refusal(409, "id_conflict")
    assert (await refused(api))["code"] == "not_allowed"


async def test_room_given_to_another_creator(api: Api) -> None:
    """Whom the one blocked, the other did not; the same creator again keeps its filters."""
    await own_room(api, filters={"blocked": ["vera"]})
    room = {"creator": CREATOR, "title": "Renamed"}
    await api.put(f"/v1/admin/rooms/{ROOM}", room)
    shown = await api.get(f"/v1/creators/me/rooms/{ROOM}", CREATOR, "creator")
    assert shown["filters"]["blocked"] == ["vera"]
    await api.put("/v1/admin/creators/cora", {"name": "Cora"})
    await api.put(f"/v1/admin/rooms/{ROOM}", {"creator": "cora"})
    shown = await api.get(f"/v1/creators/me/rooms/{ROOM}", "cora", "creator")
    assert shown["filters"] == {
        "gift_coins_min": 0,
        "blocked": [],
        "allowed": None,
        "viewer_day_coins_max": None,
    }


@pytest.mark.parametrize(
    ("filters", "field"),
    [
        ({"gift_coins_min": -1}, "$.filters.gift_coins_min"),
        ({"blocked": ["no name"]}, "$.filters.blocked[0]"),
    ],
)
async def test_filters_out_of_their_bounds(api: Api, filters: dict[str, Any], field: str) -> None:
    """The field at fault is named."""
    path = f"/v1/creators/me/rooms/{ROOM}"
    response = await api.call("PUT", path, CREATOR, "creator", json={"filters": filters})
    assert refusal(response) == Refusal(422, "unprocessable", field)
