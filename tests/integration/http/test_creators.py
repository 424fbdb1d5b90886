"""What a creator does over HTTP: look at earnings, withdraw them, make overlay tokens, try the overlay."""

import datetime
from typing import Any

from tests.integration.http.api import CREATOR, OPERATOR, Api, Refusal, fresh_id, refusal
from tests.integration.http.conftest import OVERLAY_TOKENS_MAX

ME = "/v1/creators/me"


async def earn(api: Api, coins: int) -> None:
    """Let the creator earn half of so many coins, ready to be withdrawn."""
    await api.grant("vera", coins)
    await api.give("vera", count=coins)
    await api.flush()
    await mature(api)


async def mature(api: Api) -> None:
    """What the books have is ripe."""
    await api.services.office.maturing.round(datetime.datetime.now(datetime.UTC).date())


async def add_method(api: Api) -> str:
    """A payout method of the creator; its id."""
    body = {"id": fresh_id(), "kind": "bank", "label": "My bank", "details": {"iban": "GB33BUKB20201555555555"}}
    return str((await api.post(f"{ME}/payout-methods", body, CREATOR, "creator"))["id"])


async def step(api: Api, withdrawal: str, word: str) -> Any:
    """One step of the operator's."""
    return await api.post(f"/v1/admin/withdrawals/{withdrawal}/{word}", {"note": word}, OPERATOR, "operator")


async def test_earnings_before_and_after_the_books(api: Api) -> None:
    """Live earnings are there at once, available ones once the books have them; the share is told openly."""
    await api.grant("vera", 30)
    await api.give("vera", count=30)
    live = await api.get(f"{ME}/earnings", CREATOR, "creator")
    assert (live["live_diamonds"], live["pending_diamonds"], live["available_diamonds"]) == (1_500, 0, 0)
    await api.flush()
    await mature(api)
    booked = await api.get(f"{ME}/earnings", CREATOR, "creator")
    assert booked["live_diamonds"] == booked["pending_diamonds"] + booked["available_diamonds"] == 1_500
    assert booked["share"]["commission_bp"] + booked["share"]["share_bp"] == 10_000
    example = booked["example"]
    assert example["commission_diamonds"] + example["share_diamonds"] == example["price_diamonds"]


async def test_share_of_a_creator_of_its_own(api: Api) -> None:
    """A creator with its own commission sees that one, and earns by it from then on."""
    await api.put(f"/v1/admin/creators/{CREATOR}", {"name": "Cleo", "commission_bp": 3_050})
    api.services.places.forget("room:demo")
    told = await api.get(f"{ME}/earnings", CREATOR, "creator")
    assert (told["share"]["share_bp"], told["share"]["share_percent"]) == (6_950, 69.5)
    await api.grant("vera", 10)
    await api.give("vera", count=10)
    assert (await api.get(f"{ME}/earnings", CREATOR, "creator"))["live_diamonds"] == 695


async def test_statement_and_statistics(api: Api) -> None:
    """Every gift is one line of the statement, and the day adds them up."""
    await earn(api, 12)
    statement = await api.get(f"{ME}/statement", CREATOR, "creator", account="pending")
    assert [(entry["cause"], entry["diamonds"]) for entry in statement["entries"] if entry["cause"] == "gift"] == [
        ("gift", 600)
    ]
    (day,) = (await api.get(f"{ME}/statistics", CREATOR, "creator"))["days"]
    assert (day["earned_diamonds"], day["gifts"]) == (600, 1)
    wrong = await api.call("GET", f"{ME}/statement", CREATOR, "creator", params={"account": "wallet"})
    assert refusal(wrong) == Refusal(422, "unprocessable", "account")


async def test_gift_of_coins_that_are_worth_less(api: Api) -> None:
    """A grant may say what its coins are worth: all see the gift in full, the creator what is off it."""
    body = {"id": fresh_id(), "user": "vera", "coins": 10, "reason": "welcome", "worth_bp": 2_500}
    await api.post("/v1/admin/grants", body, OPERATOR, "operator")
    other = await api.call("POST", "/v1/admin/grants", OPERATOR, "operator", json=body | {"worth_bp": 10_000})
    assert refusal(other) == Refusal(409, "id_conflict")
    await api.give("vera", count=4)
    await api.flush()
    told = await api.get(f"{ME}/earnings", CREATOR, "creator")
    assert (told["live_diamonds"], told["pending_diamonds"], told["discounted_diamonds"]) == (200, 50, 150)
    entries = (await api.get(f"{ME}/statement", CREATOR, "creator"))["entries"]
    assert [(entry["cause"], entry["diamonds"]) for entry in entries] == [("discount", -150), ("gift", 200)]
    (day,) = (await api.get(f"{ME}/statistics", CREATOR, "creator"))["days"]
    assert (day["earned_diamonds"], day["discounted_diamonds"]) == (50, 150)
    (lot,) = (await api.get("/v1/admin/users/vera/lots", OPERATOR, "operator"))["lots"]
    assert (lot["left_coins"], lot["worth_bp"]) == (6, 2_500)
    account = await api.get("/v1/admin/accounts/discount/platform", OPERATOR, "operator")
    assert account["balance"] == 150


async def test_withdrawal_that_is_paid(api: Api) -> None:
    """From the request over each of the operator's steps to paid; the creator sees each, without who made it."""
    await earn(api, 4_000)
    method = await add_method(api)
    body = {"id": fresh_id(), "method": method, "diamonds": 150_050}
    asked = await api.post(f"{ME}/withdrawals", body, CREATOR, "creator")
    assert (asked["state"], asked["diamonds"], asked["amount_minor"]) == ("requested", 150_000, 1_500)
    assert await api.post(f"{ME}/withdrawals", body, CREATOR, "creator") == asked
    held = await api.get(f"{ME}/earnings", CREATOR, "creator")
    assert (held["available_diamonds"], held["on_hold_diamonds"]) == (50_000, 150_000)
    for word, state in (("review", "review"), ("approve", "approved"), ("send", "sent"), ("pay", "paid")):
        assert (await step(api, asked["id"], word))["state"] == state
    course = await api.get(f"{ME}/withdrawals/{asked['id']}", CREATOR, "creator")
    assert [made["after"] for made in course["steps"]] == ["requested", "review", "approved", "sent", "paid"]
    assert [made["by"] for made in course["steps"]] == ["creator", None, None, None, None]
    assert course["slip"] is None
    seen = await api.get(f"/v1/admin/withdrawals/{asked['id']}", OPERATOR, "operator")
    assert [made["by"] for made in seen["steps"]] == ["creator", *[OPERATOR] * 4]
    assert "GB33BUKB20201555555555" in seen["slip"]
    assert (await api.get(f"{ME}/earnings", CREATOR, "creator"))["paid_out_diamonds"] == 150_000


async def test_withdrawal_step_that_is_not_allowed(api: Api) -> None:
    """A step that the table does not have is a 409; reject gives the diamonds back."""
    await earn(api, 4_000)
    body = {"id": fresh_id(), "method": await add_method(api), "diamonds": 150_000}
    asked = await api.post(f"{ME}/withdrawals", body, CREATOR, "creator")
    path = f"/v1/admin/withdrawals/{asked['id']}/pay"
    assert refusal(await api.call("POST", path, OPERATOR, "operator", json={})) == Refusal(409, "wrong_state")
    assert (await step(api, asked["id"], "reject"))["state"] == "rejected"
    assert (await api.get(f"{ME}/earnings", CREATOR, "creator"))["available_diamonds"] == 200_000
    listed = await api.get("/v1/admin/withdrawals", OPERATOR, "operator", state="rejected")
    assert [withdrawal["id"] for withdrawal in listed["withdrawals"]] == [asked["id"]]
    assert (await api.get("/v1/admin/withdrawals", OPERATOR, "operator", state="paid"))["withdrawals"] == []


async def test_withdrawal_refused(api: Api) -> None:
    """Too little, too much, nowhere to pay to, too much for a day: each has its code, and nothing is held."""
    await earn(api, 4_000)
    method = await add_method(api)
    for change, expected in (
        ({"diamonds": 99_900}, Refusal(409, "below_threshold")),
        ({"diamonds": 200_100}, Refusal(409, "insufficient_earnings")),
        ({"method": fresh_id()}, Refusal(404, "unknown_method")),
        ({"diamonds": 0}, Refusal(422, "unprocessable", "$.diamonds")),
        ({"id": None}, Refusal(422, "unprocessable", "$.id")),
    ):
        body = {"id": fresh_id(), "method": method, "diamonds": 150_000} | change
        response = await api.call("POST", f"{ME}/withdrawals", CREATOR, "creator", json=body)
        assert refusal(response) == expected, change
        if expected.code == "below_threshold":
            assert response.json()["detail"] == "It would pay 9.99 USD; the smallest pays 10.00 USD."
    assert (await api.get(f"{ME}/earnings", CREATOR, "creator"))["on_hold_diamonds"] == 0


async def test_withdrawal_of_somebody_else(api: Api) -> None:
    """A creator sees only its own."""
    await earn(api, 4_000)
    body = {"id": fresh_id(), "method": await add_method(api), "diamonds": 150_000}
    asked = await api.post(f"{ME}/withdrawals", body, CREATOR, "creator")
    other = await api.call("GET", f"{ME}/withdrawals/{asked['id']}", "other", "creator")
    assert refusal(other) == Refusal(404, "not_found")
    assert (await api.get(f"{ME}/withdrawals", "other", "creator"))["withdrawals"] == []


async def test_payout_method_kept_secret(api: Api) -> None:
    """A method is listed without its details; a kind that nobody can pay is refused."""
    method = await add_method(api)
    response = await api.call("GET", f"{ME}/payout-methods", CREATOR, "creator")
    assert [listed["id"] for listed in response.json()["methods"]] == [method]
    assert "GB33" not in response.text
    wrong = {"id": fresh_id(), "kind": "pigeon", "label": "x"}
    assert refusal(await api.call("POST", f"{ME}/payout-methods", CREATOR, "creator", json=wrong)).status == 422


async def test_overlay_token_from_birth_to_revocation(api: Api) -> None:
    """A token is told once, is good for its room, and is dead for every gateway once it is taken back."""
    made = await api.post(f"{ME}/overlay-tokens", {"room": "demo", "label": "OBS"}, CREATOR, "creator")
    assert made["overlay_path"] == f"/overlay/demo#token={made['token']}"
    events = "/v1/rooms/demo/events"
    assert (await api.call("GET", events, token=made["token"])).status_code == 200
    listed = (await api.call("GET", f"{ME}/overlay-tokens", CREATOR, "creator")).text
    assert made["jti"] in listed and made["token"] not in listed
    path = f"{ME}/overlay-tokens/{made['jti']}"
    assert refusal(await api.call("DELETE", path, "other", "creator")) == Refusal(404, "not_found")
    assert (await api.call("DELETE", path, CREATOR, "creator")).status_code == 204
    assert refusal(await api.call("GET", events, token=made["token"])) == Refusal(401, "unauthorized")
    assert await api.services.revocations.is_revoked(made["jti"])
    assert (await api.get(f"{ME}/overlay-tokens", CREATOR, "creator"))["tokens"] == []


async def test_overlay_tokens_at_the_limit_and_one_past_it(api: Api) -> None:
    """A creator has so many and no more; one that is taken back makes room."""
    made = [await api.post(f"{ME}/overlay-tokens", {}, CREATOR, "creator") for _ in range(OVERLAY_TOKENS_MAX)]
    one_more = await api.call("POST", f"{ME}/overlay-tokens", CREATOR, "creator", json={})
    assert refusal(one_more) == Refusal(409, "limit_reached")
    await api.call("DELETE", f"{ME}/overlay-tokens/{made[0]['jti']}", CREATOR, "creator")
    assert (await api.post(f"{ME}/overlay-tokens", {}, CREATOR, "creator"))["jti"] != made[0]["jti"]


async def test_overlay_token_for_a_room_of_another(api: Api) -> None:
    """Nobody makes a token for a room that is not its own."""
    response = await api.call("POST", f"{ME}/overlay-tokens", "other", "creator", json={"room": "demo"})
    assert refusal(response) == Refusal(403, "not_allowed")


async def test_own_room(api: Api) -> None:
    """A creator sees its room and changes its title; another's room is not its own."""
    room = f"{ME}/rooms/demo"
    changed = await api.put(room, {"title": "Tonight"}, CREATOR, "creator")
    assert changed["state"]["title"] == (await api.get("/v1/rooms/demo"))["title"] == "Tonight"
    assert changed["share"]["share_percent"] == 50.0
    for method, body in (("GET", None), ("PUT", {"title": "Mine"})):
        assert refusal(await api.call(method, room, "other", "creator", json=body)) == Refusal(403, "not_allowed")
    assert refusal(await api.call("GET", f"{ME}/rooms/none", CREATOR, "creator")) == Refusal(404, "unknown_room")


async def test_trial_gift(api: Api) -> None:
    """A test gift is told to the room, is marked as one, and moves no coin and no list."""
    told = await api.post(f"{ME}/rooms/demo/test-gift", {"gift": "rose", "count": 3}, CREATOR, "creator")
    assert told == {"room": "demo", "gift": "rose", "coins": 3}
    (event,) = (await api.get("/v1/rooms/demo/events", CREATOR, "creator"))["events"]
    assert (event["test"], event["gift"], event["count"], event["seq"]) == (True, "rose", 3, 1)
    assert (await api.get("/v1/rooms/demo/leaderboard"))["entries"] == []
    assert (await api.get(f"{ME}/earnings", CREATOR, "creator"))["live_diamonds"] == 0
    unknown = await api.call("POST", f"{ME}/rooms/demo/test-gift", CREATOR, "creator", json={"gift": "none"})
    assert refusal(unknown) == Refusal(404, "unknown_gift")
