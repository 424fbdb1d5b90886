"""RFC 7692: compressed messages of every size, whole and in parts, beside plain ones, and those that keep no rule."""

import random
import zlib

import pytest

from tests.integration.edge.raw import BINARY, CONTINUATION, PING, TEXT, frame
from tests.unit.gateway.edge.conformance.playing import MESSAGE_BYTES_MAX, Row, binary, close, packed, play, pong, text

SIZES = (0, 1, 16, 64, 256, 1_024, 4_096, 8_192, MESSAGE_BYTES_MAX)
_rng = random.Random(7692)
WORDS = b" ".join(_rng.choice([b"rose", b"gift", b"combo", b"room", b"viewer", b"coins"]) for _ in range(4_000))


def _in_parts(payload: bytes, step: int, *, opcode: int = TEXT) -> bytes:
    starts = range(0, len(payload), step)
    return b"".join(
        frame(
            CONTINUATION if start else opcode,
            payload[start : start + step],
            final=start == starts[-1],
            reserved=0 if start else 4,
        )
        for start in starts
    )


def _row(sent: bytes, *told: object) -> Row:
    return Row(sent, list(told), deflate=True)  # type: ignore[arg-type]


SENT: dict[str, Row] = {
    **{f"{size}_bytes": _row(frame(TEXT, packed(WORDS[:size]), reserved=4), text(WORDS[:size])) for size in SIZES},
    **{f"{size}_bytes_in_parts": _row(_in_parts(packed(WORDS[:size]), 32), text(WORDS[:size])) for size in SIZES[3:]},
    **{
        f"level_{level}_window_{bits}": _row(
            frame(TEXT, packed(WORDS[:8_000], level=level, bits=bits), reserved=4), text(WORDS[:8_000])
        )
        for level in (0, 1, 6, 9)
        for bits in (9, 12, 15)
    },
    "binary": Row(
        frame(BINARY, packed(bytes(range(256))), reserved=4), [binary(bytes(range(256)))], binary=True, deflate=True
    ),
    "many": _row(frame(TEXT, packed(WORDS[:300]), reserved=4) * 50, *[text(WORDS[:300])] * 50),
    "plain_among_them": _row(
        (frame(TEXT, packed(b"packed"), reserved=4) + frame(TEXT, b"plain")) * 3, *[text(b"packed"), text(b"plain")] * 3
    ),
    "plain_in_parts_among_them": _row(
        frame(TEXT, packed(b"packed"), reserved=4) + frame(TEXT, b"pl", final=False) + frame(CONTINUATION, b"ain"),
        text(b"packed"),
        text(b"plain"),
    ),
    "ping_inside": _row(
        frame(TEXT, packed(b"Hello")[:3], final=False, reserved=4)
        + frame(PING, b"x")
        + frame(CONTINUATION, packed(b"Hello")[3:]),
        pong(b"x"),
        text(b"Hello"),
    ),
    "last_part_empty": _row(
        frame(TEXT, packed(b"Hello"), final=False, reserved=4) + frame(CONTINUATION), text(b"Hello")
    ),
    "first_part_empty": _row(
        frame(TEXT, final=False, reserved=4) + frame(CONTINUATION, packed(b"Hello")), text(b"Hello")
    ),
    "nothing_at_all": _row(frame(TEXT, b"", reserved=4), text(b"")),
    "character_over_two_parts": _row(_in_parts(packed("🌹".encode(), level=0), 7), text("🌹".encode())),
    "with_a_final_block": _row(frame(TEXT, packed(b"Hello", mode=zlib.Z_FINISH) + b"\x00", reserved=4), text(b"Hello")),
    "with_two_final_blocks": _row(
        frame(TEXT, packed(b"Hel", mode=zlib.Z_FINISH) + packed(b"lo", mode=zlib.Z_FINISH), reserved=4), text(b"Hello")
    ),
}

BROKEN: dict[str, Row] = {
    "no_deflate": _row(frame(TEXT, b"\xff\xff\xff\xff", reserved=4), close(1002)),
    "plain_text_said_to_be_compressed": _row(frame(TEXT, b'{"type":"ping"}', reserved=4), close(1002)),
    "bit_on_a_later_part": _row(
        frame(TEXT, packed(b"Hello")[:3], final=False, reserved=4)
        + frame(CONTINUATION, packed(b"Hello")[3:], reserved=4),
        close(1002),
    ),
    "bit_on_a_part_of_a_plain_one": _row(
        frame(TEXT, b"a", final=False) + frame(CONTINUATION, packed(b"b"), reserved=4), close(1002)
    ),
    "bit_on_a_ping": _row(frame(PING, b"", reserved=4), close(1002)),
    "bit_on_a_close": _row(frame(0x8, b"\x03\xe8", reserved=4), close(1002)),
    "other_bits": _row(frame(TEXT, packed(b"Hello"), reserved=6), close(1002)),
    "not_agreed_on": Row(frame(TEXT, packed(b"Hello"), reserved=4), [close(1002)]),
    "message_inside": _row(
        frame(TEXT, packed(b"Hello")[:3], final=False, reserved=4) + frame(TEXT, packed(b"x"), reserved=4), close(1002)
    ),
    "reaches_back_before_the_message": _row(
        # The second refers to the first, as it may only where windows are kept.
        frame(TEXT, packed(b"Hello"), reserved=4) + frame(TEXT, b"\xf2\x00\x11\x00\x00", reserved=4),
        text(b"Hello"),
        close(1002),
    ),
    "binary_where_text_is": _row(frame(BINARY, packed(b"Hello"), reserved=4), close(1003)),
    "one_byte_over": _row(frame(TEXT, packed(b"*" * (MESSAGE_BYTES_MAX + 1)), reserved=4), close(1009)),
    "ten_million_over": _row(frame(TEXT, packed(bytes(10_000_000)), reserved=4), close(1009)),
    "over_in_parts": _row(_in_parts(packed(bytes(MESSAGE_BYTES_MAX + 1)), 5), close(1009)),
    "over_in_the_last_part": _row(
        frame(TEXT, packed(b"*" * MESSAGE_BYTES_MAX), final=False, reserved=4) + frame(CONTINUATION, packed(b"*")),
        close(1009),
    ),
    "noise_that_compression_made_longer": _row(
        frame(TEXT, packed(_rng.randbytes(MESSAGE_BYTES_MAX)), reserved=4), close(1009)
    ),
}

ROWS = {f"{table}-{name}": row for table, rows in (("sent", SENT), ("broken", BROKEN)) for name, row in rows.items()}


@pytest.mark.parametrize("name", ROWS)
async def test_compressed_messages_are_answered_as_the_row_says(name: str) -> None:
    """However they are cut on the way."""
    await play(ROWS[name], name)
