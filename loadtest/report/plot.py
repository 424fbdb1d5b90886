"""The plots of a report: latency over "how many nines", as HdrHistogram draws it, and time lines."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]
from matplotlib.figure import Figure

from loadtest.record.latency import Summary
from loadtest.report.report import Report

_TICKS: Final = ((1, "0"), (2, "50"), (10, "90"), (100, "99"), (1_000, "99.9"), (10_000, "99.99"), (100_000, "99.999"))
_STEPS_PER_HALVING: Final = 20


def plot_percentiles(report: Report, path: Path) -> None:
    """Draw gift→accepted, gift→overlay and gift→viewer into one PNG."""
    mpl.use("Agg")
    percentiles(report).savefig(path, dpi=120)


def svg(figure: Figure) -> str:
    """A figure as an `<svg>` element that names nothing outside of itself."""
    drawn = io.StringIO()
    # Without a date, and with ids that are the same each time: the same report draws the same bytes.
    with mpl.rc_context({"svg.hashsalt": "giftwire"}):
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    text = drawn.getvalue()
    return text[text.index("<svg") :]


def percentiles(report: Report) -> Figure:
    """gift→accepted, gift→overlay and gift→viewer."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.add_subplot()
    for label, summary in (
        ("gift → accepted", report.accepted),
        ("gift → overlay", report.overlay),
        ("gift → viewer", report.viewer),
    ):
        nines, latencies_ms = _curve(summary)
        if nines:
            axes.step(nines, latencies_ms, where="post", label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks([at for at, _ in _TICKS], [label for _, label in _TICKS])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("percentile")
    axes.set_ylabel("ms from the intended send time")
    axes.set_title(f"{report.scenario.name}: {report.gifts_per_s:,.0f} gifts/s accepted")
    axes.grid(visible=True, alpha=0.3)
    if axes.lines:
        axes.legend()
    return figure


def time_lines(report: Report) -> Figure:
    """Rate and latency as the senders had them, and CPU, memory, books and fan-out as the server showed them."""
    seconds, moments = report.seconds, report.server
    clock = [second.second for second in seconds]
    looks = [moment.at_s for moment in moments]
    lines: list[tuple[str, list[tuple[str, Sequence[float], Sequence[float | None]]]]] = [
        (
            "gifts/s",
            [
                ("meant to be sent", clock, [second.told for second in seconds]),
                ("accepted", clock, [second.accepted for second in seconds]),
            ],
        ),
        (
            "gift → accepted, ms",
            [
                ("p50", clock, [second.accepted_p50_ms for second in seconds]),
                ("p99", clock, [second.accepted_p99_ms for second in seconds]),
            ],
        ),
        ("server, cores", _by_part(looks, [moment.cpu for moment in moments])),
        ("server, MB", _by_part(looks, [moment.memory_mb for moment in moments])),
        ("books behind, ms", [("", looks, [moment.books_behind_ms for moment in moments])]),
        ("frames/s", [("", looks, [moment.frames_per_s for moment in moments])]),
        ("bytes queued", [("", looks, [moment.queue_bytes for moment in moments])]),
    ]
    drawn = [(title, curves) for title, curves in lines if any(_known(values) for _, _, values in curves)]
    figure = Figure(figsize=(9, 1.9 * max(len(drawn), 1)), layout="constrained")
    for row, (title, curves) in enumerate(drawn):
        axes = figure.add_subplot(len(drawn), 1, row + 1)
        for label, xs, values in curves:
            axes.plot(xs, [float("nan") if value is None else value for value in values], label=label or None)
        for blow in report.struck:
            axes.axvline(blow.at_s, color="tab:red", alpha=0.5, linewidth=1)
        axes.set_ylabel(title)
        axes.set_ylim(bottom=0)
        axes.set_xlim(0, max([*clock, *looks, 1]))
        axes.grid(visible=True, alpha=0.3)
        if any(label for label, _, _ in curves):
            axes.legend(loc="upper left", fontsize="small", ncols=3)
        if row == len(drawn) - 1:
            axes.set_xlabel("seconds from the first gift")
    return figure


def _by_part(looks: Sequence[float], found: Sequence[dict[str, float]]) -> list[tuple[str, Sequence[float], Any]]:
    parts = sorted({part for one in found for part in one})
    return [(part, looks, [one.get(part) for one in found]) for part in parts]


def _known(values: Sequence[float | None]) -> bool:
    return any(value is not None for value in values)


def _curve(summary: Summary) -> tuple[list[float], list[float]]:
    if not summary.hdr:
        return [], []
    nines, latencies_ms = [], []
    for item in HdrHistogram.decode(summary.hdr).get_percentile_iterator(_STEPS_PER_HALVING):
        share = item.percentile_level_iterated_to / 100
        if share < 1:
            nines.append(1 / (1 - share))
            latencies_ms.append(max(item.value_iterated_to, 1) / 1000)
    return nines, latencies_ms
