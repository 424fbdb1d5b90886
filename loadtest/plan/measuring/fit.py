"""Constants out of runs: least squares without negative costs, and intervals by a bootstrap of what it misses.

A row is a run: how much of each thing happened in it, and what it took. Runs differ in size, so each counts by its
relative error. The bootstrap adds to each fitted run the relative error of another, drawn at random, and fits again: so
the intervals hold noise between repeats as well as what the shape of the model misses.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from loadtest.plan.constants import Constant

DRAWS: Final = 300
INSIDE: Final = (5.0, 95.0)
"""Percentiles of the draws between which an interval lies."""
SMALLEST_SHARE: Final = 0.02
"""A run that took less than this part of the largest weighs as one that took so much: it is all noise."""
STEPS_MAX: Final = 1_000

Floats = npt.NDArray[np.float64]


class Row(Struct, frozen=True):
    """One run: what was counted, by name, and what it took."""

    counts: Mapping[str, float]
    took: float


class Fitted(Struct, frozen=True):
    """The constants by name, and how far the fit lies from its runs (median of the relative errors)."""

    costs: dict[str, Constant]
    error: float


class FitFailed(Exception):
    """The runs do not say enough: fewer of them than constants, or nothing was counted."""


def fit(rows: Sequence[Row], names: Sequence[str], *, seed: int = 1, draws: int = DRAWS) -> Fitted:
    """The constants that explain the runs best.

    Args:
        rows: at least as many as names; a count that a row does not have is 0.
        names: of the constants. What never happened in any run costs 0.

    Raises:
        FitFailed: see there.
    """
    counts = np.array([[row.counts.get(name, 0.0) for name in names] for row in rows], dtype=float)
    took = np.array([row.took for row in rows], dtype=float)
    if len(rows) < len(names):
        raise FitFailed(f"{len(rows)} runs cannot tell {len(names)} constants ({', '.join(names)})")
    if not np.isfinite(counts).all() or not np.isfinite(took).all() or took.max(initial=0.0) <= 0:
        raise FitFailed(f"the runs took nothing, or something without a number ({', '.join(names)})")
    weights: Floats = np.reciprocal(np.clip(took, float(took.max()) * SMALLEST_SHARE, None))
    design = counts * weights[:, None]
    best = non_negative(design, took * weights)
    missed = (took - counts @ best) * weights
    spare = max(len(rows) - int(np.count_nonzero(best)), 1)
    missed = missed * np.sqrt(len(rows) / spare)
    rng = np.random.default_rng(seed)
    fitted = design @ best
    drawn = np.array([non_negative(design, fitted + rng.choice(missed, len(rows))) for _ in range(draws)])
    low, high = np.percentile(drawn, INSIDE, axis=0)
    costs = {
        name: Constant(float(value), float(min(low_end, value)), float(max(high_end, value)))
        for name, value, low_end, high_end in zip(names, best, low, high, strict=True)
    }
    return Fitted(costs, float(np.median(np.abs(took - counts @ best) / np.maximum(took, 1e-12))))


def non_negative(design: Floats, wanted: Floats) -> Floats:
    """The x ≥ 0 for which `design @ x` lies closest to `wanted` (Lawson and Hanson's active set)."""
    scale = np.linalg.norm(design, axis=0)
    scale[scale == 0] = 1.0
    columns = design / scale
    found = np.zeros(columns.shape[1])
    free = np.zeros(columns.shape[1], dtype=bool)
    slope = columns.T @ wanted
    tolerance = 1e-10 * max(float(np.abs(slope).max(initial=0.0)), 1e-300)
    for _ in range(STEPS_MAX):
        shut = np.flatnonzero(~free)
        if shut.size == 0 or slope[shut].max() <= tolerance:
            break
        free[shut[np.argmax(slope[shut])]] = True
        found = _inside(columns, wanted, found, free)
        slope = columns.T @ (wanted - columns @ found)
    return np.asarray(found / scale)


def _inside(columns: Floats, wanted: Floats, found: Floats, free: npt.NDArray[np.bool_]) -> Floats:
    """Walk towards the best without a bound; what reaches 0 on the way is shut again."""
    while True:
        target = np.zeros_like(found)
        target[free] = np.linalg.lstsq(columns[:, free], wanted, rcond=None)[0]
        if (target[free] > 0).all() or not free.any():
            return target
        falling = free & (target <= 0)
        step = np.min(found[falling] / np.maximum(found[falling] - target[falling], 1e-300))
        found = found + min(float(step), 1.0) * (target - found)
        free &= found > 1e-15
        found[~free] = 0.0


def ratio(pairs: Sequence[tuple[float, float]], *, seed: int = 1, draws: int = DRAWS) -> Constant:
    """Sum of the first over sum of the second, with an interval by drawing the pairs anew; 0 without any.

    Raises:
        FitFailed: the second sum up to nothing.
    """
    if not pairs:
        return Constant(0.0, 0.0, 0.0)
    values = np.array(pairs, dtype=float)
    if values[:, 1].sum() <= 0:
        raise FitFailed("nothing was counted")
    value = max(float(values[:, 0].sum() / values[:, 1].sum()), 0.0)
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(draws):
        sums = values[rng.integers(0, len(values), len(values))].sum(axis=0)
        drawn.append(max(float(sums[0] / sums[1]), 0.0) if sums[1] > 0 else value)
    low, high = np.percentile(drawn, INSIDE)
    return Constant(value, float(min(low, value)), float(max(high, value)))


def spread_of(values: Sequence[float]) -> Constant:
    """The median, the lowest and the highest of at least one value."""
    return Constant(float(np.median(values)), float(min(values)), float(max(values)))
