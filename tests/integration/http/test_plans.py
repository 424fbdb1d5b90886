"""Commission plans over HTTP: an operator makes them, gifts are divided by them, agencies have their part."""

from typing import Any

from tests.integration.http.api import CREATOR, OPERATOR, Api, Refusal, refusal

GOLD: dict[str, Any] = {"commission_bp": 4_000, "agency_bp": 1_000, "gifts": {"heart": 2_000}}
FAR_MS = 4_000_000_000_000


async def put_gold(api: Api, **change: Any) -> Any:
    """The plan, and a creator under it who has an agency."""
    plan = await api.put("/v1/admin/plans/gold", GOLD | change)
    await api.put(f"/v1/admin/creators/{CREATOR}", {"name": "Cleo", "plan": "gold", "agency": "stars"})
    api.services.places.forget("room:demo")
    return plan


async def live(api: Api) -> int:
    """What the creator has earned, as the live ledger tells."""
    return int((await api.get("/v1/creators/me/earnings", CREATOR, "creator"))["live_diamonds"])


async def test_gifts_under_a_plan(api: Api) -> None:
    """60 % of a rose and 80 % of a heart are the creator's, 10 % of both the agency's."""
    plan = await put_gold(api)
    assert (plan["version"], plan["made_by"], plan["gifts"]) == (1, OPERATOR, {"heart": 2_000})
    creator = await api.get(f"/v1/admin/creators/{CREATOR}", OPERATOR, "operator")
    assert (creator["commission_bp"], creator["plan_version"], creator["agency"]) == (4_000, 1, "stars")
    await api.grant("vera", 1_000)
    rose = (await api.give("vera", "rose", 10))["coins"]
    assert await live(api) == rose * 60
    heart = (await api.give("vera", "heart", 1))["coins"]
    assert await live(api) == rose * 60 + heart * 80
    await api.flush()
    agencies = (await api.get("/v1/admin/agencies", OPERATOR, "operator"))["agencies"]
    assert agencies == [{"agency": "stars", "diamonds": (rose + heart) * 10, "name": "stars", "country": None}]


async def test_event_of_a_plan(api: Api) -> None:
    """While an event runs in a room its commission counts there, and not elsewhere."""
    event = {"from_ms": 0, "until_ms": FAR_MS, "commission_bp": 0, "rooms": ["demo"], "videos": ["clip"], "gifts": []}
    plan = await put_gold(api, events=[event])
    assert plan["events"] == [event]
    await api.make_room("aside")
    await put_gold(api, events=[event])
    await api.grant("vera", 20)
    await api.give("vera", "rose", 10)
    assert await live(api) == 1_000
    await api.give("vera", "rose", 10, room="aside")
    assert await live(api) == 1_000 + 600


async def test_versions_over_http(api: Api) -> None:
    """The same body makes no version, another one does; the old one is still there to be read."""
    assert [(await put_gold(api))["version"] for _ in range(2)] == [1, 1]
    assert (await put_gold(api, commission_bp=3_000))["version"] == 2
    for version, commission_bp in ((None, 3_000), (1, 4_000), (2, 3_000)):
        query = {} if version is None else {"version": version}
        assert (await api.get("/v1/admin/plans/gold", OPERATOR, "operator", **query))["commission_bp"] == commission_bp
    unknown = await api.call("GET", "/v1/admin/plans/gold", OPERATOR, "operator", params={"version": 3})
    assert refusal(unknown) == Refusal(404, "not_found")
    listed = (await api.get("/v1/admin/plans", OPERATOR, "operator"))["plans"]
    assert [(plan["plan"], plan["version"]) for plan in listed] == [("gold", 2)]


async def test_plan_that_is_refused(api: Api) -> None:
    """Rates out of range, gifts that do not exist and events that end before they begin change nothing."""
    backwards = {"from_ms": 2_000, "until_ms": 1_000, "commission_bp": 0}
    for body, field in (
        ({"commission_bp": 10_001}, "$.commission_bp"),
        ({"gifts": {"unheard_of": 1}}, "$.gifts"),
        ({"events": [{"from_ms": 0, "until_ms": 9, "commission_bp": 0, "gifts": ["unheard_of"]}]}, "$.gifts"),
        ({"events": [backwards]}, "$.events"),
    ):
        answer = await api.call("PUT", "/v1/admin/plans/gold", OPERATOR, "operator", json=body)
        assert refusal(answer) == Refusal(422, "unprocessable", field), body
    assert (await api.get("/v1/admin/plans", OPERATOR, "operator"))["plans"] == []
    viewer = await api.call("PUT", "/v1/admin/plans/gold", "vera", json=GOLD)
    assert refusal(viewer) == Refusal(403, "not_allowed")
