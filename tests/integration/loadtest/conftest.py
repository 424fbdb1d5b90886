"""A server that answers as a test tells it to, on a real socket: what the clients do then is what is tested."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest
from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

from gateway.wire.codec import Encoding
from gateway.wire.messages import (
    ClientMessage,
    Hello,
    Join,
    Joined,
    Limits,
    Refused,
    RoomState,
    ServerMessage,
    Welcome,
)
from loadtest.clients.connection import Line

DEADLINE_S = 10.0
Answer = Callable[["Peer", ClientMessage], None]


class Peer:
    """The server's end of one connection."""

    def __init__(self, transport: WSTransport, number: int) -> None:
        self.transport = transport
        self.number = number

    def send(self, message: ServerMessage) -> None:
        """Write a message."""
        self.transport.send(WSMsgType.TEXT, msgspec.json.encode(message))

    def cut(self, code: int | None = None) -> None:
        """Close with a code, or cut the line without a word."""
        if code is not None:
            self.transport.send(WSMsgType.CLOSE, code.to_bytes(2, "big"))
        self.transport.disconnect(graceful=False)


class ScriptedServer:
    """Notes every message; answers `hello` and `join` by itself, everything else by the test's `answer`."""

    def __init__(self) -> None:
        self.url = ""
        self.messages: list[ClientMessage] = []
        self.peers: list[Peer] = []
        self.answer: Answer = lambda peer, message: None
        self.welcomes = True
        self.recovers = True
        self.unavailable = 0
        """How many joins are refused for now."""
        self.seq = 0
        self._changed = asyncio.Event()
        self._listening: asyncio.Server | None = None

    async def listen(self) -> None:
        """Take connections on a free port."""
        self._listening = await ws_create_server(lambda _: _Listener(self), "127.0.0.1", 0)
        port = self._listening.sockets[0].getsockname()[1]
        self.url = f"ws://127.0.0.1:{port}/v1/ws"

    def stop_listening(self) -> None:
        """Refuse new connections; those that stand stay."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    def hear(self, peer: Peer, message: ClientMessage) -> None:
        """Note and answer."""
        self.messages.append(message)
        self._changed.set()
        if isinstance(message, Hello) and self.welcomes:
            self.welcome(peer)
        elif isinstance(message, Join) and self.unavailable:
            self.unavailable -= 1
            peer.send(Refused("unavailable", "not now", retryable=True, ref=message.ref, retry_after_ms=10))
        elif isinstance(message, Join):
            recovered = message.since is not None and self.recovers
            state = RoomState(message.room, "", "c", "c", 0, [], 5_000)
            peer.send(Joined(message.ref, message.room, 1, self.seq, recovered, state))
        self.answer(peer, message)

    def welcome(self, peer: Peer) -> None:
        """Answer the hello."""
        peer.send(Welcome("hello", "s", "u", "viewer", 0, Limits(1, 1, 1, 1, 20, 1)))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until messages have made this true; a test that waits in vain fails."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                self._changed.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), 0.05)


class _Listener(WSListener):
    def __init__(self, server: ScriptedServer) -> None:
        self._server = server
        self._peer: Peer | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._peer = Peer(transport, len(self._server.peers))
        self._server.peers.append(self._peer)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.TEXT and self._peer is not None:
            message = msgspec.json.decode(frame.get_payload_as_bytes(), type=ClientMessage)
            self._server.hear(self._peer, message)
        elif frame.msg_type is WSMsgType.CLOSE:
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedServer]:
    """A running scripted server."""
    server = ScriptedServer()
    await server.listen()
    yield server
    server.stop_listening()
    for peer in server.peers:
        peer.transport.disconnect(graceful=False)


@pytest.fixture
def line(scripted: ScriptedServer) -> Line:
    """What the clients of a process share."""
    return Line(scripted.url, Encoding.JSON, asyncio.Semaphore(8), random.Random(1), [])
