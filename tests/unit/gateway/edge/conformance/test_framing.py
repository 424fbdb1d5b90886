"""RFC 6455, sections 5.2 to 5.5: lengths, opcodes, reserved bits, pings, parts, and what may stand between parts."""

import pytest

from tests.integration.edge.raw import BINARY, CONTINUATION, PING, PONG, TEXT, frame
from tests.unit.gateway.edge.conformance.playing import MESSAGE_BYTES_MAX, Row, binary, close, play, pong, text
from tests.unit.gateway.edge.line import Line

HELLO = b"Hello"
SIZES = (0, 1, 125, 126, 127, 128, 255, 256, 1_023, 4_095, 4_096, 4_097, MESSAGE_BYTES_MAX - 1, MESSAGE_BYTES_MAX)

LENGTHS: dict[str, Row] = {
    **{f"text_{size}": Row(frame(TEXT, b"*" * size), [text(b"*" * size)]) for size in SIZES},
    **{f"binary_{size}": Row(frame(BINARY, b"\xfe" * size), [binary(b"\xfe" * size)], binary=True) for size in SIZES},
    **{
        f"{size}_said_in_eight_bytes": Row(frame(TEXT, b"*" * size, size=size), [text(b"*" * size)])
        for size in (0, 1, 125, 126, 65)
    },
}

LIMITS: dict[str, Row] = {
    **{
        f"claims_{size}": Row(frame(TEXT, b"abc", size=size), [close(1009)])
        for size in (MESSAGE_BYTES_MAX + 1, 65_535, 65_536, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1)
    },
    "one_over": Row(frame(TEXT, b"*" * (MESSAGE_BYTES_MAX + 1)), [close(1009)]),
    "binary_of_64_kib": Row(frame(BINARY, bytes(65_536)), [close(1009)], binary=True),
    "parts_reach_it": Row(
        frame(TEXT, b"*" * (MESSAGE_BYTES_MAX - 2), final=False)
        + frame(CONTINUATION, b"*", final=False)
        + frame(CONTINUATION, b"*"),
        [text(b"*" * MESSAGE_BYTES_MAX)],
    ),
    "parts_pass_it": Row(
        frame(TEXT, b"*" * (MESSAGE_BYTES_MAX - 1), final=False) + frame(CONTINUATION, b"**"), [close(1009)]
    ),
    "part_of_nothing_at_it": Row(
        frame(TEXT, b"*" * MESSAGE_BYTES_MAX, final=False) + frame(CONTINUATION), [text(b"*" * MESSAGE_BYTES_MAX)]
    ),
    "begins_anew_with_each_message": Row(
        frame(TEXT, b"*" * MESSAGE_BYTES_MAX) * 3, [text(b"*" * MESSAGE_BYTES_MAX)] * 3
    ),
    "ping_beside_a_full_message": Row(
        frame(TEXT, b"*" * (MESSAGE_BYTES_MAX - 100), final=False)
        + frame(PING, bytes(99))
        + frame(CONTINUATION, b"*" * 100),
        [pong(bytes(99)), text(b"*" * MESSAGE_BYTES_MAX)],
    ),
}

PINGS: dict[str, Row] = {
    **{
        f"ping_{size}": Row(frame(PING, bytes(range(size))), [pong(bytes(range(size)))])
        for size in (0, 1, 2, 5, 64, 124, 125)
    },
    "ping_of_no_utf8": Row(frame(PING, b"\x00\xff\xfe\xfd"), [pong(b"\x00\xff\xfe\xfd")]),
    "ping_126": Row(frame(PING, bytes(126)), [close(1002)]),
    "ping_16_kib": Row(frame(PING, bytes(16_000)), [close(1002)]),
    "ping_said_in_eight_bytes": Row(frame(PING, HELLO, size=5), [pong(HELLO)]),
    "ping_in_parts": Row(frame(PING, HELLO, final=False), [close(1002)]),
    "ten_pings": Row(b"".join(frame(PING, b"%d" % n) for n in range(10)), [pong(b"%d" % n) for n in range(10)]),
    "pong_that_nobody_asked_for": Row(frame(PONG), []),
    "pong_with_a_payload": Row(frame(PONG, HELLO) + frame(PING, b"x"), [pong(b"x")]),
    "pong_126": Row(frame(PONG, bytes(126)), [close(1002)]),
    "pong_in_parts": Row(frame(PONG, HELLO, final=False), [close(1002)]),
}

RESERVED: dict[str, Row] = {
    **{
        f"bits_{bits}_of_opcode_{opcode}": Row(frame(opcode, HELLO, reserved=bits), [close(1002)])
        for bits in range(1, 8)
        for opcode in (TEXT, BINARY, PING, PONG)
    },
    **{
        f"bits_{bits}_of_a_later_part": Row(
            frame(TEXT, HELLO, final=False) + frame(CONTINUATION, HELLO, reserved=bits), [close(1002)]
        )
        for bits in range(1, 8)
    },
    **{f"bits_{bits}_of_a_close": Row(frame(0x8, b"\x03\xe8", reserved=bits), [close(1002)]) for bits in range(1, 8)},
    "what_came_before_is_still_answered": Row(
        frame(TEXT, HELLO) + frame(TEXT, HELLO, reserved=2) + frame(PING), [text(HELLO), close(1002)]
    ),
    **{
        f"opcode_{opcode}": Row(frame(TEXT, HELLO) + frame(opcode, payload) + frame(PING), [text(HELLO), close(1002)])
        for opcode in (0x3, 0x4, 0x5, 0x6, 0x7, 0xB, 0xC, 0xD, 0xE, 0xF)
        for payload in (b"", HELLO)
    },
    **{
        f"not_masked_{opcode}_of_{len(payload)}": Row(frame(opcode, payload, mask=False), [close(1002)])
        for opcode in (TEXT, BINARY, PING, PONG, CONTINUATION, 0x8)
        for payload in (b"", b"\x03\xe8")
    },
}

FIRST, MIDDLE, LAST = (
    frame(TEXT, b"one ", final=False),
    frame(CONTINUATION, b"two ", final=False),
    frame(CONTINUATION, b"three"),
)
WHOLE = text(b"one two three")
PARTS: dict[str, Row] = {
    "three": Row(FIRST + MIDDLE + LAST, [WHOLE]),
    "binary": Row(
        frame(BINARY, b"\xff", final=False) + frame(CONTINUATION, b"\xfe"), [binary(b"\xff\xfe")], binary=True
    ),
    "all_empty": Row(frame(TEXT, final=False) + frame(CONTINUATION, final=False) + frame(CONTINUATION), [text(b"")]),
    "middle_alone_has_something": Row(
        frame(TEXT, final=False) + frame(CONTINUATION, b"two", final=False) + frame(CONTINUATION), [text(b"two")]
    ),
    "one_byte_each": Row(
        frame(TEXT, b"0", final=False)
        + b"".join(frame(CONTINUATION, b"%d" % (number % 10), final=False) for number in range(1, 200))
        + frame(CONTINUATION, b"!"),
        [text(b"0123456789" * 20 + b"!")],
    ),
    "ping_between": Row(FIRST + frame(PING, b"1") + MIDDLE + frame(PING, b"2") + LAST, [pong(b"1"), pong(b"2"), WHOLE]),
    "pong_between": Row(FIRST + frame(PONG, b"1") + MIDDLE + LAST, [WHOLE]),
    "ten_pings_between": Row(FIRST + frame(PING) * 10 + MIDDLE + LAST, [pong()] * 10 + [WHOLE]),
    "two_messages": Row((FIRST + MIDDLE + LAST) * 2, [WHOLE, WHOLE]),
    "whole_one_behind": Row(FIRST + LAST + frame(TEXT, b"next"), [text(b"one three"), text(b"next")]),
    "continuation_of_nothing": Row(LAST, [close(1002)]),
    "open_continuation_of_nothing": Row(MIDDLE + LAST, [close(1002)]),
    "empty_continuation_of_nothing": Row(frame(CONTINUATION), [close(1002)]),
    "continuation_behind_a_whole_one": Row(frame(TEXT, b"one") + LAST, [text(b"one"), close(1002)]),
    "continuation_behind_the_last": Row(FIRST + LAST + LAST, [text(b"one three"), close(1002)]),
    "text_inside": Row(FIRST + frame(TEXT, b"x"), [close(1002)]),
    "open_text_inside": Row(FIRST + FIRST, [close(1002)]),
    "binary_inside": Row(FIRST + frame(BINARY, b"x"), [close(1002)]),
    "ping_then_text_inside": Row(FIRST + frame(PING) + frame(TEXT, b"x"), [pong(), close(1002)]),
    "close_inside": Row(FIRST + frame(0x8, b"\x03\xe8"), [close(1002)]),
    "never_ended": Row(FIRST + MIDDLE, []),
}

KINDS: dict[str, Row] = {
    "binary_where_text_is": Row(frame(BINARY, HELLO), [close(1003)]),
    "text_where_binary_is": Row(frame(TEXT, HELLO), [close(1003)], binary=True),
    "binary_part_where_text_is": Row(frame(BINARY, HELLO, final=False), [close(1003)]),
    "text_part_where_binary_is": Row(frame(TEXT, HELLO, final=False), [close(1003)], binary=True),
}

ROWS = {
    f"{table}-{name}": row
    for table, rows in (
        ("lengths", LENGTHS),
        ("limits", LIMITS),
        ("pings", PINGS),
        ("reserved", RESERVED),
        ("parts", PARTS),
        ("kinds", KINDS),
    )
    for name, row in rows.items()
}


@pytest.mark.parametrize("name", ROWS)
async def test_frames_are_answered_as_the_row_says(name: str) -> None:
    """However they are cut on the way."""
    await play(ROWS[name], name)


async def test_frames_that_come_with_the_handshake_are_passed_over() -> None:
    """A client must wait for the answer (section 4.1): nothing stands before it, and what comes behind it is heard."""
    line = Line(behind=frame(PING, b"x") + frame(TEXT, b"early"))
    assert line.answer.startswith("HTTP/1.1 101 ")
    await line.feed([frame(TEXT, HELLO)])
    assert line.told() == [text(HELLO)]


async def test_session_that_fails_ends_its_connection_and_is_heard_of() -> None:
    """1011, and the error goes where the event loop's do."""
    line = Line()

    def fail(payload: bytes) -> None:
        raise ValueError(payload)

    line.session.receive = fail  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="Hello"):
        await line.feed([frame(TEXT, HELLO)])
    assert line.told() == [close(1011)]
    line.hang_up()
