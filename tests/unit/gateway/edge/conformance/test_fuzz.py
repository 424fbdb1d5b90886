"""Frames that nobody thought of: good ones in every mixture, and bytes that are none, however they are cut."""

import asyncio
import functools
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.edge.config import EdgeConfig
from tests.integration.edge import raw
from tests.integration.edge.raw import CLOSE, CONTINUATION, PING, PONG, TEXT
from tests.unit.gateway.edge.conformance.playing import OFFER, close, packed, pong, text
from tests.unit.gateway.edge.line import Line, Told

BYTES_MAX = 2_048
TOLD_BYTES_MAX = 4 * BYTES_MAX
CODES = {1000, 1002, 1003, 1005, 1007, 1009, 4502}
# One key: what is generated must be the same when it is tried again.
frame = functools.partial(raw.frame, key=b"\x37\xfa\x21\x3d")
CONFIG = EdgeConfig(message_bytes_max=BYTES_MAX, idle_frames_max=40)


class Said(NamedTuple):
    """A message of a client that keeps the rules."""

    content: str
    compressed: bool
    level: int
    marks: list[int]
    pings: list[bytes]


SAID = st.builds(
    Said,
    content=st.text(max_size=60) | st.text(alphabet="ab", max_size=300),
    compressed=st.booleans(),
    level=st.integers(0, 9),
    marks=st.lists(st.integers(0, 400), max_size=5),
    pings=st.lists(st.binary(max_size=125), max_size=3),
)
MARKS = st.lists(st.integers(0, 4_000), max_size=8)
PIECES = st.binary(max_size=80) | st.builds(
    frame,
    st.sampled_from((CONTINUATION, TEXT, TEXT, 0x2, 0x5, CLOSE, PING, PONG)),
    st.binary(max_size=130) | st.text(max_size=40).map(str.encode) | st.binary(max_size=100).map(packed),
    final=st.booleans(),
    reserved=st.sampled_from((0, 0, 0, 4, 4, 2, 1)),
    mask=st.sampled_from((True, True, True, True, False)),
    size=st.none() | st.none() | st.integers(0, 2**64 - 1) | st.integers(0, 200),
)


def _cut(content: bytes, marks: list[int]) -> list[bytes]:
    places = sorted({0, len(content), *(min(mark, len(content)) for mark in marks)})
    return [content[start:end] for start, end in zip(places, [*places[1:], len(content)], strict=True) if start < end]


def _frames(said: Said) -> tuple[bytes, list[Told]]:
    """Its frames, and what is to be heard of them."""
    content = said.content.encode()
    parts = _cut(packed(content, level=said.level) if said.compressed else content, said.marks) or [b""]
    sent = b""
    for number, part in enumerate(parts):
        if number:
            sent += b"".join(frame(PING, ping) for ping in said.pings)
        reserved = 4 if said.compressed and not number else 0
        opcode = CONTINUATION if number else TEXT
        sent += frame(opcode, part, final=number == len(parts) - 1, reserved=reserved)
    return sent, [pong(ping) for ping in said.pings] * (len(parts) - 1) + [text(content)]


def _play(pieces: list[bytes]) -> list[Told]:
    async def play() -> list[Told]:
        line = Line(CONFIG, extensions=OFFER)
        await line.feed(pieces)
        told, closing = line.told(), line.connection.is_closing
        assert closing is (bool(told) and told[-1].opcode == CLOSE)
        line.hang_up()
        return told

    return asyncio.run(play())


@settings(max_examples=150, deadline=None)
@given(messages=st.lists(SAID, max_size=4), marks=MARKS)
def test_good_frames_in_every_mixture_are_heard(messages: list[Said], marks: list[int]) -> None:
    """Compressed and plain, in parts with pings between, in any order: each message comes back as it was."""
    sent = b""
    told: list[Told] = []
    for said in messages:
        more, heard = _frames(said)
        sent, told = sent + more, told + heard
    goodbye = frame(CLOSE, b"\x03\xe8")
    assert _play(_cut(sent + goodbye, marks)) == [*told, close(1000)]


@settings(max_examples=300, deadline=None)
@given(pieces=st.lists(PIECES, min_size=1, max_size=6), marks=MARKS)
def test_bytes_of_any_kind_end_in_a_code_of_ours_however_they_are_cut(pieces: list[bytes], marks: list[int]) -> None:
    """Nothing is raised, nothing stands behind a close, and the network's cuts decide nothing."""
    sent = b"".join(pieces)
    told = _play([sent])
    assert [one.opcode for one in told[:-1]].count(CLOSE) == 0
    assert sum(len(one.payload) for one in told) <= len(sent) + TOLD_BYTES_MAX * len(pieces)
    if told and told[-1].opcode == CLOSE:
        code = int(told[-1].payload)
        assert code in CODES or 1000 <= code < 5000
    assert _play(_cut(sent, marks)) == told
    assert _play([sent[at : at + 1] for at in range(len(sent))]) == told
