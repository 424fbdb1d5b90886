"""Two reports side by side, and which differences are larger than what each run does by itself from second to second.

A number of the whole run is set beside the other's; one that is known for each second by the median of the seconds.
"""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from msgspec import Struct

from loadtest.report.report import Report

_decode: Final = msgspec.json.Decoder(Report | list[Report]).decode
SECONDS_MIN: Final = 5
"""Seconds that a run needs for its spread to say anything."""


class NotComparable(Exception):
    """One of the two cannot be read, or they are not of the same thing."""


class Difference(Struct, frozen=True):
    """One number of both.

    Attributes:
        ratio: the second over the first; None where one is missing or the first is 0.
        clear: whether the middle halves of both runs' seconds lie apart; None where there are no seconds to tell.
    """

    name: str
    first: float | None
    second: float | None
    ratio: float | None
    clear: bool | None = None


class Comparison(Struct, frozen=True):
    """What two reports say beside each other.

    Attributes:
        unlike: what was not the same in both, so that the numbers may differ for that.
        ok: both passed.
    """

    scenario: str
    ok: bool
    unlike: list[str]
    differences: list[Difference]


def compare_files(first: Path, second: Path) -> Comparison:
    """Compare two JSON reports.

    Raises:
        NotComparable: one is no report of one run, or they are of different scenarios.
    """
    return compare(_read(first), _read(second))


def compare(first: Report, second: Report) -> Comparison:
    """Compare two runs of a scenario.

    Raises:
        NotComparable: they are of different scenarios.
    """
    if first.scenario.name != second.scenario.name:
        raise NotComparable(f"one is of {first.scenario.name}, the other of {second.scenario.name}")
    both = (first, second)
    differences = [
        _by_seconds("accepted in a second", both, lambda one: [float(second.accepted) for second in one.seconds]),
        _by_seconds("p50 in a second, ms", both, lambda one: _known([s.accepted_p50_ms for s in one.seconds])),
        _by_seconds("p99 in a second, ms", both, lambda one: _known([s.accepted_p99_ms for s in one.seconds])),
    ]
    for label, one, other in (
        ("gift → accepted", first.accepted, second.accepted),
        ("gift → overlay", first.overlay, second.overlay),
        ("gift → viewer", first.viewer, second.viewer),
    ):
        differences += [
            _difference(f"{label} p50, ms", one.p50_ms, other.p50_ms),
            _difference(f"{label} p99, ms", one.p99_ms, other.p99_ms),
            _difference(f"{label} p99.9, ms", one.p999_ms, other.p999_ms),
        ]
    refused = [float(sum(report.refusals.values())) for report in both]
    differences.append(_difference("refused", *refused))
    for part in sorted({part for report in both for moment in report.server for part in moment.cpu}):
        differences.append(_by_seconds(f"{part}, cores", both, functools.partial(_cpu, part)))
    for part in sorted({part for report in both for moment in report.server for part in moment.memory_mb}):
        differences.append(_by_seconds(f"{part}, MB", both, functools.partial(_memory, part)))
    return Comparison(first.scenario.name, first.ok and second.ok, _unlike(first, second), differences)


def _unlike(first: Report, second: Report) -> list[str]:
    found = []
    for name, one, other in (
        ("machine", first.environment.machine, second.environment.machine),
        ("cores", first.environment.cores, second.environment.cores),
        ("kernel", first.environment.kernel, second.environment.kernel),
        ("Python", first.environment.python, second.environment.python),
        ("commit", first.environment.commit, second.environment.commit),
        ("server", first.url, second.url),
    ):
        if one != other:
            found.append(f"{name}: {one} and {other}")
    for package in sorted(first.environment.packages.keys() | second.environment.packages.keys()):
        one, other = (report.environment.packages.get(package, "none") for report in (first, second))
        if one != other:
            found.append(f"{package}: {one} and {other}")
    scenarios = [msgspec.to_builtins(report.scenario) for report in (first, second)]
    found += [
        f"scenario's {key}: {scenarios[0][key]} and {scenarios[1][key]}"
        for key in scenarios[0]
        if scenarios[0][key] != scenarios[1][key]
    ]
    found += [
        f"the {place} run's generator: {words}"
        for place, report in (("first", first), ("second", second))
        for words in report.generator.limited_by
    ]
    return found


def _by_seconds(name: str, both: Sequence[Report], values: Callable[[Report], list[float]]) -> Difference:
    """Medians of the seconds of both, and whether their middle halves lie apart."""
    one, other = (values(report) for report in both)
    if not one or not other:
        return _difference(name, _median(one), _median(other))
    clear = None
    if min(len(one), len(other)) >= SECONDS_MIN:
        (low, high), (other_low, other_high) = (np.percentile(seconds, (25, 75)) for seconds in (one, other))
        clear = bool(high < other_low or other_high < low)
    return msgspec.structs.replace(_difference(name, _median(one), _median(other)), clear=clear)


def _difference(name: str, first: float | None, second: float | None) -> Difference:
    ratio = None if first is None or second is None or first == 0 else round(second / first, 3)
    return Difference(name, first, second, ratio)


def _cpu(part: str, report: Report) -> list[float]:
    return [moment.cpu[part] for moment in report.server if part in moment.cpu]


def _memory(part: str, report: Report) -> list[float]:
    return [moment.memory_mb[part] for moment in report.server if part in moment.memory_mb]


def _median(values: Sequence[float]) -> float | None:
    return round(float(np.median(values)), 3) if values else None


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _read(path: Path) -> Report:
    try:
        content = path.read_bytes()
        # `--json` prints a list of reports, `--report` writes one to each file.
        found: Report | list[Report] = _decode(content)
    except OSError as exc:
        raise NotComparable(f"cannot read {path}: {exc}") from exc
    except msgspec.DecodeError as exc:
        raise NotComparable(f"{path} is no report: {exc}") from exc
    if isinstance(found, list):
        if len(found) != 1:
            raise NotComparable(f"{path} holds {len(found)} reports")
        return found[0]
    return found
