"""When gifts are meant to be sent: an open model, which does not wait for the server.

A client that sends the next gift only after the last reply slows down with the server and hides its worst
moments (coordinated omission). Here the times are drawn before the run and latency is measured from them,
however late the sending. The method is inversion: unit arrivals in "expected gifts so far", mapped to time by
the phases' rates.
"""

import itertools
import math
import random
from collections.abc import Iterator, Sequence

from loadtest.script.scenario import Phase, Scenario


class RateCurve:
    """A rate over time in straight pieces, and the expected number of arrivals under it.

    Args:
        phases: their shares sum to 1.
        rate_per_s: what a factor of 1 means.
        duration_s: of the whole.
    """

    def __init__(self, phases: Sequence[Phase], rate_per_s: float, duration_s: float) -> None:
        self._pieces: list[tuple[float, float, float, float, float]] = []
        begin_s = expected = 0.0
        for phase in phases:
            length_s = phase.share * duration_s
            start, end = phase.start * rate_per_s, phase.end * rate_per_s
            self._pieces.append((begin_s, length_s, start, end, expected))
            begin_s += length_s
            expected += length_s * (start + end) / 2
        self.expected_total = expected

    def rate_at(self, at_s: float) -> float:
        """Arrivals per second meant at this time; 0 outside the curve."""
        for begin_s, length_s, start, end, _ in self._pieces:
            if begin_s <= at_s < begin_s + length_s:
                return start + (end - start) * (at_s - begin_s) / length_s
        return 0.0

    def times(self, expectations: Iterator[float]) -> Iterator[float]:
        """The times at which the expected number of arrivals reaches each of the rising `expectations`."""
        index = 0
        for expected in expectations:
            if expected >= self.expected_total:
                return
            while index + 1 < len(self._pieces) and expected >= self._pieces[index + 1][4]:
                index += 1
            begin_s, length_s, start, end, before = self._pieces[index]
            yield begin_s + _time_in_piece(expected - before, length_s, start, end)


def arrival_times(scenario: Scenario, rng: random.Random, *, share: float = 1.0) -> Iterator[float]:
    """Rising times, in seconds from the start of the run, at which runs of gifts begin.

    Args:
        share: of the scenario's rate; shares drawn with independent `rng`s add up to the whole (Poisson
            arrivals
            stay Poisson when they are split and joined).
    """
    rate_per_s = scenario.rate_per_s * share / scenario.bursts.length_mean
    curve = RateCurve(scenario.phases, rate_per_s, scenario.duration_s)
    if scenario.poisson:
        return curve.times(itertools.accumulate(rng.expovariate(1.0) for _ in itertools.count()))
    return curve.times(step + 0.5 for step in itertools.count())


def _time_in_piece(expected: float, length_s: float, start: float, end: float) -> float:
    slope = (end - start) / length_s
    if abs(slope) < 1e-9:
        return expected / start
    # start * t + slope * t^2 / 2 = expected, the root that lies in the piece; written so that nothing
    # cancels.
    root = math.sqrt(max(start * start + 2 * slope * expected, 0.0))
    return 2 * expected / (start + root)
