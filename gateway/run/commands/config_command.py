"""`giftwire config`: look at the configuration without starting anything."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from gateway.run.settings.options import folder_options, listen_options, loaded, selling
from gateway.run.settings.reference import reference as page
from gateway.run.settings.sources import shown


@click.group()
def config() -> None:
    """Check the configuration, or show it with where each setting comes from."""


@config.command()
@folder_options
@listen_options
def check(file: Path | None, **flags: Any) -> None:
    """Say whether the configuration can be used; name every fault if not (exit status 2)."""
    selling(loaded(file, flags).config)
    click.echo("the configuration is right")


@config.command()
@folder_options
@listen_options
def show(file: Path | None, **flags: Any) -> None:
    """Print every setting, its value and where it comes from. Secrets are hidden."""
    table = Table("setting", "value", "from", box=None, header_style="bold")
    for name, value, origin in shown(loaded(file, flags)):
        table.add_row(name, value, origin, style="dim" if origin == "default" else "")
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(table)


@config.command()
def reference() -> None:
    """Print the page of all settings, with their defaults, bounds and meanings, as Markdown."""
    click.echo(page(), nl=False)
