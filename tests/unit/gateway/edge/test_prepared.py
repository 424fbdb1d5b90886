"""One message for many: made once in each form, and compressed where that is shorter."""

import zlib

import msgspec
import pytest

from gateway.edge.deflate import deflated
from gateway.edge.prepared import DEFLATE_BYTES_MAX, VARIANTS, Prepared, Variant
from gateway.wire.codec import Encoding, encode
from gateway.wire.messages import Notice
from tests.integration.edge.raw import TEXT
from tests.unit.gateway.edge.line import read_frames

TAIL = b"\x00\x00\xff\xff"
DEFLATE_BYTES_MIN = 512
DEFLATE_BYTES_LEAST = 64


def _notice(size: int) -> Notice:
    """One that is so long in JSON."""
    return Notice("drain", "x" * (size - len(encode(Notice("drain", ""), Encoding.JSON))))


@pytest.mark.parametrize("variant", VARIANTS)
def test_prepared_frame_holds_the_message_in_every_variant(variant: Variant) -> None:
    """Whatever was agreed on, the client reads the same."""
    notice = _notice(2_000)
    (told,) = read_frames(Prepared(notice, DEFLATE_BYTES_MIN).built(variant).content)
    assert told.compressed is variant.compressed
    payload = zlib.decompressobj(-15).decompress(told.payload + TAIL) if told.compressed else told.payload
    decode = msgspec.json.decode if variant.encoding is Encoding.JSON else msgspec.msgpack.decode
    assert decode(payload) == {"type": "notice", "code": "drain", "message": notice.message}


@pytest.mark.parametrize(
    ("size", "compressed"),
    [
        (DEFLATE_BYTES_MIN - 1, False),
        (DEFLATE_BYTES_MIN, True),
        (DEFLATE_BYTES_MAX, True),
        (DEFLATE_BYTES_MAX + 1, False),
    ],
)
def test_prepared_frame_is_compressed_between_its_bounds(size: int, compressed: bool) -> None:
    """A short one does not pay, and a very long one takes too long."""
    prepared = Prepared(_notice(size), DEFLATE_BYTES_MIN)
    plain, packed = (prepared.built(Variant(Encoding.JSON, agreed)) for agreed in (False, True))
    (told,) = read_frames(packed.content)
    assert told.compressed is compressed
    assert packed.saved == len(plain.content) - len(packed.content)
    assert (packed.saved > 0, plain.saved) == (compressed, 0)


def test_prepared_frame_that_would_grow_is_sent_as_it_is() -> None:
    """Nothing in it stands twice."""
    notice = Notice("drain", "".join(chr(0x4E00 + number * 331) for number in range(20)))
    payload = encode(notice, Encoding.JSON)
    assert len(deflated(payload)) >= len(payload) >= DEFLATE_BYTES_LEAST
    built = Prepared(notice, DEFLATE_BYTES_LEAST).built(Variant(Encoding.JSON, True))
    assert read_frames(built.content) == [(TEXT, payload, False)]
    assert built.saved == 0
