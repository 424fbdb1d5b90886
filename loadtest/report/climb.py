"""Searches the highest rate that holds: up in steps until one does not, then closer between the last two.

A rate holds when its run does: nothing lost or doubled, and every threshold of the scenario.
"""

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from loadtest.report.report import Report
from loadtest.script.scenario import Scenario, scale

STEP_FACTOR: Final = 1.5
REFINEMENTS: Final = 3
DOWN_MAX: Final = 6
"""So often the first rate is halved when it does not hold, before the search gives up."""


class Step(Struct, frozen=True):
    """One rate that was tried; `why_not` names the faults and limits that it broke, and what held the generator."""

    rate_per_s: float
    accepted_per_s: float
    accepted_p99_ms: float | None
    overlay_p99_ms: float | None
    held: bool
    why_not: str


class Climb(Struct, frozen=True):
    """What a search found.

    Attributes:
        max_per_s: the highest rate that held; 0 when none did.
        failed_per_s: the lowest rate above it that did not; None when all that were tried held.
        generator_limited: the generator, not the server, may have ended the search.
        ok: some rate held, and no run lost or doubled anything, not even those that were too fast.
    """

    scenario: str
    max_per_s: float
    failed_per_s: float | None
    generator_limited: bool
    ok: bool
    steps: list[Step]
    reports: list[Report]


def climb(
    first: float, rate_max: float, holds: Callable[[float], bool], refinements: int = REFINEMENTS
) -> tuple[float, float | None]:
    """The highest rate that holds and the lowest above it that does not, as far as so many looks tell.

    Args:
        first: where to begin; halved as long as it does not hold.
        rate_max: no rate above this is tried.
    """
    low, high, rate = 0.0, None, first
    while rate <= rate_max:
        if not holds(rate):
            high = rate
            break
        low, rate = rate, rate * STEP_FACTOR
    for _ in range(DOWN_MAX if not low and high is not None else 0):
        rate = (high or first) / 2
        if holds(rate):
            low = rate
            break
        high = rate
    for _ in range(refinements if low and high is not None else 0):
        middle = (low + (high or low)) / 2
        if holds(middle):
            low = middle
        else:
            high = middle
    return low, high


def find_max(scenario: Scenario, rate_max: float, run: Callable[[Scenario], Report]) -> Climb:
    """Run a scenario at one rate after another, each a whole run with all its checks."""
    reports: list[Report] = []

    def holds(rate: float) -> bool:
        reports.append(run(scale(scenario, rate_per_s=rate)))
        return reports[-1].ok

    low, high = climb(scenario.rate_per_s, rate_max, holds)
    limited = [report for report in reports if report.scenario.rate_per_s == high and report.generator.limited_by]
    return Climb(
        scenario=scenario.name,
        max_per_s=low,
        failed_per_s=high,
        generator_limited=bool(limited),
        ok=low > 0 and all(report.verdict.ok for report in reports),
        steps=[step_of(report) for report in reports],
        reports=reports,
    )


def step_of(report: Report, accepted_per_s: float | None = None) -> Step:
    """A run as a step of a search."""
    faults = [fault.kind.value for fault in report.verdict.faults]
    missed = [threshold.name for threshold in report.thresholds if not threshold.held]
    return Step(
        rate_per_s=report.scenario.rate_per_s,
        accepted_per_s=report.gifts_per_s if accepted_per_s is None else accepted_per_s,
        accepted_p99_ms=report.accepted.p99_ms,
        overlay_p99_ms=report.overlay.p99_ms,
        held=report.ok,
        why_not=", ".join(faults + missed + report.generator.limited_by),
    )


def words_of(climbs: Sequence[Climb]) -> list[str]:
    """A line for each search."""
    lines = []
    for one in climbs:
        if not one.max_per_s:
            lines.append(f"{one.scenario}: no rate held")
            continue
        above = "no higher one was tried" if one.failed_per_s is None else f"{one.failed_per_s:,.0f} did not"
        by = "; the generator may have been the limit" if one.generator_limited else ""
        lines.append(f"{one.scenario}: {one.max_per_s:,.0f} gifts/s held, {above}{by}")
    return lines
