"""One WebSocket connection as a client should hold it: says hello, comes back with full jitter, knows when
not to.

Built on picows callbacks: a frame costs one call, and there is no task per socket while all is well.
"""

import asyncio
import random
import socket
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct
from picows import WSCloseCode, WSError, WSFrame, WSListener, WSMsgType, WSParsedURL, WSTransport, ws_connect

from gateway.wire.codec import Encoding
from gateway.wire.codes import CloseCode
from gateway.wire.messages import (
    Accepted,
    Ack,
    Balance,
    Events,
    Hello,
    Join,
    Joined,
    Limits,
    Notice,
    Ping,
    Pong,
    Refused,
    SendGift,
    ServerMessage,
    Undo,
    Undone,
    Welcome,
)

READ_BUFFER_BYTES: Final = 1024
"""picows' default is 16 KiB a socket; most frames are far smaller, and the buffer grows when needed."""
SEGMENT_BYTES: Final = 536
"""Of a bad line: on loopback's large segments the system keeps 2.5 MB a socket that nobody reads."""
RECEIVE_BYTES: Final = 2_304
BACKOFF_FIRST_S: Final = 0.1
BACKOFF_MAX_S: Final = 5.0
RETRY_S: Final = 0.2
"""Until something is asked for again whose refusal names no time."""
READY_TIMEOUT_S: Final = 15.0
CONNECTING_MAX: Final = 64
"""Connections of one process that are being opened at a time."""

Payload = bytes | memoryview
Reply = Accepted | Undone | Refused | Joined
_decoders: Final = {
    Encoding.JSON: msgspec.json.Decoder(ServerMessage).decode,
    Encoding.MSGPACK: msgspec.msgpack.Decoder(ServerMessage).decode,
}
_encoders: Final = {
    Encoding.JSON: msgspec.json.Encoder().encode,
    Encoding.MSGPACK: msgspec.msgpack.Encoder().encode,
}
_NEVER_AGAIN: Final = frozenset(code for code in CloseCode if not code.reconnect)


class ClientRefused(Exception):
    """The server would not have this client at all."""


class Line(Struct):
    """What all connections of a process share.

    Attributes:
        slots: bounds how many connect at a time.
        limits: as the last `welcome` said.
        faults: what should not have happened on a connection, in words, bounded by the recorder of the
            report.
        drops: sockets that clients lost on purpose.
        reconnects: how often a connection came back.
        bytes_received: payload bytes of all frames.
    """

    url: str
    encoding: Encoding
    slots: asyncio.Semaphore
    rng: random.Random
    faults: list[str]
    limits: Limits | None = None
    closing: bool = False
    drops: int = 0
    reconnects: int = 0
    frames_received: int = 0
    bytes_received: int = 0


class Client:
    """A user's connection: opens, says hello, is told of every message, and opens again when it should.

    Subclasses say what happens on `ready` (each time the hello was answered) and on each message.

    Args:
        line: shared by the process.
        name: the user, for messages about faults.
        token: for the hello.
    """

    def __init__(self, line: Line, name: str, token: str) -> None:
        self.line = line
        self.name = name
        self.transport: WSTransport | None = None
        self.bad_line = False
        """Whether it connects over small segments and buffers."""
        self.settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the client first stands ready for the run."""
        self.decode: Callable[[Payload], ServerMessage] = _decoders[line.encoding]
        self.encode = _encoders[line.encoding]
        self._token = token
        self._welcomed = False
        self._attempts = 0
        self._sent_away_for_s: float | None = None
        self._again: asyncio.Task[None] | None = None
        self._frame_type = WSMsgType.TEXT if line.encoding is Encoding.JSON else WSMsgType.BINARY

    async def open(self) -> None:
        """Connect and wait until the client is ready.

        Raises:
            ClientRefused: the server said no, or did not answer in time.
        """
        try:
            await self._connect()
            await asyncio.wait_for(asyncio.shield(self.settled), READY_TIMEOUT_S)
        except (OSError, WSError, TimeoutError) as exc:
            raise ClientRefused(f"{self.name}: no way into {self.line.url}: {exc or 'no answer in time'}") from exc

    async def close(self) -> None:
        """Close for good."""
        if self._again is not None:
            self._again.cancel()
            await asyncio.gather(self._again, return_exceptions=True)
        if self.transport is not None:
            self.transport.send_close(WSCloseCode.OK)
            self.transport.disconnect()

    def drop(self) -> bool:
        """Lose the socket without a word; False when there is none now. It comes back as after any loss."""
        if self.transport is None or not self._welcomed:
            return False
        self.transport.disconnect(graceful=False)
        return True

    def stall(self, stalled: bool) -> None:
        """Read nothing more, or go on reading."""
        if self.transport is None:
            return
        if stalled:
            self.transport.underlying_transport.pause_reading()
        else:
            self.transport.underlying_transport.resume_reading()

    def send(self, message: Hello | Join | SendGift | Undo | Ack | Ping) -> bool:
        """Write one message; False when there is no connection now, or it has not been welcomed yet."""
        if self.transport is None or not (self._welcomed or isinstance(message, Hello)):
            return False
        self.transport.send(self._frame_type, self.encode(message))
        return True

    # What subclasses fill in.

    def on_welcome(self, welcome: Welcome) -> None:
        """The hello was answered, for the first time or again."""

    def on_events(self, events: Events, payload: Payload) -> None:
        """Events of a room."""

    def on_reply(self, message: Reply) -> None:
        """The answer to a command."""

    def on_notice(self, notice: Notice) -> None:
        """The server says something about the connection."""

    def on_closed(self, code: int, *, again: bool) -> None:
        """The connection is gone; `again` when the client will open it anew."""

    def on_frame(self, payload: Payload) -> None:
        """One message. The hot path of subclasses may take it before it is decoded."""
        self.dispatch(self.decode(payload), payload)

    # Plumbing.

    def dispatch(self, message: ServerMessage, payload: Payload) -> None:
        """Tell a decoded message to the right method."""
        match message:
            case Events():
                self.on_events(message, payload)
            case Accepted() | Undone() | Refused() | Joined():
                self.on_reply(message)
            case Welcome():
                self._attempts = 0
                self._welcomed = True
                self.line.limits = message.limits
                self.on_welcome(message)
            case Notice():
                if message.reconnect_after_ms is not msgspec.UNSET:
                    self._sent_away_for_s = message.reconnect_after_ms / 1000
                self.on_notice(message)
            case Pong() | Balance():
                pass
            case _:
                pass

    def ask_again(self, refused: Refused, ask: Callable[[], None]) -> bool:
        """Ask for something again after a while, if its refusal says that this may help and the connection lasts."""
        if not refused.retryable:
            return False
        told_ms, transport = refused.retry_after_ms, self.transport
        pause_s = RETRY_S if told_ms is msgspec.UNSET else told_ms / 1000

        def again() -> None:
            if self.transport is transport and not self.line.closing:
                ask()

        asyncio.get_running_loop().call_later(pause_s, again)
        return True

    def give_up(self, reason: str) -> None:
        """This client cannot take part."""
        if not self.settled.done():
            self.settled.set_exception(ClientRefused(f"{self.name}: {reason}"))
        else:
            self.line.faults.append(f"{self.name}: {reason}")

    def connected(self, transport: WSTransport) -> None:
        """The upgrade is done: say hello."""
        self.transport = transport
        self.send(Hello(ref="hello", token=self._token, client="giftwire-loadtest"))

    def disconnected(self, transport: WSTransport) -> None:
        """The socket is closed, by whomever."""
        if transport is not self.transport:
            return
        self.transport = None
        self._welcomed = False
        received = transport.close_handshake.recv if transport.close_handshake is not None else None
        code = 1006 if received is None else _number(received.code)
        again = not self.line.closing and code not in _NEVER_AGAIN
        self.on_closed(code, again=again)
        if again:
            self._again = asyncio.get_running_loop().create_task(self._reconnect())
        elif not self.line.closing:
            self.give_up(f"closed with {code}, not to come back")

    async def _reconnect(self) -> None:
        while not self.line.closing:
            await asyncio.sleep(self._pause_s())
            try:
                await self._connect()
            except (OSError, WSError, TimeoutError):
                continue
            self.line.reconnects += 1
            return

    def _pause_s(self) -> float:
        told_s, self._sent_away_for_s = self._sent_away_for_s, None
        if told_s is not None:
            return told_s
        # Full jitter: a crowd that lost its server must not come back as one.
        pause_s = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2**self._attempts)
        self._attempts = min(self._attempts + 1, 10)
        return self.line.rng.uniform(0, pause_s)

    async def _connect(self) -> None:
        async with self.line.slots:
            _, listener = await ws_connect(
                lambda: _Listener(self),
                self.line.url,
                read_buffer_init_size=READ_BUFFER_BYTES,
                extra_headers={"Sec-WebSocket-Protocol": self.line.encoding.value},
                logger_name=None,
                socket_factory=_bad_line if self.bad_line else None,
            )
        # picows returns here too when the socket was closed before the upgrade was answered.
        if not (isinstance(listener, _Listener) and listener.upgraded):
            raise ConnectionResetError("the socket was closed before the upgrade was answered")


async def _bad_line(url: WSParsedURL) -> socket.socket:
    """A connected socket that takes little at a time."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
    family, kind, proto, _, address = found[0]
    line = socket.socket(family, kind, proto)
    try:
        line.setblocking(False)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT_BYTES)
        await loop.sock_connect(line, address)
    except BaseException:
        line.close()
        raise
    return line


def _number(code: object) -> int:
    # picows gives a plain integer for codes that its enum does not know, such as ours.
    return code.value if isinstance(code, WSCloseCode) else int(str(code))


class _Listener(WSListener):
    """Hands picows' callbacks to the client."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.upgraded = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.upgraded = True
        self._client.connected(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind is WSMsgType.TEXT or kind is WSMsgType.BINARY:
            line = self._client.line
            line.frames_received += 1
            line.bytes_received += frame.payload_size
            self._client.on_frame(frame.get_payload_as_memoryview())
        elif kind is WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._client.disconnected(transport)
