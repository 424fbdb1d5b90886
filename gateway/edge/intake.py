"""How much is read of one connection: some frames a turn, and over a longer time twice the commands that it may send.

What comes faster waits in the client's own socket, so a flood costs the others its allowance and no more. Twice, since
acknowledgements and pings are frames too, and a client that is a little over is told so by refusals, not by silence.
"""

import asyncio
from typing import Final, NamedTuple

from gateway.edge.config import EdgeConfig

FRAMES_A_COMMAND: Final = 2
TURN_FRAMES_MAX: Final = 32
"""After so many frames of one connection others get their turn."""
SLICE_BYTES: Final = 512
"""Bytes that are read into frames at a time, so that a turn ends no more than 85 empty frames late."""


class Unread(NamedTuple):
    """What came of a connection and waits for its next turn, from `start` on; meanwhile its socket is not read.

    Attributes:
        turn: when that turn comes.
    """

    data: bytes
    start: int
    turn: asyncio.Handle

    def followed_by(self, data: bytes) -> "Unread":
        """The same with what came behind it."""
        return Unread(self.data[self.start :] + data, 0, self.turn)


class Intake:
    """The allowance of every connection of an edge, and the frames that were read of all.

    Attributes:
        frames: so many until now.
    """

    def __init__(self, config: EdgeConfig) -> None:
        self.frames = 0
        self._frame_s = 1 / (FRAMES_A_COMMAND * config.commands_per_s_max)
        self._burst_s = FRAMES_A_COMMAND * config.commands_burst_max * self._frame_s

    def charge(self, used_until_s: float, now_s: float, frames: int) -> tuple[float, float]:
        """Charge a connection for frames that were read of it.

        Args:
            used_until_s: as the last call returned it; 0 at first. Times are the event loop's.

        Returns:
            Until when its allowance is used up, and for how long it must not be read.
        """
        used_until_s = max(used_until_s, now_s) + frames * self._frame_s
        return used_until_s, max(0.0, used_until_s - now_s - self._burst_s)
