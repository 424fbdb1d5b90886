"""`giftwire audit`: says whether all invariants hold over what is stored."""

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from gateway.audits.audit import audit_all
from gateway.run.settings.options import Unusable, folder_options, placed
from ledger.audits.audit import AuditReport, Step
from ledger.errors import LedgerError

BROKEN: Final = 1
VIOLATIONS_SHOWN: Final = 10


@click.command()
@folder_options
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, and nothing else.")
def audit(file: Path | None, as_json: bool, **flags: Any) -> None:
    """Check the invariants over Redis and PostgreSQL, also beside a running server.

    A bar on the terminal says how far it is. Exit status 0 when all hold, 1 when one does not, 2 when it could not
    look.
    """
    config = placed(file, flags)
    try:
        with showing_progress() as progress:
            report = asyncio.run(audit_all(config.ledger, config.rooms, progress))
    except (LedgerError, OSError, ValueError) as exc:
        raise Unusable(f"could not look: {exc}") from exc
    if as_json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    else:
        show(report)
    sys.exit(0 if report.ok else BROKEN)


@contextlib.contextmanager
def showing_progress() -> Iterator[Callable[[Step], None]]:
    """A bar on the terminal while it looks; nothing where the errors go elsewhere, such as into a file."""
    columns = (
        SpinnerColumn(),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("")

        def told(step: Step) -> None:
            bar.update(task, description=step.words, completed=step.done, total=step.steps)

        yield told


def show(report: AuditReport) -> None:
    """Print the report for people: a line for each invariant, then what adds up in each unit."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    table = Table(box=None, header_style="bold")
    table.add_column("")
    table.add_column("invariant")
    table.add_column("checked", justify="right")
    for result in report.invariants:
        mark = "[green]holds[/]" if result.ok else "[bold red]BROKEN[/]"
        table.add_row(mark, f"{result.id}  {result.title}", f"{result.checked:,}")
        for violation in result.violations[:VIOLATIONS_SHOWN]:
            table.add_row("", f"    [red]{violation}[/]", "")
        if (more := len(result.violations) - VIOLATIONS_SHOWN) > 0:
            table.add_row("", f"    and {more} more; --json names them", "")
    console.print(table)
    for unit, sums in report.units.items():
        console.print(f"[bold]{unit}[/]  " + "  ".join(f"{name} {amount:,}" for name, amount in sums.items()))
