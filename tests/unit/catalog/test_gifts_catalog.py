"""Who may send which gift, and the table of levels."""

import pytest

from catalog.gifts import Barrier, Gift, barrier
from catalog.levels import level_of


def gift(*, level_min: int = 0, fans_only: bool = False, on_video: bool = False) -> Gift:
    """A gift of which only the conditions matter."""
    return Gift(
        "swan",
        "Swan",
        10,
        1,
        "swan",
        "#ffffff",
        "swan",
        "float",
        1000,
        level_min=level_min,
        fans_only=fans_only,
        on_video=on_video,
    )


@pytest.mark.parametrize(
    ("item", "level", "fan", "on_video", "expected"),
    [
        (gift(), 0, False, False, None),
        (gift(level_min=10), 9, True, False, Barrier.LEVEL),
        (gift(level_min=10), 10, False, False, None),
        (gift(fans_only=True), 50, False, False, Barrier.FANS_ONLY),
        (gift(fans_only=True), 0, True, False, None),
        (gift(), 0, False, True, Barrier.NOT_ON_VIDEO),
        (gift(on_video=True), 0, False, True, None),
    ],
)
def test_barrier(item: Gift, level: int, fan: bool, on_video: bool, expected: Barrier | None) -> None:
    """A gift's conditions hold at their limit and not one below it."""
    assert barrier(item, level=level, fan=fan, on_video=on_video) is expected


@pytest.mark.parametrize(("coins", "level"), [(0, 0), (1, 1), (9, 1), (10, 2), (99, 2), (100, 3), (2**53, 3)])
def test_level_of(coins: int, level: int) -> None:
    """A level is reached with exactly its coins."""
    assert level_of((1, 10, 100), coins) == level
