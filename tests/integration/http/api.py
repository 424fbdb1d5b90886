"""A client of the HTTP side inside the test process, and what tests do with it again and again."""

import time
from typing import Any

import httpx
from msgspec import Struct

from gateway.app import App
from gateway.services import Services
from gateway.wire.messages import Role
from ledger.books.postgres import open_pool
from ledger.ids import format_id, new_id
from ledger.live.redis_client import connect
from tests.integration.ledger_postgres.flushing import flush_all

CREATOR = "cleo"
OPERATOR = "olga"
ROOM = "demo"


class Api:
    """Calls of several users on one gateway."""

    def __init__(self, app: App) -> None:
        self.app = app
        transport = httpx.ASGITransport(app=app.asgi, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://gateway")

    @property
    def services(self) -> Services:
        """The gateway's parts."""
        return self.app.services

    def token(self, user: str, role: Role, *, room: str | None = None) -> str:
        """A token that the gateway takes."""
        return self.services.tokens.mint(role, user, room=room)

    async def call(
        self, method: str, path: str, user: str = "", role: Role = "viewer", *, token: str = "", **more: Any
    ) -> httpx.Response:
        """One request, in the name of a user or of nobody."""
        held = token or (self.token(user, role) if user else "")
        headers = {**({"Authorization": f"Bearer {held}"} if held else {}), **more.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, **more)

    async def get(self, path: str, user: str = "", role: Role = "viewer", **query: Any) -> Any:
        """What a GET answers, which must be well."""
        return told(await self.call("GET", path, user, role, params=query))

    async def post(self, path: str, body: object, user: str = "", role: Role = "viewer") -> Any:
        """What a POST answers, which must be well."""
        return told(await self.call("POST", path, user, role, json=body))

    async def put(self, path: str, body: object, user: str = OPERATOR, role: Role = "operator") -> Any:
        """What a PUT answers, which must be well."""
        return told(await self.call("PUT", path, user, role, json=body))

    async def make_room(self, room: str = ROOM, creator: str = CREATOR) -> None:
        """A creator and a room."""
        await self.put(f"/v1/admin/creators/{creator}", {"name": creator.title()})
        await self.put(f"/v1/admin/rooms/{room}", {"creator": creator, "title": f"Room {room}"})

    async def grant(self, user: str, coins: int) -> None:
        """Coins for a user."""
        body = {"id": fresh_id(), "user": user, "coins": coins, "reason": "test"}
        await self.post("/v1/admin/grants", body, OPERATOR, "operator")

    async def give(self, user: str, gift: str = "rose", count: int = 1, room: str = ROOM) -> Any:
        """A gift in a room."""
        return await self.post("/v1/gifts", {"id": fresh_id(), "room": room, "gift": gift, "count": count}, user)

    async def flush(self) -> None:
        """Bring what the journal holds into the books."""
        config = self.services.config.ledger
        pool, redis = await open_pool(config), connect(config)
        try:
            await flush_all(pool, redis, config)
        finally:
            await redis.aclose()
            await pool.close()


class Refusal(Struct, frozen=True):
    """The part of a problem document that tests compare."""

    status: int
    code: str
    field: str | None = None


def refusal(response: httpx.Response) -> Refusal:
    """What a response refused; it must be a problem document."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    document = response.json()
    assert document["status"] == response.status_code
    assert document["type"] == f"/docs#problem-{document['code']}"
    return Refusal(response.status_code, document["code"], document.get("field"))


def told(response: httpx.Response) -> Any:
    """The JSON of a response that must be well."""
    assert response.status_code == 200, response.text
    return response.json()


def fresh_id() -> str:
    """A UUIDv7 of now."""
    return format_id(new_id(time.time_ns() // 1_000_000))
