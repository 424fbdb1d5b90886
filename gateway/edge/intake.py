"""How much is read of one connection: some frames a turn, and over a longer time twice the commands that it may send.

What comes faster waits in the client's own socket, so a flood costs the others its allowance and no more. Twice, since
acknowledgements and pings are frames too, and a client that is a little over is told so by refusals, not by silence.

And how much is read of all in one round of the event loop: then the outcomes of gifts that were taken in, and ticks,
have their turn. Without that, more gifts than can be paid made rounds of seconds, each of which noticed one commit.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.edge.config import EdgeConfig

if TYPE_CHECKING:
    from gateway.edge.connection import Connection

FRAMES_A_COMMAND: Final = 2
TURN_FRAMES_MAX: Final = 32
"""After so many frames of one connection others get their turn."""
ROUND_FRAMES_MAX: Final = 512
"""Frames of all connections that are read in one round of the event loop: as many gifts as two commits pay."""
ROUND_REFUSED_FRAMES_MAX: Final = 1_536
"""The same while gifts are refused. A refusal costs a small part of a gift, and a round ends with the outcomes of two
commits: were no more read than they pay, twice as many gifts as can be paid would wait longer and longer."""
FULL_PAUSE_S: Final = 0.04
"""How long nobody is read while gifts are refused: a fifth of what waits is paid meanwhile, so there is no lack."""
SLICE_BYTES: Final = 512
"""Bytes that are read into frames at a time, so that a turn ends no more than 85 empty frames late."""


class Unread(NamedTuple):
    """What came of a connection and waits for its next turn, from `start` on; meanwhile its socket is not read.

    Attributes:
        turn: when that turn comes, where it is a matter of time; None for one in a later round.
    """

    data: bytes
    start: int
    turn: asyncio.Handle | None

    def followed_by(self, data: bytes) -> "Unread":
        """The same with what came behind it."""
        return Unread(self.data[self.start :] + data, 0, self.turn)


class Intake:
    """The allowance of every connection of an edge, and of all in a round of the event loop.

    Args:
        is_full: whether gifts that come now are refused. Then nobody is read for moments, so that several frames of
            each connection are read and answered in one go: a refusal costs less, and commits are noticed in between.

    Attributes:
        frames: so many were read until now.
        waited: how often what came of a connection had to wait for a later round.
    """

    def __init__(self, config: EdgeConfig, is_full: Callable[[], bool]) -> None:
        self.frames = 0
        self.waited = 0
        self._is_full = is_full
        self._waiting: deque[Connection] = deque()
        self._in_round = False
        self._round_end = 0
        self._left = 0
        self._frame_s = 1 / (FRAMES_A_COMMAND * config.commands_per_s_max)
        self._burst_s = FRAMES_A_COMMAND * config.commands_burst_max * self._frame_s

    def has_turn(self) -> bool:
        """Whether a connection from which something came may be read now; else it has to `wait`."""
        if not self._in_round:
            self._begin_round()
        return not self._waiting and self.frames < self._round_end

    def wait(self, connection: "Connection") -> None:
        """Let a connection take its turn in a later round, behind those that wait already."""
        self.waited += 1
        self._waiting.append(connection)
        if not self._in_round:
            self._begin_round()

    def _begin_round(self) -> None:
        loop = asyncio.get_running_loop()
        self._in_round = True
        if self._is_full() and not self._left:
            self._round_end = self.frames
            loop.call_later(FULL_PAUSE_S, self._end_pause)
        else:
            self._round_end = self.frames + ROUND_FRAMES_MAX
            # It runs in the next round: what is ready now, and what the event loop finds ready, comes before.
            loop.call_soon(self._next_round)

    def _end_pause(self) -> None:
        # Those who wait now are read before the next pause, round after round, and whoever comes meanwhile is not.
        self._left = len(self._waiting)
        self._next_round()

    def _next_round(self) -> None:
        end = self.frames + (ROUND_REFUSED_FRAMES_MAX if self._left else ROUND_FRAMES_MAX)
        try:
            for _ in range(self._left or len(self._waiting)):
                if self.frames >= end:
                    break
                self._left = max(self._left - 1, 0)
                self._waiting.popleft().take_turn()
        finally:
            # Also where a turn failed: those behind it are read in the next round.
            self._in_round = False
            if self._waiting:
                self._begin_round()

    def charge(self, used_until_s: float, now_s: float, frames: int) -> tuple[float, float]:
        """Charge a connection for frames that were read of it.

        Args:
            used_until_s: as the last call returned it; 0 at first. Times are the event loop's.

        Returns:
            Until when its allowance is used up, and for how long it must not be read.
        """
        used_until_s = max(used_until_s, now_s) + frames * self._frame_s
        return used_until_s, max(0.0, used_until_s - now_s - self._burst_s)
