"""Agencies over HTTP: what they were given, how they are paid, and what is not theirs to see."""

import datetime
from typing import Any

import pytest

from tests.integration.http.api import CREATOR, OPERATOR, Api, Refusal, fresh_id, refusal

ME = "/v1/agencies/me"
AGENCY = "stars"
GOLD: dict[str, Any] = {"commission_bp": 4_000, "agency_bp": 1_000}


async def earn(api: Api, coins: int) -> None:
    """Let the agency have ten diamonds a coin, ready to be withdrawn."""
    await api.put("/v1/admin/plans/gold", GOLD)
    await api.put(f"/v1/admin/creators/{CREATOR}", {"name": "Cleo", "plan": "gold", "agency": AGENCY})
    api.services.places.forget("room:demo")
    await api.grant("vera", coins)
    left = coins
    while left:
        count = min(left, 9_999)
        await api.give("vera", count=count)
        left -= count
    await api.flush()
    await api.services.office.maturing.round(datetime.datetime.now(datetime.UTC).date())


async def add_method(api: Api) -> str:
    """A payout method of the agency; its id."""
    body = {"id": fresh_id(), "kind": "bank", "label": "Our bank", "details": {"iban": "GB33BUKB20201555555555"}}
    return str((await api.post(f"{ME}/payout-methods", body, AGENCY, "agency"))["id"])


async def test_agency_that_is_paid(api: Api) -> None:
    """From a gift to the bank, and every number on the way."""
    await earn(api, 20_000)
    before = await api.get(f"{ME}/earnings", AGENCY, "agency")
    assert before == {
        "agency": AGENCY,
        "given_diamonds": 200_000,
        "pending_diamonds": 0,
        "available_diamonds": 200_000,
        "on_hold_diamonds": 0,
        "paid_out_diamonds": 0,
        "next_matures_ms": None,
        "discounted_diamonds": 0,
        "payout_currency": "USD",
        "diamonds_per_minor": 100,
    }
    body = {"id": fresh_id(), "method": await add_method(api), "diamonds": 150_050}
    asked = await api.post(f"{ME}/withdrawals", body, AGENCY, "agency")
    assert (asked["creator"], asked["agency"], asked["amount_minor"]) == ("", AGENCY, 1_500)
    assert await api.post(f"{ME}/withdrawals", body, AGENCY, "agency") == asked
    for word in ("review", "approve", "send", "pay"):
        await api.post(f"/v1/admin/withdrawals/{asked['id']}/{word}", {"note": word}, OPERATOR, "operator")
    course = await api.get(f"{ME}/withdrawals/{asked['id']}", AGENCY, "agency")
    assert [(one["after"], one["by"]) for one in course["steps"]][:2] == [("requested", "agency"), ("review", None)]
    assert (course["withdrawal"]["state"], course["slip"]) == ("paid", None)
    after = await api.get(f"/v1/admin/agencies/{AGENCY}/earnings", OPERATOR, "operator")
    assert after == before | {"available_diamonds": 50_000, "paid_out_diamonds": 150_000}
    statement = await api.get(f"{ME}/statement", AGENCY, "agency")
    assert [(one["cause"], one["diamonds"]) for one in statement["entries"]] == [
        ("payout_requested", -150_000),
        ("matured", 200_000),
    ]
    (day,) = (await api.get(f"{ME}/statistics", AGENCY, "agency"))["days"]
    assert (day["earned_diamonds"], day["gifts"]) == (200_000, 3)
    assert await api.get(f"{ME}/creators", AGENCY, "agency") == {"agency": AGENCY, "creators": [CREATOR], "next": None}
    for query, found in (({"agency": AGENCY}, 1), ({"creator": AGENCY}, 0), ({"creator": CREATOR}, 0), ({}, 1)):
        listed = await api.get("/v1/admin/withdrawals", OPERATOR, "operator", **query)
        assert len(listed["withdrawals"]) == found
    account = await api.get(f"/v1/admin/accounts/available/{AGENCY}", OPERATOR, "operator", agency="true")
    assert (account["owner"], account["balance"]) == (AGENCY, 50_000)
    matured = await api.get(f"/v1/admin/accounts/agency_matured/{AGENCY}", OPERATOR, "operator")
    assert matured["balance"] == -200_000


async def test_withdrawals_that_are_refused(api: Api) -> None:
    """As a creator's are."""
    await earn(api, 11_000)
    method = await add_method(api)
    for change, expected in (
        ({"method": fresh_id()}, Refusal(409, "unknown_method")),
        ({"diamonds": 99_999}, Refusal(409, "below_threshold")),
        ({"diamonds": 110_100}, Refusal(409, "insufficient_earnings")),
    ):
        body = {"id": fresh_id(), "method": method, "diamonds": 100_000} | change
        response = await api.call("POST", f"{ME}/withdrawals", AGENCY, "agency", json=body)
        assert refusal(response).code == expected.code
    assert (await api.get(f"{ME}/withdrawals", AGENCY, "agency"))["withdrawals"] == []


async def test_agency_is_put_and_listed(api: Api) -> None:
    """An operator names an agency; who names none that is there is told so."""
    made = await api.put(f"/v1/admin/agencies/{AGENCY}", {"name": "Stars", "country": "GB"})
    assert made == {"agency": AGENCY, "diamonds": 0, "name": "Stars", "country": "GB"}
    assert (await api.get("/v1/admin/agencies", OPERATOR, "operator"))["agencies"] == [made]
    empty = await api.get(f"{ME}/earnings", AGENCY, "agency")
    assert (empty["given_diamonds"], empty["available_diamonds"]) == (0, 0)
    unknown = await api.call("GET", f"{ME}/earnings", "suns", "agency")
    assert refusal(unknown) == Refusal(404, "not_found")
    body = {"id": fresh_id(), "kind": "bank", "label": "A bank"}
    nobody = await api.call("POST", f"{ME}/payout-methods", "suns", "agency", json=body)
    assert refusal(nobody) == Refusal(404, "not_found")
    both = await api.call(
        "GET", "/v1/admin/withdrawals", OPERATOR, "operator", params={"creator": "ada", "agency": AGENCY}
    )
    assert refusal(both) == Refusal(422, "unprocessable", "agency")


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("/v1/creators/me/earnings", "agency"),
        ("/v1/wallet", "agency"),
        ("/v1/admin/agencies", "agency"),
        ("/v1/rooms/demo/events", "agency"),
        (f"{ME}/earnings", "creator"),
        (f"{ME}/withdrawals", "viewer"),
    ],
)
async def test_tokens_of_others(api: Api, path: str, role: Any) -> None:
    """An agency's token opens what is the agency's, and no other token does, also one of the same name."""
    assert refusal(await api.call("GET", path, CREATOR, role)) == Refusal(403, "not_allowed")


async def test_withdrawals_of_others(api: Api) -> None:
    """A creator's withdrawal is none of an agency's of the same name, nor the other way."""
    await earn(api, 20_000)
    await api.put(f"/v1/admin/creators/{AGENCY}", {"name": "A singer"})
    body = {"id": fresh_id(), "method": await add_method(api), "diamonds": 100_000}
    asked = await api.post(f"{ME}/withdrawals", body, AGENCY, "agency")
    other = await api.call("GET", f"/v1/creators/me/withdrawals/{asked['id']}", AGENCY, "creator")
    assert refusal(other) == Refusal(404, "not_found")
    assert (await api.get("/v1/creators/me/payout-methods", AGENCY, "creator"))["methods"] == []
