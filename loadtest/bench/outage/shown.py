"""What people see of the bench: a few lines while it runs, and a table afterwards."""

from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from loadtest.bench.outage.result import Look, OutageResult, Plan


class Silent:
    """Shows nothing."""

    def stage(self, words: str) -> None:
        """Nothing."""

    def look(self, look: Look) -> None:
        """Nothing."""


class LiveView:
    """A few lines that are redrawn while the bench runs. Use as a context."""

    def __init__(self, plan: Plan, console: Console) -> None:
        self._plan = plan
        self._live = Live(console=console, refresh_per_second=4, transient=True)
        self._stage = "starting"
        self._seen: Look | None = None

    def __enter__(self) -> "LiveView":
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

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
    catch_up, memory, checks, plan = result.catch_up, result.memory, result.checks, result.plan
    rows = [("PostgreSQL away", f"{result.away_s:g} s, all its processes stopped, under {plan.rate:g} gifts/s")]
    for phase in result.phases:
        codes = {f"{code} {count:,}" for code, count in phase.refused.items()}
        refused = f"refused {', '.join(sorted(codes))}" if codes else "nothing refused"
        again = f", asked again {sum(phase.asked_again.values()):,}" if phase.asked_again else ""
        rows.append(
            (
                f"{phase.name}, {phase.seconds:g} s",
                f"{phase.accepted:,} of {phase.sent:,} accepted ({phase.accepted_per_s:g}/s), {refused}{again};"
                f" p50 {_ms(phase.p50_ms)}, p99 {_ms(phase.p99_ms)}",
            )
        )
    if (bound := result.bound) is not None:
        again = "never" if bound.accepted_again_after_s is None else f"{bound.accepted_again_after_s:g} s"
        rows += [
            (
                "first overloaded",
                f"after {bound.first_after_s:g} s, {bound.fullest:,} records in the fullest partition",
            ),
            ("accepted again after its return", f"{again}; last refusal after {bound.last_after_s:g} s"),
        ]
    caught_up = "not" if catch_up.seconds is None else f"{catch_up.seconds:g} s"
    rows += [
        ("lag", f"{catch_up.lag:,} records when it came back, {catch_up.lag_before:,} before"),
        (
            "caught up",
            f"{caught_up} after its return (it answered after {catch_up.answers_after_s:g} s, "
            f"the first records came after {catch_up.begins_after_s:g} s)",
        ),
        (
            "records/s meanwhile",
            f"{catch_up.per_s:,.0f}: {catch_up.ratio:g} times the live rate"
            f" ({catch_up.ratio_from_return:g} from the return on)",
        ),
        (
            "Valkey's memory",
            f"{memory.valkey_mb[0]:,} → {memory.valkey_mb[1]:,} MB, at most {memory.valkey_mb[2]:,},"
            f" {memory.valkey_mb[3]:,} at the end",
        ),
        *(
            (f"{part}, resident", f"{mb[0]:,} → {mb[1]:,} MB, at most {mb[2]:,}, {mb[3]:,} at the end")
            for part, mb in memory.rss_mb.items()
        ),
        (
            "bytes a gift",
            f"{memory.bytes_per_gift:,.0f} of Valkey's memory, of that {memory.journal_bytes_per_record:,.0f}"
            f" for its record in the journal; {memory.aof_bytes_per_gift:,.0f} of the append-only file",
        ),
    ]
    if memory.bound_after_h is not None:
        rows.append(
            (
                "an outage that it bears",
                f"at this rate the bound of {plan.unflushed_max:,} records of a partition is reached after"
                f" {memory.bound_after_h:g} hours, with {memory.bound_gb:g} GB in Valkey",
            )
        )
    if memory.memory_after_h is not None:
        rows.append(("", f"Valkey may hold no more after {memory.memory_after_h:g} hours"))
    rows += [
        (
            "in the books",
            f"{checks.in_books:,} of {checks.accepted:,} accepted gifts, {checks.coins_in_books:,} coins:"
            f" {checks.lost:,} lost, {checks.doubled:,} doubled",
        ),
        ("wallets", f"{checks.wrong_wallets:,} wrong"),
        ("audit", f"{'holds' if checks.audit_ok else 'BROKEN'}, {checks.audit_s:g} s"),
    ]
    rows += [("died meanwhile", name) for name in result.died]
    rows += [("no outage was measured", words) for words in result.not_measured]
    return [*rows, *(("WRONG", words) for words in result.faults)]


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g} ms"


def _rss(look: Look) -> str:
    return ", ".join(f"{part} {mb:,.0f}" for part, mb in look.rss_mb.items()) + " MB resident"
