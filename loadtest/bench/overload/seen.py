"""The book of a flood as columns: how much was accepted when, how late, and when all is as before."""

from typing import Final

import numpy as np
import numpy.typing as npt

from loadtest.bench.overload.flood import Fate, Gifts
from loadtest.record.latency import Latencies

ACCEPTED_P99_MS_MAX: Final = 250.0
"""A rate holds, and the server is itself, when nothing is refused and gifts are accepted this soon."""
SLICE_NS: Final = 100_000_000
NORMAL_SLICES: Final = 5

Numbers = npt.NDArray[np.int64]


class Seen:
    """The book of a flood as columns."""

    def __init__(self, gifts: Gifts) -> None:
        self.due_ns: Numbers = np.frombuffer(gifts.due_ns, dtype=np.int64)
        self.sent_ns: Numbers = np.frombuffer(gifts.sent_ns, dtype=np.int64)
        self.answered_ns: Numbers = np.frombuffer(gifts.answered_ns, dtype=np.int64)
        self.fate = np.frombuffer(gifts.fate, dtype=np.uint8)
        self.took_ns: Numbers = self.answered_ns - self.due_ns
        self.late_ns: Numbers = self.sent_ns - self.due_ns
        self.due_s = (self.due_ns - self.due_ns[0]) / 1e9
        self.sent_s = (self.sent_ns - self.due_ns[0]) / 1e9
        self.answered_s = (self.answered_ns - self.due_ns[0]) / 1e9

    def sent_between(self, from_s: float, to_s: float) -> int:
        """Gifts that were sent in this time."""
        return int(np.count_nonzero((self.sent_s >= from_s) & (self.sent_s < to_s)))

    def accepted_between(self, from_s: float, to_s: float) -> int:
        """Gifts of which it was said in this time that they were accepted."""
        then = (self.answered_s >= from_s) & (self.answered_s < to_s)
        return int(np.count_nonzero(then & (self.fate == Fate.ACCEPTED)))


def normal_after_ms(seen: Seen, fell_s: float) -> float | None:
    """Until the first row of slices in each of which nothing is refused and 99 % are accepted soon."""
    bad = seen.fate != Fate.ACCEPTED
    slow = seen.took_ns > ACCEPTED_P99_MS_MAX * 1e6
    slices = (seen.due_ns - seen.due_ns[0] - int(fell_s * 1e9)) // SLICE_NS
    good_so_far = 0
    for number in range(int(slices[-1])):
        here = slices == number
        good_so_far = 0 if bad[here].any() or slow[here].mean() > 0.01 else good_so_far + 1
        if good_so_far == NORMAL_SLICES:
            return (number + 1 - NORMAL_SLICES) * SLICE_NS / 1e6
    return None


def p99_ms(took_ns: Numbers) -> float | None:
    """The 99th percentile; None of nothing."""
    latencies = Latencies()
    latencies.record_ns(took_ns)
    return latencies.percentile_ms(99)
