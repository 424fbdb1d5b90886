"""A whole gateway inside the test process: the real app under uvicorn on a free port, with the relay beside it."""

import asyncio
import contextlib
import json
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import uvicorn
from websockets.asyncio.client import ClientConnection, connect

from gateway.app import App, build
from gateway.rooms.relay import Relay
from gateway.run.settings.config import Config
from gateway.services import Services
from gateway.wire.codec import SUBPROTOCOL_JSON
from gateway.wire.messages import Role
from ledger.config import LedgerConfig
from ledger.ids import format_id, new_id
from ledger.model import ViewerId
from ledger.purchases.grants import Granted, GrantOrder
from tests.waiting import until

KEY: Final = "the signing key of a test, long enough"
ANSWER_S_MAX: Final = 10.0

Message = dict[str, Any]


class Talker:
    """A client that remembers everything it was told."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.heard: list[Message] = []
        self._refs = 0
        self._news = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())

    async def say(self, **message: Any) -> None:
        """Send one message."""
        await self.socket.send(json.dumps(message))

    async def ask(self, **message: Any) -> Message:
        """Send a command and wait for its reply."""
        self._refs += 1
        ref = f"r{self._refs}"
        await self.say(ref=ref, **message)
        return await self.until(lambda told: told.get("ref") == ref)

    async def until(self, wanted: Callable[[Message], bool]) -> Message:
        """The first message, told already or yet to come, that is wanted."""
        seen = 0
        async with asyncio.timeout(ANSWER_S_MAX), self._news:
            while True:
                for message in self.heard[seen:]:
                    if wanted(message):
                        return message
                seen = len(self.heard)
                if self._reading.done():
                    raise AssertionError(f"closed with {self.socket.close_code}; told before: {self.heard}")
                await self._news.wait()

    async def until_gift(self, wanted: Callable[[Message], bool]) -> Message:
        """The first gift event that is wanted."""
        told = await self.until(lambda message: any(wanted(event) for event in _gifts(message)))
        return next(event for event in _gifts(told) if wanted(event))

    @property
    def gifts(self) -> list[Message]:
        """All gift events so far, in order."""
        return [event for message in self.heard for event in _gifts(message)]

    async def closed(self) -> int | None:
        """Wait until the server has closed; its code."""
        async with asyncio.timeout(ANSWER_S_MAX):
            await self.socket.wait_closed()
        return self.socket.close_code

    async def close(self) -> None:
        """Hang up."""
        self.socket.transport.resume_reading()
        await self.socket.close()
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self) -> None:
        with contextlib.suppress(Exception):
            async for text in self.socket:
                async with self._news:
                    self.heard.append(json.loads(text))
                    self._news.notify_all()
        async with self._news:
            self._news.notify_all()


class Gateway:
    """A running gateway and what tests do with it.

    Attributes:
        url: origin of its HTTP side.
    """

    def __init__(self, app: App, port: int) -> None:
        self.app = app
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.ws_url = f"ws://127.0.0.1:{port}/v1/ws"
        self._talkers: list[Talker] = []

    @property
    def services(self) -> Services:
        """Its parts."""
        return self.app.services

    def token(self, user: str, role: Role = "viewer", *, room: str | None = None) -> str:
        """A token that it takes."""
        return self.services.tokens.mint(role, user, room=room)

    async def make_room(self, room: str = "demo", creator: str = "cleo") -> None:
        """A room with a creator who earns there."""
        await self.services.office.directory.put_creator(creator, name=creator.title())
        await self.services.office.directory.put_place(f"room:{room}", creator=creator, title=f"Room {room}")

    async def grant(self, viewer: str, coins: int) -> None:
        """Coins for a viewer."""
        order = GrantOrder(id=fresh_id_bytes(), viewer=ViewerId(viewer), coins=coins, reason="test", by="operator")
        assert isinstance(await self.services.office.grants.grant(order), Granted)

    async def connect(self, subprotocol: str | None = SUBPROTOCOL_JSON) -> Talker:
        """A socket that has not said hello."""
        socket = await connect(self.ws_url, subprotocols=[subprotocol] if subprotocol else None, proxy=None)  # type: ignore[list-item]
        return self.adopt(socket)

    def adopt(self, socket: ClientConnection) -> Talker:
        """A talker on a socket that a test opened in its own way."""
        talker = Talker(socket)
        self._talkers.append(talker)
        return talker

    async def greet(self, user: str, role: Role = "viewer") -> Talker:
        """A socket whose hello was answered."""
        talker = await self.connect()
        welcome = await talker.ask(type="hello", token=self.token(user, role))
        assert welcome["type"] == "welcome", welcome
        return talker

    async def enter(self, user: str, role: Role = "viewer", room: str = "demo", since: Message | None = None) -> Talker:
        """A socket that is in a room."""
        talker = await self.greet(user, role)
        asked = {} if since is None else {"since": since}
        joined = await talker.ask(type="join", room=room, **asked)
        assert joined["type"] == "joined", joined
        return talker

    async def hang_up(self) -> None:
        """Close all talkers."""
        for talker in self._talkers:
            await talker.close()


@contextlib.asynccontextmanager
async def running_gateway(
    valkey_url: str, database_url: str, *, relay: bool = True, settings: dict[str, Any] | None = None
) -> AsyncIterator[Gateway]:
    """A gateway that listens on a free port.

    Args:
        relay: run the relay beside it.
        settings: sections of `Config` in the place of their defaults.
    """
    folder = tempfile.mkdtemp(prefix="gw-")
    given = {"data_dir": Path(folder), "ledger": LedgerConfig(partitions=4), **(settings or {})}
    ledger = msgspec.structs.replace(given.pop("ledger"), redis_url=valkey_url, database_url=database_url)
    config = Config(signing_key=KEY, demo=True, redis_url=valkey_url, database_url=database_url, ledger=ledger, **given)
    app = await build(config)
    await app.start()
    server = _Server(
        uvicorn.Config(
            app.asgi,
            ws=app.ws_protocol_class,  # type: ignore[arg-type]
            http=app.http_protocol_class,  # type: ignore[arg-type]
            loop="none",
            lifespan="off",
            proxy_headers=False,
            host="127.0.0.1",
            port=0,
            log_config=None,
        )
    )
    relaying = (
        asyncio.create_task(Relay(app.services.ledger, app.services.broker, config.rooms).run()) if relay else None
    )
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started, ANSWER_S_MAX)
    gateway = Gateway(app, server.servers[0].sockets[0].getsockname()[1])
    try:
        yield gateway
    finally:
        await gateway.hang_up()
        if relaying is not None:
            relaying.cancel()
            await asyncio.gather(relaying, return_exceptions=True)
        server.ended.set()
        await serving
        await app.stop()
        shutil.rmtree(folder)


class _Server(uvicorn.Server):
    """Ends as soon as it can: uvicorn's own looks for its end every tenth of a second, and rests as long after it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ended = asyncio.Event()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.ended.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listening in self.servers:
            listening.close()
        state = self.server_state
        for connection in list(state.connections):
            connection.shutdown()
        await until(lambda: not (state.connections or state.tasks), ANSWER_S_MAX)


def fresh_id_bytes() -> bytes:
    """A UUIDv7 of now."""
    return new_id(int(time.time() * 1000))


def fresh_id() -> str:
    """A UUIDv7 of now, as text."""
    return format_id(fresh_id_bytes())


def _gifts(message: Message) -> list[Message]:
    if message.get("type") != "events":
        return []
    return [event for event in message["events"] if event["kind"] == "gift"]
