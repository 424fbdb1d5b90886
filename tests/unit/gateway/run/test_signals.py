"""A process knows the signal that it was asked by, and whether its terminal has gone."""

import asyncio
import os
import pty
import signal
import subprocess
import sys

from gateway.run.keeping.signals import Terminal, stop_asked

WAITS = """
import sys, time
from gateway.run.keeping.signals import Terminal
terminal = Terminal()
print(terminal.has_gone, flush=True)
while not terminal.has_gone:
    time.sleep(0.01)
print(terminal.has_gone, flush=True)
"""


async def test_signal_that_asked_first_is_remembered() -> None:
    """The next one changes nothing."""
    asked = stop_asked()
    try:
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.wait_for(asked.wait(), 10)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0)
        assert asked.by is signal.SIGHUP
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            asyncio.get_running_loop().remove_signal_handler(number)


def test_terminal_that_is_closed() -> None:
    """A process that was started from it sees that it is gone."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS], stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    os.close(theirs)
    assert process.stdout is not None
    assert process.stdout.readline() == b"False\n"
    os.close(ours)
    out, _ = process.communicate(timeout=30)
    assert out == b"True\n"


def test_process_without_a_terminal_has_lost_none() -> None:
    """For a daemon a hangup means something else."""
    done = subprocess.run(
        [sys.executable, "-c", "from gateway.run.keeping.signals import Terminal; print(Terminal().has_gone)"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    assert done.stdout == b"False\n"
    assert Terminal().has_gone is False
