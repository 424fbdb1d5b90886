"""Processes are kept running, and given up in good order when that does not help."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from gateway.run.keeping.child import Program, ProgramFailed
from gateway.run.keeping.processes import send_signal
from gateway.run.keeping.supervisor import Keeper, ProcessState, Supervisor
from gateway.run.settings.config import EmbeddedConfig
from tests.unit.gateway.run.programs import SAYS_READY, shell

FAST = EmbeddedConfig(quick_death_ms=60_000, quick_deaths_max=3, restart_pause_ms_max=1, stop_ms_max=5_000)
LIVES = SAYS_READY + "exec sleep 60"


class Told:
    """The states that a supervisor told, to be waited for."""

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self.states: list[ProcessState] = []

    def __call__(self, states: list[ProcessState]) -> None:
        self.states = states

    async def until(self, name: str, restarts: int) -> ProcessState:
        """The state of a process that is up and was started again so often."""
        async with asyncio.timeout(30):
            while True:
                for state in self.states:
                    if (state.name, state.restarts) == (name, restarts) and state.pid is not None:
                        return state
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def supervising(config: EmbeddedConfig = FAST) -> AsyncIterator[tuple[Supervisor, Told]]:
    """A supervisor that has stopped everything in the end."""
    told = Told()
    supervisor = Supervisor(config, told)
    try:
        yield supervisor, told
    finally:
        await supervisor.stop()


def named(program: Program, name: str) -> Program:
    """The program under another name, with a log of its own."""
    return msgspec.structs.replace(program, name=name, log=program.folder / f"{name}.log")


async def test_process_that_is_killed(tmp_path: Path) -> None:
    """It is started again and counted, and the others are left alone."""
    async with supervising() as (supervisor, told):
        await supervisor.begin(named(shell(tmp_path, LIVES), "a"), named(shell(tmp_path, LIVES), "b"))
        first, other = await told.until("a", 0), await told.until("b", 0)
        assert first.pid is not None
        send_signal(first.pid, signal.SIGKILL)
        assert (await told.until("a", 1)).pid != first.pid
        assert await told.until("b", 0) == other


async def test_process_that_dies_again_and_again(tmp_path: Path) -> None:
    """After the bounded number of quick deaths it is given up, with its last words."""
    async with supervising() as (supervisor, told):
        await supervisor.begin(shell(tmp_path, SAYS_READY + "sleep 0.2; echo why; exit 3"))
        async with asyncio.timeout(30):
            failure = await supervisor.until_failed()
        assert str(failure) == "tried died 3 times in a row (exit status 3); it said last:\nwhy\nwhy\nwhy"
        assert told.states[0].restarts == 2


async def test_process_that_dies_slowly(tmp_path: Path) -> None:
    """A process that lived long enough each time is never given up."""
    config = msgspec.structs.replace(FAST, quick_death_ms=1)
    async with supervising(config) as (supervisor, told):
        await supervisor.begin(shell(tmp_path, SAYS_READY + "sleep 0.2; exit 3"))
        await told.until("tried", 5)


async def test_first_start_that_fails(tmp_path: Path) -> None:
    """It is told at once, and what had started beside it can be stopped."""
    async with supervising() as (supervisor, told):
        with pytest.raises(ProgramFailed, match="broken ended at once"):
            await supervisor.begin(named(shell(tmp_path, LIVES), "whole"), named(shell(tmp_path, "exit 1"), "broken"))
        assert (await told.until("whole", 0)).pid is not None


async def test_preparation_that_breaks_later(tmp_path: Path) -> None:
    """A fault of ours while a process is started again is a failure too, not a silence."""
    starts = 0

    async def prepare() -> None:
        nonlocal starts
        starts += 1
        if starts > 1:
            raise ZeroDivisionError("once more")

    program = msgspec.structs.replace(shell(tmp_path, SAYS_READY + "sleep 0.2; exit 1"), prepare=prepare)
    async with supervising() as (supervisor, _):
        await supervisor.begin(program)
        async with asyncio.timeout(30):
            failure = await supervisor.until_failed()
    assert "cannot be kept: once more" in str(failure)


async def test_stop_in_stages(tmp_path: Path) -> None:
    """The last stage ends before the first is told to, and those that had to be killed are named."""
    order = tmp_path / "order"
    says = f"trap 'echo NAME >> {order}; exit 0' TERM; " + SAYS_READY + "while :; do sleep 0.01; done"
    hangs = "trap '' TERM; " + SAYS_READY + "while :; do sleep 0.01; done"
    supervisor = Supervisor(msgspec.structs.replace(FAST, stop_ms_max=500), Told())
    await supervisor.begin(named(shell(tmp_path, says.replace("NAME", "first")), "first"))
    await supervisor.begin(
        named(shell(tmp_path, says.replace("NAME", "last")), "last"), named(shell(tmp_path, hangs), "hung")
    )
    assert await supervisor.stop() == ["hung"]
    assert order.read_text() == "last\nfirst\n"


@pytest.mark.parametrize("over", [0, 1])
async def test_log_at_its_bound(tmp_path: Path, over: int) -> None:
    """A log over its bound is put aside and emptied under its writer; one at its bound is left alone."""
    keeper = Keeper(shell(tmp_path, LIVES), FAST, lambda: None)
    log, aside = tmp_path / "tried.log", tmp_path / "tried.log.1"
    log.write_bytes(b"x" * (FAST.log_bytes_max + over))
    keeper.limit_log()
    assert aside.exists() is bool(over)
    assert log.stat().st_size == (0 if over else FAST.log_bytes_max)
