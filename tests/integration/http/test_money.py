"""Wallets, gifts and grants over HTTP, on the real ledger."""

from typing import Any

from gateway.wire.http.admin import GRANT_COINS_MAX
from tests.integration.http.api import CREATOR, OPERATOR, Api, Refusal, fresh_id, refusal
from tests.integration.http.conftest import PAGE_ENTRIES_MAX


async def test_grant_told_twice(api: Api) -> None:
    """The same id gives once and answers twice alike; the same id with other coins is a conflict."""
    body = {"id": fresh_id(), "user": "vera", "coins": 50, "reason": "hello"}
    first = await api.post("/v1/admin/grants", body, OPERATOR, "operator")
    again = await api.post("/v1/admin/grants", body, OPERATOR, "operator")
    assert first == {"id": body["id"], "user": "vera", "coins": 50, "balance_coins": 50, "replay": False}
    assert again == first | {"replay": True}
    other = await api.call("POST", "/v1/admin/grants", OPERATOR, "operator", json=body | {"coins": 51})
    assert refusal(other) == Refusal(409, "id_conflict")
    assert (await api.get("/v1/wallet", "vera"))["balance_coins"] == 50


async def test_grant_of_the_most_coins(api: Api) -> None:
    """The largest grant leaves room in its partition for everybody else's coins."""
    await api.grant("vera", GRANT_COINS_MAX)
    await api.grant("vera", 1)
    assert (await api.get("/v1/wallet", "vera"))["balance_coins"] == GRANT_COINS_MAX + 1


async def test_gift_told_twice(api: Api) -> None:
    """The same id charges once; the same id for another gift is a conflict."""
    await api.grant("vera", 10)
    body = {"id": fresh_id(), "room": "demo", "gift": "rose", "count": 3}
    first = await api.post("/v1/gifts", body, "vera")
    again = await api.post("/v1/gifts", body, "vera")
    assert first == {"id": body["id"], "coins": 3, "balance_coins": 7, "replay": False}
    assert again == first | {"replay": True}
    other = await api.call("POST", "/v1/gifts", "vera", json=body | {"count": 4})
    assert refusal(other) == Refusal(409, "id_conflict")


async def test_gift_in_a_combo(api: Api) -> None:
    """A combo counts on over several requests."""
    await api.grant("vera", 10)
    counts = []
    for _ in range(2):
        body = {"id": fresh_id(), "room": "demo", "gift": "rose", "combo": True}
        counts.append((await api.post("/v1/gifts", body, "vera"))["combo"]["count"])
    assert counts == [1, 2]


async def test_gift_refused(api: Api) -> None:
    """Each refusal has its status and code, and says what it knows."""
    await api.grant("vera", 2)
    body = {"id": fresh_id(), "room": "demo", "gift": "rose"}
    poor = await api.call("POST", "/v1/gifts", "vera", json=body | {"count": 3})
    assert refusal(poor) == Refusal(402, "insufficient_coins")
    assert poor.json()["balance_coins"] == 2
    for change, expected in (
        ({"gift": "unheard_of"}, Refusal(404, "unknown_gift")),
        ({"room": "elsewhere"}, Refusal(404, "unknown_room")),
        ({"to": "somebody"}, Refusal(404, "unknown_receiver")),
        ({"room": None}, Refusal(400, "bad_request", "$.room")),
        ({"video": "v1"}, Refusal(400, "bad_request", "$.room")),
        ({"id": "01890000-0000-7000-8000-000000000000"}, Refusal(410, "id_expired")),
        ({"count": 0}, Refusal(422, "unprocessable", "$.count")),
    ):
        response = await api.call("POST", "/v1/gifts", "vera", json=body | change)
        assert refusal(response) == expected, change
    assert (await api.get("/v1/wallet", "vera"))["balance_coins"] == 2


async def test_gift_is_found_again(api: Api) -> None:
    """What became of a gift can be asked before the books have it and after, by its sender alone."""
    await api.grant("vera", 10)
    given = await api.give("vera", count=3)
    for flushed in (False, True):
        if flushed:
            await api.flush()
        outcome = await api.get(f"/v1/gifts/{given['id']}", "vera")
        assert (outcome["state"], outcome["coins"], outcome["balance_coins"]) == ("accepted", 3, 7)
        assert (outcome["gift"], outcome["price_coins"], outcome["count"]) == ("rose", 1, 3)
        assert (outcome["place"], outcome["creator"], outcome["combo"]) == ("room:demo", CREATOR, None)
    assert refusal(await api.call("GET", f"/v1/gifts/{given['id']}", "otto")) == Refusal(404, "not_found")
    assert refusal(await api.call("GET", f"/v1/gifts/{fresh_id()}", "vera")) == Refusal(404, "not_found")


async def test_wallet_entries_page_by_page(api: Api) -> None:
    """Entries come newest first; a limit above the bound gives the bound; `next` leads through all of them once."""
    await api.grant("vera", 100)
    gifts = [(await api.give("vera", count=number))["id"] for number in range(1, 6)]
    await api.flush()
    seen: list[Any] = []
    after, pages = None, 0
    while pages == 0 or after is not None:
        query: dict[str, Any] = {"limit": 1_000} if after is None else {"limit": 1_000, "after": after}
        page = await api.get("/v1/wallet/entries", "vera", **query)
        assert len(page["entries"]) <= PAGE_ENTRIES_MAX
        seen += page["entries"]
        after, pages = page["next"], pages + 1
    assert pages == 2
    assert [entry["id"] for entry in seen[:5]] == gifts[::-1]
    assert [entry["coins"] for entry in seen] == [-5, -4, -3, -2, -1, 100]
    assert [entry["cause"] for entry in seen] == ["gift"] * 5 + ["grant"]
    assert seen[0]["balance_coins"] == (await api.get("/v1/wallet", "vera"))["balance_coins"] == 85
    assert (seen[0]["gift"], seen[0]["place"], seen[0]["creator"]) == ("rose", "room:demo", CREATOR)


async def test_operator_looks_at_a_user(api: Api) -> None:
    """A support case shows balance, movements and purchases; an unknown user has an empty wallet."""
    await api.grant("vera", 9)
    await api.flush()
    user = await api.get("/v1/admin/users/vera", OPERATOR, "operator")
    assert (user["balance_coins"], [entry["cause"] for entry in user["entries"]]) == (9, ["grant"])
    assert (user["purchases"], user["creator"]) == ([], None)
    nobody = await api.get("/v1/admin/users/nobody", OPERATOR, "operator")
    assert (nobody["balance_coins"], nobody["entries"]) == (0, [])
    creator = await api.get(f"/v1/admin/users/{CREATOR}", OPERATOR, "operator")
    assert creator["creator"]["share_percent"] == 50.0
