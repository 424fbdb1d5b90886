"""The page that `serve` prints when everything is ready: where to look, where the data lives, how to stop."""

from collections.abc import Sequence
from typing import Final

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from gateway.run.config import Config
from gateway.run.demo import DEMO_ROOM, DemoTokens

LOCAL_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "::1"})


def ready_page(config: Config, demo: DemoTokens | None, embedded: Sequence[str]) -> Panel:
    """What to show.

    Args:
        demo: tokens for the demo room's overlay and studio, which stand behind the `#` and so reach no server's log;
            None outside the demo.
        embedded: names of the servers that we brought along.
    """
    url = config.http_url
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="bold", no_wrap=True)
    rows.add_column(overflow="fold")
    if demo is not None:
        rows.add_row("viewer", _link(f"{url}/rooms/{DEMO_ROOM}"))
        rows.add_row("overlay", _link(f"{url}/overlay/{DEMO_ROOM}#token={demo.overlay}"))
        rows.add_row("studio", _link(f"{url}/studio#token={demo.studio}"))
    rows.add_row("API", _link(f"{url}/docs"))
    rows.add_row("metrics", _link(f"{url}/metrics"))
    rows.add_row("", "")
    rows.add_row("data", str(config.data_dir))
    rows.add_row("servers", ", ".join(embedded) if embedded else "your own")
    rows.add_row("operator", f"giftwire token --role operator --user you --data-dir {config.data_dir}")
    if demo is not None:
        rows.add_row("", Text("A demo: money is play money, and everybody may be a guest.", style="yellow"))
        if config.host not in LOCAL_HOSTS:
            rows.add_row("", Text(f"Whoever reaches {config.host} can take part.", style="bold red"))
    return Panel(
        Group(rows),
        title=f"[bold]Giftwire[/] at {url}",
        subtitle="Ctrl-C stops everything in order",
        border_style="green",
        expand=False,
        padding=(1, 2),
    )


def show(page: Panel) -> None:
    """Print it on standard output. Where nobody watches lines are not broken, so that links stay whole."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=400)
    console.print(page)


def _link(url: str) -> Text:
    return Text(url, style=f"cyan link {url}")
