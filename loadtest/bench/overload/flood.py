"""A cheap sender of many gifts: frames are built before the run, and answers are kept as they come and read after it.

It shares the processors with the server that it loads, so what it costs is taken from what is measured. Gifts have
intended times, as in a load test; one that is refused is not sent again.
"""

import asyncio
import contextlib
import enum
import time
from array import array
from collections.abc import Sequence
from typing import Final, cast

import msgspec
from msgspec import Struct

from gateway.wire.codes import Code
from loadtest.server.alarm import Alarm

WAKE_APART_NS: Final = 2_000_000
"""Gifts of so long are sent together; each to a socket of its own, as many viewers would."""
BURST_MAX: Final = 1_000
"""Gifts that are sent in one go, however late it is: answers must be read in between."""
GREETING_S_MAX: Final = 60.0
_UPGRADE: Final = (
    "GET /v1/ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_NO_MASK: Final = bytes(4)
_TEXT: Final = 0x81
_CLOSE: Final = 0x88
_ANSWERS: Final = (b'{"type":"accepted"', b'{"type":"refused"')


class Fate(enum.IntEnum):
    """What became of a gift."""

    UNANSWERED = 0
    ACCEPTED = 1
    OVERLOADED = 2
    OTHERWISE = 3


class _Reply(Struct):
    type: str
    ref: str = ""
    code: str = ""
    retry_after_ms: int = 0
    balance_coins: int = -1


_read_reply: Final = msgspec.json.Decoder(_Reply).decode


class FloodFailed(Exception):
    """The sockets could not be opened, or one was lost on the way."""


class Gifts:
    """The book of the gifts of one flood: when each is due, and what became of it. Times by the monotonic clock.

    Args:
        frames: of the gifts, whose `ref`s are numbers without a gap, from `first` on.
        due_ns: when each is meant to be sent, rising.

    Attributes:
        late_hints: refusals without a time after which to come back.
        accepted_of, unknown_of: by sender, gifts that were accepted, and that may have been (`unavailable`).
        balance_of: by sender, the wallet as the last `accepted` said; -1 before one did.
        unanswered: how many have no answer yet.
        otherwise: refusals of other codes than `overloaded`, by code.
    """

    def __init__(self, frames: Sequence[bytes], due_ns: "array[int]", senders: int, first: int = 0) -> None:
        self._first = first
        self.frames = frames
        self.due_ns = due_ns
        self.sent_ns = array("q", bytes(8 * len(frames)))
        self.answered_ns = array("q", bytes(8 * len(frames)))
        self.fate = bytearray(len(frames))
        self.late_hints = 0
        self.otherwise: dict[str, int] = {}
        self.accepted_of = [0] * senders
        self.unknown_of = [0] * senders
        self.balance_of = [-1] * senders
        self.unanswered = len(frames)

    def hear(self, payload: bytes, now_ns: int, senders: int) -> None:
        """Note one message of the server."""
        reply = _read_reply(payload)
        if not reply.ref.isdigit():
            return
        number = int(reply.ref) - self._first
        if not 0 <= number < len(self.fate) or self.fate[number]:
            return
        self.answered_ns[number] = now_ns
        self.unanswered -= 1
        if reply.type == "accepted":
            self.fate[number] = Fate.ACCEPTED
            sender = number % senders
            self.accepted_of[sender] += 1
            self.balance_of[sender] = reply.balance_coins
        elif reply.code == Code.OVERLOADED:
            self.fate[number] = Fate.OVERLOADED
            self.late_hints += reply.retry_after_ms <= 0
        else:
            self.fate[number] = Fate.OTHERWISE
            self.otherwise[reply.code] = self.otherwise.get(reply.code, 0) + 1
            self.unknown_of[number % senders] += reply.code == Code.UNAVAILABLE


class Answers:
    """What the server said while a flood went on, unread.

    Attributes:
        came: each message with when it came.
        all_came: set when there are as many answers as gifts.
    """

    def __init__(self, gifts: int) -> None:
        self.came: list[tuple[bytes, int]] = []
        self.all_came = asyncio.Event()
        self._left = gifts

    def take(self, payload: bytes, now_ns: int) -> None:
        """Keep a message."""
        self.came.append((payload, now_ns))
        if payload.startswith(_ANSWERS):
            self._left -= 1
            if not self._left:
                self.all_came.set()


class Flood:
    """The sockets of all senders. Gift `n` is sent by sender `n % senders`.

    Args:
        host, port: of the server.
        tokens: of the senders.
    """

    def __init__(self, host: str, port: int, tokens: Sequence[str]) -> None:
        self._host = host
        self._port = port
        self._tokens = tokens
        self._lines: list[_Line] = []
        self._next = 0

    async def open(self) -> None:
        """Connect and say hello for everybody.

        Raises:
            FloodFailed: somebody was not let in.
        """
        loop = asyncio.get_running_loop()
        for token in self._tokens:
            line = _Line(self._host, token)
            try:
                await loop.create_connection(lambda line=line: line, self._host, self._port)  # type: ignore[misc]
                await asyncio.wait_for(line.welcomed, GREETING_S_MAX)
            except (OSError, TimeoutError) as exc:
                raise FloodFailed(f"a sender was not let in: {exc or 'no answer'}") from exc
            self._lines.append(line)

    async def send(self, gifts: Gifts, answers_s_max: float) -> None:
        """Send every gift at its time, and wait for what is unanswered at the end.

        Raises:
            FloodFailed: a socket was lost.
        """
        answers = Answers(len(gifts.frames))
        for line in self._lines:
            line.answers = answers
        self._next = 0
        sent = asyncio.Event()
        alarm = Alarm(asyncio.get_running_loop(), lambda: self._send_due(gifts, alarm, sent))
        alarm.set(gifts.due_ns[0])
        await sent.wait()
        alarm.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(answers.all_came.wait(), answers_s_max)
        for payload, now_ns in answers.came:
            gifts.hear(payload, now_ns, len(self._lines))
        if any(line.lost for line in self._lines):
            raise FloodFailed("the server closed the socket of a sender")

    def close(self) -> None:
        """Hang up."""
        for line in self._lines:
            line.hang_up()

    def _send_due(self, gifts: Gifts, alarm: Alarm, sent: asyncio.Event) -> None:
        lines, due_ns, now_ns = self._lines, gifts.due_ns, time.monotonic_ns()
        end = min(self._next + BURST_MAX, len(due_ns))
        while self._next < end and due_ns[self._next] <= now_ns:
            lines[self._next % len(lines)].write(gifts.frames[self._next])
            gifts.sent_ns[self._next] = now_ns
            self._next += 1
        if self._next == len(due_ns):
            sent.set()
        else:
            alarm.set(max(due_ns[self._next], now_ns + WAKE_APART_NS))


def text_frame(payload: bytes) -> bytes:
    """A client's frame around a short text. Its mask is of zeros, which leaves the text as it is (RFC 6455, 5.3)."""
    if len(payload) < 126:
        return bytes((_TEXT, 0x80 | len(payload))) + _NO_MASK + payload
    return bytes((_TEXT, 0x80 | 126)) + len(payload).to_bytes(2, "big") + _NO_MASK + payload


class _Line(asyncio.Protocol):
    """One socket: the handshake, then frames of the server, which have no mask."""

    def __init__(self, host: str, token: str) -> None:
        self.welcomed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.answers: Answers | None = None
        self.lost = False
        self._host = host
        self._token = token
        self._rest = b""
        self._upgraded = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transport is none of asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)
        self.write = self._transport.write
        self.write(_UPGRADE.format(host=self._host).encode())

    def hang_up(self) -> None:
        """Let go of the socket."""
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if not self.welcomed.done():
            self.welcomed.set_exception(ConnectionError("the server closed the socket"))

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        at = 0 if self._upgraded else self._past_handshake(data)
        if not self._upgraded:
            self._rest = data
            return
        now_ns, size = time.monotonic_ns(), len(data)
        while size - at >= 2:
            length, head = data[at + 1], 2
            if length == 126:
                if size - at < 4:
                    break
                length, head = int.from_bytes(data[at + 2 : at + 4], "big"), 4
            end = at + head + length
            if end > size:
                break
            if data[at] == _TEXT:
                self._hear(data[at + head : end], now_ns)
            elif data[at] == _CLOSE:
                self.lost = True
            at = end
        self._rest = data[at:]

    def _past_handshake(self, data: bytes) -> int:
        head, end, _ = data.partition(b"\r\n\r\n")
        if not end:
            return 0
        if not head.startswith(b"HTTP/1.1 101"):
            if not self.welcomed.done():
                self.welcomed.set_exception(ConnectionError(head[:60].decode("latin-1")))
            return 0
        self._upgraded = True
        self.write(text_frame(msgspec.json.encode({"type": "hello", "ref": "hello", "token": self._token})))
        return len(head) + len(end)

    def _hear(self, payload: bytes, now_ns: int) -> None:
        if self.answers is not None:
            self.answers.take(payload, now_ns)
        elif not self.welcomed.done() and b'"welcome"' in payload:
            self.welcomed.set_result(None)
