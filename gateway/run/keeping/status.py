"""A small file that says which processes `serve` keeps, with their ids and how often each was started again."""

from pathlib import Path
from typing import Final

import msgspec
import structlog

from gateway.run.keeping.folder import put_in_place
from gateway.run.keeping.supervisor import ProcessState

STATUS_FILE: Final = "processes.json"
_log = structlog.get_logger()


def write_status(run: Path, states: list[ProcessState]) -> None:
    """Put the file in place at once. On a full disk the old one stays: those who keep things running go on."""
    try:
        put_in_place(run / STATUS_FILE, msgspec.json.format(msgspec.json.encode(states), indent=2) + b"\n")
    except OSError as exc:
        _log.warning("status_not_written", error=str(exc))


def read_status(run: Path) -> list[ProcessState]:
    """What was written last; empty when nothing was.

    Raises:
        ValueError: the file holds something else.
    """
    try:
        content = (run / STATUS_FILE).read_bytes()
    except FileNotFoundError:
        return []
    return msgspec.json.decode(content, type=list[ProcessState])
