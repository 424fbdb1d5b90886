"""Intended send times follow the phases, and nothing but the seed decides them."""

import itertools
import random

import pytest

from loadtest.script.arrivals import RateCurve, arrival_times
from loadtest.script.scenario import Bursts, Mix, Phase, Scenario


def scenario(*phases: Phase, rate_per_s: float = 1_000.0, poisson: bool = True, length_mean: float = 1.0) -> Scenario:
    """Ten seconds of these phases."""
    return Scenario(
        "t", "t", rate_per_s, 10.0, list(phases), [Mix("rose")], bursts=Bursts(length_mean), poisson=poisson
    )


def test_even_arrivals_are_evenly_spaced() -> None:
    """Without chance, a level rate of 1,000 gives one arrival each millisecond, in the middle of it."""
    times = list(arrival_times(scenario(Phase(1, 1, 1), poisson=False), random.Random(1)))
    assert len(times) == 10_000
    assert times[:2] == pytest.approx([0.0005, 0.0015])
    assert all(b - a == pytest.approx(0.001) for a, b in itertools.pairwise(times))


def test_ramp_puts_a_quarter_into_its_first_half() -> None:
    """The area under a rate that rises from nothing is quadratic in time."""
    times = list(arrival_times(scenario(Phase(1, 0, 1), poisson=False), random.Random(1)))
    assert len(times) == 5_000
    assert sum(at < 5.0 for at in times) == 1_250


def test_falling_ramp_mirrors_the_rising_one() -> None:
    """A rate that falls to nothing puts three quarters into its first half and stays inside the phase."""
    times = list(arrival_times(scenario(Phase(1, 1, 0), poisson=False), random.Random(1)))
    assert sum(at < 5.0 for at in times) == 3_750
    assert max(times) <= 10.0


def test_silent_phase_has_no_arrival() -> None:
    """Nothing is sent while the rate is zero, and the phase after it starts at its time."""
    phases = (Phase(0.2, 1, 1), Phase(0.3, 0, 0), Phase(0.5, 1, 1))
    times = list(arrival_times(scenario(*phases, poisson=False), random.Random(1)))
    assert not [at for at in times if 2.0 < at < 5.0]
    assert (sum(at <= 2.0 for at in times), sum(at >= 5.0 for at in times)) == (2_000, 5_000)


def test_poisson_arrivals_rise_and_repeat_with_the_seed() -> None:
    """The same seed gives the same times, another seed others; all rise and lie inside the run."""
    one, again, other = (list(arrival_times(scenario(Phase(1, 1, 1)), random.Random(seed))) for seed in (1, 1, 2))
    assert one == again != other
    assert one == sorted(one)
    assert 0 < one[0] < one[-1] < 10.0


def test_poisson_arrivals_have_poisson_spread() -> None:
    """Counts per 10 ms have a variance like their mean, which even spacing would not have."""
    times = list(arrival_times(scenario(Phase(1, 1, 1)), random.Random(3)))
    counts = [0] * 1_000
    for at in times:
        counts[int(at * 100)] += 1
    mean = sum(counts) / len(counts)
    variance = sum((count - mean) ** 2 for count in counts) / len(counts)
    assert 9.5 < mean < 10.5
    assert 0.8 < variance / mean < 1.2


def test_runs_arrive_less_often_than_gifts() -> None:
    """With ten gifts in a run there are a tenth as many runs: the gift rate is the scenario's."""
    times = list(arrival_times(scenario(Phase(1, 1, 1), poisson=False, length_mean=10.0), random.Random(1)))
    assert len(times) == 1_000


def test_shares_of_the_rate_add_up() -> None:
    """Four slices of a quarter each make the whole."""
    times = [
        at
        for part in range(4)
        for at in arrival_times(scenario(Phase(1, 1, 1), poisson=False), random.Random(part), share=0.25)
    ]
    assert len(times) == 10_000


def test_rate_curve_tells_the_rate() -> None:
    """Half way up the ramp the rate is half; after the end it is zero."""
    curve = RateCurve([Phase(0.5, 0, 1), Phase(0.5, 1, 1)], 100.0, 10.0)
    assert (curve.rate_at(2.5), curve.rate_at(7.0), curve.rate_at(10.0)) == (50.0, 100.0, 0.0)
    assert curve.expected_total == 750.0
