"""A small file that says how the last rolling restart of a data folder went: what `giftwire restart` waits for."""

from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from gateway.run.keeping.folder import put_in_place

RESTART_FILE: Final = "restart.json"


class RestartState(Struct, frozen=True):
    """How a restart is, or ended.

    Attributes:
        number: how many were begun since the start, this one included.
        running: it has not ended yet.
        replaced: names of the processes that were replaced so far.
        error: why it was refused or ended early; empty otherwise.
    """

    number: int
    running: bool
    replaced: tuple[str, ...] = ()
    error: str = ""


NEVER: Final = RestartState(0, running=False)


def write_restart(run: Path, state: RestartState) -> None:
    """Put the file in place at once.

    Raises:
        OSError: it cannot be written.
    """
    put_in_place(run / RESTART_FILE, msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n")


def read_restart(run: Path) -> RestartState:
    """How the last one is; `NEVER` when there was none.

    Raises:
        ValueError: the file holds something else.
    """
    try:
        return msgspec.json.decode((run / RESTART_FILE).read_bytes(), type=RestartState)
    except FileNotFoundError:
        return NEVER


def forget_restarts(run: Path) -> None:
    """Drop what an earlier `serve` wrote."""
    (run / RESTART_FILE).unlink(missing_ok=True)
