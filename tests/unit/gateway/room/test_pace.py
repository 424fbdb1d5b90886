"""How the pauses between ticks follow what ticks cost."""

import pytest

from gateway.room.config import RoomConfig
from gateway.room.pace import Pace

CONFIG = RoomConfig(tick_ms=50, tick_ms_max=250, tick_share_permille_max=500)


def _after(pace: Pace, *shares: float) -> float:
    """The stretch after looks a second apart, between which ticks took these parts of the time."""
    for share in shares:
        pace.wrote(share / 2)
        pace.wrote(share / 2)
        pace.look(1.0)
    return pace.stretch


@pytest.mark.parametrize(
    ("shares", "stretch"),
    [
        ((), 1.0),
        ((0.49,), 1.0),
        ((0.5,), 1.0),
        ((0.6,), 1.2),
        ((0.9,), 1.5),
        ((0.9, 0.5), 1.5),
        ((0.9, 0.4), 1.2),
        ((0.9, 0.0), 1.05),
        ((0.9, 0.0, 0.0), 1.0),
        ((0.9,) * 9, 5.0),
    ],
)
def test_stretch(shares: tuple[float, ...], stretch: float) -> None:
    """Above the share it grows in proportion, by half at most; below it shrinks, and never under one."""
    assert _after(Pace(CONFIG), *shares) == pytest.approx(stretch)


def test_pause_that_cannot_grow() -> None:
    """Where the shortest pause is the longest, nothing is stretched."""
    assert _after(Pace(RoomConfig(tick_ms=300, tick_ms_max=250)), 0.9, 0.9) == 1.0


def test_what_was_looked_at_counts_once() -> None:
    """Each look is about the time since the last."""
    pace = Pace(CONFIG)
    pace.wrote(0.9)
    pace.look(1.0)
    pace.look(1.0)
    assert pace.stretch == pytest.approx(1.05)
