"""`giftwire` commands as real processes that can be killed, forked from one that has imported all of it already."""

import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Final

from gateway.run.cli import main

_FORKS: Final = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["gateway.run.commands.reconcile_command", "tests.faults.commands"])


def begin(words: Sequence[str], environment: Mapping[str, str], said: Path) -> ForkServerProcess:
    """Start a command; what it says goes into a file. Its status is that of the process."""
    process = _FORKS.Process(target=_carry_out, args=(words, dict(environment), said), daemon=True)
    process.start()
    return process


def _carry_out(words: Sequence[str], environment: Mapping[str, str], said: Path) -> None:
    descriptor = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.environ.update(environment)
    sys.argv = ["giftwire", *words]
    main()
