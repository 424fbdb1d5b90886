"""What one gateway knows of one room: how far it has heard, what its viewers were shown, and the room's live state.

Pure: the shell brings batches, the time and the state that others know; it does what the answers say. Overlays and the
creator are told each batch as it is heard (`facts.complete_events`); viewers are told by ticks. A position is
(epoch, seq); one that does not follow the last is never taken, so that nothing is missed in silence (I7).
"""

import enum
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from gateway.room.config import RoomConfig
from gateway.room.facts import GiftFact, RoomBatch
from gateway.room.merge import MergeBuffer
from gateway.room.pace import Pace
from gateway.wire.messages import Event, LeaderboardEvent, RoomEvent, TopEntry

_NOWHERE: Final = 0
"""The epoch of a room that was never told anything."""
_UNKNOWN: Final = -1
"""The seq of a top list that may be of another epoch."""


class Hearing(enum.Enum):
    """What became of a batch."""

    CONTINUES = "continues"
    """It was taken, or what of it was new."""
    OLD = "old"
    """All of it was known."""
    GAP = "gap"
    """Facts before it are missing and nothing was taken: the history must be read up to `Room.behind`."""


class Heard(Struct, frozen=True):
    """Answer to a batch; `fresh` is its new part when it CONTINUES."""

    hearing: Hearing
    fresh: RoomBatch | None = None


class Tick(Struct, frozen=True):
    """What viewers are shown now; afterwards they are at (epoch, seq)."""

    epoch: int
    seq: int
    events: list[Event]


_OLD: Final = Heard(Hearing.OLD)
_GAP: Final = Heard(Hearing.GAP)


class Room:
    """A room on this gateway.

    Args:
        epoch, seq: where it begins, as `Broker.snapshot` says right after the subscription took effect.
        pace: of the gateway; stretches the pauses between ticks.

    Attributes:
        epoch, seq: everything up to here has been heard; complete receivers stand here.
        shown_seq: viewers were shown everything up to here. A viewer joins here; one that comes back from further on
            (from a gateway that was ahead) must be given a tick first.
        receivers: local connections that get this room's ticks; stretches the pause between ticks.
        viewers, leaderboard, live: the state that newcomers are told.
    """

    def __init__(self, name: str, config: RoomConfig, *, epoch: int, seq: int, pace: Pace | None = None) -> None:
        self.name = name
        self.epoch = epoch
        self.seq = seq
        self.shown_seq = seq
        self.receivers = 0
        self.live = True
        self.viewers = 0
        self.leaderboard: list[TopEntry] = []
        self._config = config
        self._pace = pace
        self._buffer = MergeBuffer(config.events_per_tick_max, config.big_gift_coins)
        self._ticked_ms = 0
        self._known = (epoch, seq)
        self._board_seq = seq
        self._board_changed = False
        self._state_changed = False

    def hear(self, batch: RoomBatch) -> Heard:
        """Take what follows the last fact heard; drop what is known; refuse what leaves a hole.

        A batch of a newer epoch counts as a gap: what was heard before may have been taken back.
        """
        first = batch.first_seq
        if batch.epoch == self.epoch and first == self.seq + 1:
            return self._take(batch)
        if batch.epoch < self.epoch:
            return _OLD
        if self.epoch == _NOWHERE and self.seq == 0 and first == 1:
            self.epoch = batch.epoch
            return self._take(batch)
        if batch.epoch > self.epoch or first > self.seq:
            self._known = max(self._known, (batch.epoch, batch.last_seq))
            return _GAP
        fresh = batch.after(self.seq)
        return _OLD if fresh is None else self._take(fresh)

    @property
    def behind(self) -> tuple[int, int] | None:
        """The furthest position heard of, while facts before it are missing; None when nothing is missing."""
        return self._known if self._known > (self.epoch, self.seq) else None

    def reset(self, epoch: int, seq: int) -> None:
        """Go on from a snapshot because the history no longer holds what is missing.

        Viewers and overlays must be told that they missed events. What was heard and not shown is still shown.
        """
        self.epoch, self.seq = epoch, seq
        self._known = (epoch, seq)
        if not self._buffer:
            self.shown_seq = seq
        self._board_seq = _UNKNOWN

    def due_ms(self) -> int | None:
        """The time of the next tick; None while viewers have been shown everything.

        A time that lies in the past means at once: the room was quiet.
        """
        if self._buffer or self._board_changed or self._state_changed:
            return self._ticked_ms + self.pause_ms
        return None

    @property
    def pause_ms(self) -> int:
        """The least time between two ticks: constant up to `tick_viewers` receivers, then in proportion to them; longer
        while the gateway's pace is slower."""
        config = self._config
        pause_ms = config.tick_ms * max(self.receivers, config.tick_viewers) // config.tick_viewers
        if self._pace is not None:
            pause_ms = int(pause_ms * self._pace.stretch)
        return min(max(config.tick_ms_max, config.tick_ms), pause_ms)

    def tick(self, now_ms: int) -> Tick | None:
        """Show viewers everything that they were not shown yet; None when there is nothing. May be called early."""
        events: list[Event] = list(self._buffer.drain()) if self._buffer else []
        if self._board_changed:
            events.append(LeaderboardEvent(self.leaderboard))
        if self._state_changed:
            events.append(RoomEvent(self.live, self.viewers))
        self._board_changed = self._state_changed = False
        moved = self.shown_seq != self.seq
        self.shown_seq = self.seq
        if not events and not moved:
            return None
        self._ticked_ms = now_ms
        return Tick(self.epoch, self.seq, events)

    def wants_board(self) -> bool:
        """Whether the top list should be asked for: gifts were heard that it may not have."""
        return self._board_seq != self.seq

    def put_board(self, entries: Sequence[TopEntry], seq: int) -> None:
        """Take the top list; viewers are shown it in the next tick when it differs.

        Args:
            seq: where the room stood when it was asked for: later gifts may or may not be in it.
        """
        self._board_seq = seq
        if list(entries) != self.leaderboard:
            self.leaderboard = list(entries)
            self._board_changed = True

    def put_state(self, *, viewers: int, live: bool = True) -> None:
        """Take the number of viewers on all gateways; they are shown it in the next tick when it differs."""
        if (viewers, live) != (self.viewers, self.live):
            self.viewers, self.live = viewers, live
            self._state_changed = True

    def _take(self, batch: RoomBatch) -> Heard:
        facts: list[GiftFact] = batch.facts
        self._buffer.add(batch.first_seq, facts)
        self.seq = batch.last_seq
        return Heard(Hearing.CONTINUES, batch)
