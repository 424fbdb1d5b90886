"""Latencies are taken from the intended send time, from books of several processes."""

import pytest

from gateway.wire.messages import Events
from loadtest.record.columns import Commands, Sightings
from loadtest.record.frames import FrameBook, Watch
from loadtest.record.timing import accepted_latencies, overlay_latencies, seconds_of, sending_lag, viewer_latencies

MS = 1_000_000


def told(process: int, *, intended_ms: int, sent_ms: int, answered_ms: int | None) -> Commands:
    """A book with one gift."""
    commands = Commands(process)
    number = commands.tell(intended_ms * MS, 0, 0, 0, 1)
    commands.sent_ns[number] = sent_ms * MS
    if answered_ms is not None:
        commands.accept(number, answered_ms * MS, 1, 1, replay=False, combo=None, combo_count=0)
    return commands


def see(sightings: Sightings, key: int, seq: int, seen_ms: int, *, undone: bool = False) -> None:
    """One event at an overlay."""
    sightings.see(
        key=key,
        seen_ns=seen_ms * MS,
        epoch=1,
        seq=seq,
        sender="s",
        gift="rose",
        price=1,
        count=1,
        coins=1,
        at_ms=0,
        combo=None,
        undone=undone,
    )


def test_late_sending_counts_as_latency() -> None:
    """A gift meant for 10 ms, sent at 50 ms and accepted at 60 ms took 50 ms, of which 40 ms were ours."""
    book = told(1, intended_ms=10, sent_ms=50, answered_ms=60)
    assert accepted_latencies([book]).percentile_ms(50) == pytest.approx(50, rel=0.001)
    assert sending_lag([book]).percentile_ms(50) == pytest.approx(40, rel=0.001)


def test_gift_without_acceptance_has_no_latency() -> None:
    """Refused and unanswered gifts are not fast ones."""
    book = told(1, intended_ms=10, sent_ms=10, answered_ms=None)
    book.tell(20 * MS, 0, 0, 0, 1)
    book.refuse(1, 21 * MS, "overloaded", 0, for_good=False)
    assert len(accepted_latencies([book])) == 0


def test_overlay_latency_finds_the_gift_in_its_process() -> None:
    """Keys lead to the right book; strangers, combo ends and what is undone have no latency."""
    books = {
        1: told(1, intended_ms=0, sent_ms=0, answered_ms=1),
        2: told(2, intended_ms=100, sent_ms=100, answered_ms=101),
    }
    sightings = Sightings(0)
    see(sightings, 1 << 32, 1, 30)
    see(sightings, 2 << 32, 2, 130)
    see(sightings, -1, 3, 999)
    see(sightings, -2, 4, 999)
    see(sightings, 2 << 32 | 77, 5, 999)
    see(sightings, 2 << 32, 6, 999, undone=True)
    latencies = overlay_latencies(books, [sightings])
    assert len(latencies) == 2
    assert latencies.percentile_ms(100) == pytest.approx(30, rel=0.001)


def test_viewer_latency_is_to_the_first_frame_that_reaches_the_gift() -> None:
    """Three gifts in two frames for two viewers; a frame without news in between shows nothing."""
    commands = Commands(1)
    sightings, book = Sightings(0), FrameBook(0)
    for number, intended_ms in enumerate((0, 10, 20)):
        commands.tell(intended_ms * MS, 0, 0, 0, 1)
        see(sightings, 1 << 32 | number, number + 1, intended_ms + 1)
    frames = [book.add(str(n).encode(), Events("r", 1, seq, [])) for n, seq in enumerate((2, 2, 3))]
    watches = [Watch(0, 1, 0), Watch(1, 1, 0)]
    for watch, offset_ms in zip(watches, (0, 5), strict=True):
        for frame, shown_ms in zip(frames, (50, 60, 70), strict=True):
            watch.frames.append(frame)
            watch.seen_ns.append((shown_ms + offset_ms) * MS)
    latencies, every = viewer_latencies({1: commands}, {0: sightings}, [(book, watches)])
    assert (len(latencies), every) == (6, 1)
    # gift 0: 50 and 55; gift 1: 40 and 45; gift 2: 50 and 55
    assert latencies.percentile_ms(1) == pytest.approx(40, rel=0.001)
    assert latencies.percentile_ms(100) == pytest.approx(55, rel=0.001)


def test_viewer_who_joined_late_has_no_latency_for_earlier_gifts() -> None:
    """What was before `joined` was not shown late, it was not shown."""
    commands, sightings, book = Commands(1), Sightings(0), FrameBook(0)
    for number in range(2):
        commands.tell(0, 0, 0, 0, 1)
        see(sightings, 1 << 32 | number, number + 1, 1)
    watch = Watch(0, 1, 1)
    watch.frames.append(book.add(b"f", Events("r", 1, 2, [])))
    watch.seen_ns.append(9 * MS)
    latencies, _ = viewer_latencies({1: commands}, {0: sightings}, [(book, [watch])])
    assert len(latencies) == 1


def test_seconds_are_by_intended_time() -> None:
    """A gift belongs to the second in which it was meant to be sent, however late its answer."""
    one = told(1, intended_ms=500, sent_ms=500, answered_ms=2_500)
    other = told(2, intended_ms=1_500, sent_ms=1_500, answered_ms=None)
    seconds = seconds_of([one, other], 0)
    assert [(second.told, second.accepted) for second in seconds] == [(1, 1), (1, 0)]
    assert seconds[0].accepted_p99_ms == pytest.approx(2_000, rel=0.001)
    assert seconds[1].accepted_p99_ms is None


def test_run_without_gifts_has_no_seconds() -> None:
    """Nothing sent, nothing drawn."""
    assert seconds_of([Commands(1)], 0) == []
