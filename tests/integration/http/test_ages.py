"""Ages over HTTP: told by operators, shown, and what gifts, purchases and withdrawals are refused with."""

import datetime
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.app import build
from gateway.run.settings.config import Config
from gateway.wire.messages import Role
from tests.integration.http.api import CREATOR, OPERATOR, ROOM, Api, Refusal, fresh_id, refusal

COUNTRIES = """
[default]
withdraw_age_min = 18
minors = { under_age = 18, day_coins_max = 30 }

[[country]]
code = "CN"
give_age_min = 8
buy_age_min = 8
guardian_ages = [8, 16]
own_caps_needed = ["gift", "day"]
"""


@pytest.fixture
async def api(config: Config, tmp_path: Path) -> AsyncIterator[Api]:
    """A gateway with rules of its own."""
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "countries.toml").write_text(COUNTRIES)
    app = await build(msgspec.structs.replace(config, catalog_file=tmp_path / "catalog"))
    await app.start()
    calls = Api(app)
    await calls.make_room()
    yield calls
    await calls.client.aclose()
    await app.stop()


@pytest.fixture
async def wary(config: Config) -> AsyncIterator[Api]:
    """A gateway with the packaged rules where ages must be known."""
    ledger = msgspec.structs.replace(config.ledger, unknown_age="refuse")
    app = await build(msgspec.structs.replace(config, ledger=ledger))
    await app.start()
    calls = Api(app)
    await calls.make_room()
    yield calls
    await calls.client.aclose()
    await app.stop()


def years_ago(years: int) -> str:
    """A birth date of somebody who has been so old for half a year."""
    day = datetime.datetime.now(datetime.UTC).date() - datetime.timedelta(days=183)
    return str(day.replace(year=day.year - years, day=min(day.day, 28)))


async def tell(api: Api, user: str, **known: Any) -> Any:
    """What is known of a user."""
    return await api.put(f"/v1/admin/users/{user}/age", known)


async def problem(api: Api, path: str = "/v1/gifts", body: dict[str, Any] | None = None) -> Any:
    """The document of a refusal: of a gift where nothing else is said."""
    body = body or {"id": fresh_id(), "room": ROOM, "gift": "rose"}
    role: Role = "creator" if "creators" in path else "viewer"
    response = await api.call("POST", path, CREATOR if role == "creator" else "vera", role, json=body)
    refusal(response)
    return response.json()


async def test_age_told_and_forgotten(api: Api) -> None:
    """Absent stays, null is not known any more, a date and a least age take each other's place."""
    nothing = dict.fromkeys(("birth_date", "age_at_least", "country", "guardian", "guardian_since_ms"))
    assert (await api.get("/v1/admin/users/vera", OPERATOR, "operator"))["age"] == nothing
    told = await tell(api, "vera", birth_date="2012-05-01", country="CN")
    assert told["age"] == nothing | {"birth_date": "2012-05-01", "country": "CN"}
    told = await tell(api, "vera", age_at_least=16, guardian="Mrs Li")
    since_ms = told["age"]["guardian_since_ms"]
    assert told["age"] == {
        "birth_date": None,
        "age_at_least": 16,
        "country": "CN",
        "guardian": "Mrs Li",
        "guardian_since_ms": since_ms,
    }
    told = await tell(api, "vera", birth_date=None, country=None, guardian=None)
    assert told["age"] == nothing


async def test_gift_by_age_from_told_to_refused(api: Api) -> None:
    """Each refusal has its code and the number that explains it; a replay is a replay."""
    await api.grant("vera", 100)
    body = {"id": fresh_id(), "room": ROOM, "gift": "rose"}
    await api.post("/v1/gifts", body, "vera")
    told = await tell(api, "vera", birth_date=years_ago(7), country="CN")
    assert told["limits"]["refused"] == {"code": "under_age", "age_min": 8, "limits_needed": []}
    refused = await problem(api)
    assert (refused["status"], refused["code"], refused["age_min"]) == (403, "under_age", 8)
    assert (await api.post("/v1/gifts", body, "vera"))["replay"] is True
    await tell(api, "vera", birth_date=years_ago(16))
    refused = await problem(api)
    assert (refused["code"], refused["age_min"], refused["retryable"]) == ("guardian_needed", 17, False)
    await tell(api, "vera", guardian="Mrs Li")
    refused = await problem(api)
    assert (refused["code"], refused["limits_needed"]) == ("own_limits_needed", ["gift", "day"])
    shown = await api.get("/v1/me/limits", "vera")
    assert shown["refused"] == {"code": "own_limits_needed", "age_min": None, "limits_needed": ["gift", "day"]}
    limits = await api.put("/v1/me/limits", {"gift_coins": 10, "day_coins": 50}, "vera", "viewer")
    assert (limits["refused"], limits["day"]["coins"], limits["day"]["age_coins"]) == (None, 30, 30)
    # The first gift was before anything was known, and so before anything was counted.
    for _ in range(3):
        await api.give("vera", count=10)
    refused = await problem(api)
    assert (refused["code"], refused["limit"], refused["limit_coins"]) == ("limit_exceeded", "day", 30)


async def test_purchase_by_age(api: Api) -> None:
    """It is refused with the code of a gift's, and begins with a guardian's consent."""
    order = {"id": fresh_id(), "package": "coins_100", "platform": "web"}
    await tell(api, "vera", birth_date=years_ago(12), country="CN")
    refused = await problem(api, "/v1/purchases", order)
    assert (refused["status"], refused["code"], refused["age_min"]) == (403, "guardian_needed", 17)
    await tell(api, "vera", birth_date=years_ago(7), guardian="Mrs Li")
    refused = await problem(api, "/v1/purchases", order)
    assert (refused["code"], refused["age_min"]) == ("under_age", 8)
    await tell(api, "vera", birth_date=years_ago(8))
    assert (await api.post("/v1/purchases", order, "vera"))["state"] == "pending"


async def test_withdrawal_by_age(api: Api) -> None:
    """Too young is said before anything else that a withdrawal lacks."""
    await tell(api, CREATOR, birth_date=years_ago(17))
    path, body = "/v1/creators/me/withdrawals", {"id": fresh_id(), "method": fresh_id(), "diamonds": 150_000}
    refused = await problem(api, path, body)
    assert (refused["status"], refused["code"], refused["age_min"]) == (403, "under_age", 18)
    await tell(api, CREATOR, birth_date=years_ago(18))
    assert (await problem(api, path, body))["code"] == "unknown_method"


async def test_unknown_age_where_it_must_be_known(wary: Api) -> None:
    """Gifts, purchases and withdrawals are refused, and what may be spent is shown with the reason."""
    await wary.grant("vera", 10)
    refused = await problem(wary)
    assert (refused["status"], refused["code"]) == (403, "age_unknown")
    assert "age_min" not in refused
    assert (await wary.get("/v1/me/limits", "vera"))["refused"]["code"] == "age_unknown"
    order = {"id": fresh_id(), "package": "coins_100", "platform": "web"}
    assert (await problem(wary, "/v1/purchases", order))["code"] == "age_unknown"
    body = {"id": fresh_id(), "method": fresh_id(), "diamonds": 1}
    path = "/v1/creators/me/withdrawals"
    assert (await problem(wary, path, body))["code"] == "age_unknown"
    await tell(wary, "vera", age_at_least=18)
    await wary.give("vera")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"birth_date": "2012-02-30"}, "$.birth_date"),
        ({"birth_date": "2999-01-01"}, "$.birth_date"),
        ({"birth_date": "2012-02-03", "age_at_least": 3}, "$.age_at_least"),
        ({"age_at_least": -1}, "$.age_at_least"),
        ({"age_at_least": 121}, "$.age_at_least"),
        ({"country": "cn"}, "$.country"),
        ({"guardian": ""}, "$.guardian"),
        ({"guardian": "\u200b"}, "$.guardian"),
    ],
)
async def test_age_out_of_its_bounds(api: Api, body: dict[str, Any], field: str) -> None:
    """The field at fault is named, and nothing is known."""
    response = await api.call("PUT", "/v1/admin/users/vera/age", OPERATOR, "operator", json=body)
    assert refusal(response) == Refusal(422, "unprocessable", field)
    assert (await api.get("/v1/admin/users/vera", OPERATOR, "operator"))["age"]["birth_date"] is None


async def test_who_may_tell_ages(api: Api) -> None:
    """Operators alone."""
    roles: list[Role] = ["viewer", "creator"]
    for role in roles:
        response = await api.call("PUT", "/v1/admin/users/vera/age", "vera", role, json={"age_at_least": 18})
        assert refusal(response) == Refusal(403, "not_allowed")
