"""Pages of lists: how far a client has read (`after`), how much it wants (`limit`), and where to go on (`next`)."""

from collections.abc import Callable, Sequence
from typing import Annotated, Final, Generic, TypeVar

from msgspec import Meta, Struct

ENTRIES_DEFAULT: Final = 50
Row = TypeVar("Row")
Cursor = TypeVar("Cursor")

Limit = Annotated[int, Meta(ge=1, le=2**31 - 1, description="Entries on a page; a larger number gives the most.")]
TextCursor = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,63}$(?!\n)", description="`next` of the page before.")
]
NumberCursor = Annotated[int, Meta(ge=0, le=2**53 - 1, description="`next` of the page before.")]


class TextPage(Struct, frozen=True):
    """A page of a list whose cursors are text."""

    after: TextCursor | None = None
    limit: Limit = ENTRIES_DEFAULT


class NumberPage(Struct, frozen=True):
    """A page of a list whose cursors are numbers."""

    after: NumberCursor | None = None
    limit: Limit = ENTRIES_DEFAULT


class Cut(Struct, Generic[Row, Cursor], frozen=True):
    """The rows of a page, and the cursor of the next one; None behind the last."""

    rows: list[Row]
    next: Cursor | None


def wanted(limit: int, entries_max: int) -> int:
    """How many rows to give: what was asked for, within our bound."""
    return min(limit, entries_max)


def cut(rows: Sequence[Row], limit: int, cursor: Callable[[Row], Cursor]) -> Cut[Row, Cursor]:
    """A page from rows of which one more than `limit` was asked for, to see whether there is a next page."""
    page = list(rows[:limit])
    return Cut(page, cursor(page[-1]) if len(rows) > limit else None)
