"""`giftwire reconcile`: says how far the live ledger and the books are, and names what one has lost."""

import asyncio
import sys
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from rich.console import Console
from rich.table import Table

from gateway.run.options import Unusable, folder_options, placed
from ledger.errors import LedgerError
from ledger.reconcile import Reconciliation
from ledger.reconcile import reconcile as compare

DIFFERENT: Final = 1


@click.command()
@folder_options
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON, and nothing else.")
def reconcile(file: Path | None, as_json: bool, **flags: Any) -> None:
    """Compare the live ledger with the books, and name records that one has lost. Repairs nothing.

    Exit status 0 when they agree, 1 when not, 2 when it could not look.
    """
    config = placed(file, flags)
    try:
        found = asyncio.run(compare(config.ledger))
    except (LedgerError, OSError) as exc:
        raise Unusable(f"could not look: {exc}") from exc
    if as_json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    else:
        show(found)
    sys.exit(DIFFERENT if found.all_differences else 0)


def show(found: Reconciliation) -> None:
    """Print the partitions that were ever written to, and every difference."""
    table = Table(box=None, header_style="bold")
    for title in ("partition", "live", "books", "on their way"):
        table.add_column(title, justify="right")
    for standing in found.standings:
        if standing.live.seq or standing.books.seq:
            table.add_row(str(standing.partition), str(standing.live), str(standing.books), f"{standing.unflushed:,}")
    console = Console()
    console.print(table)
    for words in found.all_differences:
        console.print(f"[bold red]{words}[/]", soft_wrap=True)
    if not found.all_differences:
        console.print("the live ledger and the books agree")
