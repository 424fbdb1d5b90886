"""The percentile plot of a report: latency over "how many nines", as HdrHistogram draws it."""

from pathlib import Path
from typing import Final

import matplotlib as mpl
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]
from matplotlib.figure import Figure

from loadtest.latency import Summary
from loadtest.report import Report

_TICKS: Final = ((1, "0"), (2, "50"), (10, "90"), (100, "99"), (1_000, "99.9"), (10_000, "99.99"), (100_000, "99.999"))
_STEPS_PER_HALVING: Final = 20


def plot_percentiles(report: Report, path: Path) -> None:
    """Draw gift→accepted, gift→overlay and gift→viewer into one PNG."""
    mpl.use("Agg")
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
    axes.legend()
    figure.savefig(path, dpi=120)


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
