"""What a planted bug is: edits, and the check that must notice them."""

from msgspec import Struct


class Edit(Struct, frozen=True):
    """In one file, `old` becomes `new`; `old` stands there once."""

    path: str
    old: str
    new: str


class Bug(Struct, frozen=True):
    """Something that would be wrong.

    Attributes:
        check: by name, of `tests/planted/checks.py`.
        says: stands in what the check says when it fails.
    """

    name: str
    check: str
    says: str
    edits: list[Edit]
