"""Several runs of one scenario with the same seed, so the same gifts at the same times: each number with its spread.

What one run says may be the machine's mood; how far runs lay apart says how much of a difference means anything.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from msgspec import Struct

from loadtest.record.latency import Summary
from loadtest.record.spread import Spread, spread
from loadtest.report.report import Report
from loadtest.script.scenario import Scenario

RUNS_MAX: Final = 50


class Figure(Struct, frozen=True):
    """One number of all runs that had it."""

    name: str
    spread: Spread


class Repeated(Struct, frozen=True):
    """All runs of a scenario.

    Attributes:
        ok: each passed.
        figures: in the order in which a report tells them; a number that no run had is left out.
    """

    scenario: str
    ok: bool
    figures: list[Figure]
    reports: list[Report]


def repeat(scenario: Scenario, runs: int, run: Callable[[Scenario], Report]) -> Repeated:
    """Run a scenario so many times, one run after another.

    Args:
        runs: from 1.
    """
    reports = [run(scenario) for _ in range(runs)]
    return Repeated(scenario.name, all(report.ok for report in reports), figures(reports), reports)


def figures(reports: Sequence[Report]) -> list[Figure]:
    """The numbers of these runs with their spreads."""
    found: dict[str, list[float]] = {}
    for report in reports:
        for name, value in _numbers(report):
            if value is not None:
                found.setdefault(name, []).append(value)
    return [Figure(name, spread(values)) for name, values in found.items()]


def _numbers(report: Report) -> list[tuple[str, float | None]]:
    generator = report.generator
    told: list[tuple[str, float | None]] = [
        ("accepted a second", report.gifts_per_s),
        ("refused", float(sum(report.refusals.values()))),
        *_latencies("gift → accepted", report.accepted),
        *_latencies("gift → overlay", report.overlay),
        *_latencies("gift → viewer", report.viewer),
        *_latencies("purchase → coins", report.credited),
        ("generator late p99, ms", generator.lag.p99_ms),
        ("generator, cores", sum(use.cpu_share for use in generator.processes)),
        ("frames that it read a second", sum(use.frames_per_s for use in generator.processes)),
    ]
    for part in sorted({part for moment in report.server for part in moment.cpu}):
        told.append((f"{part}, cores", _mean([moment.cpu[part] for moment in report.server if part in moment.cpu])))
    for part in sorted({part for moment in report.server for part in moment.memory_mb}):
        most = max(moment.memory_mb[part] for moment in report.server if part in moment.memory_mb)
        told.append((f"{part}, MB at most", most))
    return told


def _latencies(label: str, summary: Summary) -> list[tuple[str, float | None]]:
    return [
        (f"{label} p50, ms", summary.p50_ms),
        (f"{label} p99, ms", summary.p99_ms),
        (f"{label} p99.9, ms", summary.p999_ms),
    ]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
