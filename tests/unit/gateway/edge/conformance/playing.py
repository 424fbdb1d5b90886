"""Plays one row of a table: bytes in, frames out. Every row is played whole, byte by byte, and cut anywhere."""

import itertools
import random
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

from gateway.edge.config import EdgeConfig
from gateway.wire.codec import SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK
from tests.integration.edge.raw import BINARY, CLOSE, PONG, TEXT
from tests.unit.gateway.edge.line import Line, Told

OFFER: Final = "permessage-deflate"
MESSAGE_BYTES_MAX: Final = 16_384


class Row(NamedTuple):
    """A case.

    Attributes:
        sent: what the client writes once the handshake is done.
        told: every frame of the server, the last being its close if it closes.
        binary: MessagePack was agreed on, whose messages are binary frames.
        deflate: compression was agreed on.
    """

    sent: bytes
    told: list[Told]
    binary: bool = False
    deflate: bool = False


def text(payload: bytes) -> Told:
    """A message given back."""
    return Told(TEXT, payload)


def binary(payload: bytes) -> Told:
    """A binary one."""
    return Told(BINARY, payload)


def pong(payload: bytes = b"") -> Told:
    """The answer to a ping."""
    return Told(PONG, payload)


def close(code: int) -> Told:
    """The server's close; 1005 stands for one without a code."""
    return Told(CLOSE, str(code).encode())


def packed(content: bytes, *, level: int = 6, bits: int = 15, mode: int = zlib.Z_SYNC_FLUSH) -> bytes:
    """The payload of a compressed message, as another implementation makes it."""
    packer = zlib.compressobj(level, zlib.DEFLATED, -bits)
    stream = packer.compress(content) + packer.flush(mode)
    return stream[:-4] if mode == zlib.Z_SYNC_FLUSH else stream


def cuts(content: bytes, name: str) -> Iterator[list[bytes]]:
    """The bytes as they may arrive: at once, one by one (the long ones, in small pieces), and cut at random."""
    yield [content]
    step = 1 if len(content) < 3_000 else 97
    yield [content[start : start + step] for start in range(0, len(content), step)]
    rng = random.Random(name)
    for _ in range(3):
        marks = sorted({0, len(content), *(rng.randrange(len(content) + 1) for _ in range(6))})
        yield [content[start:end] for start, end in itertools.pairwise(marks)]


async def play(row: Row, name: str) -> None:
    """Play a row in each of these ways.

    Raises:
        AssertionError: another frame was written, or the end is not as it should be.
    """
    for pieces in cuts(row.sent, name):
        line = Line(
            EdgeConfig(message_bytes_max=MESSAGE_BYTES_MAX),
            subprotocol=SUBPROTOCOL_MSGPACK if row.binary else SUBPROTOCOL_JSON,
            extensions=OFFER if row.deflate else None,
        )
        assert line.connection.compressed is row.deflate
        await line.feed(pieces)
        assert line.told() == row.told, f"{name}, in {len(pieces)} pieces"
        closes = bool(row.told) and row.told[-1].opcode == CLOSE
        assert line.connection.is_closing is closes
        # A server ends its half at once (RFC 6455, section 7.1.1), and then only waits for the other's.
        assert line.transport.ended is closes
        line.hang_up()
