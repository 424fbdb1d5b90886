"""Processes of the machine, looked up by the folder they work in or by their command line.

A process id in a file says little: after a crash or a reboot the number may belong to somebody else. What is asked of
the kernel instead is which processes run this program with this working folder, which both servers keep as theirs, or
which ones were started with these very words.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

POLL_S: Final = 0.05


def processes_in(folder: Path, program: str) -> list[int]:
    """Ids of the processes that run `program` (the name of its file) in `folder`.

    Processes of other people are not seen, unless we are root.
    """
    wanted = folder.resolve()
    return [pid for pid in _all_pids() if _runs_in(pid, wanted, program)]


def processes_started_as(words: Sequence[str]) -> list[int]:
    """Ids of the processes, other than this one, in whose command lines these words follow each other."""
    wanted = b"\0".join(os.fsencode(word) for word in words)
    return [pid for pid in _all_pids() if pid != os.getpid() and b"\0" + wanted + b"\0" in _command_line(pid)]


async def end_processes(find: Callable[[], list[int]], signals: tuple[signal.Signals, ...], each_s: float) -> bool:
    """Ask processes to end, with one signal after another.

    Args:
        find: names those that are still there.
        signals: the mildest first; none is sent to a process that has gone by itself in time.
        each_s: how long each signal may take, and how long they may take before the first.

    Returns:
        Whether all of them have gone.
    """
    for number in (None, *signals):
        for pid in find():
            if number is not None:
                send_signal(pid, number)
        if await _gone(find, each_s):
            return True
    return False


def send_signal(pid: int, number: signal.Signals) -> None:
    """Send a signal; a process that has gone in the meantime is fine."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


async def _gone(find: Callable[[], list[int]], within_s: float) -> bool:
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + within_s
    while find():
        if loop.time() >= deadline_s:
            return False
        await asyncio.sleep(POLL_S)
    return True


def _all_pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdecimal()]


def _runs_in(pid: int, folder: Path, program: str) -> bool:
    try:
        if Path(os.readlink(f"/proc/{pid}/cwd")) != folder:
            return False
        return Path(os.readlink(f"/proc/{pid}/exe")).name.removesuffix(" (deleted)") == program
    except OSError:
        # It ended while we looked, or is not ours to look at.
        return False


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
