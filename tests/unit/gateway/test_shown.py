"""Text of clients is shown so that it cannot pass for something else."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.shown import MARKS_MAX, shown


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("Ada L.", "Ada L."),
        ("  two\t words \r\n", "two words"),
        ("a\x00b\x1b[31mc\x7f\x9bd", "ab[31mcd"),
        ("\u202eada\u202c \u2066x\u2069\u200e\u061c", "ada x"),
        ("zero\u200bwidth\ufeff\u00ad", "zerowidth"),
        ("\u2028line\u2029", "line"),
        ("\ud800x\udfff", "x"),
        ("\ufffe\ufdd0\U0010ffffx", "x"),
        ("\u3164\u2800\u115f", ""),
        ("\u200d\u0301 \u200c", ""),
        ("\x00", ""),
        ("", ""),
        ("\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f 1\ufe0f\u20e3", None),
        ("\u0928\u092e\u0938\u094d\u0924\u0947 \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", None),
        ("z" + "\u0301" * 50, "z" + "\u0301" * MARKS_MAX),
    ],
)
def test_text_of_a_client(text: str, seen: str | None) -> None:
    """What is harmless stays as it is (None); what is not goes."""
    assert shown(text, 40) == (text if seen is None else seen)


def test_text_at_its_bound() -> None:
    """It is cut there, and ends with no space."""
    assert shown("x" * 10_000, 40) == "x" * 40
    assert shown("\xe9" * 40, 40) == "\xe9" * 40
    assert shown("x" * 39 + " y", 40) == "x" * 39


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_can_be_written_and_stays_as_it_was_made(text: str) -> None:
    """It is one line of UTF-8 without a control, and making it again changes nothing."""
    seen = shown(text, 200)
    msgspec.json.encode(seen)
    assert shown(seen, 200) == seen
    assert not any(ord(character) < 32 or ord(character) == 127 for character in seen)
