"""Programs for the tests: a few words for the shell or for Python, run as `serve` runs its own."""

import os
import signal
import sys
from pathlib import Path

from gateway.run.keeping.child import Program

SAYS_READY = "echo ready > /proc/self/fd/$READY_FD; "
"""First words of a shell program that says of itself that it is ready."""


def shell(folder: Path, words: str, *stop_signals: signal.Signals) -> Program:
    """A program of the shell."""
    return _program(folder, ["/bin/sh", "-c", words], stop_signals)


def python(folder: Path, words: str, *stop_signals: signal.Signals) -> Program:
    """A program of Python."""
    return _program(folder, [sys.executable, "-c", words], stop_signals)


def _program(folder: Path, command: list[str], stop_signals: tuple[signal.Signals, ...]) -> Program:
    return Program(
        name="tried",
        command=command,
        folder=folder,
        log=folder / "tried.log",
        stop_signals=stop_signals or (signal.SIGTERM,),
        death_signal=signal.SIGKILL,
        environment={"PATH": os.environ["PATH"]},
    )
