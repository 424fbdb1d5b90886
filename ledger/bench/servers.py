"""The servers of a measurement: a `giftwire serve` of its own, or those that the caller names, and a database in each.

Gifts go into another logical database of the Valkey, so that no relay and no flusher works on them meanwhile.
"""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import asyncpg

from ledger.config import Endpoints, LedgerConfig, read_endpoints
from ledger.service import Ledger, open_ledger

LOGICAL_DATABASE: Final = 9
"""Number of the Valkey database that a measurement fills; it must be empty before and is emptied after."""
START_S_MAX: Final = 120.0
STOP_S_MAX: Final = 30.0


class BenchFailed(Exception):
    """The measurement could not be taken."""


@contextlib.contextmanager
def bench_servers(redis_url: str | None, database_url: str | None) -> Iterator[tuple[str, str]]:
    """Addresses of a Redis or Valkey and of a PostgreSQL: those that are given, and our own for what is not.

    Raises:
        BenchFailed: our own did not come up.
    """
    if redis_url and database_url:
        yield redis_url, database_url
        return
    with _serve() as endpoints:
        yield redis_url or endpoints.redis_url, database_url or endpoints.database_url


@contextlib.asynccontextmanager
async def bench_ledger(redis_url: str, database_url: str = "") -> AsyncIterator[tuple[Ledger, LedgerConfig]]:
    """A ledger in an empty logical database, not started yet; emptied at the end.

    Args:
        database_url: for who needs it in the configuration.

    Raises:
        BenchFailed: something is there already, or an answer would not mean on disk.
    """
    # Measured is how fast gifts are judged, not how long they would wait for it.
    config = LedgerConfig(
        redis_url=_with_logical_database(redis_url), database_url=database_url, batch_wait_ms_max=600_000
    )
    ledger = open_ledger(config)
    try:
        if await ledger.redis.dbsize():
            raise BenchFailed(f"database {LOGICAL_DATABASE} of {redis_url} is not empty")
        appendfsync = (await ledger.redis.config_get("appendfsync"))["appendfsync"]
        if appendfsync != "always":
            raise BenchFailed(f"appendfsync is {appendfsync}: without `always` an answer does not mean on disk")
        try:
            yield ledger, config
        finally:
            await ledger.redis.flushdb()
    finally:
        await ledger.stop()


@contextlib.asynccontextmanager
async def bench_database(database_url: str) -> AsyncIterator[str]:
    """The address of a database of its own on the server, dropped at the end.

    Raises:
        BenchFailed: the server does not put what it commits on disk.
    """
    connection = await asyncpg.connect(database_url)
    try:
        settings = [await connection.fetchval(f"SHOW {name}") for name in ("fsync", "synchronous_commit")]
        if settings != ["on", "on"]:
            raise BenchFailed(f"PostgreSQL's fsync and synchronous_commit are {settings}: it would not keep its word")
        name = f"giftwire_bench_{os.getpid()}"
        await connection.execute(f"CREATE DATABASE {name}")
        try:
            yield urlsplit(database_url)._replace(path=f"/{name}").geturl()
        finally:
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()


def wheel_folder(package: str) -> Path:
    """Where a wheel lies, found without importing its own wrapper, which changes permissions as a side effect.

    Raises:
        BenchFailed: it is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise BenchFailed(f"{package} is not installed")
    return Path(spec.origin).parent


def cpu_s(pid: int) -> float:
    """Processor time of a process and of its children that have ended or run now, in seconds."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(") ")[2].split()
            if pid in (int(stat.parent.name), int(fields[1])):
                ticks += int(fields[11]) + int(fields[12])
                ticks += (int(fields[13]) + int(fields[14])) if int(stat.parent.name) == pid else 0
    return ticks / os.sysconf("SC_CLK_TCK")


def parent_of(pid: int) -> int | None:
    """Its parent's id; None when there is no such process here."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])
    except OSError:
        return None


@contextlib.contextmanager
def _serve() -> Iterator[Endpoints]:
    folder = Path(tempfile.mkdtemp(prefix="giftwire-bench-"))
    log = folder / "serve.log"
    command = Path(sys.executable).with_name("giftwire")
    try:
        with log.open("wb") as output:
            process = subprocess.Popen(
                [str(command), "serve", "--port", "0", "--data-dir", str(folder / "data"), "--workers", "1"],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield _wait_endpoints(process, folder / "data", log)
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(STOP_S_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_endpoints(process: "subprocess.Popen[bytes]", data_dir: Path, log: Path) -> Endpoints:
    deadline_s = time.monotonic() + START_S_MAX
    while time.monotonic() < deadline_s and process.poll() is None:
        endpoints = read_endpoints(data_dir)
        if endpoints is not None:
            return endpoints
        time.sleep(0.1)
    raise BenchFailed(f"giftwire serve did not come up: {log.read_text(errors='replace')[-1500:]}")


def _with_logical_database(redis_url: str) -> str:
    if redis_url.startswith("unix://"):
        return f"{redis_url.partition('?')[0]}?db={LOGICAL_DATABASE}"
    url = urlsplit(redis_url)
    return url._replace(path=f"/{LOGICAL_DATABASE}").geturl()
