"""The commands that the packages bring are there, can be imported, and stand in the help."""

import tomllib
from importlib import import_module

import click
import pytest
from click.testing import CliRunner

from tests.repo.sources import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
COMMANDS = PROJECT["entry-points"]["giftwire.commands"]
PROMISED = {
    *("serve", "restart", "gateway", "worker", "token", "audit", "reconcile", "migrate", "catalog", "config"),
    *("loadtest", "bench", "plan"),
}


def test_commands_that_are_promised() -> None:
    """Each of them is an entry point, and no other is."""
    assert set(COMMANDS) == PROMISED


@pytest.mark.parametrize(("name", "target"), COMMANDS.items())
def test_help_of_a_command(name: str, target: str) -> None:
    """It is a command of that name, with a sentence about itself and about each of its flags."""
    module, _, attribute = target.partition(":")
    command = getattr(import_module(module), attribute)
    assert isinstance(command, click.Command)
    assert command.name == name
    assert command.help
    assert [option.name for option in command.params if isinstance(option, click.Option) and not option.help] == []
    result = CliRunner().invoke(command, ["--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output
