"""Refunds and lots over HTTP, on the real ledger."""

from typing import Any

from ledger.ids import format_id
from tests.integration.http.api import OPERATOR, Api, Refusal, fresh_id, refusal
from tests.integration.ledger_money.money import purchase_order


async def _buy(api: Api, user: str) -> str:
    """A purchase of 100 coins that is paid; its id."""
    assert api.services.rails.sandbox is not None
    purchases = api.services.office.purchases
    bought = await purchases.begin(purchase_order(user, 100, 0))
    await purchases.hear("sandbox", *api.services.rails.sandbox.pay(bought))
    return format_id(bought.id)


async def _settle(api: Api) -> None:
    await api.flush()
    await api.services.office.refunds.settle()


async def _ask(api: Api, path: str, **query: Any) -> Any:
    return await api.get(path, OPERATOR, "operator", **query)


async def test_chargeback_and_what_became_of_it(api: Api) -> None:
    """100 bought, 60 given: the wallet owes 60, the creator's 3,000 diamonds go, and each list tells so."""
    purchase = await _buy(api, "vera")
    gift = await api.give("vera", count=60)
    body = {"id": fresh_id(), "purchase": purchase, "kind": "chargeback", "reason": "the bank says so"}
    first = await api.post("/v1/admin/refunds", body, OPERATOR, "operator")
    assert (first["state"], first["coins"], first["taken_coins"], first["balance_coins"]) == ("taken", 100, 100, -60)
    await _settle(api)
    again = await api.post("/v1/admin/refunds", body, OPERATOR, "operator")
    assert (again["state"], again["returned_coins"], again["creator_diamonds"]) == ("settled", 60, 3_000)
    assert await _ask(api, f"/v1/admin/refunds/{body['id']}") == again
    assert (await _ask(api, "/v1/admin/refunds", purchase=purchase))["refunds"] == [again]
    assert (await api.get("/v1/wallet", "vera"))["balance_coins"] == -60
    entry = (await api.get("/v1/wallet/entries", "vera"))["entries"][0]
    assert (entry["id"], entry["cause"], entry["coins"], entry["balance_coins"]) == (
        body["id"],
        "chargeback",
        -100,
        -60,
    )
    lots = await _ask(api, "/v1/admin/users/vera/lots")
    assert (lots["debt_coins"], [(lot["kind"], lot["left_coins"]) for lot in lots["lots"]]) == (60, [("paid", 0)])
    (paid,) = (await _ask(api, f"/v1/admin/purchases/{purchase}/gifts"))["gifts"]
    assert (paid["gift"], paid["coins"], paid["refunded"]) == (gift["id"], 60, True)
    poor = await api.call("POST", "/v1/gifts", "vera", json={"id": fresh_id(), "room": "demo", "gift": "rose"})
    assert refusal(poor) == Refusal(402, "insufficient_coins")
    assert poor.json()["balance_coins"] == -60


async def test_refund_refused(api: Api) -> None:
    """Each refusal has its status and code; nothing leaves the wallet."""
    purchase = await _buy(api, "vera")
    body: dict[str, Any] = {"id": fresh_id(), "purchase": purchase, "kind": "refund", "reason": "a mistake"}
    body["coins"] = 60
    wrong: tuple[tuple[dict[str, Any], Refusal], ...] = (
        ({"coins": 101}, Refusal(422, "unprocessable", "$.coins")),
        ({"coins": 0}, Refusal(422, "unprocessable", "$.coins")),
        ({"kind": "gift"}, Refusal(422, "unprocessable", "$.kind")),
        ({"reason": ""}, Refusal(422, "unprocessable", "$.reason")),
        ({"purchase": fresh_id()}, Refusal(404, "not_found")),
    )
    for change, expected in wrong:
        response = await api.call("POST", "/v1/admin/refunds", OPERATOR, "operator", json=body | change)
        assert refusal(response) == expected, change
    assert (await api.get("/v1/wallet", "vera"))["balance_coins"] == 100
    await api.post("/v1/admin/refunds", body, OPERATOR, "operator")
    for change, expected in (
        ({"coins": 61}, Refusal(409, "id_conflict")),
        ({"reason": "another"}, Refusal(409, "id_conflict")),
        ({"id": fresh_id(), "coins": 41}, Refusal(422, "unprocessable", "$.coins")),
    ):
        response = await api.call("POST", "/v1/admin/refunds", OPERATOR, "operator", json=body | change)
        assert refusal(response) == expected, change
    assert (await api.get("/v1/wallet", "vera"))["balance_coins"] == 40
    rest = body | {"id": fresh_id(), "coins": None}
    assert (await api.post("/v1/admin/refunds", rest, OPERATOR, "operator"))["coins"] == 40
    nothing = await api.call("POST", "/v1/admin/refunds", OPERATOR, "operator", json=rest | {"id": fresh_id()})
    assert refusal(nothing) == Refusal(409, "wrong_state")
    assert (await api.get(f"/v1/purchases/{purchase}", "vera"))["refunded_coins"] == 100


async def test_refund_set_apart_over_http(api: Api) -> None:
    """The operator sees why, has it tried again in vain, and settles it by hand with a note."""
    purchase = await _buy(api, "vera")
    await api.give("vera", count=60)
    body = {"id": fresh_id(), "purchase": purchase, "kind": "chargeback", "reason": "the bank says so"}
    taken = await api.post("/v1/admin/refunds", body, OPERATOR, "operator")
    path = f"/v1/admin/refunds/{body['id']}"
    early = await api.call("POST", f"{path}/settle", OPERATOR, "operator", json={"note": "too soon"})
    assert refusal(early) == Refusal(409, "wrong_state")
    await api.flush()
    pool = api.services.office._pool
    await pool.execute("UPDATE creator_days SET creator = 'gone'")
    await api.services.office.refunds.settle()
    apart = await _ask(api, path)
    assert "no such day of earnings" in apart["set_apart"]
    assert apart["state"] == taken["state"] == "taken"
    assert await api.post(f"{path}/retry", {}, OPERATOR, "operator") == apart
    empty = await api.call("POST", f"{path}/settle", OPERATOR, "operator", json={"note": ""})
    assert refusal(empty) == Refusal(422, "unprocessable", "$.note")
    done = await api.post(f"{path}/settle", {"note": "seen"}, OPERATOR, "operator")
    assert (done["state"], done["settled_by"], done["creator_diamonds"]) == ("settled", OPERATOR, 0)
    assert "set_apart" not in done or done["set_apart"] is None
    strange = await api.call("POST", f"/v1/admin/refunds/{fresh_id()}/retry", OPERATOR, "operator")
    assert refusal(strange) == Refusal(404, "not_found")


async def test_refunds_are_for_operators(api: Api) -> None:
    """Nobody else may order or read them."""
    for method, path in (("POST", "/v1/admin/refunds"), ("GET", "/v1/admin/users/vera/lots")):
        response = await api.call(method, path, "vera", json={} if method == "POST" else None)
        assert refusal(response) == Refusal(403, "not_allowed")


async def test_lists_in_pages(api: Api) -> None:
    """Lots and refunds come in pages, and no page tells one twice."""
    purchase = await _buy(api, "vera")
    for _ in range(3):
        await api.grant("vera", 1)
        body = {"id": fresh_id(), "purchase": purchase, "kind": "refund", "reason": "some", "coins": 1}
        await api.post("/v1/admin/refunds", body, OPERATOR, "operator")
    await _settle(api)
    for path, name, number in (
        ("/v1/admin/users/vera/lots", "lots", 4),
        ("/v1/admin/refunds", "refunds", 3),
    ):
        found, after = [], None
        while page := await _ask(api, path, limit=2, **({} if after is None else {"after": after})):
            found += [one["id"] for one in page[name]]
            after = page["next"]
            if after is None:
                break
        assert len(found) == len(set(found)) == number, path


async def test_reinstated_refund(api: Api) -> None:
    """An operator gives back what a charge-back took, once: coins as a grant, diamonds at once available."""
    purchase = await _buy(api, "vera")
    await api.give("vera", count=60)
    body = {"id": fresh_id(), "purchase": purchase, "kind": "chargeback", "reason": "the bank says so"}
    await api.post("/v1/admin/refunds", body, OPERATOR, "operator")
    await _settle(api)
    path = f"/v1/admin/refunds/{body['id']}/reinstate"
    first = await api.post(path, {"note": "the bank gave in"}, OPERATOR, "operator")
    back = first["reinstated"]
    assert (back["by"], back["reason"]) == (OPERATOR, "the bank gave in")
    assert (back["coins"], back["creator_diamonds"]) == (100, 3_000)
    assert await api.post(path, {"note": "again"}, OPERATOR, "operator") == first
    assert await _ask(api, f"/v1/admin/refunds/{body['id']}") == first
    await api.services.office.purchases.settle()
    assert (await api.get("/v1/wallet", "vera"))["balance_coins"] == 40
    missing = await api.call(
        "POST", f"/v1/admin/refunds/{fresh_id()}/reinstate", OPERATOR, "operator", json={"note": "of nothing"}
    )
    assert refusal(missing) == Refusal(404, "not_found")


async def test_events_that_nobody_could_use(api: Api) -> None:
    """They are listed, newest first, until an operator has put them aside with a note."""
    sandbox = api.services.rails.sandbox
    assert sandbox is not None
    purchases = api.services.office.purchases
    bought = await purchases.begin(purchase_order("vera", 100, 0))
    for event, amount in (("evt_1", 128), ("evt_2", 130)):
        await purchases.hear("sandbox", *sandbox.pay(bought, event_id=event, amount_minor=amount))
    path = "/v1/admin/unusable-events"
    listed = (await _ask(api, path))["events"]
    assert [(one["event"], one["amount_minor"], one["effect"]) for one in listed] == [
        ("evt_2", 130, "wrong_amount"),
        ("evt_1", 128, "wrong_amount"),
    ]
    assert {(one["rail"], one["purchase"], one["outcome"]) for one in listed} == {
        ("sandbox", format_id(bought.id), "paid")
    }
    assert (await _ask(api, path, limit=1))["events"] == listed[:1]
    looked = {"event": "evt_2", "note": "paid back at the provider"}
    assert await api.post(f"{path}/sandbox", looked, OPERATOR, "operator") == listed[0]
    assert (await _ask(api, path))["events"] == listed[1:]
    assert await api.post(f"{path}/sandbox", looked, OPERATOR, "operator") == listed[0]
    missing = await api.call("POST", f"{path}/other", OPERATOR, "operator", json=looked)
    assert refusal(missing) == Refusal(404, "not_found")
