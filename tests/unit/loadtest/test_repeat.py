"""Several runs of one scenario: each number with its median and how far the runs lay apart."""

from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from loadtest.cli import loadtest
from loadtest.record.latency import Summary
from loadtest.report.repeat import figures, repeat
from loadtest.report.report import ProcessUse, Report
from loadtest.server.observer import Moment
from tests.unit.loadtest.reports import SCENARIO, report, summary_of


def told(reports: list[Report]) -> dict[str, tuple[float, float, float, int]]:
    """Median, lowest, highest and number of runs, by name."""
    return {one.name: (one.spread.median, one.spread.low, one.spread.high, one.spread.runs) for one in figures(reports)}


def test_every_number_has_its_spread() -> None:
    """Rates, latencies, the generator's cores, and what each part of the server used."""
    use = ProcessUse(0, "senders", 1.0, 0.25, 100.0, 0)
    moments = [Moment(1.0, cpu={"gateway": 0.2}, memory_mb={"gateway": 50.0}), Moment(2.0, cpu={"gateway": 0.4})]
    one = report(gifts_per_s=10.0, accepted=summary_of(5.0), refusals={"overloaded": 3}, server=moments)
    other = report(gifts_per_s=30.0, accepted=summary_of(7.0))
    third = report(gifts_per_s=20.0, accepted=summary_of(6.0), generator=report().generator)
    third.generator.processes.extend([use, use])
    found = told([one, other, third])
    assert found["accepted a second"] == (20.0, 10.0, 30.0, 3)
    assert found["refused"] == (0.0, 0.0, 3.0, 3)
    assert found["gift → accepted p99, ms"] == pytest.approx((6.0, 5.0, 7.0, 3), rel=0.01)
    assert found["generator, cores"][2] == 0.5
    assert found["frames that it read a second"][2] == 200.0
    assert found["gateway, cores"] == pytest.approx((0.3, 0.3, 0.3, 1))
    assert found["gateway, MB at most"] == (50.0, 50.0, 50.0, 1)


def test_number_that_no_run_had_is_left_out() -> None:
    """Nobody bought and nobody watched: there is no latency of it, not one of zero."""
    found = told([report(viewer=Summary(0))])
    assert not [name for name in found if name.startswith(("gift → viewer", "purchase"))]


@pytest.mark.parametrize(("passed", "ok"), [((True, True), True), ((True, False), False)])
def test_all_runs_must_pass(passed: tuple[bool, bool], ok: bool) -> None:
    """One that failed is one too many."""
    outcomes: Iterator[bool] = iter(passed)
    found = repeat(SCENARIO, 2, lambda scenario: report(scenario=scenario, ok=next(outcomes)))
    assert (found.ok, len(found.reports), found.scenario) == (ok, 2, SCENARIO.name)


def test_search_takes_no_number_of_runs() -> None:
    """Both at once would say neither what held nor how far runs lie apart."""
    done = CliRunner().invoke(loadtest, ["hot_room", "--find-max", "--runs", "3"])
    assert done.exit_code == 2
    assert "leave out --runs" in done.output
