"""One process of ours: started so that it ends with us, watched until it is ready, stopped in steps."""

import asyncio
import contextlib
import enum
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from gateway.run.keeping.launch import launcher
from gateway.run.keeping.port import LISTEN_VARIABLE
from gateway.run.keeping.processes import send_signal

POLL_S: Final = 0.02
KILL_S_MAX: Final = 5.0
PRIVATE_UMASK: Final = 0o077
TAIL_BYTES: Final = 16 * 1024
KILLED: Final = "signal "
READY_VARIABLE: Final = "READY_FD"
"""Names the open file to which a process of ours writes one line when it is ready."""
NOTIFY_VARIABLE: Final = "NOTIFY_SOCKET"
"""Names the socket at which systemd hears of it."""


class Readiness(enum.Enum):
    """What a process says of itself before it is ready."""

    SILENT = "silent"
    BUSY = "busy"
    """It answers that it needs longer, such as while it loads its data: it is given all the time it wants."""
    READY = "ready"


class Program(Struct, frozen=True, kw_only=True):
    """How to run a process.

    Attributes:
        name: in messages and as the name of its log file.
        command: the path of the program and its arguments.
        folder: where it works.
        log: the file to which its output is added.
        identity: as `launch` takes it.
        stop_signals: the mildest first.
        stop_ms_max: how long each of them is given; None for as long as everybody.
        death_signal: what it gets when we die without stopping it.
        ready: asks whether it is ready, given its process id; None when the process says so through READY_FD.
        prepare: what must be true before every start.
        environment: all of its environment.
        bind: makes the socket on which it shall listen; None for one that listens on none, or brings its own.
    """

    name: str
    command: Sequence[str]
    folder: Path
    log: Path
    stop_signals: tuple[signal.Signals, ...]
    death_signal: signal.Signals
    environment: Mapping[str, str]
    identity: str = "self"
    ready: Callable[[int], Awaitable[Readiness]] | None = None
    prepare: Callable[[], Awaitable[None]] | None = None
    bind: Callable[[], socket.socket] | None = None
    stop_ms_max: int | None = None


class ProgramFailed(Exception):
    """A process did not become ready, or died too often.

    Attributes:
        name: of its program.
        said: the last lines of its log.
    """

    def __init__(self, name: str, message: str, said: str = "") -> None:
        super().__init__(f"{name} {message}" + (f"; it said last:\n{said}" if said else ""))
        self.name = name
        self.said = said


class Child:
    """A running process of a program.

    Attributes:
        socket: what it listens on; closed when it has ended.
    """

    def __init__(
        self,
        program: Program,
        process: asyncio.subprocess.Process,
        ready_handle: int,
        socket: socket.socket | None = None,
    ) -> None:
        self.program = program
        self.socket = socket
        self.started_s = time.monotonic()
        self._process = process
        self._ready_handle = ready_handle

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def until_ready(self, within_s: float) -> None:
        """Wait until it is ready.

        Args:
            within_s: how long it may say nothing.

        Raises:
            ProgramFailed: it ended, or said nothing for so long; then it has been stopped.
        """
        deadline_s = time.monotonic() + within_s
        while True:
            status = self._process.returncode
            if status is not None:
                raise ProgramFailed(self.program.name, f"ended at once ({reason_of(status)})", tail(self.program.log))
            readiness = await self._readiness()
            if readiness is Readiness.READY:
                return
            if readiness is Readiness.BUSY:
                deadline_s = time.monotonic() + within_s
            elif time.monotonic() >= deadline_s:
                await self.stop(within_s)
                raise ProgramFailed(self.program.name, f"was not ready within {within_s:.0f} s", tail(self.program.log))
            await asyncio.sleep(POLL_S)

    async def wait(self) -> int:
        """Its exit status, once it has ended; negative for a signal."""
        status = await self._process.wait()
        self._close()
        return status

    async def stop(self, each_s: float) -> bool:
        """End it: each of its stop signals in turn, then SIGKILL.

        Returns:
            Whether it ended without SIGKILL.
        """
        for number in self.program.stop_signals:
            if await self._end_by(number, each_s):
                return True
        await self._end_by(signal.SIGKILL, KILL_S_MAX)
        return False

    async def make_way(self, each_s: float) -> bool:
        """End it since another process has taken its place: SIGHUP says so, then as `stop`."""
        return await self._end_by(signal.SIGHUP, each_s) or await self.stop(each_s)

    async def _end_by(self, number: signal.Signals, within_s: float) -> bool:
        if self._process.returncode is None:
            send_signal(self.pid, number)
        try:
            await asyncio.wait_for(self.wait(), within_s)
        except TimeoutError:
            return False
        return True

    async def _readiness(self) -> Readiness:
        if self.program.ready is not None:
            return await self.program.ready(self.pid)
        try:
            return Readiness.READY if os.read(self._ready_handle, 16) else Readiness.SILENT
        except BlockingIOError:
            return Readiness.SILENT

    def _close(self) -> None:
        if self._ready_handle >= 0:
            os.close(self._ready_handle)
            self._ready_handle = -1
        if self.socket is not None:
            self.socket.close()


async def start(program: Program, bound: socket.socket | None = None) -> Child:
    """Run a program; it is not ready yet.

    Args:
        bound: a socket that another process of it listens on, to be shared with that one; None for one of its own.

    Raises:
        OSError: it cannot be run, or its log cannot be written.
        PortTaken, HostUnusable: the socket cannot be had.
    """
    if program.prepare is not None:
        await program.prepare()
    environment = dict(program.environment)
    listening = bound.dup() if bound is not None else program.bind() if program.bind is not None else None
    try:
        return await _start(program, environment, listening)
    except BaseException:
        if listening is not None:
            listening.close()
        raise


async def _start(program: Program, environment: dict[str, str], listening: socket.socket | None) -> Child:
    ready_handle, ours, passed = -1, [], []
    if listening is not None:
        environment[LISTEN_VARIABLE] = str(listening.fileno())
        passed.append(listening.fileno())
    log = os.open(program.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    if program.ready is None:
        ready_handle, write_handle = os.pipe()
        os.set_blocking(ready_handle, False)
        environment[READY_VARIABLE] = str(write_handle)
        ours = [write_handle]
    try:
        process = await asyncio.create_subprocess_exec(
            *launcher(program.death_signal, program.identity),
            *program.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=program.folder,
            env=environment,
            pass_fds=[*ours, *passed],
            umask=PRIVATE_UMASK,  # logs and data name people and hold money: nobody else's to read
            start_new_session=True,  # the terminal's Ctrl-C is for serve alone, which stops the others in order
        )
    finally:
        for handle in (log, *ours):
            os.close(handle)
    return Child(program, process, ready_handle, listening)


def tell_ready() -> None:
    """Tell whoever started this process, `serve` or systemd, that it is ready; nothing happens when nobody asked."""
    handle = os.environ.pop(READY_VARIABLE, None)
    if handle is not None:
        os.write(int(handle), b"ready\n")
        os.close(int(handle))
    address = os.environ.pop(NOTIFY_VARIABLE, None)
    if address is not None:
        # sd_notify(3); a name that begins with @ has no file.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.sendto(b"READY=1", address.replace("@", "\0", 1) if address.startswith("@") else address)


def tail(log: Path, lines: int = 8) -> str:
    """The last lines of a log; empty when there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            text = file.read(TAIL_BYTES).decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(line.rstrip() for line in text.splitlines()[-lines:])


def reason_of(status: int) -> str:
    """An exit status in words."""
    return f"{KILLED}{signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
