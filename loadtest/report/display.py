"""What people see: the live view while a run goes on, and the summary after it."""

import time
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from loadtest.play.orders import Progress
from loadtest.record.latency import Summary
from loadtest.report.climb import step_of
from loadtest.report.compare import Comparison
from loadtest.report.repeat import Repeated
from loadtest.report.report import Report
from loadtest.script.scenario import Scenario
from loadtest.server.disturber import Struck

WINDOW_S: Final = 2.0
"""Rates and percentiles of the live view are over this long."""


class Watcher(Protocol):
    """Is told how a run goes on."""

    def stage(self, words: str) -> None:
        """What the run does now."""

    def moment(self, elapsed_s: float, latest: dict[int, Progress], new: list[Progress]) -> None:
        """The agents reported: the latest of each, and those that are new."""


class Silent:
    """Shows nothing."""

    def stage(self, words: str) -> None:
        """Nothing."""

    def moment(self, elapsed_s: float, latest: dict[int, Progress], new: list[Progress]) -> None:
        """Nothing."""


class Redrawn:
    """A few lines that are redrawn while something goes on, and gone after it. Use as a context.

    Args:
        console: where to draw.
    """

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, refresh_per_second=4, transient=True)
        self._stage = "starting"

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()


class LiveView(Redrawn):
    """How a run goes on.

    Args:
        scenario: names the run and its length.
        console: where to draw.
    """

    def __init__(self, scenario: Scenario, console: Console) -> None:
        super().__init__(console)
        self._scenario = scenario
        self._samples: deque[tuple[float, int, int, list[float], list[float], float]] = deque()

    def stage(self, words: str) -> None:
        """Show what the run does now."""
        self._stage = words
        self._live.update(Text(f"{self._scenario.name}: {words} …"))

    def moment(self, elapsed_s: float, latest: dict[int, Progress], new: list[Progress]) -> None:
        """Draw the state of the run."""
        now_s = time.monotonic()
        accepted = sum(progress.accepted for progress in latest.values())
        frames = sum(progress.frames for progress in latest.values())
        for progress in new:
            self._samples.append((now_s, accepted, frames, progress.accepted_ms, progress.overlay_ms, progress.lag_ms))
        while self._samples and self._samples[0][0] < now_s - WINDOW_S:
            self._samples.popleft()
        self._live.update(self._draw(elapsed_s, latest))

    def _draw(self, elapsed_s: float, latest: dict[int, Progress]) -> Group:
        duration_s = self._scenario.duration_s
        told, accepted, refused, unanswered = (
            sum(getattr(progress, name) for progress in latest.values())
            for name in ("told", "accepted", "refused", "unanswered")
        )
        samples = list(self._samples)
        span_s = max(samples[-1][0] - samples[0][0], 0.25) if samples else 1.0
        rate = (samples[-1][1] - samples[0][1]) / span_s if samples else 0.0
        frame_rate = (samples[-1][2] - samples[0][2]) / span_s if samples else 0.0
        table = Table.grid(padding=(0, 2))
        table.add_row(
            "gifts", f"{told:,} told", f"{accepted:,} accepted", f"{refused:,} refused", f"{unanswered:,} open"
        )
        table.add_row("rate", f"{rate:,.0f} gifts/s", f"{frame_rate:,.0f} frames/s")
        table.add_row("gift → accepted", *_percentiles([ms for sample in samples for ms in sample[3]]))
        table.add_row("gift → overlay", *_percentiles([ms for sample in samples for ms in sample[4]]))
        table.add_row("generator late", f"max {max((sample[5] for sample in samples), default=0.0):.1f} ms")
        bar = ProgressBar(total=duration_s, completed=min(elapsed_s, duration_s), width=50)
        return Group(
            Text(f"{self._scenario.name}: {self._stage}, {min(elapsed_s, duration_s):.0f} of {duration_s:.0f} s"),
            bar,
            table,
        )


def print_summary(report: Report, console: Console) -> None:
    """The report in a page."""
    verdict = report.verdict
    console.print(
        f"[bold]{report.scenario.name}[/bold]  {verdict.gifts_accepted:,} of {verdict.gifts_told:,} gifts accepted, "
        f"{verdict.gifts_undone:,} undone, {report.gifts_per_s:,.0f} a second; {verdict.combos_seen:,} combos, "
        f"{verdict.viewers_checked:,} viewers, {verdict.wallets_checked:,} wallets checked"
        f"{_purchases(report)}{_slow(report)}{_reconnects(report)}"
    )
    table = Table("ms from the intended send time", "p50", "p90", "p99", "p99.9", "max", "samples")
    for label, summary in (
        ("gift → accepted", report.accepted),
        ("gift → overlay", report.overlay),
        ("gift → viewer", report.viewer),
        *([("purchase → coins", report.credited)] if report.credited.samples else []),
        ("generator late", report.generator.lag),
    ):
        table.add_row(label, *_figures(summary))
    console.print(table)
    if report.refusals:
        console.print("refused: " + ", ".join(f"{code} {count:,}" for code, count in sorted(report.refusals.items())))
    for threshold in report.thresholds:
        if not threshold.held:
            console.print(f"[red]threshold[/red] {threshold.name}: {threshold.value} is over {threshold.limit}")
    for line in blows(report.struck):
        console.print(line)
    for words in report.generator.limited_by:
        console.print(f"[yellow]the generator may be the limit[/yellow]: {words}")
    for fault in verdict.faults:
        console.print(f"[red]{fault.kind.value}[/red] {fault.found:,} times")
        for example in fault.examples[:3]:
            console.print(f"    {example}", highlight=False, markup=False)
    if verdict.ok:
        console.print("[green]nothing lost, nothing doubled, every sum and balance right; the audit holds[/green]")
    console.print("[green bold]PASSED[/]" if report.ok else "[red bold]FAILED[/]")


def print_step(report: Report, console: Console) -> None:
    """A run of a search, in a line."""
    step = step_of(report)
    p99 = "–" if step.accepted_p99_ms is None else f"{step.accepted_p99_ms:.1f}"
    mark = "[green]held[/green]" if step.held else f"[red]did not hold[/red]: {step.why_not}"
    console.print(f"{step.rate_per_s:>10,.0f} gifts/s: accepted {step.accepted_per_s:,.0f}/s, p99 {p99} ms, {mark}")


def print_comparison(found: Comparison, console: Console) -> None:
    """Two runs side by side."""
    table = Table(found.scenario, "first", "second", "second / first", "")
    marks = {None: "", True: "[bold]clear[/bold]", False: "within the spread"}
    for one in found.differences:
        numbers = ["–" if value is None else f"{value:,.6g}" for value in (one.first, one.second, one.ratio)]
        table.add_row(one.name, *numbers, marks[one.clear])
    console.print(table)
    console.print("clear: the middle halves of both runs' seconds lie apart", highlight=False)
    for words in found.unlike:
        console.print(f"not the same: {words}", highlight=False, markup=False)
    if not found.ok:
        console.print("[red]one of the runs had failed[/red]")


def print_run(report: Report, console: Console) -> None:
    """A run of several, in a line."""
    p99 = ["–" if value is None else f"{value:.1f}" for value in (report.accepted.p99_ms, report.overlay.p99_ms)]
    mark = "[green]passed[/green]" if report.ok else f"[red]failed[/red]: {step_of(report).why_not}"
    console.print(f"accepted {report.gifts_per_s:,.0f}/s, p99 {p99[0]} ms, overlay p99 {p99[1]} ms, {mark}")


def print_repeated(found: Repeated, console: Console) -> None:
    """Every number of several runs with its spread."""
    table = Table(f"{found.scenario}, {len(found.reports)} runs", "median", "lowest", "highest")
    for one in found.figures:
        table.add_row(one.name, *[f"{value:,.4g}" for value in (one.spread.median, one.spread.low, one.spread.high)])
    console.print(table)
    console.print("[green bold]PASSED[/]" if found.ok else "[red bold]FAILED[/]")


def blows(struck: Sequence[Struck]) -> list[str]:
    """A line for each blow: what fell, and how long until the server was itself again."""
    lines = []
    for one in struck:
        what = "killed" if one.action == "kill" else f"stopped for {one.stopped_s:.0f} s"
        ready, accepted = _seconds(one.ready_after_s), _seconds(one.accepted_after_s)
        lines.append(f"{one.at_s:.1f} s: {one.process} {what}; ready after {ready}, a gift accepted after {accepted}")
    return lines


def _seconds(value: float | None) -> str:
    return "– (not in time)" if value is None else f"{value:.2f} s"


def _figures(summary: Summary) -> list[str]:
    values = (summary.p50_ms, summary.p90_ms, summary.p99_ms, summary.p999_ms, summary.max_ms)
    return ["–" if value is None else f"{value:.2f}" for value in values] + [f"{summary.samples:,}"]


def _percentiles(samples_ms: list[float]) -> tuple[str, str]:
    if not samples_ms:
        return "–", ""
    ordered = sorted(samples_ms)
    return f"p50 {ordered[len(ordered) // 2]:.1f} ms", f"p99 {ordered[int(len(ordered) * 0.99)]:.1f} ms"


def _purchases(report: Report) -> str:
    count = report.verdict.purchases_credited
    return f"; {count:,} purchases credited" if count else ""


def _slow(report: Report) -> str:
    count = report.verdict.slow_viewers_lost
    return f"; {count:,} slow viewers were told that they missed something" if count else ""


def _reconnects(report: Report) -> str:
    count = sum(use.reconnects for use in report.generator.processes)
    return f"; clients came back {count:,} times" if count else ""
