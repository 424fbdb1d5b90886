"""`giftwire catalog`: look at a catalogue before a server does."""

import sys
from pathlib import Path

import click

from catalog.faults import CatalogInvalid
from catalog.load import load_catalog


@click.group()
def catalog() -> None:
    """Gifts, packages, prices, levels and age rules."""


@catalog.command()
@click.argument("path", required=False, type=click.Path(path_type=Path))
def check(path: Path | None) -> None:
    """Check the catalogue in the folder PATH, or the packaged one. Exit code 1 when anything is wrong with it."""
    try:
        found = load_catalog(path)
    except CatalogInvalid as exc:
        for fault in exc.faults:
            click.echo(str(fault), err=True)
        click.echo(f"{len(exc.faults)} fault{'s' if len(exc.faults) > 1 else ''}", err=True)
        sys.exit(1)
    click.echo(
        f"{len(found.gifts)} gifts in {len(found.tiers)} tiers, {len(found.packages)} packages in "
        f"{len(found.currencies)} currencies, {len(found.promotions)} promotions, {len(found.levels)} levels, "
        f"age rules of {len(found.countries.country)} countries; version {found.version}"
    )
