"""Thresholds decide; secrets stay out of the report."""

import sys

import pytest

from loadtest.checker.judge import Verdict
from loadtest.record.latency import Summary
from loadtest.report.report import Threshold, command_line, environment, thresholds_of
from loadtest.script.scenario import Mix, Phase, Scenario, Thresholds


def judged(limits: Thresholds, *, accepted_p99_ms: float | None = 5.0, shed: int = 0, lost: int = 0) -> list[Threshold]:
    """The thresholds of a run with 100 gifts and 10 viewers."""
    verdict = Verdict(
        ok=True,
        faults=[],
        gifts_told=100,
        gifts_accepted=100 - shed,
        gifts_undone=0,
        gifts_seen=100 - shed,
        combos_seen=0,
        viewers_checked=10 - lost,
        viewers_lost=lost,
        slow_viewers_lost=0,
        wallets_checked=1,
    )
    scenario = Scenario("t", "t", 1.0, 1.0, [Phase(1, 1, 1)], [Mix("rose")], thresholds=limits)
    fast = Summary(1, p99_ms=1.0)
    return thresholds_of(scenario, verdict, Summary(1, p99_ms=accepted_p99_ms), fast, fast, fast, fast, shed)


def broken(found: list[Threshold]) -> list[str]:
    """Names of those that did not hold."""
    return [threshold.name for threshold in found if not threshold.held]


def test_threshold_holds_up_to_its_limit() -> None:
    """At the limit is inside, past it is not."""
    assert broken(judged(Thresholds(accepted_p99_ms=5.0))) == []
    assert broken(judged(Thresholds(accepted_p99_ms=4.999))) == ["accepted_p99_ms"]


def test_threshold_without_a_sample_does_not_hold() -> None:
    """No gift accepted is not a fast run."""
    assert broken(judged(Thresholds(accepted_p99_ms=5.0), accepted_p99_ms=None)) == ["accepted_p99_ms"]


def test_threshold_that_is_not_named_is_not_judged() -> None:
    """Latency limits are the scenario's choice; shedding, lost viewers and lag are always looked at."""
    assert [threshold.name for threshold in judged(Thresholds())] == [
        "shed_share_max",
        "viewers_lost_share_max",
        "lag_p99_ms",
    ]


def test_shed_gifts_and_lost_viewers_break_their_thresholds() -> None:
    """By default not one gift may be shed and not one viewer lost; a scenario may allow a share."""
    assert broken(judged(Thresholds(), shed=1, lost=1)) == ["shed_share_max", "viewers_lost_share_max"]
    assert broken(judged(Thresholds(shed_share_max=0.01, viewers_lost_share_max=0.1), shed=1, lost=1)) == []


def test_generator_that_was_late_breaks_its_threshold() -> None:
    """Latencies from a late generator are not the server's."""
    assert broken(judged(Thresholds(lag_p99_ms=0.5))) == ["lag_p99_ms"]


@pytest.mark.parametrize("words", [["--token", "secret"], ["--token=secret"]])
def test_command_line_keeps_the_token_to_itself(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    """A report may be shown around."""
    monkeypatch.setattr(sys, "argv", ["/usr/bin/giftwire", "loadtest", *words, "hot_room"])
    line = command_line()
    assert line[0] == "giftwire"
    assert line[-1] == "hot_room"
    assert "secret" not in " ".join(line)


def test_environment_names_the_machine() -> None:
    """A number is worth little without where it was taken."""
    place = environment()
    assert place.cores >= 1
    assert place.machine
    assert "picows" in place.packages
