"""RFC 6455, section 8.1: text is UTF-8, whole or in parts, and the first part that cannot be is the last."""

import pytest

from tests.integration.edge.raw import CONTINUATION, PING, TEXT, frame
from tests.unit.gateway.edge.conformance.playing import Row, close, packed, play, pong, text

GOOD: dict[str, bytes] = {
    "ascii": b"Hello",
    "two_bytes": "Grüße".encode(),
    "three_bytes": "κόσμε".encode(),
    "four_bytes": "🌹🎁".encode(),
    "nul": b"\x00",
    "first_of_2": b"\xc2\x80",
    "first_of_3": b"\xe0\xa0\x80",
    "first_of_4": b"\xf0\x90\x80\x80",
    "last_of_1": b"\x7f",
    "last_of_2": b"\xdf\xbf",
    "last_of_3": b"\xef\xbf\xbf",
    "last_of_4": b"\xf4\x8f\xbf\xbf",
    "before_the_surrogates": b"\xed\x9f\xbf",
    "behind_the_surrogates": b"\xee\x80\x80",
    "replacement": b"\xef\xbf\xbd",
    "no_character": b"\xef\xbf\xbe\xf0\x9f\xbf\xbf",
    "byte_order_mark": b"\xef\xbb\xbfx",
}
BAD: dict[str, bytes] = {
    "continuation_alone": b"\x80",
    "last_continuation_alone": b"\xbf",
    "six_continuations": b"\x80\xbf\x80\xbf\x80\xbf",
    "lead_of_2_alone": b"\xc3 ",
    "lead_of_3_alone": b"\xe0 ",
    "lead_of_4_alone": b"\xf0 ",
    "lead_of_5": b"\xf8\x88\x80\x80\x80",
    "lead_of_6": b"\xfc\x84\x80\x80\x80\x80",
    "fe": b"\xfe",
    "ff": b"\xff",
    "overlong_slash_2": b"\xc0\xaf",
    "overlong_slash_3": b"\xe0\x80\xaf",
    "overlong_slash_4": b"\xf0\x80\x80\xaf",
    "overlong_nul": b"\xc0\x80",
    "overlong_last_of_1": b"\xc1\xbf",
    "overlong_last_of_2": b"\xe0\x9f\xbf",
    "overlong_last_of_3": b"\xf0\x8f\xbf\xbf",
    "first_surrogate": b"\xed\xa0\x80",
    "last_surrogate": b"\xed\xbf\xbf",
    "pair_of_surrogates": b"\xed\xa0\x80\xed\xb0\x80",
    "over_10ffff": b"\xf4\x90\x80\x80",
    "far_over_10ffff": b"\xf7\xbf\xbf\xbf",
    "kosme_then_a_surrogate": "κόσμε".encode() + b"\xed\xa0\x80edited",
}
CUT_OFF: dict[str, bytes] = {
    "1_of_2": b"\xc3",
    "1_of_3": b"\xe2",
    "2_of_3": b"\xe2\x82",
    "1_of_4": b"\xf0",
    "2_of_4": b"\xf0\x9f",
    "3_of_4": b"\xf0\x9f\x8c",
}


def _parts(content: bytes) -> bytes:
    """A part for each byte, with pings between."""
    frames = [
        frame(CONTINUATION if at else TEXT, content[at : at + 1], final=at == len(content) - 1)
        for at in range(len(content))
    ]
    return frame(PING).join(frames)


ROWS: dict[str, Row] = {
    **{f"good-{name}": Row(frame(TEXT, content), [text(content)]) for name, content in GOOD.items()},
    **{
        f"good_in_parts-{name}": Row(_parts(content), [pong()] * (len(content) - 1) + [text(content)])
        for name, content in GOOD.items()
    },
    **{
        f"{kind}-{name}": Row(frame(TEXT, b"before " + content) + frame(TEXT, b"next"), [close(1007)])
        for kind, table in (("bad", BAD), ("cut_off", CUT_OFF))
        for name, content in table.items()
    },
    **{
        # What follows the part that spoils it is not looked at: neither the ping nor the rest of the message.
        f"bad_part_at_once-{name}": Row(
            frame(TEXT, b"good ", final=False)
            + frame(PING, b"1")
            + frame(CONTINUATION, content, final=False)
            + frame(PING, b"2")
            + frame(CONTINUATION, b" good"),
            [pong(b"1"), close(1007)],
        )
        for name, content in BAD.items()
    },
    **{
        f"cut_off_in_parts-{name}": Row(
            frame(TEXT, content, final=False) + frame(PING) + frame(CONTINUATION), [pong(), close(1007)]
        )
        for name, content in CUT_OFF.items()
    },
    **{
        f"cut_off_then_wrong-{name}": Row(
            frame(TEXT, content, final=False) + frame(CONTINUATION, b"x", final=False) + frame(PING), [close(1007)]
        )
        for name, content in CUT_OFF.items()
    },
    **{
        f"compressed_bad-{name}": Row(frame(TEXT, packed(content), reserved=4), [close(1007)], deflate=True)
        for name, content in BAD.items()
    },
    **{
        f"compressed_good-{name}": Row(frame(TEXT, packed(content), reserved=4), [text(content)], deflate=True)
        for name, content in GOOD.items()
    },
    "character_over_two_messages": Row(frame(TEXT, b"\xc3") + frame(TEXT, b"\xbc"), [close(1007)]),
}


@pytest.mark.parametrize("name", ROWS)
async def test_text_is_judged_as_the_row_says(name: str) -> None:
    """However it is cut on the way."""
    await play(ROWS[name], name)


async def test_binary_messages_are_not_text() -> None:
    """Every row that is no text is a good binary message."""
    for name, content in {**BAD, **CUT_OFF}.items():
        row = Row(frame(0x2, content), [text(content)._replace(opcode=0x2)], binary=True)
        await play(row, name)
