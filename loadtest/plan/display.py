"""The plan on a terminal: tables, and a picture of bars."""

from collections.abc import Callable, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from loadtest.plan.answer import Answer, Sized
from loadtest.plan.check import Checked, Prediction
from loadtest.plan.constants import PARTS, Constants
from loadtest.plan.model import Usage
from loadtest.plan.quantities import short
from loadtest.plan.simulation.setting import Percentiles, Simulated
from loadtest.plan.sizes import Size, Sizes

BAR_WIDTH: Final = 50
_UNITS: Final = {
    "gateway": "µs",
    "valkey": "µs",
    "worker": "µs",
    "postgres": "µs",
    "frame_bytes": "B",
    "published_bytes": "B",
    "aof_bytes": "B",
    "wal_bytes": "B",
    "rows": "rows",
    "generator": "µs",
}


def print_answer(found: Answer, times: Simulated | str, constants: Constants, console: Console) -> None:
    """The table of needs, the bars of cores, and the limits."""
    demand = found.asked.demand
    title = f"{short(demand.viewers)} viewers, {short(demand.rooms)} rooms, {short(demand.gifts_per_s)} gifts/s"
    table = Table(title=title, title_justify="left")
    for name, justify in (("", "left"), ("needed", "right"), ("by the constants' intervals", "right")):
        table.add_column(name, justify="right" if justify == "right" else "left")
    for row in needs(found):
        table.add_row(*row)
    console.print(table)
    if not found.enough:
        console.print("No number of gateways and Valkey servers is enough: see what breaks. These are far too few.")
    for name, value in times_rows(times):
        console.print(f"{name:34} {value}")
    console.print()
    for line in bars(found.needed):
        console.print(line, highlight=False)
    console.print()
    limits = Table(title="What breaks first, everything growing together", title_justify="left")
    for name in ("", "of it", "breaks at", "today", "helps"):
        limits.add_column(name, no_wrap=name != "helps")
    for limit_row in limit_rows(found):
        limits.add_row(*limit_row)
    console.print(limits)
    place = constants.place
    console.print(
        f"Constants of {place.date}: {place.machine}, {place.cores} cores, Giftwire {place.version}, Python"
        f" {place.python}. `giftwire plan measure` takes yours. Not in it: TLS, WAN, NIC (docs/scale.md)."
    )


def needs(found: Answer) -> list[tuple[str, str, str]]:
    """The rows of the table of needs: name, figure, and between what it lies."""
    needed, used = found.needed, found.needed.usage
    layout, headroom = needed.layout, found.asked.ground.headroom

    def within(read: Callable[[Usage], float]) -> str:
        return f"{short(read(found.bounds.low))} to {short(read(found.bounds.high))}"

    def cores(name: str, processes: int, read: Callable[[Usage], float]) -> tuple[str, str, str]:
        return f"{name}: cores in use", f"{short(read(used))} in {processes:,}", within(read)

    built = "" if layout.primaries == 1 else " (one is built)"
    return [
        cores("gateways", layout.gateways, lambda one: one.gateway),
        cores(f"Valkey primaries{built}", layout.primaries, lambda one: one.valkey),
        cores("workers", layout.workers, lambda one: one.worker),
        cores("PostgreSQL", 1, lambda one: one.postgres),
        ("cores to buy", short(used.cores / headroom), within(lambda one: one.cores / headroom)),
        ("gateways' memory, GB", short(used.gateway_mb / 1024), within(lambda one: one.gateway_mb / 1024)),
        ("Valkey's memory, GB", short(used.valkey_mb / 1024), within(lambda one: one.valkey_mb / 1024)),
        ("to clients, Gbit/s", short(_gbit(used.frame_bytes)), within(lambda one: _gbit(one.frame_bytes))),
        ("Valkey to gateways, Gbit/s", short(_gbit(used.published_bytes)), within(lambda o: _gbit(o.published_bytes))),
        ("PostgreSQL, rows/s", short(used.rows), within(lambda one: one.rows)),
        ("PostgreSQL's log, MB/s", short(used.wal_bytes / 1e6), within(lambda one: one.wal_bytes / 1e6)),
        ("Valkey's file, MB/s", short(used.aof_bytes / 1e6), within(lambda one: one.aof_bytes / 1e6)),
        ("partitions", f"{layout.partitions:,}", ""),
    ]


def times_rows(times: Simulated | str) -> list[tuple[str, str]]:
    """Latencies in words; why there are none where there is no steady state."""
    if isinstance(times, str):
        return [("latencies", times)]
    rows = (
        ("gift → accepted", times.accepted_ms),
        ("gift → overlay", times.overlay_ms),
        ("gift → viewer", times.viewer_ms),
        ("accepted → in PostgreSQL", times.booked_ms),
    )
    return [(name, _words(latency)) for name, latency in rows]


def limit_rows(found: Answer) -> list[tuple[str, str, str, str, str]]:
    """The limits, those first that break first."""
    viewers = found.asked.demand.viewers
    return [
        (
            limit.name,
            f"{limit.share:.0%}",
            "later" if limit.breaks_at is None else f"{short(viewers * limit.breaks_at)} viewers",
            "" if limit.share <= 1 else "can be set" if limit.built else "not built",
            limit.helps,
        )
        for limit in found.limits
    ]


def bars(needed: Sized) -> list[str]:
    """Cores of each part as bars of one scale."""
    used = needed.usage
    parts = (
        ("gateways", used.gateway),
        ("Valkey", used.valkey),
        ("workers", used.worker),
        ("PostgreSQL", used.postgres),
    )
    most = max(value for _, value in parts) or 1.0
    return [
        f"{name:10} {'█' * max(round(value / most * BAR_WIDTH), 1):{BAR_WIDTH}} {short(value)} cores"
        for name, value in parts
    ]


def print_constants(constants: Constants, console: Console) -> None:
    """Every constant with its interval."""
    table = Table("part", "of", "value", "from", "to", "", title="Constants", title_justify="left")
    for part in PARTS:
        for name, one in constants.part(part).items():
            table.add_row(part, name, f"{one.value:.3g}", f"{one.low:.3g}", f"{one.high:.3g}", unit_of(part, name))
    console.print(table)
    console.print(f"others used {constants.place.foreign_cores:.2f} of the cores meanwhile (median of the runs)")
    for part, error in constants.errors.items():
        console.print(f"{part:16} the fit lies {error:.1%} from its runs (median)")


def unit_of(part: str, name: str) -> str:
    """What a constant is told in; names of those of memory and of the references say it themselves."""
    if part in ("memory", "references"):
        return name.rpartition("_")[2]
    return _UNITS[part] + (" a second" if name in ("base", "socket") and _UNITS[part] == "µs" else "")


def print_predictions(predictions: Sequence[Prediction], console: Console) -> None:
    """What is said before anything is run."""
    for one in predictions:
        table = Table("predicted", "", title=_title(one), title_justify="left")
        for quantity in one.quantities:
            table.add_row(quantity.name, f"{short(quantity.predicted)} {quantity.unit}")
        console.print(table)


def print_checked(checked: Sequence[Checked], console: Console) -> None:
    """Predictions beside measurements."""
    for one in checked:
        table = Table("", "predicted", "measured", "error", "", title=_title(one.prediction), title_justify="left")
        for row in checked_rows(one):
            table.add_row(*row)
        console.print(table)
        console.print(
            f"Python's processors, and latencies, at the pace predicted for; the cores were at {one.pace:.2f} of it"
        )


def checked_rows(checked: Checked) -> list[tuple[str, str, str, str, str]]:
    """Name, predicted, measured with its spread, error, and what to say of it."""
    return [
        (
            f"{one.name}, {one.unit}",
            short(one.predicted),
            f"{short(one.measured)} ({short(one.low)} to {short(one.high)})",
            f"{one.error:+.0%}",
            ("holds" if one.holds else "OFF") if one.counts else "too small to count",
        )
        for one in checked.compared
    ]


def print_sizes(sizes: Sizes, console: Console) -> None:
    """The answers side by side."""
    table = Table(*(title for title, _ in SIZE_COLUMNS), title="Answers", title_justify="left")
    for size in sizes.sizes:
        table.add_row(*size_row(size))
    console.print(table)


def size_row(size: Size) -> tuple[str, ...]:
    """One answer as the cells of SIZE_COLUMNS."""
    return tuple(read(size) for _, read in SIZE_COLUMNS)


def _p99(size: Size) -> str:
    return " / ".join(f"{one:.0f}" for one in size.p99_ms) or "no steady state"


SIZE_COLUMNS: Final[tuple[tuple[str, Callable[[Size], str]], ...]] = (
    ("viewers", lambda size: short(size.viewers)),
    ("rooms", lambda size: f"{short(size.rooms)}, {'together' if size.together else 'by chance'}"),
    ("gifts/s", lambda size: short(size.gifts_per_s)),
    (
        "cores in use",
        lambda size: f"{short(sum(size.cores.values()))} ({short(size.bounds[0])} to {short(size.bounds[1])})",
    ),
    ("gateways", lambda size: f"{size.gateways:,}"),
    ("workers", lambda size: f"{size.workers:,}"),
    ("Valkey primaries", lambda size: f"{size.primaries:,}" if size.enough else "no number is enough"),
    ("cores of the one there is", lambda size: short(size.primary_today)),
    ("GB gateways, Valkey", lambda size: f"{short(size.gateways_gb)}, {short(size.valkey_gb)}"),
    ("Gbit/s clients, gateways", lambda size: f"{short(size.client_gbit)}, {short(size.published_gbit)}"),
    ("rows/s", lambda size: short(size.rows_per_s)),
    ("MB/s log, file", lambda size: f"{short(size.wal_mb_per_s)}, {short(size.aof_mb_per_s)}"),
    ("p99 ms accepted / overlay / viewer", _p99),
)
"""Titles of the table of answers, and what stands below them."""


def _title(one: Prediction) -> str:
    point = one.point
    return (
        f"{point.name}: {point.gifts_per_s:,.0f} gifts/s, {point.viewers:,} viewers, {point.rooms:,} rooms,"
        f" {one.gateways} gateways"
    )


def _gbit(bytes_per_s: float) -> float:
    return bytes_per_s * 8 / 1e9


def _words(latency: Percentiles) -> str:
    if latency.p50 is None or latency.p99 is None:
        return "nobody"
    return f"p50 {latency.p50:.1f} ms, p99 {latency.p99:.1f} ms"
