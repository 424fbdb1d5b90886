"""End to end with everything on this machine: the highest rate that holds, and the latencies at half of it.

The generator shares the processors with the server, so the rate is that of the machine, not of the server alone;
where the processors went is part of the answer.
"""

import math
from typing import Final

import msgspec
from msgspec import Struct

from loadtest.bench.server import BenchServer
from loadtest.play.orders import Progress
from loadtest.play.run import Options, run_loadtest
from loadtest.record.latency import Summary
from loadtest.report.climb import Step, climb, step_of
from loadtest.report.report import Report
from loadtest.script.scenario import Mix, Phase, Population, Scenario, Thresholds
from loadtest.server.procfs import cpu_by_part
from loadtest.tokens import KEY_FILE, TokenSigner

ACCEPTED_P99_MS_MAX: Final = 250.0
"""A rate holds when nothing is shed, every check passes and 99 % of the gifts are accepted this soon."""
REFINEMENTS: Final = 2
RISE: Final = 0.1
"""Share of a run in which the rate climbs to its level."""


class LatencyResult(Struct, frozen=True):
    """The bench's answer.

    Attributes:
        max_per_s: highest accepted rate of a step that held.
        at_half: rate of the run that the latencies are from.
        cpu_us_per_gift: by part of the server and for the generator, in that run.
    """

    max_per_s: float
    steps: list[Step]
    at_half: float
    accepted: Summary
    overlay: Summary
    viewer: Summary
    cpu_us_per_gift: dict[str, float]
    limited_by: list[str]
    ok: bool


class CpuWatch:
    """A watcher that notes the processors' time from the first gift to the last answer.

    Args:
        server: whose processes are looked at.
    """

    def __init__(self, server: BenchServer) -> None:
        self._server = server
        self._began: dict[str, float] = {}
        self.used_s: dict[str, float] = {}

    def stage(self, words: str) -> None:
        """Look when sending begins and when it has ended."""
        if words == "sending":
            self._began = cpu_by_part(self._server.processes)
        elif words == "draining":
            now = cpu_by_part(self._server.processes)
            self.used_s = {part: used_s - self._began.get(part, 0.0) for part, used_s in now.items()}

    def moment(self, elapsed_s: float, latest: dict[int, Progress], new: list[Progress]) -> None:
        """Nothing to note."""


def measure_latency(
    server: BenchServer, *, viewers: int, first_rate: float, seconds: float, final_seconds: float, rate_max: float
) -> LatencyResult:
    """Climb until a rate no longer holds, look closer, then measure at half of the highest that did."""
    steps: list[Step] = []

    def holds(rate: float) -> bool:
        report = run_loadtest(_scenario(viewers, rate, seconds), _options(server), CpuWatch(server))
        steps.append(step_of(report, _level_rate(report)))
        return steps[-1].held

    low, _ = climb(first_rate, rate_max, holds, REFINEMENTS)
    max_per_s = max((step.accepted_per_s for step in steps if step.held), default=0.0)
    at_half = max((low or first_rate) / 2, 1.0)
    watch = CpuWatch(server)
    report = run_loadtest(_scenario(viewers, at_half, final_seconds), _options(server), watch)
    return LatencyResult(
        max_per_s=max_per_s,
        steps=steps,
        at_half=at_half,
        accepted=_without_hdr(report.accepted),
        overlay=_without_hdr(report.overlay),
        viewer=_without_hdr(report.viewer),
        cpu_us_per_gift=_per_gift(watch, report),
        limited_by=report.generator.limited_by,
        ok=report.verdict.ok,
    )


def _scenario(viewers: int, rate: float, seconds: float) -> Scenario:
    return Scenario(
        name="latency",
        summary="One room, single gifts, random arrivals, after a short rise.",
        rate_per_s=rate,
        duration_s=seconds,
        phases=[Phase(RISE, 0.2, 1.0), Phase(1 - RISE, 1.0, 1.0)],
        mix=[Mix("rose", 6.0, 5), Mix("heart", 3.0)],
        population=Population(senders=50, viewers=viewers),
        thresholds=Thresholds(accepted_p99_ms=ACCEPTED_P99_MS_MAX, viewers_lost_share_max=1.0, lag_p99_ms=100.0),
    )


def _level_rate(report: Report) -> float:
    """Gifts accepted per second, over the whole seconds after the rise."""
    whole = [second.accepted for second in report.seconds if second.second < int(report.scenario.duration_s)]
    level = whole[math.ceil(RISE * report.scenario.duration_s) :]
    return round(sum(level) / len(level), 1) if level else report.gifts_per_s


def _options(server: BenchServer) -> Options:
    signer = TokenSigner.from_file(server.data_dir / KEY_FILE)
    return Options(server.ws_url, signer.token("bench", "operator"), signer)


def _per_gift(watch: CpuWatch, report: Report) -> dict[str, float]:
    gifts = max(report.verdict.gifts_accepted, 1)
    used = {part: round(used_s / gifts * 1e6, 1) for part, used_s in sorted(watch.used_s.items())}
    for use in report.generator.processes:
        used[f"generator: {use.plays}"] = round(use.cpu_s / gifts * 1e6, 1)
    return used


def _without_hdr(summary: Summary) -> Summary:
    return msgspec.structs.replace(summary, hdr="")
