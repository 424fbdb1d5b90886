"""The command line gathers what the packages bring, and tells what is missing without a stack trace."""

from importlib.metadata import EntryPoint

import pytest
from click.testing import CliRunner

from gateway.run.cli import COMMANDS, Gathered, commands


class Brought(Gathered):
    """A command line with commands of the test's own."""

    def __init__(self, **targets: str) -> None:
        super().__init__(COMMANDS, "tried.")
        self._points = {name: EntryPoint(name, target, COMMANDS) for name, target in targets.items()}

    def _found(self) -> dict[str, EntryPoint]:
        return self._points


def test_help_of_everything() -> None:
    """Every command stands in it once, the ones used most first."""
    result = CliRunner().invoke(commands, ["--help"])
    assert result.exit_code == 0
    names = [line.split()[0] for line in result.output.splitlines() if line.startswith(("serve", "token", "bench"))]
    assert names == ["serve", "token", "bench"]


def test_version() -> None:
    """It is the package's."""
    result = CliRunner().invoke(commands, ["--version"])
    assert result.output.startswith("giftwire ")


def test_command_that_nobody_brings() -> None:
    """It is refused by name."""
    result = CliRunner().invoke(commands, ["nothing"])
    assert result.exit_code == 2
    assert "nothing" in result.output


def test_command_whose_library_is_missing() -> None:
    """It stands in the help with what it needs, and says the same when it is run with anything."""
    tried = Brought(tried="no_such_library.cli:tried")
    assert "needs no_such_library" in CliRunner().invoke(tried, ["--help"]).output
    result = CliRunner().invoke(tried, ["tried", "scenario", "--flag", "1"])
    assert result.exit_code == 1
    assert "tried needs no_such_library, which is not installed: pip install 'giftwire[loadtest]'" in result.output


def test_command_of_ours_that_is_missing() -> None:
    """A module of ours that cannot be imported is a fault of ours, and is not called a missing library."""
    with pytest.raises(ModuleNotFoundError):
        CliRunner().invoke(Brought(tried="gateway.nothing:tried"), ["tried"], catch_exceptions=False)
