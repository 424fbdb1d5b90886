"""One WebSocket as uvicorn hands it over: bytes in and out, the closing handshake, and what may wait to be sent.

Built on the sans-I/O protocol of `websockets`, which reads frames and answers handshakes, pings and closes. What is
written to many goes past it: a frame is built once for all. The protocol object of a silent connection is dropped and
made anew when bytes come (`rest`).
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import CloseCode as WebSocketCode
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN, SEND_EOF, SERVER, Protocol
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from gateway.admission.admission import AddressCount
from gateway.counting.metrics import Shed
from gateway.edge.deflate import DeflateOffers, Inflating
from gateway.edge.frames import PING_FRAME
from gateway.edge.intake import SLICE_BYTES, TURN_FRAMES_MAX, Unread
from gateway.edge.parts import Parts
from gateway.edge.prepared import Variant
from gateway.edge.whole_frames import read_whole
from gateway.wire.codec import SUBPROTOCOLS, Encoding
from gateway.wire.codes import CloseCode

if TYPE_CHECKING:
    from gateway.edge.edge import Edge
    from gateway.edge.session import Session

_CONTINUED: Final = Opcode.CONT
_PAYLOADS: Final = (Opcode.TEXT, Opcode.BINARY)
_KINDS: Final = {Encoding.JSON: Opcode.TEXT, Encoding.MSGPACK: Opcode.BINARY}
_RULE_BROKEN: Final = (ProtocolError, PayloadTooBig, UnicodeDecodeError, EOFError)
_NOT_UNDERSTOOD: Final = (
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 36\r\n\r\nThe handshake cannot be understood.\n"
)
_OFFERS: Final = (DeflateOffers(),)
PATH: Final = "/v1/ws"


class Connection(asyncio.Protocol):
    """One socket. Lives from uvicorn's hand-over until `connection_lost`.

    Args:
        edge: what all connections of this process share.

    Attributes:
        heard: bytes came since the heartbeat looked last; `pinged`: it was asked whether it is there.
        talks: it sends gifts, so its protocol object is kept.
        compressed: permessage-deflate was agreed on.
        address: what it is counted by; None where no limit holds.
        congested: more than `viewer_queue_bytes_max` waits to be sent, and not yet half of it has gone.
        idle_frames: frames that ended no message since the heartbeat looked last.
        transport: where a fan-out writes directly while the connection is not `held`; gone after `connection_lost`. An
            attribute, since a property costs as much as the rest of the loop.
        held: a fan-out must not simply write to it: it is or was congested, or it is closing.
        slow_since_ms: since when ticks were skipped; 0 while none is missing.
    """

    __slots__ = (
        "_closing",
        "_edge",
        "_handed_by",
        "_parts",
        "_protocol",
        "_replies",
        "_timer",
        "_transport",
        "_unread",
        "_used_until_s",
        "address",
        "compressed",
        "congested",
        "encoding",
        "heard",
        "held",
        "idle_frames",
        "pinged",
        "session",
        "slow_since_ms",
        "talks",
        "transport",
    )

    def __init__(self, edge: "Edge") -> None:
        self.encoding = Encoding.JSON
        self.compressed = False
        self.session: Session | None = None
        self.address: AddressCount | None = None
        self.heard = True
        self.congested = False
        self.held = False
        self.idle_frames = 0
        self.pinged = False
        self.talks = False
        self.slow_since_ms = 0
        self._edge = edge
        self._transport: asyncio.Transport | None = None
        self._protocol: Protocol | None = None
        self._parts: Parts | None = None
        self._handed_by: asyncio.BaseProtocol | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._unread: Unread | None = None
        self._used_until_s = 0.0
        self._replies: list[bytes] | None = None

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.transport = self._transport
        self._handed_by = self._transport.get_protocol()
        self.address = getattr(self._handed_by, "address", None)
        high = self._edge.config.viewer_queue_bytes_max
        self._transport.set_write_buffer_limits(high=high, low=high // 2)
        self._protocol = protocol = _Handshake(
            extensions=_OFFERS if self._edge.config.deflate else None,
            subprotocols=cast("Any", SUBPROTOCOLS),
            max_size=self._edge.config.message_bytes_max,
            logger=self._edge.silent,
        )
        protocol.tell = self._frame_received
        self._edge.connected(self)

    def data_received(self, data: bytes) -> None:
        self.heard = True
        if self._unread is not None:
            # The event loop had read it before it was told to pause.
            self._unread = self._unread.followed_by(data)
        elif self.session is not None and not self._edge.intake.has_turn():
            self._wait_for_turn(data, 0, 0.0)
        else:
            self._read(data, 0)

    def eof_received(self) -> None:
        # Returning nothing lets the event loop close the socket, which is all that is left to do.
        self._closing = self.held = True

    def pause_writing(self) -> None:
        self.congested = self.held = True

    def resume_writing(self) -> None:
        # It stays held until the next fan-out, or until it is healed: what was skipped meanwhile must be said first.
        self.congested = False
        if self.slow_since_ms:
            self._edge.heal_soon(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = self.held = True
        self._let_go_of_http()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._unread is not None and self._unread.turn is not None:
            self._unread.turn.cancel()
        self._unread = None
        session, self.session = self.session, None
        self._edge.disconnected(self)
        if session is not None:
            session.ended()
        self._transport = None
        del self.transport
        if self._protocol is not None:
            _forget(self._protocol)
            self._protocol = None

    # What sessions and fan-out call.

    @property
    def is_closing(self) -> bool:
        """Nothing more can be sent."""
        return self._closing

    @property
    def variant(self) -> Variant:
        """What it reads."""
        return Variant(self.encoding, self.compressed)

    @property
    def waiting_bytes(self) -> int:
        """Unsent bytes."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def write(self, frame: bytes) -> None:
        """Send one frame that must not be skipped; one to a connection that is closing is dropped.

        uvloop's `write` is one system call while nothing waits: going past it with `os.write` saved nothing measurable.
        """
        if self._replies is not None:
            self.send_replies()
        transport = self._transport
        if self._closing or transport is None or transport.is_closing():
            return
        transport.write(frame)

    def reply(self, frame: bytes) -> None:
        """Send one frame together with what else is answered before the event loop goes on: one system call for all.

        What is written otherwise does not pass it, ticks of rooms neither: before each slice of one the replies of all
        connections go out.
        """
        if self._replies is not None:
            self._replies.append(frame)
        elif not self._closing:
            self._replies = [frame]
            self._edge.reply_soon(self)

    def send_replies(self) -> None:
        """Write the replies that wait."""
        replies, self._replies = self._replies, None
        if replies:
            self.write(replies[0] if len(replies) == 1 else b"".join(replies))

    def close(self, code: int, reason: str = "") -> None:
        """Begin to close; the other side has `close_ms_max` to answer."""
        if self._closing or self._transport is None:
            return
        self.send_replies()
        protocol = self._protocol or self._wake()
        if protocol.state is OPEN:
            protocol.send_close(code, reason)
            self._edge.closed(code)
            self._write_protocol(protocol)

    def abort(self) -> None:
        """Let go of the socket at once."""
        self._closing = self.held = True
        if self._transport is not None:
            self._transport.abort()

    def ping(self) -> None:
        """See whether the other side is there."""
        self.pinged = True
        self.write(PING_FRAME)

    def greeted(self) -> None:
        """The hello came in time."""
        self._let_go_of_http()
        if self._timer is not None and not self._closing:
            self._timer.cancel()
            self._timer = None

    def rest(self) -> None:
        """Drop what a silent connection does not need; it is made again when bytes come.

        One that `talks`, a sender's, keeps it until it has been silent for a while: making it takes some microseconds.
        """
        protocol = self._protocol
        if protocol is None or self._parts is not None or protocol.state is not OPEN or self._closing:
            return
        if _between_frames(protocol):
            _forget(protocol)
            self._protocol = None

    # Inside.

    def _read(self, data: bytes, start: int) -> None:
        """Read frames until all are read, or it is the turn of others."""
        intake = self._edge.intake
        before = intake.frames
        while start < len(data) and intake.frames - before < TURN_FRAMES_MAX:
            read = self._read_whole(data, start)
            if read > start:
                start = read
            else:
                self._take(data[start : start + SLICE_BYTES])
                start += SLICE_BYTES
        if self.congested:
            self._check_queue()
        pause_s = 0.0
        if (frames := intake.frames - before) and not self._closing:
            now_s = asyncio.get_running_loop().time()
            self._used_until_s, pause_s = intake.charge(self._used_until_s, now_s, frames)
        if start < len(data) or pause_s > 0:
            self._wait_for_turn(data, start, pause_s)
        elif not self.talks:
            self.rest()

    def _read_whole(self, data: bytes, start: int) -> int:
        """Hand one message to the session where it is easily read, and say where the next begins; `start` if it is not.

        Measured: 1 us where the protocol takes 5 to 6, and 12 where it has to be made anew.
        """
        session, protocol = self.session, self._protocol
        if session is None or self._parts is not None or self._closing:
            return start
        if protocol is not None and not (protocol.state is OPEN and _between_frames(protocol)):
            return start
        found = read_whole(data, start, _KINDS[self.encoding], self._edge.config.message_bytes_max)
        if found is None or (self.encoding is Encoding.JSON and not found[0].isascii()):
            return start
        self._edge.intake.frames += 1
        try:
            session.receive(found[0])
        except Exception:
            # A fault of ours must end this connection alone and be seen: the client is told, and who called logs it, as
            # `websockets` does for what it read itself.
            self._fail(WebSocketCode.INTERNAL_ERROR, "")
            raise
        return found[1]

    def _wait_for_turn(self, data: bytes, start: int, pause_s: float) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.pause_reading()
        turn = None
        if pause_s > 0:
            self._edge.shed(Shed.PACED)
            turn = asyncio.get_running_loop().call_later(pause_s, self.take_turn)
        else:
            # What others sent is looked at first.
            self._edge.intake.wait(self)
        self._unread = Unread(data, start, turn)

    def take_turn(self) -> None:
        """Read on where it stopped; nothing, when the connection was lost meanwhile."""
        unread, self._unread = self._unread, None
        if unread is None:
            return
        self.heard = True
        self._read(unread.data, unread.start)
        if self._unread is None and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _take(self, data: bytes) -> None:
        protocol = self._protocol or self._wake()
        if protocol.eof_sent:
            # We said our last word; what still comes is only read so that the socket can be closed in order.
            return
        protocol.receive_data(data)
        for event in protocol.events_received():
            if isinstance(event, Request):
                self._shake_hands(event)
        if protocol.writes:
            if self.session is None and protocol.writes == [SEND_EOF]:
                self.write(_NOT_UNDERSTOOD)
            self._write_protocol(protocol)
        if protocol.parser_exc is not None and not isinstance(protocol.parser_exc, _RULE_BROKEN):
            # What a session raised: it is answered with 1011, but nobody has heard of it.
            raise protocol.parser_exc

    def _frame_received(self, received: Frame) -> None:
        """Take one frame as soon as it is read: answers keep their order, and nothing behind a broken one is looked at.

        Raises:
            UnicodeDecodeError: it is no text, where it must be (RFC 6455, section 8.1).
        """
        self._edge.intake.frames += 1
        protocol = cast("Protocol", self._protocol)
        session = self.session
        if session is None:
            # It came with the handshake, whose answer nothing may precede: its pong is forgotten like the frame.
            protocol.writes.clear()
            return
        if protocol.writes:
            self._write_protocol(protocol)
        if self._closing:
            return
        if received.opcode in _PAYLOADS:
            if received.opcode is not _KINDS[self.encoding]:
                self._fail(WebSocketCode.UNSUPPORTED_DATA, f"messages are {_KINDS[self.encoding].name.lower()} frames")
                return
            if not received.fin:
                self._parts = Parts(is_text=self.encoding is Encoding.JSON)
                self._part_received(session, self._parts, received)
                return
            payload = bytes(received.data)
            if self.encoding is Encoding.JSON and not payload.isascii():
                payload.decode()
            session.receive(payload)
        elif received.opcode is _CONTINUED and self._parts is not None:
            self._part_received(session, self._parts, received)
        else:
            self._count_idle()

    def _part_received(self, session: "Session", parts: Parts, received: Frame) -> None:
        parts.add(received.data, final=received.fin)
        if received.fin:
            self._parts = None
            session.receive(parts.whole())
        else:
            self._count_idle()

    def _count_idle(self) -> None:
        """A frame that ends no message; the heartbeat begins to count anew."""
        self.idle_frames += 1
        if self.idle_frames > self._edge.config.idle_frames_max:
            self._edge.shed(Shed.FRAMES_MAX)
            self._fail(CloseCode.PROTOCOL_ERROR, "too many frames that end no message")

    def _check_queue(self) -> None:
        """Whoever asks and does not read what it is answered would make us keep all of that."""
        config = self._edge.config
        identity = None if self.session is None else self.session.identity
        may_wait = config.overlay_queue_bytes_max if identity is not None and identity.role != "viewer" else 0
        if not self._closing and self.waiting_bytes > max(may_wait, config.reply_queue_bytes_max):
            self._edge.shed(Shed.QUEUE_MAX)
            self.close(CloseCode.SLOW_CONSUMER, "too much waits for you")

    def _fail(self, code: int, reason: str) -> None:
        """Close without waiting for what the other side has to say."""
        protocol = self._protocol or self._wake()
        protocol.fail(code, reason)
        self._write_protocol(protocol)

    def _shake_hands(self, request: Request) -> None:
        protocol = cast("ServerProtocol", self._protocol)
        refusal = self._edge.refuses(request.path, request.headers.get_all("Origin"))
        if refusal is not None:
            protocol.send_response(protocol.reject(*refusal))
            return
        response = protocol.accept(request)
        protocol.send_response(response)
        if protocol.handshake_exc is None:
            self.encoding = Encoding(protocol.subprotocol or SUBPROTOCOLS[0])
            self.compressed = bool(protocol.extensions)
            self.session = self._edge.open_session(self)
            self._set_timer(self._edge.config.hello_ms_max, self._hello_missed)

    def _hello_missed(self) -> None:
        self._timer = None
        if self.session is not None and self.session.identity is None:
            self.close(CloseCode.PROTOCOL_ERROR, "no hello in time")

    def _write_protocol(self, protocol: Protocol) -> None:
        for data in protocol.data_to_send():
            if data:
                self.write(data)
            else:
                self._say_no_more(protocol)
        if protocol.state is not OPEN and protocol.close_expected() and not self._closing:
            self._closing = self.held = True
            self._set_timer(self._edge.config.close_ms_max, self.abort)

    def _say_no_more(self, protocol: Protocol) -> None:
        """Half of the socket is closed; a socket closed at once, with bytes unread, would take our last words along."""
        if not self._closing and protocol.close_sent is not None and protocol.close_rcvd is None:
            self._edge.closed(protocol.close_sent.code)
        self._closing = self.held = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write_eof()
            self._set_timer(self._edge.config.close_ms_max, self.abort)

    def _let_go_of_http(self) -> None:
        """Cut uvicorn's protocol and its parser apart: they hold each other, and 2 KB, until garbage is looked for."""
        handed_by, self._handed_by = self._handed_by, None
        if getattr(handed_by, "parser", None) is not None:
            setattr(handed_by, "parser", None)  # noqa: B010 - a name of uvicorn's, seen to by a test

    def _wake(self) -> Protocol:
        self._protocol = protocol = _Open(
            SERVER, state=OPEN, max_size=self._edge.config.message_bytes_max, logger=self._edge.silent
        )
        protocol.tell = self._frame_received
        if self.compressed:
            protocol.extensions = [Inflating()]
        return protocol

    def _set_timer(self, after_ms: int, then: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(after_ms / 1000, then)


class _TellsFrames(Protocol):
    """Tells of each frame at once, where its base gathers them.

    Attributes:
        tell: called once a frame, within `receive_data`. What it raises ends the connection, as a broken frame does.
    """

    tell: Callable[[Frame], None]

    def recv_frame(self, frame: Frame) -> None:
        super().recv_frame(frame)
        self.events.pop()
        self.tell(frame)


class _Open(_TellsFrames):
    """Its handshake is done."""


class _Handshake(_TellsFrames, ServerProtocol):
    """Takes the first subprotocol that the client offers and we know; a client that offers none speaks JSON."""

    def select_subprotocol(self, subprotocols: Sequence[Subprotocol]) -> Subprotocol | None:
        return next((name for name in subprotocols if name in SUBPROTOCOLS), None)


def _between_frames(protocol: Protocol) -> bool:
    """Whether it waits for the first byte of a frame. An empty buffer would not tell: a frame's head is taken out of it
    as soon as it is there, and may be all that came. So it is asked in which of its generators it waits."""
    waits: object = protocol.parser
    while (inner := getattr(waits, "gi_yieldfrom", None)) is not None:
        waits = inner
    return getattr(waits, "__name__", "") == "at_eof"


def _forget(protocol: Protocol) -> None:
    """Free it now: its parser, a generator, and it hold each other."""
    protocol.parser.close()
