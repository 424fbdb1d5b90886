"""`giftwire restart`: replace the processes of a running `serve` without a gap, and say how that went."""

import signal
import time
from pathlib import Path
from typing import Any, Final

import click

from gateway.run.keeping.folder import DataFolder, FolderTaken, FolderUnusable, ServeLock
from gateway.run.keeping.processes import send_signal
from gateway.run.rolling.state import RestartState, read_restart
from gateway.run.settings.options import Unusable, folder_options, loaded

POLL_S: Final = 0.1


@click.command()
@folder_options
def restart(file: Path | None, **flags: Any) -> None:
    """Replace gateways and worker of a running `serve` one after another; a changed configuration is taken in."""
    data_dir = loaded(file, flags).config.data_dir
    if not (data_dir / "serve.lock").exists():
        raise Unusable(f"nothing serves from {data_dir}")
    try:
        folder = DataFolder(data_dir)
        before = read_restart(folder.run)
        send_signal(_serving(folder), signal.SIGHUP)
        state = _ended(folder, before.number + 1)
    except (FolderUnusable, ValueError) as exc:
        raise Unusable(str(exc)) from exc
    if state.error:
        done = f"{', '.join(state.replaced)} replaced, then: " if state.replaced else "everything goes on as before: "
        raise Unusable(f"{done}{state.error}")
    click.echo(f"replaced: {', '.join(state.replaced)}")


def _serving(folder: DataFolder) -> int:
    try:
        with ServeLock(folder):
            pass
    except FolderTaken as exc:
        if exc.pid:
            return exc.pid
    raise Unusable(f"nothing serves from {folder.path}")


def _ended(folder: DataFolder, number: int) -> RestartState:
    """Wait until the restart with this number, or a later one, has ended: serve gives each step a deadline."""
    while True:
        state = read_restart(folder.run)
        if state.number >= number and not state.running:
            return state
        _serving(folder)
        time.sleep(POLL_S)
