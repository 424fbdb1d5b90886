"""The reference writes the frames that a server would."""

import pytest

from loadtest.bench.reference import websocket_frame


@pytest.mark.parametrize(
    ("size", "header"),
    [
        (0, b"\x81\x00"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65_535, b"\x81\x7e\xff\xff"),
        (65_536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_frame_has_the_shortest_header(size: int, header: bytes) -> None:
    """RFC 6455, section 5.2: at each border the next form of the length begins."""
    frame = websocket_frame(b"x" * size)
    assert frame[: len(header)] == header
    assert len(frame) == len(header) + size
