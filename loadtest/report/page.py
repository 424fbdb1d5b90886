"""A report as one HTML page that needs nothing else: verdict, numbers, plots, and where and how it was measured."""

import html
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from loadtest.record.latency import Summary
from loadtest.report.display import blows
from loadtest.report.plot import percentiles, svg, time_lines
from loadtest.report.report import Report

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem;
  color: #1c1f26; background: #fff; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; } td, th { padding: 0.2rem 0.8rem 0.2rem 0; text-align: left; vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
tr + tr td { border-top: 1px solid #e4e6eb; }
svg { max-width: 100%; height: auto; } code, pre { font-size: 0.85rem; } pre { overflow-x: auto; }
.ok { color: #0a7a3d; } .bad { color: #b3261e; } .mark { font-weight: 600; }
"""


def page(report: Report) -> str:
    """The page of a run."""
    scenario, verdict = report.scenario, report.verdict
    mark = '<span class="mark ok">PASSED</span>' if report.ok else '<span class="mark bad">FAILED</span>'
    found = [
        _text(f"{fault.kind.value}, {fault.found:,} times: {'; '.join(fault.examples[:3])}") for fault in verdict.faults
    ]
    refusals = ", ".join(f"{code} {count:,}" for code, count in sorted(report.refusals.items()))
    gifts = f"{verdict.gifts_accepted:,} accepted of {verdict.gifts_told:,}, {verdict.gifts_undone:,} undone"
    began = datetime.fromtimestamp(report.started_at_ms / 1000, UTC)
    parts = [
        f"<h1>{_text(scenario.name)} {mark}</h1><p>{_text(scenario.summary)}</p>",
        _list(found, "bad") if found else "<p>Nothing lost, nothing doubled, every sum and balance right.</p>",
        _table(
            ("", ""),
            [
                ("gifts", gifts),
                ("rate", f"{report.gifts_per_s:,.1f} accepted a second"),
                ("refused", refusals or "none"),
                ("combos", f"{verdict.combos_seen:,}"),
                (
                    "viewers",
                    f"{verdict.viewers_checked:,} checked, {verdict.viewers_lost:,} missed something and were told, "
                    f"{verdict.slow_viewers_lost:,} of the slow ones",
                ),
                ("purchases", f"{verdict.purchases_credited:,} credited"),
                ("wallets", f"{verdict.wallets_checked:,} checked"),
            ],
        ),
        "<h2>Latency, from the intended send time</h2>",
        _latencies(report),
        svg(percentiles(report)),
        "<h2>Limits</h2>",
        _table(
            ("limit", "at most", "was", ""),
            [
                (
                    one.name,
                    f"{one.limit:g}",
                    "–" if one.value is None else f"{one.value:g}",
                    "" if one.held else "broken",
                )
                for one in report.thresholds
            ],
        ),
        "<h2>Over time</h2>",
        svg(time_lines(report)),
    ]
    if report.struck:
        parts += ["<h2>What was done to the server</h2>", _list([_text(line) for line in blows(report.struck)])]
    parts += ["<h2>The generator about itself</h2>", _generator(report)]
    parts += ["<h2>Where and how</h2>", _circumstances(report, began)]
    title = _text(f"{scenario.name}, {began:%Y-%m-%d %H:%M} UTC")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n'
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _latencies(report: Report) -> str:
    rows = [
        (label, *_figures(summary))
        for label, summary in (
            ("gift → accepted", report.accepted),
            ("gift → overlay", report.overlay),
            ("gift → viewer", report.viewer),
            *([("purchase → coins", report.credited)] if report.credited.samples else []),
        )
    ]
    return _table(("ms", "p50", "p90", "p99", "p99.9", "p99.99", "max", "samples"), rows, numbers=True)


def _figures(summary: Summary) -> list[str]:
    values = (summary.p50_ms, summary.p90_ms, summary.p99_ms, summary.p999_ms, summary.p9999_ms, summary.max_ms)
    return ["–" if value is None else f"{value:,.2f}" for value in values] + [f"{summary.samples:,}"]


def _generator(report: Report) -> str:
    use = report.generator
    limited = use.limited_by or ["It saw no sign that it, and not the server, made these numbers."]
    words = _list([_text(line) for line in limited], "bad" if use.limited_by else "")
    rows = [
        (str(one.process), one.plays, f"{one.cpu_share:.0%}", f"{one.frames_per_s:,.0f}", f"{one.reconnects:,}")
        for one in use.processes
    ]
    late = [
        ("gifts sent late, ms", *_figures(use.lag)),
        ("timers that rang late, ms", *_figures(use.loop_lag)),
    ]
    return (
        words
        + _table(("", "p50", "p90", "p99", "p99.9", "p99.99", "max", "samples"), late, numbers=True)
        + _table(("process", "plays", "of a core", "frames/s", "came back"), rows)
        + f"<p>gift → viewer is of one viewer in {use.viewers_sampled_every:,}. All times are by the clock of the"
        " generator's machine: of the moment at which a gift was meant to be sent, and of the moment at which what came"
        " of it was read. The server's clock is in none of them.</p>"
    )


def _circumstances(report: Report, began: datetime) -> str:
    where = report.environment
    packages = ", ".join(f"{name} {version}" for name, version in sorted(where.packages.items()))
    scenario = msgspec.json.format(msgspec.json.encode(report.scenario), indent=2).decode()
    rows = [
        ("begun", f"{began:%Y-%m-%d %H:%M:%S} UTC"),
        ("command", " ".join(report.command)),
        ("server", report.url),
        ("seed", str(report.scenario.seed)),
        ("run", report.run),
        ("generator's machine", f"{where.machine}, {where.cores} cores, Linux {where.kernel}, Python {where.python}"),
        ("packages", packages),
        ("commit", where.commit or "not known"),
    ]
    return _table(("", ""), rows) + f"<details><summary>Scenario</summary><pre>{_text(scenario)}</pre></details>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = False) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        marks = ["" if place == 0 or not numbers else ' class="n"' for place in range(len(cells))]
        return (
            "<tr>"
            + "".join(f"<{tag}{mark}>{_text(cell)}</{tag}>" for cell, mark in zip(cells, marks, strict=True))
            + "</tr>"
        )

    top = row(head, "th") if any(head) else ""
    return f"<table>{top}{''.join(row(cells, 'td') for cells in rows)}</table>"


def _list(items: Sequence[str], kind: str = "") -> str:
    mark = f' class="{kind}"' if kind else ""
    return f"<ul{mark}>{''.join(f'<li>{item}</li>' for item in items)}</ul>"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


def _text(words: str) -> str:
    return html.escape(words)
