"""What viewers were shown, at the cost of one look per frame.

A room's viewers get the same bytes, so each distinct frame is decoded once per process and every viewer keeps
only a list of frame numbers. Two viewers with the same list were shown the same; the sums are then taken once
for both.
"""

from array import array
from typing import Final

from msgspec import Struct

from gateway.wire.messages import Events, GiftEvent, SummaryEvent, UndoneEvent

REMEMBERED_MAX: Final = 4096
"""Distinct frames of a room that are recognised again; a viewer further behind than that decodes its own."""


class Tally(Struct):
    """Amounts that add up: gifts (commands), count (items) and coins."""

    gifts: int = 0
    count: int = 0
    coins: int = 0

    def add(self, gifts: int, count: int, coins: int) -> None:
        """Add to all three."""
        self.gifts += gifts
        self.count += count
        self.coins += coins


class Shown(Struct):
    """What one frame told of a room.

    Attributes:
        by_gift: (sender, gift) → what was shown by name, less what was undone; the sender is None when anonymous.
        hidden: what came as a summary, without names.
    """

    epoch: int
    seq: int
    by_gift: dict[tuple[str | None, str], Tally]
    hidden: Tally


class FrameBook:
    """The distinct frames of one room, numbered as they were first seen."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.frames: list[Shown] = []
        self._numbers: dict[bytes, int] = {}

    def find(self, payload: bytes) -> int | None:
        """The number of a frame seen lately."""
        return self._numbers.get(payload)

    def add(self, payload: bytes, events: Events) -> int:
        """Number a new frame."""
        if len(self._numbers) >= REMEMBERED_MAX:
            del self._numbers[next(iter(self._numbers))]
        number = self._numbers[payload] = len(self.frames)
        self.frames.append(_shown(events))
        return number


class Watch:
    """What one viewer was shown: frame numbers and times, from its first `joined` on.

    Attributes:
        lost: why the viewer no longer counts for sums (closed for good, told of a gap); empty while it does.
        slow: it reads slowly on purpose, so its times say nothing of the server.
    """

    __slots__ = ("epoch", "frames", "lost", "seen_ns", "since_seq", "slow", "viewer")

    def __init__(self, viewer: int, epoch: int, since_seq: int, *, slow: bool = False) -> None:
        self.viewer = viewer
        self.epoch = epoch
        self.since_seq = since_seq
        self.frames = array("i")
        self.seen_ns = array("q")
        self.lost = ""
        self.slow = slow


def _shown(events: Events) -> Shown:
    shown = Shown(events.epoch, events.seq, {}, Tally())
    for event in events.events:
        if isinstance(event, GiftEvent):
            if event.test is True or event.count == 0:
                continue  # a trial, or the mere end of a combo: no value moved
            sender = None if event.sender is None else event.sender.id
            tally = shown.by_gift.setdefault((sender, event.gift), Tally())
            tally.add(event.merged if isinstance(event.merged, int) else 1, event.count, event.coins)
        elif isinstance(event, UndoneEvent):
            sender = None if event.sender is None else event.sender.id
            shown.by_gift.setdefault((sender, event.gift), Tally()).add(-1, -event.count, -event.coins)
        elif isinstance(event, SummaryEvent):
            shown.hidden.add(event.gifts, event.count, event.coins)
    return shown
