"""Distinct frames are decoded once; what they tell is taken apart right."""

from gateway.wire.messages import Combo, Events, GiftEvent, RoomEvent, Sender, SummaryEvent, UndoneEvent
from loadtest.record.frames import REMEMBERED_MAX, FrameBook, Tally


def gift(count: int = 1, **more: object) -> GiftEvent:
    """A rose by s."""
    return GiftEvent(1, Sender("s", "S"), "c", "rose", 1, count, count, 0, **more)  # type: ignore[arg-type]


def test_frame_is_taken_apart_by_sender_and_gift() -> None:
    """Merged gifts count for as many as they stand for, summaries apart; other events have no value."""
    book = FrameBook(0)
    events: list[object] = [gift(5, merged=3), gift(1), SummaryEvent(2, 4, 6), RoomEvent(live=True, viewers=9)]
    shown = book.frames[book.add(b"x", Events("r", 1, 9, events))]  # type: ignore[arg-type]
    assert shown.by_gift == {("s", "rose"): Tally(4, 6, 6)}
    assert shown.hidden == Tally(2, 4, 6)
    assert (shown.epoch, shown.seq) == (1, 9)


def test_combo_end_and_trial_have_no_value() -> None:
    """The mere end of a combo, and a gift that the creator tries out, are in no sum."""
    book = FrameBook(0)
    end = gift(0, combo=Combo("c", 3, 3, "end"))
    shown = book.frames[book.add(b"x", Events("r", 1, 1, [end, gift(1, test=True)]))]
    assert shown.by_gift == {}


def test_what_was_undone_is_taken_off() -> None:
    """A gift and its undoing in one frame leave nothing; one of an earlier frame counts less than nothing here."""
    book = FrameBook(0)
    back = UndoneEvent(2, "id", Sender("s", "S"), "c", "rose", 1, 2, 2, 0)
    shown = book.frames[book.add(b"x", Events("r", 1, 2, [gift(2, id="id", undo_until_ms=9), back]))]
    assert shown.by_gift == {("s", "rose"): Tally(0, 0, 0)}
    assert book.frames[book.add(b"y", Events("r", 1, 2, [back]))].by_gift == {("s", "rose"): Tally(-1, -2, -2)}


def test_frame_is_found_again() -> None:
    """The same bytes have the same number."""
    book = FrameBook(0)
    number = book.add(b"x", Events("r", 1, 1, [gift()]))
    assert book.find(b"x") == number
    assert book.find(b"y") is None


def test_oldest_frame_is_forgotten_at_the_bound() -> None:
    """One frame more than the bound pushes out the first; what it told stays."""
    book = FrameBook(0)
    for number in range(REMEMBERED_MAX + 1):
        book.add(str(number).encode(), Events("r", 1, number, []))
    assert book.find(b"0") is None
    assert book.find(b"1") == 1
    assert len(book.frames) == REMEMBERED_MAX + 1
