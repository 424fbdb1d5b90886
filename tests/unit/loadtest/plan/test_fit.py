"""The fit finds the constants that runs were made of, and intervals that hold them."""

import numpy as np
import pytest

from loadtest.plan.constants import Constant
from loadtest.plan.measuring.fit import FitFailed, Row, fit, non_negative, ratio, spread_of

TRUE = {"base": 20_000.0, "gift": 35.0, "tick": 60.0, "frame": 6.0}


def rows(seed: int, noise: float, count: int = 40) -> list[Row]:
    """Runs of 5 s with these costs, each off by so much of itself."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        counts = {
            "base": 5.0,
            "gift": float(rng.uniform(100, 40_000)),
            "tick": float(rng.uniform(0, 2_000)),
            "frame": float(rng.uniform(0, 100_000)),
        }
        exact = sum(TRUE[name] * number for name, number in counts.items())
        made.append(Row(counts, exact * (1 + noise * float(rng.normal()))))
    return made


def test_exact_runs_give_exact_constants() -> None:
    """Without noise there is no doubt."""
    found = fit(rows(1, 0.0), list(TRUE))
    for name, value in TRUE.items():
        assert found.costs[name].value == pytest.approx(value, rel=1e-6)
        assert found.costs[name].high - found.costs[name].low < value * 1e-6
    assert found.error < 1e-9


def test_noisy_runs_give_intervals_that_hold_the_constants() -> None:
    """An interval of nine draws of ten holds the truth in most of twenty sets of runs, and is not wide for nothing."""
    held = 0
    for seed in range(20):
        found = fit(rows(seed, 0.05), list(TRUE), seed=seed, draws=100)
        held += sum(one.low <= TRUE[name] <= one.high for name, one in found.costs.items())
        assert found.costs["gift"].high < TRUE["gift"] * 1.2
    assert 60 <= held <= 80


def test_no_cost_is_negative() -> None:
    """What the runs would rather have below 0 is 0; what never happened is 0 too."""
    made = [Row({"a": float(n), "b": float(n % 3), "never": 0.0}, 10.0 * n - 2 * (n % 3)) for n in range(1, 20)]
    found = fit(made, ["a", "b", "never"])
    assert (found.costs["b"].value, found.costs["never"]) == (0, Constant(0, 0, 0))
    assert found.costs["a"].value == pytest.approx(10, rel=0.1)


def test_least_squares_without_a_bound_are_found_where_they_are_positive() -> None:
    """Then it is what numpy says."""
    rng = np.random.default_rng(5)
    design = rng.uniform(0, 1, (30, 5))
    wanted = design @ np.array([1.0, 2.0, 3.0, 4.0, 5.0]) + rng.normal(0, 0.01, 30)
    assert non_negative(design, wanted) == pytest.approx(np.linalg.lstsq(design, wanted, rcond=None)[0])


def test_bounded_least_squares_are_the_best_there_are() -> None:
    """No small step from them that stays above 0 comes nearer."""
    rng = np.random.default_rng(6)
    for _ in range(20):
        design, wanted = rng.normal(0, 1, (12, 4)), rng.normal(0, 1, 12)
        found = non_negative(design, wanted)
        assert (found >= 0).all()
        slope = design.T @ (wanted - design @ found)
        assert np.abs(slope[found > 0]).max(initial=0.0) <= 1e-8
        assert (slope[found == 0] <= 1e-8).all()


def test_runs_that_do_not_say_enough() -> None:
    """Fewer than constants, nothing taken, or no number."""
    with pytest.raises(FitFailed, match="3 runs cannot tell 4"):
        fit(rows(1, 0.0)[:3], list(TRUE))
    for took in (0.0, float("nan")):
        with pytest.raises(FitFailed, match="took nothing"):
            fit([Row({"a": 1.0}, took)], ["a"])


def test_ratio_of_sums() -> None:
    """Each pair counts by its size; none gives 0; a second of 0 is no ratio."""
    found = ratio([(10.0, 1.0), (30.0, 3.0), (20.0, 2.0)])
    assert (found.value, found.low, found.high) == pytest.approx((10, 10, 10))
    assert ratio([]) == Constant(0, 0, 0)
    assert ratio([(-5.0, 1.0)]).value == 0
    with pytest.raises(FitFailed):
        ratio([(1.0, 0.0)])


def test_spread() -> None:
    """The middle and both ends."""
    assert spread_of([3.0, 1.0, 2.0]) == Constant(2, 1, 3)
