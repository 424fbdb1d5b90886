"""The TypeScript types that the pages are compiled against."""

from pathlib import Path

import pytest
from msgspec import Struct

from gateway.wire import typescript
from gateway.wire.messages import SendGift


@pytest.mark.parametrize(("path", "text"), typescript.files().items(), ids=lambda part: getattr(part, "name", ""))
def test_typescript_file_is_current(path: Path, text: str) -> None:
    """The committed file says what the Structs say; `python -m gateway.wire.typescript` brings it up to date."""
    assert path.read_text(encoding="utf-8") == text


def test_typescript_of_a_command() -> None:
    """A required field has no question mark, one with a default has, and the tag is a literal."""
    lines = typescript._interface(SendGift).splitlines()
    assert '  type: "gift";' in lines
    assert "  gift: string;" in lines
    assert "  count?: number;" in lines


def test_typescript_of_an_unknown_type() -> None:
    """A type without a translation is refused, not guessed."""

    class Odd(Struct):
        value: bytes

    with pytest.raises(typescript.Untranslatable):
        typescript._interface(Odd)
