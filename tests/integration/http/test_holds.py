"""Holds over HTTP, on the real ledger: coins that somebody else's order reserves, takes, or leaves."""

from typing import Any

import httpx
import pytest

from tests.integration.http.api import OPERATOR, Api, Refusal, fresh_id, refusal

MINUTES_MS = 600_000


def _body(coins: int, **more: Any) -> dict[str, Any]:
    return {"id": fresh_id(), "user": "vera", "coins": coins, "lasts_ms": MINUTES_MS, "reference": "order 1", **more}


async def _hold(api: Api, body: dict[str, Any]) -> Any:
    return await api.post("/v1/admin/holds", body, OPERATOR, "operator")


async def _try(api: Api, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
    return await api.call("POST", path, OPERATOR, "operator", json=body)


async def _end(api: Api, body: dict[str, Any], step: str, asked: dict[str, Any] | None = None) -> httpx.Response:
    return await _try(api, f"/v1/admin/users/{body['user']}/holds/{body['id']}/{step}", asked)


async def test_hold_from_its_beginning_to_its_end(api: Api) -> None:
    """100 coins, 40 held, 25 taken: the wallet is told of each step; each step again is a replay."""
    await api.grant("vera", 100)
    body = _body(40)
    begun = await _hold(api, body)
    assert (begun["coins"], begun["balance_coins"], begun["replay"]) == (40, 60, False)
    assert await _hold(api, body) == {**begun, "replay": True}
    assert (await api.get("/v1/wallet", "vera"))["balance_coins"] == 60
    path = f"/v1/admin/users/vera/holds/{body['id']}"
    before = await api.get(path, OPERATOR, "operator")
    assert (before["state"], before["reference"], before["taken_coins"], before["ended_ms"]) == (
        *("open", "order 1"),
        *(None, None),
    )
    assert before["expires_ms"] == before["begun_ms"] + MINUTES_MS == begun["expires_ms"]
    ended = (await _end(api, body, "settle", {"coins": 25})).json()
    assert (ended["state"], ended["coins"], ended["taken_coins"], ended["balance_coins"]) == ("settled", 40, 25, 75)
    again = (await _end(api, body, "settle", {"coins": 25})).json()
    assert again == {**ended, "replay": True}
    await api.flush()
    after = await api.get(path, OPERATOR, "operator")
    assert (after["state"], after["taken_coins"], after["ended_ms"]) == ("settled", 25, ended["at_ms"])
    listed = await api.get("/v1/admin/users/vera/holds", OPERATOR, "operator")
    assert (listed["holds"], listed["next"]) == ([after], None)
    entries = (await api.get("/v1/wallet/entries", "vera"))["entries"]
    assert [(entry["cause"], entry["coins"], entry["balance_coins"]) for entry in entries[:2]] == [
        ("hold_ended", 15, 75),
        ("hold", -40, 60),
    ]
    assert (await api.get("/v1/admin/audit", OPERATOR, "operator"))["ok"]


async def test_account_of_charged_coins(api: Api) -> None:
    """What was taken, and what is held, are accounts of the platform that can be asked for."""
    await api.grant("vera", 100)
    taken, left_open = _body(40), _body(7)
    for body in (taken, left_open):
        await _hold(api, body)
    await _end(api, taken, "settle", {})
    await api.flush()
    partition = api.services.ledger.keys.partition_of("vera")
    for kind, balance in (("coins_charged", 40), ("coins_held", 7)):
        path = f"/v1/admin/accounts/{kind}/platform"
        account = await api.get(path, OPERATOR, "operator", partition=int(partition))
        assert account["balance"] == balance


async def test_list_in_pages(api: Api) -> None:
    """The newest first; the cursor leads to the older ones."""
    await api.grant("vera", 100)
    bodies = [_body(coins) for coins in (1, 2, 3)]
    for body in bodies:
        await _hold(api, body)
    await api.flush()
    first = await api.get("/v1/admin/users/vera/holds", OPERATOR, "operator", limit=2)
    second = await api.get("/v1/admin/users/vera/holds", OPERATOR, "operator", limit=2, after=first["next"])
    assert [hold["coins"] for hold in (*first["holds"], *second["holds"])] == [3, 2, 1]
    assert second["next"] is None


async def test_hold_refused(api: Api) -> None:
    """Each refusal has its status and code; nothing leaves the wallet."""
    await api.grant("vera", 100)
    poor = await _try(api, "/v1/admin/holds", _body(101))
    assert refusal(poor) == Refusal(402, "insufficient_coins")
    assert poor.json()["balance_coins"] == 100
    longest_ms = api.services.config.ledger.hold_ms_max
    long = await _try(api, "/v1/admin/holds", _body(1, lasts_ms=longest_ms + 1))
    assert refusal(long) == Refusal(422, "unprocessable", "$.lasts_ms")
    for field, value in (("coins", 0), ("lasts_ms", 0), ("id", "7"), ("user", ""), ("reference", "x" * 201)):
        wrong = await _try(api, "/v1/admin/holds", _body(1) | {field: value})
        assert refusal(wrong) == Refusal(422, "unprocessable", f"$.{field}")
    body = _body(10, lasts_ms=longest_ms)
    await _hold(api, body)
    assert refusal(await _try(api, "/v1/admin/holds", {**body, "coins": 11})) == Refusal(409, "id_conflict")
    freeze = {"frozen": True, "reason": "Ask us."}
    await api.put("/v1/admin/users/vera", freeze)
    frozen = await _try(api, "/v1/admin/holds", _body(1))
    assert refusal(frozen) == Refusal(403, "not_allowed")
    assert frozen.json()["detail"] == "This account is frozen. Ask us."
    assert (await api.get("/v1/wallet", "vera"))["balance_coins"] == 90


async def test_hold_over_a_limit(api: Api) -> None:
    """A viewer's own limit counts what is held, and the refusal says which and until when."""
    await api.grant("vera", 100)
    await api.call("PUT", "/v1/me/limits", "vera", json={"gift_coins": None, "day_coins": 30})
    await _hold(api, _body(20))
    over = await _try(api, "/v1/admin/holds", _body(11))
    assert refusal(over) == Refusal(403, "limit_exceeded")
    said = over.json()
    assert (said["limit"], said["limit_coins"], said["spent_coins"]) == ("day", 30, 20)
    assert said["resets_at_ms"] > 0


async def test_too_many_holds(api: Api) -> None:
    """One more than a user may have open is refused, and fits again when one has ended."""
    await api.grant("vera", 100)
    bodies = [_body(1) for _ in range(api.services.config.ledger.viewer_holds_max)]
    for body in bodies:
        await _hold(api, body)
    more = _body(1)
    refused = await _try(api, "/v1/admin/holds", more)
    assert refusal(refused) == Refusal(409, "limit_reached")
    assert refused.json()["detail"] == f"{len(bodies)} holds of this user are open, as many as there may be."
    assert (await _end(api, bodies[0], "void")).json()["state"] == "voided"
    assert (await _hold(api, more))["replay"] is False


@pytest.mark.parametrize(
    ("first", "then", "refused"),
    [
        (("settle", {}), ("settle", {}), None),
        (("settle", {}), ("settle", {"coins": 10}), None),
        (("settle", {}), ("settle", {"coins": 9}), "This hold is settled of 10 coins."),
        (("settle", {"coins": 9}), ("settle", {}), "This hold is settled of 9 coins."),
        (("settle", {"coins": 9}), ("void", None), "This hold is settled of 9 coins."),
        (("void", None), ("void", None), None),
        (("void", None), ("settle", {}), "This hold is voided."),
    ],
)
async def test_second_end_of_a_hold(
    api: Api, first: tuple[str, Any], then: tuple[str, Any], refused: str | None
) -> None:
    """The same end again is answered as the first time; another one is refused with what became of the hold."""
    await api.grant("vera", 10)
    body = _body(10)
    await _hold(api, body)
    ended = (await _end(api, body, *first)).json()
    again = await _end(api, body, *then)
    if refused is None:
        assert again.json() == {**ended, "replay": True}
    else:
        assert refusal(again) == Refusal(409, "wrong_state")
        assert again.json()["detail"] == refused


async def test_end_refused(api: Api) -> None:
    """A hold that is not there, somebody else's, and more coins than it has."""
    await api.grant("vera", 10)
    body = _body(10)
    await _hold(api, body)
    for step, asked in (("settle", {}), ("void", None)):
        assert refusal(await _end(api, {**body, "id": fresh_id()}, step, asked)) == Refusal(404, "not_found")
        assert refusal(await _end(api, {**body, "user": "vito"}, step, asked)) == Refusal(404, "not_found")
    nobodys = await api.call("GET", f"/v1/admin/users/vito/holds/{body['id']}", OPERATOR, "operator")
    assert refusal(nobodys) == Refusal(404, "not_found")
    assert refusal(await _end(api, body, "settle", {"coins": 11})) == Refusal(422, "unprocessable", "$.coins")
    assert refusal(await _end(api, body, "settle", {"coins": 0})) == Refusal(422, "unprocessable", "$.coins")
    assert (await _end(api, body, "settle", {"coins": 10})).json()["taken_coins"] == 10


async def test_hold_whose_time_is_over(api: Api) -> None:
    """Nothing can be taken of it any more, and giving it back is done: all coins are in the wallet."""
    await api.grant("vera", 10)
    body, other = _body(4, lasts_ms=1), _body(5, lasts_ms=1)
    for one in (body, other):
        await _hold(api, one)
    late = await _end(api, body, "settle", {})
    assert refusal(late) == Refusal(409, "wrong_state")
    assert late.json()["detail"] == "This hold is expired."
    assert (await _end(api, other, "void")).json()["state"] == "expired"
    assert (await api.get("/v1/wallet", "vera"))["balance_coins"] == 10


@pytest.mark.parametrize("role", ["viewer", "creator", "overlay"])
async def test_hold_by_others(api: Api, role: Any) -> None:
    """Only an operator puts coins aside."""
    response = await api.call("POST", "/v1/admin/holds", "vera", role, json=_body(1))
    assert refusal(response) == Refusal(403, "not_allowed")


async def test_viewer_sees_what_is_put_aside(api: Api) -> None:
    """Its own holds with what they are for, and nobody else's."""
    await api.grant("vera", 100)
    await api.grant("vito", 100)
    bodies = [_body(40), _body(7), _body(9, user="vito")]
    for body in bodies:
        await _hold(api, body)
    await _end(api, bodies[0], "settle", {"coins": 25})
    await api.flush()
    seen = await api.get("/v1/wallet/holds", "vera")
    assert [(hold["id"], hold["coins"], hold["state"], hold["taken_coins"]) for hold in seen["holds"]] == [
        (bodies[1]["id"], 7, "open", None),
        (bodies[0]["id"], 40, "settled", 25),
    ]
    assert (seen["holds"][0]["reference"], seen["next"]) == ("order 1", None)
    first = await api.get("/v1/wallet/holds", "vera", limit=1)
    assert (await api.get("/v1/wallet/holds", "vera", after=first["next"]))["holds"] == seen["holds"][1:]


async def test_holds_are_counted_by_outcome(api: Api) -> None:
    """Every way that a request about a hold ends is a number of its own in the metrics."""
    await api.grant("vera", 100)
    body, late = _body(10), _body(5, lasts_ms=1)
    for _ in range(2):
        await _hold(api, body)
    await _hold(api, late)
    longest_ms = api.services.config.ledger.hold_ms_max
    for wrong in (_body(101), {**body, "coins": 11}, _body(1, lasts_ms=longest_ms + 1)):
        refusal(await _try(api, "/v1/admin/holds", wrong))
    refusal(await _end(api, late, "settle", {}))
    for step, asked in (("settle", {"coins": 4}), ("settle", {"coins": 4}), ("void", None)):
        await _end(api, body, step, asked)
    await _end(api, {**body, "id": fresh_id()}, "void")
    text = (await api.call("GET", "/metrics")).text
    for outcome, count in (("held", 2), ("replayed", 1), ("insufficient_coins", 1), ("id_conflict", 1)):
        assert f'giftwire_holds_total{{outcome="{outcome}"}} {count}.0' in text
    assert 'giftwire_holds_total{outcome="unprocessable"} 1.0' in text
    for asked_for, outcome, count in (
        ("settle", "settled", 1),
        ("settle", "replayed", 1),
        ("settle", "wrong_state", 1),
        ("void", "wrong_state", 1),
        ("void", "not_found", 1),
    ):
        assert f'giftwire_hold_ends_total{{asked="{asked_for}",outcome="{outcome}"}} {count}.0' in text
