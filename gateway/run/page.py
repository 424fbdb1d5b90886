"""The page that `serve` prints when everything is ready: where to look, where the data lives, how to stop."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from gateway.run.demo import DEMO_ROOM, DemoTokens
from gateway.run.settings.config import Config

LOCAL_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_NAME_WIDTH: Final = 10


def ready_page(config: Config, demo: DemoTokens | None, embedded: Sequence[str]) -> Text:
    """What to show.

    Args:
        demo: tokens for the demo room's overlay and studio, which stand behind the `#` and so reach no server's log;
            None outside the demo.
        embedded: names of the servers that we brought along.
    """
    url = config.http_url
    rows: list[tuple[str, Text | str]] = []
    if demo is not None:
        rows += [
            ("viewer", _link(f"{url}/rooms/{DEMO_ROOM}")),
            ("overlay", _link(f"{url}/overlay/{DEMO_ROOM}#token={demo.overlay}")),
            ("studio", _link(f"{url}/studio#token={demo.studio}")),
        ]
    rows += [
        ("API", _link(f"{url}/docs")),
        ("metrics", _link(f"{url}/metrics")),
        ("data", str(config.data_dir)),
        ("servers", ", ".join(embedded) if embedded else "your own"),
        ("operator", f"{_program()} token --role operator --user you --data-dir {config.data_dir}"),
    ]
    page = Text.assemble("\n", ("Giftwire", "bold green"), " at ", _link(url), "\n\n")
    for name, value in rows:
        page.append("  ").append(name.ljust(_NAME_WIDTH), style="bold").append(value).append("\n")
    if demo is not None:
        page.append("\nA demo: money is play money, and everybody may be a guest.\n", style="yellow")
        if config.host not in LOCAL_HOSTS:
            page.append(f"Whoever reaches {config.host} can take part.\n", style="bold red")
    return page.append("\nCtrl-C stops everything in order.\n", style="dim")


def show(page: Text) -> None:
    """Print it on standard output. Lines are left to the terminal to wrap, so that a link can be copied whole."""
    Console().print(page, soft_wrap=True)


def _program() -> str:
    """What calls the program from any folder: its path, since a virtual environment need not be in PATH."""
    own = Path(sys.argv[0]).absolute()
    return str(own) if own.name == "giftwire" else "giftwire"


def _link(url: str) -> Text:
    return Text(url, style=f"cyan link {url}")
