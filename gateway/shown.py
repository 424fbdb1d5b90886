"""What a client wrote, as others may be shown it: the one place where such text is made safe.

Control characters, bidirectional overrides and what draws nothing are left out: they change how the text around them
reads, hide a name or forge another one. Joiners stay, since emoji and several scripts need them (Unicode TR 36, TR 39).
"""

import unicodedata
from typing import Final

MARKS_MAX: Final = 4
"""Combining marks on one character; scripts need up to three, and more of them paint over the lines around."""
_JOINERS: Final = "\u200c\u200d"
_BLANKS: Final = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and symbols that draw nothing."""


def shown(text: str, length_max: int) -> str:
    """At most `length_max` characters of one line; empty when nothing of the text can be seen."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())[:length_max].rstrip()
    kept: list[str] = []
    marks = 0
    visible = False
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category[0] == "M" else 0
        if character.isspace():
            kept.append(" ")
        elif character in _JOINERS:
            kept.append(character)
        elif _is_drawn(character, category) and marks <= MARKS_MAX:
            kept.append(character)
            visible = visible or category[0] != "M"
    return " ".join("".join(kept).split())[:length_max].rstrip() if visible else ""


def _is_drawn(character: str, category: str) -> bool:
    if category in ("Cc", "Cf", "Cs") or character in _BLANKS:
        return False
    # What is not assigned may be newer than our tables; the 66 that never will be are no characters.
    point = ord(character)
    return not (category == "Cn" and (point & 0xFFFE == 0xFFFE or 0xFDD0 <= point <= 0xFDEF))
