"""Processes are found by where they work and how they were started, and asked to end in steps."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.run.keeping.processes import end_processes, processes_in, processes_started_as, send_signal
from tests.waiting import wait_until

READY = "echo ready; "


def run(folder: Path, words: str) -> "subprocess.Popen[str]":
    """A shell that works in a folder and has said that it is ready."""
    process = subprocess.Popen(["/bin/sh", "-c", READY + words], cwd=folder, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that waits."""
    process = subprocess.Popen(["sleep", "60"], cwd=tmp_path, text=True)
    yield process
    process.kill()
    process.wait()


def test_processes_in_a_folder(tmp_path: Path, sleeper: "subprocess.Popen[str]") -> None:
    """Only those of that program in that very folder are found, also by another name of the folder."""
    (tmp_path / "link").symlink_to(tmp_path)
    program = Path(os.readlink(f"/proc/{sleeper.pid}/exe")).name
    wait_until(lambda: processes_in(tmp_path, program) == [sleeper.pid], 10)
    assert processes_in(tmp_path / "link", program) == [sleeper.pid]
    assert processes_in(tmp_path, "valkey-server") == []
    assert processes_in(tmp_path.parent, program) == []


def test_processes_started_with_words(tmp_path: Path) -> None:
    """The words must follow each other and be whole; this process itself is never found."""
    mark = tmp_path / "mark"
    mark.touch()
    process = subprocess.Popen(["tail", "-f", str(mark)])
    try:
        # The kernel shows a command line a moment after the program has begun.
        wait_until(lambda: processes_started_as(["-f", str(mark)]) == [process.pid], 10)
        assert processes_started_as([str(mark), "-f"]) == []
        assert processes_started_as(["-f", str(mark)[:-1]]) == []
    finally:
        process.kill()
        process.wait()


async def test_end_of_a_process_that_goes_by_itself(tmp_path: Path) -> None:
    """It is sent no signal."""
    process = run(tmp_path, f"trap 'touch {tmp_path}/told' TERM; sleep 0.2")
    assert await end_processes(lambda: [process.pid] if process.poll() is None else [], (signal.SIGTERM,), 10)
    process.communicate()
    assert process.returncode == 0
    assert not (tmp_path / "told").exists()


async def test_end_of_a_process_that_heeds_no_signal(tmp_path: Path) -> None:
    """Each signal is tried in turn; when the last one is heeded all is well, and when none is that is told."""
    process = run(tmp_path, "trap '' TERM; while :; do sleep 0.05; done")

    def find() -> list[int]:
        return [process.pid] if process.poll() is None else []

    assert not await end_processes(find, (signal.SIGTERM,), 0.1)
    assert await end_processes(find, (signal.SIGTERM, signal.SIGKILL), 1)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def test_signal_to_a_process_that_has_gone() -> None:
    """Nothing happens."""
    process = subprocess.Popen(["/bin/true"])
    process.wait()
    send_signal(process.pid, signal.SIGTERM)
