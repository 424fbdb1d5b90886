"""Frames are what RFC 6455 says they are, as another implementation reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from gateway.edge.frames import PING_FRAME, frame, overloaded_frame
from gateway.replies import refused
from gateway.wire.codec import Encoding, encode
from gateway.wire.codes import Code
from gateway.wire.messages import ID_PATTERN
from ledger.model import AMOUNT_MAX, Bound, BoundReached


def _read(data: bytes) -> Frame:
    reader = StreamReader()
    reader.feed_data(data)
    parsing = Frame.parse(reader.read_exact, mask=False, max_size=None)
    try:
        next(parsing)
    except StopIteration as done:
        assert not reader.buffer
        result: Frame = done.value
        return result
    raise AssertionError("the frame is not whole")


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 200_000])
@pytest.mark.parametrize(("encoding", "opcode"), [(Encoding.JSON, Opcode.TEXT), (Encoding.MSGPACK, Opcode.BINARY)])
def test_frame_is_read_back_at_every_length(size: int, encoding: Encoding, opcode: Opcode) -> None:
    """Each of the three forms of the length, at its bounds."""
    read = _read(frame(b"x" * size, encoding))
    assert (read.opcode, read.fin, len(read.data)) == (opcode, True, size)


def test_ping_frame_is_an_empty_ping() -> None:
    """The one prepared ping."""
    read = _read(PING_FRAME)
    assert (read.opcode, bytes(read.data)) == (Opcode.PING, b"")


@pytest.mark.parametrize("encoding", Encoding)
@given(
    ref=st.text(min_size=1, max_size=64),
    id=st.from_regex(ID_PATTERN),
    bound=st.one_of(st.none(), st.builds(BoundReached, st.sampled_from(Bound), st.integers(0, AMOUNT_MAX))),
)
def test_refusal_for_load_is_written_as_every_other(
    encoding: Encoding, ref: str, id: str, bound: BoundReached | None
) -> None:
    """It is put together of prepared parts; its bytes are the same, whatever the client chose as its `ref`."""
    assert overloaded_frame(ref, id, bound, encoding) == frame(
        encode(refused(Code.OVERLOADED, ref=ref, id=id, bound=bound), encoding), encoding
    )
