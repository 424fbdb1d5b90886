"""permessage-deflate without memory (RFC 7692): what it takes to agree on it, to compress, and to read.

Neither side keeps its window from one message to the next. So what is sent to many is compressed once for all of them,
and a connection that agreed to it holds nothing of zlib's while no message of its client is half read.
"""

import zlib
from collections.abc import Sequence
from typing import Final

from websockets.exceptions import NegotiationError, PayloadTooBig, ProtocolError
from websockets.extensions.base import Extension, ServerExtensionFactory
from websockets.frames import CTRL_OPCODES, Frame, Opcode
from websockets.typing import ExtensionName, ExtensionParameter

NAME: Final = ExtensionName("permessage-deflate")
STREAMS_MAX: Final = 16
"""Deflate streams in one message. A sender may end one and begin another wherever it likes (section 7.2.1); each costs
us a new window."""
_LEVEL: Final = 6
_WINDOW_BITS: Final = 12
"""A window of 4 KiB: what is sent to many is seldom longer, and 32 KiB made frames of 7 KB no smaller (decision 22)."""
_MEMORY_LEVEL: Final = 5
_WINDOW_BITS_MAX: Final = 15
_WINDOW_BITS_VALUES: Final = frozenset(str(bits) for bits in range(8, _WINDOW_BITS_MAX + 1))
_BYTES_MAX: Final = 2**30
_TAIL: Final = b"\x00\x00\xff\xff"
"""What ends each flush, and is therefore not sent (section 7.2.1)."""


def deflated(payload: bytes) -> bytes:
    """A message as it is sent compressed; it does not depend on any message before it."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -_WINDOW_BITS, _MEMORY_LEVEL)
    return (packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH))[: -len(_TAIL)]


class DeflateOffers(ServerExtensionFactory):
    """Judges what a client offers: any offer that lets us send with our window is taken, on condition that neither
    side keeps its window between messages. Others are passed over, as if they did not stand there."""

    name = NAME

    def process_request_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> tuple[list[ExtensionParameter], Extension]:
        """Answer one offer.

        Raises:
            NegotiationError: it is declined.
        """
        if accepted_extensions:
            raise NegotiationError("one offer was taken already")
        offered = dict(params)
        if len(offered) != len(params):
            raise NegotiationError("a parameter stands twice")
        for name, value in offered.items():
            _judge(name, value)
        answer: list[ExtensionParameter] = [("server_no_context_takeover", None), ("client_no_context_takeover", None)]
        if "server_max_window_bits" in offered:
            # Who asks may spare the rest of its own window; unasked, some clients would not know the word.
            answer.append(("server_max_window_bits", str(_WINDOW_BITS)))
        return answer, Inflating()


class Inflating(Extension):
    """The receiving half of one connection. What it writes itself, answers to pings and closes, is never compressed."""

    name = NAME

    def __init__(self) -> None:
        self._message: _Message | None = None

    def encode(self, frame: Frame) -> Frame:
        """As it is."""
        return frame

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """Inflate a frame of a compressed message, never further than one byte past what may still come.

        Raises:
            PayloadTooBig: the message is longer than it may be, as far as it was looked at.
            ProtocolError: it is not compressed as it must be.
        """
        if frame.opcode in CTRL_OPCODES:
            return frame
        if frame.opcode is not Opcode.CONT:
            if not frame.rsv1:
                return frame
            self._message = _Message()
        elif self._message is None or frame.rsv1:
            # A reserved bit in a later part is left where it stands: the frame is refused for it.
            return frame
        message = self._message
        if frame.fin:
            self._message = None
        data = bytes(frame.data) + _TAIL if frame.fin else frame.data
        payload = message.inflate(data, _BYTES_MAX if max_size is None else max_size)
        return Frame(frame.opcode, payload, frame.fin, False, frame.rsv2, frame.rsv3)


class _Message:
    """A compressed message while it is read."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(-_WINDOW_BITS_MAX)
        self._streams = 1

    def inflate(self, data: bytes | bytearray | memoryview, size_max: int) -> bytes:
        enough = size_max + 1
        try:
            payload = self._stream.decompress(data, enough)
            while self._stream.unused_data and len(payload) < enough:
                payload += self._next_stream(self._stream.unused_data, enough - len(payload))
        except zlib.error as exc:
            raise ProtocolError("what came compressed cannot be read") from exc
        if len(payload) == enough:
            raise PayloadTooBig(None, size_max)
        return payload

    def _next_stream(self, data: bytes, enough: int) -> bytes:
        self._streams += 1
        if self._streams > STREAMS_MAX:
            raise ProtocolError("a message of too many streams")
        self._stream = zlib.decompressobj(-_WINDOW_BITS_MAX)
        return self._stream.decompress(data, enough)


def _judge(name: str, value: str | None) -> None:
    match name:
        case "server_no_context_takeover" | "client_no_context_takeover":
            good = value is None
        case "client_max_window_bits":
            good = value is None or value in _WINDOW_BITS_VALUES
        case "server_max_window_bits":
            good = value is not None and value in _WINDOW_BITS_VALUES and int(value) >= _WINDOW_BITS
        case _:
            good = False
    if not good:
        raise NegotiationError(f"{name} is not taken so")
