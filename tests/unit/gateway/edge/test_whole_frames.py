"""Frames that are read past the protocol: the same payload as the protocol reads, or none at all."""

import random

import pytest
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, SERVER, Protocol

from gateway.edge.whole_frames import read_whole
from tests.integration.edge.raw import BINARY, CLOSE, CONTINUATION, PING, TEXT, frame

BYTES_MAX = 16 * 1024
TAKEN = {f"{size}_bytes": frame(TEXT, b"x" * size) for size in (2, 3, 125, 126, 127, 300, BYTES_MAX)}
NOT_TAKEN = {
    "binary": frame(BINARY, b"text"),
    "ping": frame(PING, b"text"),
    "close": frame(CLOSE, b"\x03\xe8"),
    "part": frame(TEXT, b"text", final=False),
    "last_part": frame(CONTINUATION, b"text"),
    "compressed": frame(TEXT, b"text", reserved=4),
    "not_masked": frame(TEXT, b"text" * 2, mask=False),
    "length_in_eight_bytes": frame(TEXT, b"text", size=4),
    "too_long": frame(TEXT, b"x" * (BYTES_MAX + 1)),
    "length_longer_than_it_must_be": bytes((0x81, 0xFE, 0, 4)) + bytes(4) + b"text",
}


@pytest.mark.parametrize("name", TAKEN)
def test_whole_frame_is_read(name: str) -> None:
    """Wherever it begins, and whatever follows; of a part of it nothing is read."""
    whole = TAKEN[name]
    for before, behind in ((b"", b""), (b"12345", b"6789"), (b"1", whole)):
        found = read_whole(before + whole + behind, len(before), Opcode.TEXT, BYTES_MAX)
        assert found is not None
        assert found == (_by_protocol(whole), len(before) + len(whole))
    assert not any(read_whole(whole[:size], 0, Opcode.TEXT, BYTES_MAX) for size in range(len(whole)))


@pytest.mark.parametrize("name", NOT_TAKEN)
def test_other_frame_is_left_to_the_protocol(name: str) -> None:
    """Anything but a whole, masked, plain message of the right kind."""
    assert read_whole(NOT_TAKEN[name] + bytes(100), 0, Opcode.TEXT, BYTES_MAX) is None


def test_bytes_at_random_are_read_as_the_protocol_reads_them() -> None:
    """Where it takes a frame, the protocol takes the same."""
    rng, taken = random.Random(4), 0
    for _ in range(20_000):
        head = bytes((rng.choice((0x81, 0x81, 0x01, 0xC1, 0x82)), rng.choice((0x80, 0)) | rng.choice((2, 3, 126, 127))))
        data = (
            head + rng.randbytes(rng.randint(0, 12)) if rng.random() < 0.5 else head + bytes((0, 3)) + rng.randbytes(9)
        )
        found = read_whole(data, 0, Opcode.TEXT, BYTES_MAX)
        if found is not None:
            taken += 1
            assert found[0] == _by_protocol(data[: found[1]])
    assert taken > 1_000


def _by_protocol(data: bytes) -> bytes:
    protocol = Protocol(SERVER, state=OPEN, max_size=BYTES_MAX)
    protocol.receive_data(data)
    (event,) = protocol.events_received()
    assert isinstance(event, Frame) and event.fin
    return bytes(event.data)
