"""Whatever is asked wrongly, the answer is a problem document that says what was wrong."""

from collections.abc import AsyncIterator

import jwt
import pytest

from gateway.wire.http.admin import GRANT_COINS_MAX
from gateway.wire.messages import Role
from tests.integration.http.api import OPERATOR, Api, Refusal, fresh_id, refusal
from tests.integration.http.conftest import BODY_BYTES_MAX, KEY


async def test_path_that_is_nowhere(api: Api) -> None:
    """A 404 is a problem document, also behind a slash too many."""
    for path in ("/v1/nothing", "/v1/wallet/"):
        assert refusal(await api.call("GET", path)) == Refusal(404, "not_found")


async def test_method_that_is_not_there(api: Api) -> None:
    """A 405 says which methods there are."""
    response = await api.call("PATCH", "/v1/purchases")
    assert refusal(response) == Refusal(405, "method_not_allowed")
    assert {"GET", "POST"} <= set(response.headers["allow"].split(", "))


async def test_nobody_asks(api: Api) -> None:
    """Without a token of ours there is a 401 that says how to come with one, and the body is not looked at."""
    for headers in (
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic eDp5"},
        {"Authorization": "Bearer x.y.z"},
    ):
        response = await api.call("POST", "/v1/admin/grants", headers=headers, content=b"{")
        assert refusal(response) == Refusal(401, "unauthorized")
        assert response.headers["www-authenticate"] == "Bearer"


async def test_token_whose_time_is_over(api: Api) -> None:
    """A client can tell an old token from a wrong one."""
    old = jwt.encode({"sub": "vera", "role": "viewer", "exp": 1_000}, KEY, "HS256")
    assert refusal(await api.call("GET", "/v1/wallet", token=old)) == Refusal(401, "token_expired")


async def test_token_in_the_url(api: Api) -> None:
    """A token that stands in the URL counts for nothing."""
    token = api.token("vera", "viewer")
    response = await api.call("GET", "/v1/wallet", params={"token": token, "access_token": token})
    assert refusal(response) == Refusal(401, "unauthorized")


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("/v1/wallet", "overlay"),
        ("/v1/wallet", "creator"),
        ("/v1/creators/me/earnings", "viewer"),
        ("/v1/creators/me/earnings", "overlay"),
        ("/v1/admin/audit", "creator"),
        ("/v1/admin/creators", "viewer"),
        ("/v1/rooms/demo/events", "viewer"),
    ],
)
async def test_role_that_may_not(api: Api, path: str, role: Role) -> None:
    """A good token of another role is a 403."""
    assert refusal(await api.call("GET", path, "somebody", role)) == Refusal(403, "not_allowed")


async def test_gift_with_a_token_of_another_room(api: Api) -> None:
    """A token that is good for one room pays for nothing elsewhere, over HTTP as over the WebSocket."""
    await api.make_room("attic")
    await api.grant("vera", 5)
    token = api.token("vera", "viewer", room="attic")
    body = {"id": fresh_id(), "room": "demo", "gift": "rose"}
    assert refusal(await api.call("POST", "/v1/gifts", token=token, json=body)) == Refusal(403, "not_allowed")
    assert (await api.call("POST", "/v1/gifts", token=token, json=body | {"room": "attic"})).status_code == 200
    assert (await api.get("/v1/wallet", "vera"))["balance_coins"] == 4


async def test_grant_without_an_id(api: Api) -> None:
    """A POST that moves money and has no id is a 422 that names the field."""
    body = {"user": "vera", "coins": 5, "reason": "x"}
    assert refusal(await api.call("POST", "/v1/admin/grants", OPERATOR, "operator", json=body)) == Refusal(
        422, "unprocessable", "$.id"
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": "x"}, "$.id"),
        ({"coins": 0}, "$.coins"),
        ({"coins": "5"}, "$.coins"),
        ({"coins": 5.5}, "$.coins"),
        ({"coins": GRANT_COINS_MAX + 1}, "$.coins"),
        ({"user": "nobody here"}, "$.user"),
        ({"reason": ""}, "$.reason"),
    ],
)
async def test_body_with_a_wrong_field(api: Api, change: dict[str, object], field: str) -> None:
    """A wrong value is a 422 that names the field, and no coin moves."""
    body = {"id": fresh_id(), "user": "vera", "coins": 5, "reason": "x"} | change
    response = await api.call("POST", "/v1/admin/grants", OPERATOR, "operator", json=body)
    assert refusal(response) == Refusal(422, "unprocessable", field)
    assert (await api.get("/v1/wallet", "vera"))["balance_coins"] == 0


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"x":' * 150])
async def test_body_that_is_no_json(api: Api, content: bytes) -> None:
    """What is not JSON is a 400."""
    headers = {"Content-Type": "application/json"}
    response = await api.call("POST", "/v1/admin/grants", OPERATOR, "operator", content=content, headers=headers)
    assert refusal(response) == Refusal(400, "bad_request")


async def test_body_of_another_media_type(api: Api) -> None:
    """A body that does not say that it is JSON is a 415: a form of another site cannot send it."""
    for content_type in ("text/plain", "application/x-www-form-urlencoded", ""):
        headers = {"Content-Type": content_type}
        response = await api.call("POST", "/v1/admin/grants", OPERATOR, "operator", content=b"{}", headers=headers)
        assert refusal(response) == Refusal(415, "unsupported_media_type")


async def test_body_at_the_limit_and_one_past_it(api: Api) -> None:
    """A body of exactly `body_bytes_max` is read, one byte more is a 413; announced or not."""
    head, tail = b'{"x":"', b'"}'
    at_limit = head + b"x" * (BODY_BYTES_MAX - len(head) - len(tail)) + tail
    too_long = at_limit + b" "

    async def in_pieces(content: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(content), 100):
            yield content[start : start + 100]

    headers = {"Content-Type": "application/json"}
    for content in (at_limit, in_pieces(at_limit)):
        response = await api.call("POST", "/v1/admin/grants", OPERATOR, "operator", content=content, headers=headers)
        assert response.status_code == 422
    for content in (too_long, in_pieces(too_long)):
        response = await api.call("POST", "/v1/admin/grants", OPERATOR, "operator", content=content, headers=headers)
        assert refusal(response) == Refusal(413, "payload_too_large")


@pytest.mark.parametrize(
    ("query", "field"), [({"limit": "0"}, "limit"), ({"limit": "x"}, "limit"), ({"after": "x"}, "after")]
)
async def test_page_that_cannot_be(api: Api, query: dict[str, str], field: str) -> None:
    """A limit below one and a cursor of no list are 422s that name the parameter."""
    response = await api.call("GET", "/v1/wallet/entries", "vera", params=query)
    assert refusal(response) == Refusal(422, "unprocessable", field)


async def test_path_part_that_cannot_be(api: Api) -> None:
    """A name that no room can have, and an id that is none."""
    assert refusal(await api.call("GET", "/v1/rooms/a%20room")) == Refusal(422, "unprocessable", "room")
    assert refusal(await api.call("GET", "/v1/gifts/7", "vera")) == Refusal(422, "unprocessable", "id")


async def test_failure_that_nobody_foresaw(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours is a 500 with a problem document that tells nothing of the inside."""

    async def broken(_: str) -> int:
        raise ZeroDivisionError("a secret of the inside")

    monkeypatch.setattr(api.services.ledger, "balance", broken)
    response = await api.call("GET", "/v1/wallet", "vera")
    assert refusal(response) == Refusal(500, "internal")
    assert "secret" not in response.text
    assert response.json()["retryable"] is True


async def test_text_that_no_database_can_hold(api: Api) -> None:
    """A NUL is refused, or left out of what is shown, wherever text comes in; it never reaches a 500."""
    for path in ("/v1/rooms", "/v1/admin/creators", "/v1/admin/rooms", "/v1/admin/withdrawals"):
        response = await api.call("GET", path, OPERATOR, "operator", params={"after": "\0"})
        assert refusal(response) == Refusal(422, "unprocessable", "after"), path
    grant = {"id": fresh_id(), "user": "vera", "coins": 5, "reason": "a\0b"}
    puts = (
        ("creators/x", {"name": "\0"}, "name", "x"),
        ("rooms/demo", {"creator": "cleo", "title": "a\0b\u202e"}, "title", "ab"),
    )
    assert (await api.call("POST", "/v1/admin/grants", OPERATOR, "operator", json=grant)).status_code == 422
    for path, body, field, seen in puts:
        # What is shown to others is made fit for that; a creator without a name is called by its id.
        assert (await api.put(f"/v1/admin/{path}", body))[field] == seen


async def test_message_with_a_nul_is_shown_as_it_is(api: Api) -> None:
    """A gift's message is bytes to the ledger: whatever text it is, the books can hold it."""
    await api.grant("vera", 5)
    body = {"id": fresh_id(), "room": "demo", "gift": "rose", "message": "a\0b"}
    assert (await api.post("/v1/gifts", body, "vera"))["coins"] == 1
    await api.flush()
    assert (await api.get(f"/v1/gifts/{body['id']}", "vera"))["coins"] == 1
