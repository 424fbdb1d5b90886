"""What people see of the bench: a few lines while it runs, and a table afterwards."""

from rich.console import Console
from rich.table import Table

from loadtest.bench.outage.result import Bound, CatchUp, Look, Memory, OutageResult, Phase, Plan
from loadtest.report.display import Redrawn


class Silent:
    """Shows nothing."""

    def stage(self, words: str) -> None:
        """Nothing."""

    def look(self, look: Look) -> None:
        """Nothing."""


class LiveView(Redrawn):
    """How the bench goes on."""

    def __init__(self, plan: Plan, console: Console) -> None:
        super().__init__(console)
        self._plan = plan
        self._seen: Look | None = None

    def stage(self, words: str) -> None:
        """Show what it does now."""
        self._stage = words
        self._draw()

    def look(self, look: Look) -> None:
        """Show the server as it is."""
        self._seen = look
        self._draw()

    def _draw(self) -> None:
        table = Table.grid(padding=(0, 2))
        plan, look = self._plan, self._seen
        table.add_row("PostgreSQL away", self._stage, f"for {plan.seconds:g} s", f"{plan.rate:g} gifts/s")
        if look is not None:
            refused = sum(look.refused.values())
            table.add_row("gifts", f"{look.sent:,} sent", f"{look.accepted:,} accepted", f"{refused:,} refused")
            table.add_row("gift → accepted", f"p50 {_ms(look.p50_ms)}", f"p99 {_ms(look.p99_ms)}", f"{look.at_s:.0f} s")
            table.add_row("books behind", f"{look.unflushed:,} records", f"{look.fullest:,} in one partition")
            table.add_row("memory", f"Valkey {look.valkey_mb:,.0f} MB", f"its file {look.aof_mb:,.0f} MB", _rss(look))
        self._live.update(table)


def outage_rows(result: OutageResult) -> list[tuple[str, str]]:
    """The answer for people."""
    checks = result.checks
    return [
        ("PostgreSQL away", f"{result.away_s:g} s, all its processes stopped, under {result.plan.rate:g} gifts/s"),
        *(_phase_row(phase) for phase in result.phases),
        *(_bound_rows(result.bound) if result.bound is not None else ()),
        *_catch_up_rows(result.catch_up),
        *_memory_rows(result.plan, result.memory),
        (
            "in the books",
            f"{checks.in_books:,} of {checks.accepted:,} accepted gifts, {checks.coins_in_books:,} coins:"
            f" {checks.lost:,} lost, {checks.doubled:,} doubled",
        ),
        ("wallets", f"{checks.wrong_wallets:,} wrong"),
        ("audit", f"{'holds' if checks.audit_ok else 'does not hold'}, {checks.audit_s:g} s"),
        *(("died meanwhile", name) for name in result.died),
        *(("no outage was measured", words) for words in result.not_measured),
        *(("WRONG", words) for words in result.faults),
    ]


def _phase_row(phase: Phase) -> tuple[str, str]:
    codes = sorted(f"{count:,} {code}" for code, count in phase.refused.items())
    refused = f"refused {', '.join(codes)}" if codes else "nothing refused"
    again = f", asked again {sum(phase.asked_again.values()):,}" if phase.asked_again else ""
    return (
        f"{phase.name}, {phase.seconds:g} s",
        f"{phase.accepted:,} of {phase.sent:,} accepted, {phase.accepted_per_s:g}/s, {refused}{again}; p50"
        f" {_ms(phase.p50_ms)}, p99 {_ms(phase.p99_ms)}; rooms at most {phase.untold_max:,} records behind",
    )


def _bound_rows(bound: Bound) -> list[tuple[str, str]]:
    again = "never" if bound.accepted_again_after_s is None else f"{bound.accepted_again_after_s:g} s"
    return [
        ("first overloaded", f"after {bound.first_after_s:g} s, {bound.fullest:,} records in the fullest partition"),
        ("accepted again after its return", f"{again}; last refusal after {bound.last_after_s:g} s"),
    ]


def _catch_up_rows(catch_up: CatchUp) -> list[tuple[str, str]]:
    return [
        ("lag", f"{catch_up.lag:,} records when it came back, {catch_up.lag_before:,} before"),
        (
            "caught up",
            "not"
            if catch_up.seconds is None
            else f"{catch_up.seconds:g} s after its return, which answered after"
            f" {catch_up.answers_after_s:g} s; the first records came after {catch_up.begins_after_s:g} s",
        ),
        (
            "records/s meanwhile",
            f"{catch_up.per_s:,.0f}: {catch_up.ratio:g} times the live rate"
            f" ({catch_up.ratio_from_return:g} from the return on)",
        ),
    ]


def _memory_rows(plan: Plan, memory: Memory) -> list[tuple[str, str]]:
    held = {"Valkey holds": memory.valkey_mb} | {f"{part}, resident": mb for part, mb in memory.rss_mb.items()}
    rows = [
        (what, f"{before:,} → {away:,} MB, at most {most:,}, {after:,} at the end")
        for what, (before, away, most, after) in held.items()
    ]
    rows.append(
        (
            "bytes a gift",
            f"{memory.bytes_per_gift:,.0f} of Valkey's memory, of that {memory.journal_bytes_per_record:,.0f}"
            f" for its record in the journal; {memory.aof_bytes_per_gift:,.0f} of the append-only file",
        )
    )
    if memory.bound_after_h is not None:
        rows.append(
            (
                "what it bears",
                f"at this rate the bound of {plan.unflushed_max:,} records of a partition is reached after"
                f" {_hours(memory.bound_after_h)}, with {memory.bound_gb:g} GB in Valkey",
            )
        )
    if memory.memory_after_h is not None:
        rows.append(("", f"Valkey's memory would be full after {_hours(memory.memory_after_h)}"))
    return rows


def _hours(hours: float) -> str:
    return f"{hours:.1f} hours" if hours >= 1 else f"{hours * 3600:.0f} s"


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g} ms"


def _rss(look: Look) -> str:
    return ", ".join(f"{part} {mb:,.0f}" for part, mb in look.rss_mb.items()) + " MB resident"
