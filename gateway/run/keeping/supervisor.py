"""Keep processes running: a process that dies is started again, with a growing pause, and counted.

When one dies quickly several times in a row, nothing is gained by starting it once more: then `failed` is set, and
whoever owns the supervisor stops everything in order and says why.
"""

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Final

import structlog
from msgspec import Struct

from gateway.run.keeping.child import KILLED, Child, Program, ProgramFailed, reason_of, start, tail
from gateway.run.keeping.folder import free_bytes
from gateway.run.keeping.port import HostUnusable, PortTaken
from gateway.run.settings.config import EmbeddedConfig

RESTART_PAUSE_S: Final = 0.1
LOG_CHECK_S: Final = 30.0
DISK_FULL_BYTES: Final = 16 * 2**20
_log = structlog.get_logger()


class ProcessState(Struct, frozen=True):
    """How a kept process is.

    Attributes:
        pid: None while it is down.
        restarts: how often it was started again.
    """

    name: str
    pid: int | None
    restarts: int


class Keeper:
    """Keeps one program running, from `begin` to `stop`.

    Args:
        changed: is called after every start and every death.
    """

    def __init__(self, program: Program, config: EmbeddedConfig, changed: Callable[[], None]) -> None:
        self.program = program
        self.restarts = 0
        self.failed: asyncio.Future[ProgramFailed] = asyncio.get_running_loop().create_future()
        self._config = config
        self._changed = changed
        self._child: Child | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def state(self) -> ProcessState:
        """How it is now."""
        return ProcessState(self.program.name, self._child.pid if self._child else None, self.restarts)

    async def begin(self) -> None:
        """Start it, wait until it is ready, and keep it from then on.

        Raises:
            ProgramFailed: its first start failed.
        """
        await self._start()
        self._keep_from_now()

    async def replace(self, first: Program, kept: Program) -> None:
        """Start a new process beside the one that runs, on the same socket; once it is ready, end the old one.

        Args:
            first: how the new process is run; `kept`: how it is started again when it dies.

        Raises:
            ProgramFailed: the new one did not become ready. It has been ended, and nothing else has changed.
        """
        fresh = await self._started(first, None if self._child is None else self._child.socket)
        await self._keep_no_more()
        old, self._child, self.program = self._child, fresh, kept
        self._keep_from_now()
        self._changed()
        if old is not None:
            try:
                await old.make_way(self._stop_s)
            except asyncio.CancelledError:
                # Everything is being stopped: the old process too, before those that it needs.
                await old.stop(self._stop_s)
                raise

    async def stop(self) -> bool:
        """Stop it for good.

        Returns:
            Whether it ended by itself when asked, rather than by SIGKILL.
        """
        await self._keep_no_more()
        ended = await self._child.stop(self._stop_s) if self._child else True
        self._child = None
        return ended

    def limit_log(self) -> None:
        """Put the log aside when it has grown over its bound. Writers append, so emptying it under them is safe."""
        path = self.program.log
        try:
            if path.stat().st_size > self._config.log_bytes_max:
                path.with_suffix(".log.1").write_bytes(path.read_bytes())
                with path.open("r+b") as file:
                    file.truncate(0)
        except OSError as exc:
            _log.warning("log_not_limited", name=self.program.name, error=str(exc))

    @property
    def _stop_s(self) -> float:
        own_ms = self.program.stop_ms_max
        return (self._config.stop_ms_max if own_ms is None else own_ms) / 1000

    async def _start(self) -> None:
        self._child = await self._started(self.program)
        self._changed()

    async def _started(self, program: Program, bound: socket.socket | None = None) -> Child:
        """A process of the program that is ready."""
        try:
            child = await start(program, bound)
        except (OSError, PortTaken, HostUnusable) as exc:
            raise ProgramFailed(program.name, f"cannot be started: {exc}") from exc
        try:
            await child.until_ready(self._config.start_ms_max / 1000)
        except BaseException:
            await child.stop(self._stop_s)
            raise
        return child

    def _keep_from_now(self) -> None:
        self._task = asyncio.create_task(self._keep_or_fail(), name=f"keep-{self.program.name}")

    async def _keep_no_more(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _keep_or_fail(self) -> None:
        try:
            await self._keep()
        except Exception as exc:  # noqa: BLE001 - the task's top
            # Left alone the process would never be started again, and nobody would hear of it.
            self.failed.set_result(ProgramFailed(self.program.name, f"cannot be kept: {exc}"))
            _log.exception("keeper_failed", name=self.program.name)

    async def _keep(self) -> None:
        quick_deaths = 0
        pause_s = RESTART_PAUSE_S
        while True:
            lived_ms, reason = await self._until_dead(self._child)
            quick_deaths = quick_deaths + 1 if lived_ms < self._config.quick_death_ms else 0
            pause_s = RESTART_PAUSE_S if quick_deaths == 0 else pause_s
            if quick_deaths >= self._config.quick_deaths_max:
                message = f"died {quick_deaths} times in a row ({reason}){self._disk_hint()}"
                self.failed.set_result(ProgramFailed(self.program.name, message, tail(self.program.log)))
                return
            said = "" if reason.startswith(KILLED) else tail(self.program.log, 1)
            _log.warning(
                "process_died", name=self.program.name, reason=reason, said=said, lived_ms=lived_ms, pause_s=pause_s
            )
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, self._config.restart_pause_ms_max / 1000)
            self.restarts += 1
            try:
                await self._start()
            except ProgramFailed as exc:
                _log.warning("process_not_ready", name=self.program.name, error=str(exc))
            else:
                _log.info("process_started_again", name=self.program.name, restarts=self.restarts)

    async def _until_dead(self, child: Child | None) -> tuple[float, str]:
        if child is None:
            return 0.0, "it did not start"
        status = await child.wait()
        self._child = None
        self._changed()
        return (time.monotonic() - child.started_s) * 1000, reason_of(status)

    def _disk_hint(self) -> str:
        full = free_bytes(self.program.folder) < DISK_FULL_BYTES
        return f"; the disk of {self.program.folder} is full" if full else ""


class Supervisor:
    """Several kept processes, started in stages and stopped the other way round.

    Args:
        told: hears the state of all after every change.
    """

    def __init__(self, config: EmbeddedConfig, told: Callable[[list[ProcessState]], None]) -> None:
        self._config = config
        self._told = told
        self._stages: list[list[Keeper]] = []
        self._failed: asyncio.Future[ProgramFailed] | None = None
        self._logs: asyncio.Task[None] | None = None

    @property
    def states(self) -> list[ProcessState]:
        """How all of them are, in the order of their start."""
        return [keeper.state for keeper in self._keepers()]

    async def begin(self, *programs: Program) -> None:
        """Start programs at the same time, as the next stage, and keep them.

        Raises:
            ProgramFailed: one did not become ready. All stay in our care until `stop`.
        """
        if self._logs is None:
            self._logs = asyncio.create_task(self._limit_logs(), name="limit-logs")
        stage = [Keeper(program, self._config, self._changed) for program in programs]
        self._stages.append(stage)
        for keeper in stage:
            keeper.failed.add_done_callback(self._given_up)
        results = await asyncio.gather(*(keeper.begin() for keeper in stage), return_exceptions=True)
        for failure in results:
            if failure is not None:
                raise failure

    async def until_failed(self) -> ProgramFailed:
        """Wait until one of them, also of those that are begun later, is given up."""
        if self._failed is None:
            self._failed = asyncio.get_running_loop().create_future()
            for keeper in self._keepers():
                if keeper.failed.done():
                    self._given_up(keeper.failed)
        return await asyncio.shield(self._failed)

    async def replace(self, first: Program, kept: Program) -> None:
        """Put a new process in the place of the one of the same name, as `Keeper.replace`.

        Raises:
            ProgramFailed: the new one did not become ready; the old one runs on.
            LookupError: none of that name is kept.
        """
        await self._keeper(kept.name).replace(first, kept)

    async def end(self, name: str) -> None:
        """Stop one for good.

        Raises:
            LookupError: none of that name is kept.
        """
        keeper = self._keeper(name)
        await keeper.stop()
        for stage in self._stages:
            if keeper in stage:
                stage.remove(keeper)
        self._changed()

    async def stop(self) -> list[str]:
        """Stop all, the last stage first.

        Returns:
            Names of those that had to be killed.
        """
        killed: list[str] = []
        while self._stages:
            stage = self._stages.pop()
            ended = await asyncio.gather(*(keeper.stop() for keeper in stage))
            killed += [keeper.program.name for keeper, well in zip(stage, ended, strict=True) if not well]
        if self._logs is not None:
            self._logs.cancel()
            await asyncio.gather(self._logs, return_exceptions=True)
        return killed

    def _given_up(self, failed: asyncio.Future[ProgramFailed]) -> None:
        if self._failed is not None and not self._failed.done() and not failed.cancelled():
            self._failed.set_result(failed.result())

    def _keeper(self, name: str) -> Keeper:
        for keeper in self._keepers():
            if keeper.program.name == name:
                return keeper
        raise LookupError(f"no process {name} is kept")

    def _keepers(self) -> list[Keeper]:
        return [keeper for stage in self._stages for keeper in stage]

    def _changed(self) -> None:
        self._told(self.states)

    async def _limit_logs(self) -> None:
        while True:
            await asyncio.sleep(LOG_CHECK_S)
            for keeper in self._keepers():
                keeper.limit_log()
