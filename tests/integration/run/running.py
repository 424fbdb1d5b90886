"""Runs `only_servers` for the tests, and asks the servers that it keeps."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import asyncpg
import msgspec
from redis import Redis

from gateway.run.keeping.processes import processes_in, send_signal
from gateway.run.keeping.status import read_status
from gateway.run.servers.postgres import PROGRAM as POSTGRES
from gateway.run.servers.valkey import PROGRAM as VALKEY
from tests.waiting import wait_until

WITHIN_S = 60.0
REPOSITORY = Path(__file__).parents[3]


class OnlyServers:
    """The embedded servers of a folder: `start`, `kill` (SIGKILL to their keeper) and `stop` as often as a test likes.

    Args:
        settings: of the embedded servers; what is not named keeps its default.
    """

    def __init__(self, folder: Path, settings: Mapping[str, int]) -> None:
        self.folder = folder
        self.redis_url = ""
        self.database_url = ""
        self._settings = json.dumps({"postgres_shared_buffers_mb": 16, **settings})
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start them and wait until they are ready."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.run.only_servers", str(self.folder), self._settings],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(self.end_message())
        said = msgspec.json.decode(line, type=dict[str, str | list[str]])
        self.redis_url, self.database_url = str(said["redis_url"]), str(said["database_url"])

    def stop(self) -> int:
        """Ask them to stop, and wait. The exit status of their keeper."""
        assert self._process is not None
        self._process.terminate()
        self._process.communicate(timeout=WITHIN_S)
        return self._process.returncode

    def kill(self) -> None:
        """kill -9 of their keeper."""
        assert self._process is not None
        self._process.kill()
        self._process.communicate(timeout=WITHIN_S)

    def end_message(self) -> str:
        """Wait until the keeper ends by itself; what it said."""
        assert self._process is not None
        return self._process.communicate(timeout=WITHIN_S)[1]

    def end(self) -> None:
        """Leave nothing running, whatever happened."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
        for pid in self.server_pids():
            send_signal(pid, signal.SIGKILL)

    def server_pids(self) -> list[int]:
        """Of all processes of both servers, kept or left over."""
        folders = ((self.folder / "valkey", VALKEY), (self.folder / "postgres", POSTGRES))
        return [pid for folder, program in folders for pid in processes_in(folder, program)]

    def pid_of(self, name: str) -> int:
        """Process id of a server that is up."""
        found = {state.name: state.pid for state in read_status(self.folder / "run")}[name]
        assert found is not None
        return found

    def restarts_of(self, name: str) -> int:
        """How often a server was started again and became ready."""
        return next(state.restarts for state in read_status(self.folder / "run") if state.name == name and state.pid)

    def put(self, word: str) -> None:
        """Store a word in Valkey."""
        with Redis.from_url(self.redis_url) as redis:
            redis.set("word", word)

    def stored(self) -> str:
        """The word in Valkey."""
        with Redis.from_url(self.redis_url) as redis:
            return str(redis.get("word"), "utf-8")

    async def put_row(self, word: str) -> None:
        """Store a word in PostgreSQL."""
        connection = await asyncpg.connect(self.database_url)
        try:
            await connection.execute("CREATE TABLE words (word TEXT NOT NULL)")
            await connection.execute("INSERT INTO words VALUES ($1)", word)
        finally:
            await connection.close()

    async def stored_row(self) -> str:
        """The word in PostgreSQL."""
        connection = await asyncpg.connect(self.database_url)
        try:
            return str(await connection.fetchval("SELECT word FROM words"))
        finally:
            await connection.close()


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until something is true; the test fails when it does not come about."""
    wait_until(lambda: _holds(condition), WITHIN_S, lambda: what)


def _holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except (LookupError, StopIteration):
        return False
