"""`giftwire catalog check`: what it prints and how it ends."""

from collections.abc import Callable
from pathlib import Path

from click.testing import CliRunner

from catalog.cli import catalog
from catalog.load import load_catalog

Write = Callable[..., Path]


def test_check_of_the_packaged_catalog() -> None:
    """Without a path the packaged catalogue is looked at; it is sound."""
    result = CliRunner().invoke(catalog, ["check"])
    assert result.exit_code == 0
    assert f"{len(load_catalog().gifts)} gifts in 4 tiers" in result.output
    assert load_catalog().version in result.output


def test_check_of_a_faulty_catalog(catalog_folder: Write) -> None:
    """Every fault is a line, and the exit code is 1."""
    folder = catalog_folder(("gifts.toml", 'id = "lion"', 'id = "rose"'), ("levels.toml", "1, 10", "1, 1"))
    result = CliRunner().invoke(catalog, ["check", str(folder)])
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "gifts.toml: gift[1].id: `rose` stands already at gift[0]",
        "levels.toml: coins_from[1]: must be above 1",
        "2 faults",
    ]


def test_check_of_a_sound_folder(catalog_folder: Write) -> None:
    """A sound folder is told in one line on standard output."""
    result = CliRunner().invoke(catalog, ["check", str(catalog_folder())])
    assert result.exit_code == 0
    assert result.stdout.startswith(
        "2 gifts in 2 tiers, 2 packages in 4 currencies, 3 promotions, 3 levels, age rules of 2 countries; version "
    )
