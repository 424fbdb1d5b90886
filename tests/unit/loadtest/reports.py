"""Reports of runs that never were."""

from typing import Any

import msgspec

from loadtest.checker.judge import Verdict
from loadtest.record.latency import Latencies, Summary
from loadtest.report.report import GeneratorUse, Report, environment
from loadtest.script.scenario import Mix, Phase, Scenario

SCENARIO = Scenario("t", "A <b>test</b>.", 100.0, 1.0, [Phase(1, 1, 1)], [Mix("rose")])


def summary_of(*latencies_ms: float) -> Summary:
    """A summary with its histogram."""
    latencies = Latencies()
    latencies.record_ns([int(ms * 1e6) for ms in latencies_ms])
    return latencies.summary()


def report(**changes: Any) -> Report:
    """A report in which all is well, but for the changes."""
    lag = summary_of(0.1)
    whole = Report(
        ok=True,
        run="r",
        command=["giftwire", "loadtest", "t"],
        url="ws://127.0.0.1:1/v1/ws",
        started_at_ms=1_764_500_000_000,
        scenario=SCENARIO,
        environment=environment(),
        verdict=Verdict(
            ok=True,
            faults=[],
            gifts_told=10,
            gifts_accepted=10,
            gifts_undone=0,
            gifts_seen=10,
            combos_seen=0,
            viewers_checked=1,
            viewers_lost=0,
            slow_viewers_lost=0,
            wallets_checked=1,
        ),
        thresholds=[],
        gifts_per_s=10.0,
        refusals={},
        accepted=summary_of(5.0),
        overlay=summary_of(6.0),
        viewer=Summary(0),
        seconds=[],
        generator=GeneratorUse(lag, lag, [], [], 1),
    )
    return msgspec.structs.replace(whole, **changes)
