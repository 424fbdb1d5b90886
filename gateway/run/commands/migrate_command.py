"""`giftwire migrate`: brings the database to the schema of this code, as `serve` does before it starts the rest."""

import asyncio
from pathlib import Path
from typing import Any

import click

from gateway.run.settings.options import Unusable, folder_options, placed
from ledger.books.migrate import migrate as bring_up
from ledger.errors import LedgerError


@click.command()
@folder_options
def migrate(file: Path | None, **flags: Any) -> None:
    """Apply the migrations that the database lacks, and name them. Run it once before newer code starts."""
    config = placed(file, flags)
    try:
        applied = asyncio.run(bring_up(config.ledger.database_url))
    except LedgerError as exc:
        raise Unusable(str(exc)) from exc
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo("the database is up to date")
