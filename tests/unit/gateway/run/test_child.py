"""A process is watched until it is ready, told to stop in steps, and ends with whoever started it."""

import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from gateway.run.keeping.child import ProgramFailed, Readiness, reason_of, start, tail, tell_ready
from gateway.run.keeping.processes import processes_started_as
from tests.unit.gateway.run.programs import SAYS_READY, python, shell
from tests.waiting import wait_until


async def test_child_that_says_ready(tmp_path: Path) -> None:
    """It is ready when it says so, and its output is in its log, which only its owner may read."""
    child = await start(shell(tmp_path, "echo hello; " + SAYS_READY + "exec sleep 60"))
    await child.until_ready(10)
    assert await child.stop(10)
    assert (tmp_path / "tried.log").read_text() == "hello\n"
    assert stat.S_IMODE((tmp_path / "tried.log").stat().st_mode) == 0o600


async def test_child_that_ends_before_it_is_ready(tmp_path: Path) -> None:
    """The failure tells the exit status and the last words."""
    child = await start(shell(tmp_path, "echo the reason; exit 7"))
    with pytest.raises(ProgramFailed, match=r"tried ended at once \(exit status 7\).*\nthe reason") as caught:
        await child.until_ready(10)
    assert caught.value.said == "the reason"


async def test_child_that_is_silent(tmp_path: Path) -> None:
    """It is stopped after its time, and the failure says so."""
    child = await start(shell(tmp_path, "exec sleep 60"))
    with pytest.raises(ProgramFailed, match="was not ready within 0 s"):
        await child.until_ready(0.05)
    assert await child.wait() == -signal.SIGTERM


async def test_child_that_is_busy(tmp_path: Path) -> None:
    """One that answers that it loads its data is given longer than its time."""
    answers = [Readiness.BUSY] * 20 + [Readiness.READY]

    async def ready(_pid: int) -> Readiness:
        return answers.pop(0)

    program = msgspec.structs.replace(shell(tmp_path, "exec sleep 60"), ready=ready)
    child = await start(program)
    await child.until_ready(0.1)
    assert answers == []
    await child.stop(10)


async def test_child_that_does_not_heed_the_first_signal(tmp_path: Path) -> None:
    """The next signal ends it, and that counts as ending when asked."""
    words = "trap '' TERM; " + SAYS_READY + "while :; do sleep 0.05; done"
    # Not SIGINT: what a shell runs in the background ignores it, and so do its children.
    child = await start(shell(tmp_path, words, signal.SIGTERM, signal.SIGUSR1))
    await child.until_ready(10)
    # The second signal has as long as the first: enough for a busy machine.
    assert await child.stop(3)


async def test_child_that_heeds_no_signal(tmp_path: Path) -> None:
    """It is killed in the end, and that is told."""
    child = await start(shell(tmp_path, "trap '' TERM; " + SAYS_READY + "while :; do sleep 0.05; done"))
    await child.until_ready(10)
    assert not await child.stop(0.1)
    assert await child.wait() == -signal.SIGKILL


async def test_child_that_cannot_be_run(tmp_path: Path) -> None:
    """Its log says why."""
    program = msgspec.structs.replace(shell(tmp_path, ""), command=[str(tmp_path / "nothing")])
    child = await start(program)
    with pytest.raises(ProgramFailed, match=r"exit status 126.*\n.*No such file or directory"):
        await child.until_ready(10)


def test_child_whose_starter_is_killed(tmp_path: Path) -> None:
    """The kernel tells it to end, however its starter died."""
    mark = str(tmp_path / "mark")
    starter = (
        "import asyncio, os, pathlib, signal\n"
        "from gateway.run.keeping.child import start\n"
        "from tests.unit.gateway.run.programs import python\n"
        f"words = 'import sys, time; print(1, file=sys.stderr, flush=True); time.sleep(60)  # {mark}'\n"
        "async def run():\n"
        f"    await start(python(pathlib.Path({str(tmp_path)!r}), words))\n"
        f"    while not pathlib.Path({str(tmp_path)!r}, 'tried.log').read_text(): await asyncio.sleep(0.01)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(run())\n"
    )
    done = subprocess.run([sys.executable, "-c", starter], cwd=Path(__file__).parents[4], timeout=60)
    assert done.returncode == -signal.SIGKILL
    words = f"import sys, time; print(1, file=sys.stderr, flush=True); time.sleep(60)  # {mark}"
    wait_until(lambda: not processes_started_as(["-c", words]), 30, lambda: "the child outlived its starter")


async def test_child_of_python_that_tells_ready(tmp_path: Path) -> None:
    """Our own processes say it by `tell_ready`."""
    words = "from gateway.run.keeping.child import tell_ready; tell_ready(); import time; time.sleep(60)"
    program = python(tmp_path, words)
    repository = str(Path(__file__).parents[4])
    child = await start(msgspec.structs.replace(program, environment={"PYTHONPATH": repository}))
    await child.until_ready(30)
    await child.stop(10)


def test_tell_ready_when_nobody_asked() -> None:
    """Nothing happens."""
    tell_ready()


def test_tail_of_a_long_log(tmp_path: Path) -> None:
    """Only the last lines are read; a log that is not there has none."""
    log = tmp_path / "log"
    log.write_text("".join(f"line {number}\n" for number in range(100_000)))
    assert tail(log, 2) == "line 99998\nline 99999"
    assert tail(tmp_path / "none") == ""


def test_reason_of_a_status() -> None:
    """A signal is told by its name."""
    assert (reason_of(-9), reason_of(3)) == ("signal SIGKILL", "exit status 3")


def test_ready_process_tells_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, at the socket that it was told."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        tell_ready()
        tell_ready()
        assert systemd.recv(64) == b"READY=1"
        systemd.setblocking(False)
        with pytest.raises(BlockingIOError):
            systemd.recv(64)
