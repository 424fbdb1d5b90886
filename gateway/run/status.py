"""A small file that says which processes `serve` keeps, with their ids and how often each was started again."""

from pathlib import Path
from typing import Final

import msgspec

from gateway.run.supervisor import ProcessState

STATUS_FILE: Final = "processes.json"


def write_status(run: Path, states: list[ProcessState]) -> None:
    """Put the file in place at once."""
    fresh = run / f".{STATUS_FILE}"
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(states), indent=2) + b"\n")
    fresh.replace(run / STATUS_FILE)


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
