"""permessage-deflate: what is agreed on, what another implementation reads of ours, and what of theirs is read."""

import zlib

import pytest
from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import Frame, Opcode

from gateway.edge.config import EdgeConfig
from gateway.edge.deflate import STREAMS_MAX, Inflating, deflated
from tests.unit.gateway.edge.line import Line

TAIL = b"\x00\x00\xff\xff"
BOTH = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

OFFERS: dict[str, tuple[str, str | None]] = {
    "bare": ("permessage-deflate", BOTH),
    "as_browsers_do": ("permessage-deflate; client_max_window_bits", BOTH),
    "all_that_we_take": (
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits=9",
        BOTH,
    ),
    "window_of_ours": ("permessage-deflate; server_max_window_bits=12", BOTH + "; server_max_window_bits=12"),
    "larger_window": ("permessage-deflate; server_max_window_bits=15", BOTH + "; server_max_window_bits=12"),
    "smaller_window": ("permessage-deflate; server_max_window_bits=11", None),
    "smaller_window_then_none": ("permessage-deflate; server_max_window_bits=9, permessage-deflate", BOTH),
    "two_good_ones": ("permessage-deflate, permessage-deflate; server_max_window_bits=13", BOTH),
    "unknown_parameter": ("permessage-deflate; level=9", None),
    "twice_the_same": ("permessage-deflate; client_max_window_bits; client_max_window_bits", None),
    "value_where_none_is": ("permessage-deflate; server_no_context_takeover=1", None),
    "no_value_where_one_is": ("permessage-deflate; server_max_window_bits", None),
    "window_too_large": ("permessage-deflate; server_max_window_bits=16", None),
    "window_with_a_zero": ("permessage-deflate; server_max_window_bits=012", None),
    "client_window_too_small": ("permessage-deflate; client_max_window_bits=7", None),
    "other_extension": ("x-webkit-deflate-frame", None),
}


@pytest.mark.parametrize("case", OFFERS)
async def test_offer_is_answered(case: str) -> None:
    """The first one that can be kept is taken, without memory on both sides; the others are passed over."""
    offer, answer = OFFERS[case]
    line = Line(extensions=offer)
    assert (line.agreed, line.connection.compressed) == (answer, answer is not None)
    assert line.connection.variant.compressed is (answer is not None)


async def test_offer_where_it_is_switched_off() -> None:
    """Nobody agrees on anything."""
    line = Line(EdgeConfig(deflate=False), extensions="permessage-deflate")
    assert (line.agreed, line.connection.compressed) == (None, False)


@pytest.mark.parametrize("size", [0, 1, 64, 4_095, 4_096, 4_097, 65_536])
def test_deflated_message_is_read_by_zlib_with_the_agreed_window(size: int) -> None:
    """A reader that keeps no more than 4 KiB gets the message back, and needs nothing of the one before."""
    message = bytes(number * number % 251 for number in range(size))
    for _ in range(2):
        reader = zlib.decompressobj(-12)
        assert reader.decompress(deflated(message) + TAIL) == message


def test_deflated_messages_of_the_same_text_are_the_same() -> None:
    """So that they may be written to everybody."""
    assert deflated(b"rose" * 100) == deflated(b"rose" * 100)


def _inflate(*parts: bytes, size_max: int = 16_384) -> bytes:
    """What is read of a message in so many frames, as the protocol would ask for it."""
    inflating, read = Inflating(), b""
    for number, part in enumerate(parts):
        opcode, final = (Opcode.CONT if number else Opcode.TEXT), number == len(parts) - 1
        decoded = inflating.decode(Frame(opcode, part, final, rsv1=not number), max_size=size_max - len(read))
        assert (decoded.fin, decoded.rsv1, decoded.opcode) == (final, False, opcode)
        read += bytes(decoded.data)
    return read


def _stream(content: bytes, *, mode: int = zlib.Z_SYNC_FLUSH, level: int = 6) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, -15)
    packed = packer.compress(content) + packer.flush(mode)
    return packed[:-4] if mode == zlib.Z_SYNC_FLUSH else packed


def test_inflating_reads_the_examples_of_the_rfc() -> None:
    """RFC 7692, section 7.2.3: one block, parts of one, no compression, a final block, two blocks, nothing."""
    once = b"\xf2\x48\xcd\xc9\xc9\x07\x00"
    assert _inflate(once) == b"Hello"
    assert _inflate(once[:3], once[3:]) == b"Hello"
    assert _inflate(b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00") == b"Hello"
    assert _inflate(b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00") == b"Hello"
    assert _inflate(b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00") == b"Hello"
    assert _inflate(b"\x00") == b""
    assert _inflate(b"") == b""


@pytest.mark.parametrize("size_max", [1_024, 16_384])
@pytest.mark.parametrize("content", [b"\x00", b"ab", bytes(range(256))])
def test_inflated_message_at_its_bound(size_max: int, content: bytes) -> None:
    """A message of just so many bytes is read; of one with a byte more nothing further than that byte is."""
    message = (content * size_max)[:size_max]
    assert _inflate(_stream(message), size_max=size_max) == message
    with pytest.raises(PayloadTooBig):
        _inflate(_stream(message + b"x"), size_max=size_max)


def test_inflating_stops_at_the_bound_of_a_bomb() -> None:
    """64 MiB in 64 KB: neither in one frame nor in many is more of it made than a message may be long."""
    bomb = _stream(bytes(2**26), level=9)
    made = []

    class Counting(Inflating):
        def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
            decoded = super().decode(frame, max_size=max_size)
            made.append(len(decoded.data))
            return decoded

    inflating = Counting()
    with pytest.raises(PayloadTooBig):
        inflating.decode(Frame(Opcode.TEXT, bomb, True, rsv1=True), max_size=16_384)
    with pytest.raises(PayloadTooBig):
        for start in range(0, len(bomb), 10):
            opcode = Opcode.CONT if start else Opcode.TEXT
            part = Frame(opcode, bomb[start : start + 10], False, rsv1=not start)
            inflating.decode(part, max_size=16_384 - sum(made))
    assert sum(made) <= 16_384


def test_inflating_a_message_of_many_streams_is_bounded() -> None:
    """Each is a window anew: so many are read, in one frame or several, and one more is not."""
    stream = _stream(b"ab", mode=zlib.Z_FINISH)
    # What ends a message, four bytes that are not sent, begins one more.
    assert _inflate(stream * (STREAMS_MAX - 1)) == b"ab" * (STREAMS_MAX - 1)
    assert _inflate(*[stream] * (STREAMS_MAX - 1)) == b"ab" * (STREAMS_MAX - 1)
    for parts in ([stream * STREAMS_MAX], [stream] * STREAMS_MAX):
        with pytest.raises(ProtocolError):
            _inflate(*parts)


def test_inflating_what_is_no_deflate() -> None:
    """It is a broken frame."""
    with pytest.raises(ProtocolError):
        _inflate(b"\xff\xff\xff")


def test_inflating_needs_nothing_between_messages() -> None:
    """Once a message is read, or was broken off, nothing of it is kept."""
    inflating = Inflating()
    inflating.decode(Frame(Opcode.TEXT, _stream(b"Hello"), True, rsv1=True), max_size=100)
    with pytest.raises(ProtocolError):
        inflating.decode(Frame(Opcode.TEXT, b"\xff", True, rsv1=True), max_size=100)
    assert vars(inflating) == vars(Inflating())
