"""What a creator's filters bar, and that they come back as they were stored."""

import msgspec
import pytest

from gateway.filters import Filters, PlaceSettings, read_settings, write_settings
from gateway.wire.http.creator import FILTER_NAMES_MAX, RoomFilters

BARS = """
# min blocked allowed | viewer coins | bar
  0   -       -       | ann    1     | -
  5   -       -       | ann    5     | -
  5   -       -       | ann    4     | Gifts here cost 5 coins or more.
  0   ann,bob -       | bob    1     | The creator takes no gifts from you here.
  0   ann,bob -       | cyd    1     | -
  0   -       ann     | ann    1     | -
  0   -       ann     | bob    1     | The creator takes gifts here from chosen viewers only.
  0   -       nobody  | bob    1     | The creator takes gifts here from chosen viewers only.
  5   ann     ann     | ann    1     | The creator takes no gifts from you here.
"""


def names(text: str) -> frozenset[str]:
    """A list of the table."""
    return frozenset(() if text == "-" else text.split(","))


@pytest.mark.parametrize("line", BARS.strip().splitlines()[1:])
def test_bar(line: str) -> None:
    """Each line: the filters, who gives how much, and what the viewer is told."""
    left, gift, bar = (part.strip() for part in line.split("|"))
    least, blocked, allowed = left.split()
    filters = Filters(int(least), names(blocked), names(allowed) or None)
    viewer, coins = gift.split()
    assert filters.bar(viewer, int(coins)) == (None if bar == "-" else bar)


def test_empty_list_of_allowed_viewers_lets_nobody_in() -> None:
    """None is everybody, an empty list is nobody."""
    assert Filters(allowed=frozenset()).bar("ann", 1) is not None


@pytest.mark.parametrize(
    "filters",
    [Filters(), Filters(5, frozenset({"a", "b"}), frozenset(), 0), Filters(allowed=frozenset({"c"}))],
)
def test_settings_stored_and_read(filters: Filters) -> None:
    """Nothing is lost, and an empty value is a place without settings."""
    assert read_settings(write_settings(PlaceSettings(filters))) == PlaceSettings(filters)
    assert read_settings(b"") == PlaceSettings()


def test_list_of_names_at_its_bound() -> None:
    """So many names are taken, one more is not."""
    names = [f"v{number}" for number in range(FILTER_NAMES_MAX + 1)]
    assert len(msgspec.convert({"blocked": names[:-1]}, RoomFilters).blocked) == FILTER_NAMES_MAX
    for field in ("blocked", "allowed"):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({field: names}, RoomFilters)


def test_longest_lists_fit_into_the_settings_of_a_place() -> None:
    """The directory keeps 64 KiB; two full lists of the longest names are less."""
    longest = frozenset(f"{number:064}" for number in range(FILTER_NAMES_MAX))
    assert len(write_settings(PlaceSettings(Filters(1, longest, longest, 1)))) < 65_536
