"""Latencies out of the books, all from the intended send time.

gift→viewer counts one sample for each gift and viewer: a gift was shown by the first frame whose position is not
before the gift's own.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from loadtest.record.columns import Answer, Commands, Sightings
from loadtest.record.frames import FrameBook, Watch
from loadtest.record.latency import Latencies
from loadtest.record.purchase_book import Bought, PurchaseBook
from loadtest.server.disturber import Struck

VIEWER_SAMPLES_MAX: Final = 200_000_000
"""Bound of the work for gift→viewer; over it, every n-th viewer is taken, and the report says so."""

Integers = npt.NDArray[np.int64]
_NOTHING: Final[Integers] = np.zeros(0, dtype=np.int64)


class Second(Struct, frozen=True):
    """One second of the run: gifts meant to be sent in it, how many were accepted, and how fast (ms)."""

    second: int
    told: int
    accepted: int
    accepted_p50_ms: float | None
    accepted_p99_ms: float | None


def accepted_latencies(books: Iterable[Commands]) -> Latencies:
    """gift→accepted of every accepted gift."""
    latencies = Latencies()
    for book in books:
        latencies.record_ns((_np(book.answered_ns) - _np(book.intended_ns))[_accepted(book)])
    return latencies


def purchase_latencies(books: Iterable[PurchaseBook]) -> Latencies:
    """From the intended beginning of a purchase until its coins were there."""
    latencies = Latencies()
    for book in books:
        credited = np.frombuffer(book.state, dtype=np.int8) == Bought.CREDITED
        latencies.record_ns((_np(book.credited_ns) - _np(book.intended_ns))[credited])
    return latencies


def sending_lag(books: Iterable[Commands]) -> Latencies:
    """How late the generator sent: its own fault, and part of every other latency."""
    lag = Latencies()
    for book in books:
        lag.record_ns(_np(book.sent_ns) - _np(book.intended_ns))
    return lag


def overlay_latencies(books: Mapping[int, Commands], sightings: Iterable[Sightings]) -> Latencies:
    """gift→overlay of every gift seen."""
    latencies = Latencies()
    for book in sightings:
        intended_ns = _intended_of(books, book)
        ours = intended_ns >= 0
        latencies.record_ns((_np(book.seen_ns) - intended_ns)[ours])
    return latencies


def viewer_latencies(
    books: Mapping[int, Commands],
    truths: Mapping[int, Sightings],
    seen: Sequence[tuple[FrameBook, Sequence[Watch]]],
) -> tuple[Latencies, int]:
    """gift→viewer, and of every how many viewers one was taken."""
    every = _thinning(truths, seen)
    latencies = Latencies()
    for book, watches in seen:
        truth = truths.get(book.room)
        if truth is None:
            continue
        intended_ns = _intended_of(books, truth)
        ours = intended_ns >= 0
        seqs, intended_ns = _np(truth.seq)[ours], intended_ns[ours]
        frame_seqs = np.array([frame.seq for frame in book.frames], dtype=np.int64)
        for watch in watches[::every]:
            if not watch.lost and not watch.slow and watch.frames:
                latencies.record_ns(_shown_after(seqs, intended_ns, frame_seqs, watch))
    return latencies, every


def seconds_of(books: Sequence[Commands], start_ns: int) -> list[Second]:
    """The run second by second, by intended send time."""
    if not any(len(book) for book in books):
        return []
    at_s = np.concatenate([(_np(book.intended_ns) - start_ns) // 1_000_000_000 for book in books])
    accepted = np.concatenate([_accepted(book) for book in books])
    took_ns = np.concatenate([_np(book.answered_ns) - _np(book.intended_ns) for book in books])
    seconds = []
    for second in range(int(at_s.max()) + 1):
        here = at_s == second
        latencies = Latencies()
        latencies.record_ns(took_ns[here & accepted])
        seconds.append(
            Second(
                second,
                int(here.sum()),
                len(latencies),
                latencies.percentile_ms(50),
                latencies.percentile_ms(99),
            )
        )
    return seconds


def with_recovery(struck: Sequence[Struck], books: Sequence[Commands], start_ns: int) -> list[Struck]:
    """Each blow with the time until the first gift was accepted that was sent after it."""
    sent_ns = np.concatenate([_np(book.sent_ns)[_accepted(book)] for book in books] or [_NOTHING])
    answered_ns = np.concatenate([_np(book.answered_ns)[_accepted(book)] for book in books] or [_NOTHING])
    found = []
    for blow in struck:
        at_ns = start_ns + int(blow.at_s * 1e9)
        later = answered_ns[sent_ns >= at_ns]
        after_s = round((int(later.min()) - at_ns) / 1e9, 2) if later.size else None
        found.append(msgspec.structs.replace(blow, accepted_after_s=after_s))
    return found


def recovered(struck: Struck) -> bool:
    """Whether the server was ready again after a blow, and took gifts."""
    return struck.ready_after_s is not None and struck.accepted_after_s is not None


def _shown_after(seqs: Integers, intended_ns: Integers, frame_seqs: Integers, watch: Watch) -> Integers:
    shown_seqs = frame_seqs[np.frombuffer(watch.frames, dtype=np.int32)]
    # A frame may repeat a position (live state between gifts); the first that reaches a gift's position showed it.
    frame = np.searchsorted(np.maximum.accumulate(shown_seqs), seqs, side="left")
    reached = (frame < shown_seqs.size) & (seqs > watch.since_seq)
    return _np(watch.seen_ns)[frame[reached]] - intended_ns[reached]


def _thinning(truths: Mapping[int, Sightings], seen: Sequence[tuple[FrameBook, Sequence[Watch]]]) -> int:
    samples = sum(len(truths[book.room]) * len(watches) for book, watches in seen if book.room in truths)
    return max(-(-samples // VIEWER_SAMPLES_MAX), 1)


def _intended_of(books: Mapping[int, Commands], sightings: Sightings) -> Integers:
    """The intended time of each row; -1 for rows that are no gift of ours, such as one that is undone."""
    keys = _np(sightings.key)
    intended_ns = np.full(keys.size, -1, dtype=np.int64)
    processes, numbers = keys >> 32, keys & 0xFFFFFFFF
    for process, book in books.items():
        rows = np.flatnonzero((processes == process) & (numbers < len(book)))
        intended_ns[rows] = _np(book.intended_ns)[numbers[rows]]
    intended_ns[np.frombuffer(sightings.undone, dtype=np.int8) == 1] = -1
    return intended_ns


def _accepted(book: Commands) -> npt.NDArray[np.bool_]:
    answers = np.frombuffer(book.answer, dtype=np.int8)
    accepted: npt.NDArray[np.bool_] = np.isin(answers, (Answer.ACCEPTED, Answer.RECOVERED))
    return accepted


def _np(column: "array[int]") -> Integers:
    return np.frombuffer(column, dtype=np.int64)
