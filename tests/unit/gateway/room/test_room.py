"""A room: what it takes, what it refuses, and when its viewers are told."""

import msgspec

from gateway.room.config import RoomConfig
from gateway.room.pace import Pace
from gateway.room.room import Hearing, Room
from gateway.wire.messages import GiftEvent, LeaderboardEvent, RoomEvent, TopEntry
from tests.unit.gateway.room.room_facts import batch, gift

CONFIG = RoomConfig()


def room_at(epoch: int = 1, seq: int = 10, config: RoomConfig = CONFIG) -> Room:
    """A room that begins at a position."""
    return Room("demo", config, epoch=epoch, seq=seq)


def test_hear_what_follows() -> None:
    """A batch that follows the last fact is taken whole."""
    room = room_at()
    heard = room.hear(batch(11, gift(record=1), gift(record=2)))
    assert (heard.hearing, room.seq, room.shown_seq) == (Hearing.CONTINUES, 12, 10)
    assert heard.fresh == batch(11, gift(record=1), gift(record=2))


def test_hear_what_is_known() -> None:
    """A batch heard before changes nothing; of one that overlaps, only the new part is taken."""
    room = room_at()
    room.hear(batch(11, gift(record=1), gift(record=2)))
    assert room.hear(batch(11, gift(record=1), gift(record=2))).hearing is Hearing.OLD
    heard = room.hear(batch(12, gift(record=2), gift(record=3)))
    assert (heard.hearing, heard.fresh) == (Hearing.CONTINUES, batch(13, gift(record=3)))
    tick = room.tick(0)
    assert tick is not None
    assert sum(event.count for event in tick.events if isinstance(event, GiftEvent)) == 3


def test_hear_with_a_hole() -> None:
    """Nothing is taken across a hole; the room is behind until the hole is filled from the history."""
    room = room_at()
    assert room.hear(batch(12, gift(record=2))).hearing is Hearing.GAP
    steps = [(room.seq, room.behind)]
    for seq in (11, 12):
        room.hear(batch(seq, gift(record=seq - 10)))
        steps.append((room.seq, room.behind))
    assert steps == [(10, (1, 12)), (11, (1, 12)), (12, None)]


def test_hear_a_new_epoch() -> None:
    """A newer epoch is a gap even when the seq follows; an older one is old."""
    room = room_at()
    assert room.hear(batch(11, gift(), epoch=2)).hearing is Hearing.GAP
    room.reset(2, 11)
    assert (room.epoch, room.seq, room.shown_seq, room.behind) == (2, 11, 11, None)
    assert room.hear(batch(12, gift(), epoch=1)).hearing is Hearing.OLD


def test_hear_the_first_fact_ever() -> None:
    """A room that was never told anything takes its first fact in whatever epoch; only the first."""
    room = room_at(0, 0)
    assert room.hear(batch(2, gift(), epoch=3)).hearing is Hearing.GAP
    assert room.hear(batch(1, gift(), epoch=3)).hearing is Hearing.CONTINUES
    assert (room.epoch, room.seq) == (3, 1)


def test_tick_at_once_when_quiet_then_paced() -> None:
    """The first gift is due at once, the next not before the pause has passed."""
    room = room_at()
    assert room.due_ms() is None
    room.hear(batch(11, gift()))
    due_ms = room.due_ms()
    assert due_ms is not None and due_ms <= 1_000_000
    tick = room.tick(1_000_000)
    assert tick is not None and (tick.epoch, tick.seq, len(tick.events)) == (1, 11, 1)
    assert room.due_ms() is None
    room.hear(batch(12, gift()))
    assert room.due_ms() == 1_000_050


def test_tick_with_nothing_to_show() -> None:
    """There is no empty tick, and it does not delay the next gift."""
    room = room_at()
    assert room.tick(1_000_000) is None
    room.hear(batch(11, gift()))
    assert room.due_ms() == 50


def test_pause_grows_with_the_room() -> None:
    """Up to the bound the pause is constant, past it it grows in proportion, and it ends at its maximum."""
    room = room_at(config=msgspec.structs.replace(CONFIG, tick_viewers=100))
    for receivers, pause_ms in ((0, 50), (100, 50), (102, 51), (200, 100), (500, 250), (501, 250), (9_999, 250)):
        room.receivers = receivers
        assert room.pause_ms == pause_ms


def test_pause_grows_with_the_gateways_pace() -> None:
    """A small room waits longer too while ticks take too much of the gateway's time, up to the same maximum."""
    pace = Pace(CONFIG)
    room = Room("demo", CONFIG, epoch=1, seq=0, pace=pace)
    pauses = []
    for _ in range(6):
        pauses.append(room.pause_ms)
        pace.wrote(1.0)
        pace.look(1.0)
    assert pauses == [50, 75, 112, 168, 250, 250]


def test_reset_keeps_what_was_heard() -> None:
    """Facts heard before a reset are still shown, and the tick then says the new position."""
    room = room_at()
    room.hear(batch(11, gift()))
    room.reset(1, 50)
    assert room.shown_seq == 10
    tick = room.tick(0)
    assert tick is not None and (tick.seq, len(tick.events)) == (50, 1)


def test_state_is_shown_when_it_differs() -> None:
    """Viewers and the top list come with a tick of their own, once, and only when they changed."""
    room = room_at()
    room.put_state(viewers=0)
    room.put_board([], 10)
    assert room.due_ms() is None
    room.put_state(viewers=7)
    room.put_board([TopEntry("ann", "Ann", 5)], 10)
    assert room.due_ms() == 50
    tick = room.tick(1_000)
    assert tick is not None
    assert tick.events == [LeaderboardEvent([TopEntry("ann", "Ann", 5)]), RoomEvent(True, 7)]
    room.put_state(viewers=7)
    room.put_board([TopEntry("ann", "Ann", 5)], 10)
    assert room.due_ms() is None


def test_board_is_wanted_until_it_has_all_gifts() -> None:
    """A quiet room asks for no top list; a gift heard after the list was asked for asks for it again."""
    room = room_at()
    assert not room.wants_board()
    room.hear(batch(11, gift()))
    assert room.wants_board()
    room.hear(batch(12, gift()))
    room.put_board([], 11)
    assert room.wants_board()
    room.put_board([], 12)
    assert not room.wants_board()
    room.reset(2, 12)
    assert room.wants_board()
