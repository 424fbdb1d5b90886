"""RFC 6455, sections 5.5.1 and 7: what a close may say, how it is answered, and that nothing follows it."""

import pytest

from gateway.edge.config import EdgeConfig
from tests.integration.edge.raw import CLOSE, CONTINUATION, PING, TEXT, frame
from tests.unit.gateway.edge.conformance.playing import Row, close, play, pong, text
from tests.unit.gateway.edge.line import Line

GOOD_CODES = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999)
BAD_CODES = (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 32_768, 65_535)
HELLO = frame(TEXT, b"Hello")


def _close(code: int, reason: bytes = b"", *, final: bool = True, mask: bool = True) -> bytes:
    return frame(CLOSE, code.to_bytes(2, "big") + reason, final=final, mask=mask)


ROWS: dict[str, Row] = {
    **{f"code_{code}": Row(_close(code), [close(code)]) for code in GOOD_CODES},
    **{f"code_{code}_with_a_reason": Row(_close(code, b"bye"), [close(code)]) for code in GOOD_CODES},
    **{f"bad_code_{code}": Row(_close(code), [close(1002)]) for code in BAD_CODES},
    **{f"bad_code_{code}_with_a_reason": Row(_close(code, b"bye"), [close(1002)]) for code in BAD_CODES},
    "empty": Row(frame(CLOSE), [close(1005)]),
    "one_byte": Row(frame(CLOSE, b"\x03"), [close(1002)]),
    "longest_reason": Row(_close(1000, b"*" * 123), [close(1000)]),
    "reason_too_long": Row(_close(1000, b"*" * 124), [close(1002)]),
    "reason_in_utf8": Row(_close(1000, "tschüß 🌹".encode()), [close(1000)]),
    "reason_that_is_no_utf8": Row(_close(1000, b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80"), [close(1007)]),
    "reason_cut_off": Row(_close(1000, b"\xf0\x9f"), [close(1007)]),
    "in_parts": Row(_close(1000, final=False), [close(1002)]),
    "not_masked": Row(_close(1000, mask=False), [close(1002)]),
    "message_before": Row(HELLO + _close(1000), [text(b"Hello"), close(1000)]),
    "ping_before": Row(frame(PING, b"x") + _close(1000), [pong(b"x"), close(1000)]),
    "twice": Row(_close(1000) * 2, [close(1000)]),
    "message_behind": Row(_close(1000) + HELLO, [close(1000)]),
    "ping_behind": Row(_close(1000) + frame(PING), [close(1000)]),
    "broken_frame_behind": Row(_close(1000) + frame(0x3), [close(1000)]),
    "inside_a_message": Row(frame(TEXT, b"a", final=False) + _close(1000) + frame(CONTINUATION, b"b"), [close(1002)]),
    "much_behind_a_failure": Row(frame(0x3) + HELLO * 1_000, [close(1002)]),
}


@pytest.mark.parametrize("name", ROWS)
async def test_close_is_answered_as_the_row_says(name: str) -> None:
    """However it is cut on the way."""
    await play(ROWS[name], name)


BEHIND = {
    "none": b"",
    "message": HELLO,
    "ping": frame(PING),
    "opcode_3": frame(0x3),
    "no_text": frame(TEXT, b"\xff"),
}


@pytest.mark.parametrize("case", BEHIND)
async def test_close_of_ours_is_followed_by_nothing(case: str) -> None:
    """What the client says before it answers is not carried out; its answer ends the connection."""
    line = Line()
    line.connection.close(4000, "going away")
    await line.feed([BEHIND[case]])
    assert [told for told in line.told() if told.opcode != 0xA] == [close(4000)]
    assert line.session.heard == []
    await line.feed([_close(4000)])
    assert [told for told in line.told() if told.opcode != 0xA] == [close(4000)]
    assert line.transport.ended
    line.hang_up()


async def test_close_that_nobody_answers_ends_all_the_same() -> None:
    """After `close_ms_max` the socket is let go of."""
    for broken in (b"", frame(0x3)):
        line = Line(EdgeConfig(close_ms_max=1))
        await line.feed([broken])
        line.connection.close(4000)
        assert not line.transport.aborted
        await line.let_go()
        line.hang_up()
