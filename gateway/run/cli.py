"""The `giftwire` command: gathers the commands that each package brings, so that no package imports another for it.

A command is imported when it is run; only the list of all of them imports all.
"""

import sys
from importlib.metadata import EntryPoint, entry_points
from typing import Final

import click
from rich.console import Console
from rich.table import Table

COMMANDS: Final = "giftwire.commands"
_ORDER: Final = ("serve", "restart", "gateway", "worker", "token", "audit", "reconcile", "migrate", "catalog", "config")
_PACKAGES: Final = ("catalog", "ledger", "gateway", "loadtest")
INTERRUPTED: Final = 130


class Gathered(click.Group):
    """A group whose commands are entry points.

    Args:
        group: name of the entry points' group.
    """

    def __init__(self, group: str, help_text: str) -> None:
        super().__init__(name="giftwire", help=help_text, context_settings={"help_option_names": ["-h", "--help"]})
        self._group = group

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands, the ones used most first."""
        names = self._found()
        return [name for name in _ORDER if name in names] + sorted(names.keys() - set(_ORDER))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One command, imported now. One whose libraries are not installed is there too, and says so."""
        found = self._found().get(cmd_name)
        if found is None:
            return None
        try:
            command = found.load()
        except ModuleNotFoundError as exc:
            missing = (exc.name or "").partition(".")[0]
            if missing in _PACKAGES:
                raise
            return _without(cmd_name, missing)
        return command if isinstance(command, click.Command) else None

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """A page with one line for each command."""
        table = Table.grid(padding=(0, 2))
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                table.add_row(f"[bold cyan]{name}[/]", command.get_short_help_str(90))
        console = Console(width=min(Console().width, 110), highlight=False)
        with console.capture() as page:
            console.print(f"[bold]Giftwire[/]: {self.help}\n")
            console.print("[bold]giftwire[/] COMMAND …   ([bold]giftwire[/] COMMAND --help tells more)\n")
            console.print(table)
        formatter.write(page.get())

    def _found(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=self._group)}


def _without(name: str, library: str) -> click.Command:
    message = f"needs {library}, which is not installed: pip install 'giftwire[loadtest]'"

    def refuse() -> None:
        raise click.ClickException(f"{name} {message}")

    anything = {"ignore_unknown_options": True, "allow_extra_args": True}
    return click.Command(name, help=f"({message})", callback=refuse, context_settings=anything)


commands = Gathered(COMMANDS, "a self-hosted server for gifting in live streams.")
commands = click.version_option(package_name="giftwire", message="giftwire %(version)s")(commands)


def main() -> None:
    """Run the command line. What a user can put right is told in a few lines, without a stack trace."""
    try:
        status = commands.main(standalone_mode=False)
    except click.ClickException as exc:
        exc.show()
        sys.exit(exc.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    sys.exit(status if isinstance(status, int) else 0)
