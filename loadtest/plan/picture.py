"""The plan as a picture: cores of each part over viewers, and where each limit is reached."""

from pathlib import Path
from typing import Any, Final

from loadtest.plan.answer import Answer

SIZE_INCHES: Final = (9, 7)
DPI: Final = 110
_PARTS: Final = {"gateway": "gateways", "valkey": "Valkey", "worker": "workers", "postgres": "PostgreSQL"}
_COLOURS: Final = ("#4c78a8", "#e45756", "#72b7b2", "#b279a2")


def draw(found: Answer, file: Path) -> None:
    """Write a PNG.

    Raises:
        OSError: the file cannot be written.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    steps = [step for step in found.climb if step.viewers > 0]
    viewers = [step.viewers for step in steps]
    cores = {part: [getattr(step.usage, part) for step in steps] for part in _PARTS}
    figure, (above, below) = plt.subplots(
        2, 1, figsize=SIZE_INCHES, layout="constrained", sharex=True, height_ratios=(3, 1)
    )
    try:
        for (part, label), colour in zip(_PARTS.items(), _COLOURS, strict=True):
            above.plot(viewers, cores[part], label=label, color=colour)
        above.set_yscale("log")
        above.set_ylabel("cores in use")
        demand = found.asked.demand
        above.set_title(
            f"{demand.viewers:,} viewers, {demand.rooms:,} rooms, {demand.gifts_per_s:,.0f} gifts/s, less and more"
        )
        totals = [step.usage.cores for step in steps]
        shares = [[value / total for value, total in zip(cores[part], totals, strict=True)] for part in _PARTS]
        below.stackplot(viewers, *shares, colors=_COLOURS)
        below.set_xscale("log")
        below.set_ylim(0, 1)
        below.set_ylabel("part of all cores")
        below.set_xlabel("viewers; rooms and gifts grow with them")
        for axes in (above, below):
            axes.axvline(demand.viewers, color="black", linewidth=1)
        _mark(above, found)
        above.legend(loc="upper left")
        figure.savefig(file, dpi=DPI, format="png")
    finally:
        plt.close(figure)


def _mark(axes: Any, found: Answer) -> None:
    """A line where each limit is reached, with its name, those that break first below."""
    low, high = axes.get_ylim()
    for number, limit in enumerate(limit for limit in found.limits if limit.breaks_at is not None):
        at = found.asked.demand.viewers * (limit.breaks_at or 0)
        axes.axvline(at, color="grey", linestyle="--", linewidth=0.8)
        height = low * (high / low) ** (0.03 + 0.06 * (number % 10))
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
        axes.text(at, height, limit.name, fontsize=8, ha="right", bbox=box)
