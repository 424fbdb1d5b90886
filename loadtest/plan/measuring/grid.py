"""Which runs the constants are measured by, and which others the plan is checked by: no point is in both."""

import random
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from loadtest.plan.measuring.observe import Point

SECONDS: Final = 3.0
"""In which a run of the grid sends gifts."""
REPEATS: Final = 3
CHECK_SECONDS: Final = 5.0
CHECK_REPEATS: Final = 3


class Block(Struct, frozen=True):
    """Points that are run on one server.

    Attributes:
        probed: whether what hearing costs is measured first, alone.
        gateways: of the server; `listeners` are more of them, which only hear, but for the audience of a point `apart`.
    """

    gateways: int
    listeners: int
    points: tuple[Point, ...]
    probed: bool = False


GRID: Final = (
    Block(
        1,
        1,
        (
            Point("few gifts", 400, 0, 1, apart=True),
            Point("many gifts", 3_000, 0, 1, apart=True),
            Point("most gifts", 7_500, 0, 1),
            Point("few gifts, a crowd", 400, 800, 1, apart=True),
            Point("many gifts, a crowd", 3_000, 600, 1, apart=True),
            Point("sixty rooms", 1_500, 600, 60, apart=True),
            Point("twenty rooms", 4_000, 200, 20),
            Point("quiet rooms", 100, 300, 300, apart=True),
        ),
    ),
    Block(
        2,
        3,
        (
            Point("five gateways", 600, 0, 1),
            Point("five gateways, many gifts", 3_500, 300, 4),
        ),
        probed=True,
    ),
)
"""What the constants are fitted to."""
HELD_OUT: Final = (
    Block(
        1,
        0,
        (
            Point("one room", 1_600, 500, 1),
            Point("eight rooms", 3_600, 350, 8, room_skew=1.0),
        ),
    ),
    Block(2, 0, (Point("two gateways", 2_400, 400, 3, room_skew=1.0),)),
)
"""What the plan is checked by: chosen after the last change of the model."""
WARM_UP: Final = Point("warm-up", 1_000, 200, 2)
"""Played before a check, to see how fast the cores are; nothing else of it counts."""


def shuffled(blocks: Sequence[Block], repeats: int, seed: int) -> list[Block]:
    """Every block so many times, in a new order each time, its points too: what the machine does meanwhile hits all."""
    rng = random.Random(f"{seed}:grid")
    rows: list[Block] = []
    for _ in range(repeats):
        for block in rng.sample(blocks, len(blocks)):
            points = rng.sample(block.points, len(block.points))
            rows.append(msgspec.structs.replace(block, points=tuple(points)))
    return rows
