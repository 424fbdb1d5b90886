"""`giftwire bench books`: how fast the books follow, at what cost, and how fast a lost live ledger comes back.

Gifts are given first and written afterwards by the real flusher at full speed, as after an outage of PostgreSQL. The
reference is a bare COPY of the same rows, in one transaction, into tables without keys. Then the live ledger is emptied
and a repair replays the books, without rooms.
"""

import asyncio
import contextlib
import os
import platform
import sys
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg
import click
import msgspec
import uvloop
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from ledger.audits.audit import audit
from ledger.bench.cli import COULD_NOT_RUN
from ledger.bench.gifts import fill_wallets, give
from ledger.bench.servers import BenchFailed, bench_database, bench_ledger, bench_servers, cpu_s, parent_of
from ledger.books.flusher import FlusherStats, open_flusher
from ledger.books.migrate import migrate
from ledger.config import LedgerConfig
from ledger.live.journal import Position
from ledger.live.keys import Keys
from ledger.mending.repair import repair
from ledger.service import Ledger

IN_FLIGHT: Final = 500
FLUSH_S_MAX: Final = 600.0
_TABLES: Final = ("journal_records", "entries")


class BooksResult(Struct, frozen=True):
    """The bench's answer.

    Attributes:
        given_per_s: gifts a second while they were given, with nobody flushing.
        flushed_per_s: records a second that the flusher then wrote.
        copied_per_s: the reference.
        ratio: `flushed_per_s` over `copied_per_s`.
        flusher_us, postgres_us: CPU per record.
        wal_bytes, aof_bytes: what the two logs grew by, per gift.
        table_bytes: what a record and its entries take with their indexes.
        rebuilt_per_s: records a second that a repair brought back into an empty live ledger, its audits left out.
    """

    gifts: int
    given_per_s: float
    flushed_per_s: float
    copied_per_s: float
    ratio: float
    flusher_us: float
    postgres_us: float
    wal_bytes: float
    table_bytes: float
    aof_bytes: float
    rebuilt_per_s: float


@click.command(name="books")
@click.option("--redis-url", help="A Redis or Valkey of your own, empty in database 9, with appendfsync always.")
@click.option("--database-url", help="A PostgreSQL of your own, in which a database may be made.")
@click.option("--seconds", type=float, default=3.0, show_default=True, help="How long gifts are given before.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, and nothing else.")
def bench_books(redis_url: str | None, database_url: str | None, seconds: float, as_json: bool) -> None:
    """Records a second into PostgreSQL, over a bare COPY of the same rows, and back out of it into an empty Valkey."""
    try:
        with bench_servers(redis_url, database_url) as (redis, database):
            result = uvloop.run(_measure(redis, database, seconds))
    except BenchFailed as exc:
        click.echo(f"bench: {exc}", err=True)
        sys.exit(COULD_NOT_RUN)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(result), indent=2).decode())
    else:
        _print(result)


async def _measure(redis_url: str, database_url: str, seconds: float) -> BooksResult:
    async with bench_database(database_url) as database, bench_ledger(redis_url, database) as (ledger, config):
        await migrate(database)
        await ledger.start()
        await fill_wallets(ledger)
        connection = await asyncpg.connect(database)
        try:
            await _flush(ledger, config, connection)
            given = await give(ledger, IN_FLIGHT, seconds=seconds)
            flushed = await _flush(ledger, config, connection)
            copied_per_s = await _copy(connection)
        finally:
            await connection.close()
        return BooksResult(
            gifts=flushed.records,
            given_per_s=given.gifts_per_s,
            flushed_per_s=round(flushed.records / flushed.wall_s, 1),
            copied_per_s=copied_per_s,
            ratio=round(flushed.records / flushed.wall_s / copied_per_s, 3),
            flusher_us=round(flushed.flusher_s / flushed.records * 1e6, 2),
            postgres_us=round(flushed.postgres_s / flushed.records * 1e6, 2),
            wal_bytes=round(flushed.wal_bytes / flushed.records, 1),
            table_bytes=round(flushed.table_bytes / flushed.records, 1),
            aof_bytes=given.aof_bytes,
            rebuilt_per_s=await _rebuild(ledger, config),
        )


# Into the books.


class _Flushed(Struct, frozen=True):
    records: int
    wall_s: float
    flusher_s: float
    postgres_s: float
    wal_bytes: int
    table_bytes: int


async def _flush(ledger: Ledger, config: LedgerConfig, connection: "asyncpg.Connection[asyncpg.Record]") -> _Flushed:
    """Write all that the journal holds."""
    wanted = await _live_records(ledger)
    before = await _written(connection)
    server_pid = await _postmaster(connection)
    await connection.execute("CHECKPOINT")
    lsn, size = await connection.fetchval("SELECT pg_current_wal_lsn()"), await _size(connection)
    postgres_s, flusher_s, began_s = cpu_s(server_pid), time.process_time(), time.perf_counter()
    async with _flushing(config) as stats:
        while await _written(connection) < wanted:
            if time.perf_counter() - began_s > FLUSH_S_MAX or stats.broken:
                raise BenchFailed(f"the flusher does not get on: {stats}")
            await asyncio.sleep(0.02)
    wall_s = time.perf_counter() - began_s
    flusher_s, postgres_s = time.process_time() - flusher_s, cpu_s(server_pid) - postgres_s
    wal_bytes = int(await connection.fetchval("SELECT pg_current_wal_lsn() - $1::pg_lsn", lsn))
    return _Flushed(wanted - before, wall_s, flusher_s, postgres_s, wal_bytes, await _size(connection) - size)


@contextlib.asynccontextmanager
async def _flushing(config: LedgerConfig) -> AsyncIterator[FlusherStats]:
    partitions = [partition for partition, _ in Keys(config.partitions).all()]
    async with open_flusher(config) as flusher:
        task = asyncio.create_task(flusher.run(partitions), name="bench-flusher")
        try:
            yield flusher.stats
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _live_records(ledger: Ledger) -> int:
    seqs = [await ledger.redis.hget(keys.totals, "seq") for _, keys in ledger.keys.all()]
    return sum(int(seq or 0) for seq in seqs)


async def _written(connection: "asyncpg.Connection[asyncpg.Record]") -> int:
    return int(await connection.fetchval("SELECT coalesce(sum(seq), 0) FROM positions WHERE partition >= 0"))


async def _postmaster(connection: "asyncpg.Connection[asyncpg.Record]") -> int:
    """The parent of the backend that we talk to; that backend itself where PostgreSQL runs on another machine."""
    backend = int(await connection.fetchval("SELECT pg_backend_pid()"))
    return parent_of(backend) or backend


async def _size(connection: "asyncpg.Connection[asyncpg.Record]") -> int:
    return int(await connection.fetchval("SELECT pg_database_size(current_database())"))


async def _copy(connection: "asyncpg.Connection[asyncpg.Record]") -> float:
    """Records a second of a bare COPY of what the flusher wrote."""
    rows: dict[str, bytes] = {}
    for table in _TABLES:
        taken = bytearray()

        async def take(part: bytes, taken: bytearray = taken) -> None:
            taken += part

        await connection.copy_from_query(f"SELECT * FROM {table}", output=take, format="binary")  # noqa: S608
        rows[table] = bytes(taken)
        await connection.execute(f"CREATE TABLE copied_{table} AS SELECT * FROM {table} WHERE false")  # noqa: S608
    began_s = time.perf_counter()
    async with connection.transaction():
        for table, content in rows.items():
            await connection.copy_to_table(f"copied_{table}", source=_parts(content), format="binary")
    wall_s = time.perf_counter() - began_s
    records = int(await connection.fetchval("SELECT count(*) FROM copied_journal_records"))
    await connection.execute("".join(f"DROP TABLE copied_{table};" for table in _TABLES))
    return round(records / wall_s, 1)


async def _parts(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 1 << 18):
        yield content[start : start + (1 << 18)]


# And back.


class _NoRooms:
    """Nobody listens: the rooms are told everything at once."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def require_nobody(self) -> None:
        """Nobody is here."""

    async def begin(self, epoch: int) -> None:
        """There is nothing to raise."""

    async def tell(self, epoch: int, before_ms: int | None) -> None:
        ends: dict[Any, Position] = {}
        for partition, keys in self._ledger.keys.all():
            last: Any = await self._ledger.redis.xrevrange(keys.journal, count=1)
            if last:
                ends[partition] = Position.parse(last[0][0])
        if ends:
            await self._ledger.save_relay_positions(ends)

    async def verify(self) -> list[str]:
        return []


async def _rebuild(ledger: Ledger, config: LedgerConfig) -> float:
    """Records a second out of the books, looked over afterwards."""
    await ledger.redis.flushdb()
    began_s = time.perf_counter()
    done = await repair(config, _NoRooms(ledger))
    wall_s = time.perf_counter() - began_s
    report = await audit(config)
    if not report.ok:
        raise BenchFailed("the audit finds violations after the repair")
    return round(done.records / wall_s, 1)


def _print(result: BooksResult) -> None:
    table = Table("", "a second", "CPU µs each")
    table.add_row(f"gifts given, {IN_FLIGHT} in flight", f"{result.given_per_s:,.0f}", "")
    cost = f"Python {result.flusher_us:.1f}, PostgreSQL {result.postgres_us:.1f}"
    table.add_row("records written into the books", f"{result.flushed_per_s:,.0f}", cost)
    table.add_row("bare COPY of the same rows", f"{result.copied_per_s:,.0f}", "")
    table.add_row("records brought back from the books", f"{result.rebuilt_per_s:,.0f}", "")
    console = Console()
    console.print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, kernel {platform.release()}")
    console.print(table)
    console.print(
        f"bytes a gift, of {result.gifts:,}: {result.aof_bytes:.0f} of append-only file, {result.wal_bytes:.0f} of WAL,"
        f" {result.table_bytes:.0f} of tables and indexes"
    )
    console.print(f"[bold]ratio {result.ratio:.2f}[/bold]")
