"""`giftwire bench ledger`: accepted gifts a second, each on disk before its answer, over what PostgreSQL does.

The reference is pgbench's TPC-B with 16 clients on the PostgreSQL that `giftwire serve` brings along, in the same run,
on the same disk and processors. Without URLs a server of our own is started for it.
"""

import os
import platform
import statistics
import sys
from typing import Final

import click
import msgspec
import uvloop
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from ledger.bench.gifts import CREATORS, LedgerRound, fill_wallets, give
from ledger.bench.pgbench import CLIENTS, SCALE, Pgbench
from ledger.bench.servers import BenchFailed, bench_database, bench_servers
from ledger.bench.servers import bench_ledger as open_bench_ledger
from ledger.service import Ledger

COULD_NOT_RUN: Final = 2
SPREAD_IN_FLIGHT: Final = 100
SPREAD_PAIRS: Final = 3


class CreatorSpread(Struct, frozen=True):
    """Gifts a second to one creator over those to many, in pairs that alternate which comes first.

    Attributes:
        ratios: of each pair.
        server_us_one, server_us_many: Valkey's CPU per gift, the medians.
    """

    ratios: list[float]
    server_us_one: float
    server_us_many: float


class LedgerResult(Struct, frozen=True):
    """The bench's answer; `ratio` is the best round over the median of pgbench's runs."""

    ratio: float
    rounds: list[LedgerRound]
    one_creator: CreatorSpread
    pgbench_tps: list[float]
    pgbench_clients: int = CLIENTS
    pgbench_scale: int = SCALE


@click.command(name="ledger")
@click.option("--redis-url", help="A Redis or Valkey of your own, empty in database 9, with appendfsync always.")
@click.option("--database-url", help="A PostgreSQL of your own, in which a database may be made.")
@click.option(
    "--in-flight",
    multiple=True,
    type=click.IntRange(1, 5_000),
    default=(1, 10, 100, 200, 500, 1_000),
    show_default=True,
    help="Gifts that wait for their outcome at a time; a round for each.",
)
@click.option("--seconds", type=float, default=4.0, show_default=True, help="Length of a round and of a pgbench run.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, and nothing else.")
def bench_ledger(
    redis_url: str | None, database_url: str | None, in_flight: tuple[int, ...], seconds: float, as_json: bool
) -> None:
    """Accepted gifts a second with fsync before every answer, over pgbench's TPC-B on the same machine."""
    try:
        with bench_servers(redis_url, database_url) as (redis, database):
            result = uvloop.run(_measure(redis, database, in_flight, seconds))
    except BenchFailed as exc:
        click.echo(f"bench: {exc}", err=True)
        sys.exit(COULD_NOT_RUN)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(result), indent=2).decode())
    else:
        _print(result)


async def _measure(redis_url: str, database_url: str, in_flight: tuple[int, ...], seconds: float) -> LedgerResult:
    async with bench_database(database_url) as database, open_bench_ledger(redis_url) as (ledger, _):
        pgbench = Pgbench(database)
        await pgbench.fill()
        await ledger.start()
        await fill_wallets(ledger)
        tps, rounds = [await pgbench.run(seconds)], []
        for count in in_flight:
            rounds.append(await give(ledger, count, seconds=seconds))
            tps.append(await pgbench.run(seconds))
        best = max(one.gifts_per_s for one in rounds)
        return LedgerResult(
            round(best / statistics.median(tps), 1), rounds, await _compare_creators(ledger, seconds), tps
        )


async def _compare_creators(ledger: Ledger, seconds: float) -> CreatorSpread:
    ones: list[LedgerRound] = []
    manies: list[LedgerRound] = []
    for pair in range(SPREAD_PAIRS):
        for creators in (1, CREATORS) if pair % 2 else (CREATORS, 1):
            measured = await give(ledger, SPREAD_IN_FLIGHT, seconds=seconds, creators=creators)
            (ones if creators == 1 else manies).append(measured)
    return CreatorSpread(
        [round(one.gifts_per_s / many.gifts_per_s, 3) for one, many in zip(ones, manies, strict=True)],
        statistics.median(one.server_us for one in ones),
        statistics.median(many.server_us for many in manies),
    )


def _print(result: LedgerResult) -> None:
    heads = ("in flight", "gifts/s", "gifts a commit", "p50 ms", "p99 ms", "Valkey µs", "client µs", "AOF bytes")
    table = Table(*heads, caption="µs of CPU and bytes of the append-only file, per gift")
    for one in result.rounds:
        table.add_row(
            str(one.in_flight),
            f"{one.gifts_per_s:,.0f}",
            f"{one.gifts_per_commit:.1f}",
            f"{one.p50_ms:.2f}",
            f"{one.p99_ms:.2f}",
            f"{one.server_us:.1f}",
            f"{one.client_us:.1f}",
            f"{one.aof_bytes:.0f}",
        )
    spread = result.one_creator
    console = Console()
    console.print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, kernel {platform.release()}")
    console.print(table)
    console.print(
        f"one creator over {CREATORS}, {SPREAD_IN_FLIGHT} in flight: {', '.join(f'{one:.2f}' for one in spread.ratios)}"
        f" of the gifts/s; Valkey {spread.server_us_one:.1f} and {spread.server_us_many:.1f} µs a gift"
    )
    console.print(
        f"pgbench TPC-B, {result.pgbench_clients} clients, scale {result.pgbench_scale}: "
        f"{statistics.median(result.pgbench_tps):,.0f} tps ({min(result.pgbench_tps):,.0f} to "
        f"{max(result.pgbench_tps):,.0f})"
    )
    console.print(f"[bold]ratio {result.ratio:.1f}[/bold]")
