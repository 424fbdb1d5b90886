"""The edge's connection over a socket of memory: what a test gives it arrives as it was cut, what it writes is read.

The session behind it gives every message back as it came, so that what was understood can be seen.
"""

import asyncio
import struct
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, cast

from gateway.admission.admission import Admission
from gateway.admission.config import AdmissionConfig
from gateway.counting.metrics import Metrics
from gateway.counting.shared_metrics import text_of
from gateway.edge.config import EdgeConfig
from gateway.edge.connection import Connection
from gateway.edge.edge import Edge
from gateway.edge.frames import frame
from gateway.edge.session import Session
from gateway.wire.codec import SUBPROTOCOL_JSON
from ledger.live.batcher import BatcherStats
from tests.integration.edge.raw import CLOSE, UPGRADE_LINES, head
from tests.waiting import until

NO_CODE: Final = 1005
_COMPRESSED: Final = 0x40


class Told(NamedTuple):
    """A frame of the server.

    Attributes:
        payload: of a close, its code alone, as text.
    """

    opcode: int
    payload: bytes
    compressed: bool = False


class MemoryTransport(asyncio.Transport):
    """Keeps what is written until somebody reads it.

    Attributes:
        stalled: nobody reads: what is written waits, and whoever writes is told when it is too much.
        writes: how often it was written to.
    """

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.writes = 0
        self.stalled = False
        self.reading = True
        self.ended = False
        self.aborted = False
        self.connection: Connection | None = None
        self._waiting = 0
        self._high = self._low = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.ended and not self.aborted, "written to after its end"
        self.writes += 1
        self.written += data
        if self.stalled:
            self._waiting += len(data)
            if self._waiting > self._high and self.connection is not None:
                self.connection.pause_writing()

    def flow(self) -> None:
        """Somebody reads again."""
        self.stalled, self._waiting = False, 0
        if self.connection is not None:
            self.connection.resume_writing()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high, self._low = high or 0, low or 0

    def get_write_buffer_size(self) -> int:
        return self._waiting

    def get_protocol(self) -> asyncio.BaseProtocol:
        return asyncio.Protocol()

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.aborted

    def write_eof(self) -> None:
        self.ended = True

    def abort(self) -> None:
        self.aborted = True


class Echo:
    """Stands where a session is, and gives back what it is told.

    Attributes:
        heard: every message, in order.
    """

    identity = None

    def __init__(self, connection: Connection) -> None:
        self.heard: list[bytes] = []
        self.connection = connection

    def receive(self, payload: bytes) -> None:
        self.heard.append(payload)
        self.connection.write(frame(payload, self.connection.encoding))

    def ended(self) -> None:
        pass


class Desk:
    """Stands where gifts are handed in.

    Attributes:
        full: as many gifts wait as may.
    """

    full = False


class Ticks:
    """Stands where rooms are.

    Attributes:
        first: what the edge wants to be called before each slice of a tick.
    """

    def before_ticks(self, send: Callable[[], None]) -> None:
        self.first = send


class _Services(NamedTuple):
    metrics: Metrics
    admission: Admission
    desk: Desk
    rooms: Ticks


class EchoEdge(Edge):
    """The real one, but for its sessions."""

    def __init__(self, config: EdgeConfig) -> None:
        self.metrics = Metrics()
        self.desk, self.ticks = Desk(), Ticks()
        admission = Admission(AdmissionConfig(), self.metrics, time.monotonic)
        super().__init__(config, cast("Any", _Services(self.metrics, admission, self.desk, self.ticks)))

    def open_session(self, connection: Connection) -> Session:
        return cast("Session", Echo(connection))

    def counted(self) -> str:
        """What it counted, as Prometheus reads it."""
        return text_of(self.metrics.families(BatcherStats())).decode()


class Line:
    """One connection whose handshake was answered.

    Args:
        extensions: what the client offers, if anything.
        behind: what it says without waiting for the answer.
        edge: that of other lines; one of its own when None.

    Attributes:
        answer: the head of the answer to the handshake.
    """

    def __init__(
        self,
        config: EdgeConfig | None = None,
        *,
        subprotocol: str = SUBPROTOCOL_JSON,
        extensions: str | None = None,
        behind: bytes = b"",
        edge: EchoEdge | None = None,
    ) -> None:
        self.edge = edge or EchoEdge(config or EdgeConfig())
        self.transport = MemoryTransport()
        self.connection = Connection(self.edge)
        self.transport.connection = self.connection
        self.connection.connection_made(self.transport)
        offer = () if extensions is None else (f"Sec-WebSocket-Extensions: {extensions}",)
        asked = head(*UPGRADE_LINES, f"Sec-WebSocket-Protocol: {subprotocol}", *offer)
        self.connection.data_received(asked + behind)
        self.answer, self._after = self._split()

    @property
    def session(self) -> Echo:
        """What hears the messages."""
        return cast("Echo", self.connection.session)

    @property
    def agreed(self) -> str | None:
        """The extensions of the answer."""
        for line in self.answer.split("\r\n"):
            name, _, value = line.partition(":")
            if name.lower() == "sec-websocket-extensions":
                return value.strip()
        return None

    async def feed(self, pieces: Iterable[bytes]) -> None:
        """Let bytes arrive, a piece a time, and wait until they are read."""
        for piece in pieces:
            self.connection.data_received(piece)
        await until(lambda: self.transport.reading, 5)

    def told(self) -> list[Told]:
        """Every frame of the server so far."""
        return read_frames(bytes(self.transport.written[self._after :]))

    async def let_go(self) -> None:
        """Wait until the gateway has let go of the socket."""
        await until(lambda: self.transport.aborted, 5)

    def hang_up(self) -> None:
        """The socket is gone."""
        self.connection.connection_lost(None)

    def _split(self) -> tuple[str, int]:
        text, _, _ = bytes(self.transport.written).partition(b"\r\n\r\n")
        return text.decode("latin-1"), len(text) + 4


def read_frames(content: bytes) -> list[Told]:
    """Frames as a client reads them, each whole and unmasked."""
    frames = []
    while content:
        first, length = content[0], content[1]
        assert first & 0x80 and not length & 0x80, "in parts, or masked"
        at = 2
        if length == 126:
            (length,) = struct.unpack(">H", content[2:4])
            at = 4
        elif length == 127:
            (length,) = struct.unpack(">Q", content[2:10])
            at = 10
        payload = content[at : at + length]
        assert len(payload) == length, "the last frame is not whole"
        content = content[at + length :]
        opcode = first & 0x0F
        if opcode == CLOSE:
            payload = str(struct.unpack(">H", payload[:2])[0] if payload else NO_CODE).encode()
        frames.append(Told(opcode, payload, bool(first & _COMPRESSED)))
    return frames
