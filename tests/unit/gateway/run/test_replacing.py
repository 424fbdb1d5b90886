"""A process is replaced by another one of its place: on the same socket, without a moment in which nobody is there."""

import contextlib
import os
import signal
import socket
from functools import partial
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from gateway.run.keeping.child import Program, ProgramFailed
from gateway.run.keeping.port import Reservation, bound_socket
from gateway.run.keeping.processes import send_signal
from gateway.run.settings.config import EmbeddedConfig
from tests.unit.gateway.run.programs import SAYS_READY, python, shell
from tests.unit.gateway.run.test_supervisor import FAST, LIVES, supervising
from tests.waiting import until

WAIT_S_MAX = 30.0
LISTENS = """
import os, signal, socket
listening = socket.socket(fileno=int(os.environ["LISTEN_FD"]))
listening.listen(8)
os.write(int(os.environ["READY_FD"]), b"ready")
"""
IGNORES_ITS_CALLERS = LISTENS + "signal.pause()"
ANSWERS = (
    LISTENS
    + """
while True:
    caller, _ = listening.accept()
    caller.sendall(b"hello")
    caller.close()
"""
)


def named(program: Program, name: str) -> Program:
    """The program under another name."""
    return msgspec.structs.replace(program, name=name)


async def test_connection_that_nobody_accepted_yet_goes_to_the_new_process(tmp_path: Path) -> None:
    """It had reached the old process, which ends before it looked: the new one answers it."""
    with contextlib.closing(Reservation("127.0.0.1", 0)) as reservation:
        bind = partial(bound_socket, "127.0.0.1", reservation.port)
        old, new = (
            msgspec.structs.replace(python(tmp_path, words), bind=bind) for words in (IGNORES_ITS_CALLERS, ANSWERS)
        )
        async with supervising() as (supervisor, told):
            await supervisor.begin(old)
            with socket.create_connection(("127.0.0.1", reservation.port), timeout=WAIT_S_MAX) as caller:
                before = await told.until("tried", 0)
                await supervisor.replace(new, new)
                assert told.states[0].pid != before.pid
                assert caller.recv(16) == b"hello"


async def test_new_process_that_does_not_become_ready(tmp_path: Path) -> None:
    """It is ended, the reason is told, and the old one runs on and is the one that is started again."""
    async with supervising() as (supervisor, told):
        await supervisor.begin(shell(tmp_path, LIVES))
        before = await told.until("tried", 0)
        broken = shell(tmp_path, "echo no such setting; exit 2")
        with pytest.raises(ProgramFailed, match="no such setting"):
            await supervisor.replace(broken, broken)
        assert supervisor.states == [before]
        assert before.pid is not None
        os.kill(before.pid, 0)
        send_signal(before.pid, signal.SIGKILL)
        assert (await told.until("tried", 1)).pid != before.pid


async def test_old_process_goes_once_the_new_one_is_ready(tmp_path: Path) -> None:
    """SIGHUP tells it, and not before; a new one that dies later is started as it is kept, not as it came."""
    order = tmp_path / "order"
    # Not a shell: one that was started by `nohup` cannot trap SIGHUP.
    goes = f"signal.signal(signal.SIGHUP, lambda *_: (open({str(order)!r}, 'a').write('old went\\n'), sys.exit()))"
    says_ready = "os.write(int(os.environ['READY_FD']), b'ready')"
    old = python(tmp_path, f"import os, signal, sys; {goes}; {says_ready}; signal.pause()")
    first = shell(tmp_path, f"echo new came >> {order}; " + LIVES)
    kept = shell(tmp_path, f"echo new again >> {order}; " + LIVES)
    async with supervising() as (supervisor, told):
        await supervisor.begin(old)
        await supervisor.replace(first, kept)
        assert order.read_text() == "new came\nold went\n"
        pid = supervisor.states[0].pid
        assert pid is not None
        send_signal(pid, signal.SIGKILL)
        await told.until("tried", 1)
        assert order.read_text() == "new came\nold went\nnew again\n"


async def test_old_process_that_does_not_go(tmp_path: Path) -> None:
    """It is killed when its time is over."""
    stubborn = shell(tmp_path, "trap '' HUP TERM; " + SAYS_READY + "while :; do sleep 0.01; done")
    program = msgspec.structs.replace(stubborn, stop_ms_max=50)
    async with supervising() as (supervisor, told):
        await supervisor.begin(program)
        pid = (await told.until("tried", 0)).pid
        assert pid is not None
        fresh = msgspec.structs.replace(shell(tmp_path, LIVES), stop_ms_max=50)
        await supervisor.replace(fresh, fresh)
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_process_that_is_ended_for_good(tmp_path: Path) -> None:
    """The others stay, and it is not started again."""
    async with supervising() as (supervisor, told):
        programs = (named(shell(tmp_path, LIVES), name) for name in ("a", "b"))
        await supervisor.begin(*programs)
        await supervisor.end("a")
        assert [state.name for state in supervisor.states] == ["b"]
        with pytest.raises(LookupError):
            await supervisor.end("a")
        assert [state.name for state in told.states] == ["b"]


async def test_process_that_was_begun_later_is_watched_too(tmp_path: Path) -> None:
    """Whoever waits for a failure hears of one that was not there when the waiting began."""
    async with supervising() as (supervisor, _):
        await supervisor.begin(named(shell(tmp_path, LIVES), "a"))
        failing = supervisor.until_failed()
        await supervisor.begin(named(shell(tmp_path, SAYS_READY + "sleep 0.1; exit 3"), "b"))
        assert (await failing).name == "b"


async def test_pauses_grow_to_their_bound_and_begin_anew(tmp_path: Path) -> None:
    """Each quick death doubles the pause, up to the bound; after a healthy time it is the first one again. What the
    process said last stands in the log."""
    config = EmbeddedConfig(quick_death_ms=60_000, quick_deaths_max=6, restart_pause_ms_max=300, stop_ms_max=5_000)
    dies = shell(tmp_path, SAYS_READY + "sleep 0.1; echo the reason; exit 3")
    with capture_logs() as logs:
        async with supervising(config) as (supervisor, _):
            await supervisor.begin(dies)
            await supervisor.until_failed()
    deaths = [log for log in logs if log["event"] == "process_died"]
    assert [death["pause_s"] for death in deaths] == [0.1, 0.2, 0.3, 0.3, 0.3]
    assert {death["said"] for death in deaths} == {"the reason"}
    healthy = msgspec.structs.replace(config, quick_death_ms=1)
    with capture_logs() as logs:
        async with supervising(healthy) as (supervisor, told):
            await supervisor.begin(dies)
            await told.until("tried", 3)
    assert {log["pause_s"] for log in logs if log["event"] == "process_died"} == {0.1}


async def test_process_that_can_never_start_again(tmp_path: Path) -> None:
    """It is tried the bounded number of times, and given up with its own words."""
    there = tmp_path / "there"
    there.touch()
    program = shell(tmp_path, f"test -f {there} || {{ echo it is gone; exit 4; }}; " + LIVES)
    with capture_logs() as logs:
        async with supervising(FAST) as (supervisor, told):
            await supervisor.begin(program)
            pid = (await told.until("tried", 0)).pid
            assert pid is not None
            there.unlink()
            send_signal(pid, signal.SIGKILL)
            failure = await supervisor.until_failed()
    assert str(failure).startswith("tried died 3 times in a row (it did not start); it said last:")
    assert failure.said.endswith("it is gone")
    refused = [log["error"] for log in logs if log["event"] == "process_not_ready"]
    assert len(refused) == 2
    assert all("ended at once (exit status 4)" in error for error in refused)
    await until(lambda: supervisor.states == [], WAIT_S_MAX)
