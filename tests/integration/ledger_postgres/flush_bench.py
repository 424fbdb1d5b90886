"""How fast the flusher is: gifts a second, and CPU of Python and of PostgreSQL for each gift.

Not a test; run by hand: `python tests/integration/ledger_postgres/flush_bench.py [GIFTS] [GIFTS_PER_ENTRY]`.
The journal is filled first, then flushed at full speed by the real flusher on real servers (fsync off as in all tests).
"""

import asyncio
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

import uvloop

from ledger.config import LedgerConfig
from ledger.flusher import Flusher
from ledger.keys import Keys
from ledger.migrate import migrate
from ledger.model import Partition
from ledger.postgres import open_pool
from ledger.redis_client import connect
from tests.integration.ledger_postgres.journals import JournalWriter
from tests.servers import Postgres, running_postgres, running_valkey

VIEWERS = 5_000
CREATORS = 200
PARTITIONS = 32


async def measure(redis_url: str, database_url: str, postgres: Postgres, gifts: int, per_entry: int) -> None:
    """Fill, flush, print."""
    await migrate(database_url)
    config = LedgerConfig(redis_url=redis_url, database_url=database_url, partitions=PARTITIONS)
    keys, redis, pool = Keys(PARTITIONS), connect(config), await open_pool(config)
    journal = JournalWriter(redis, keys)
    for viewer in range(VIEWERS):
        journal.credit(f"viewer-{viewer}", 10**9)
    await journal.send()
    flusher = Flusher(pool, redis, keys, [Partition(p) for p in range(PARTITIONS)], config)
    task = asyncio.create_task(flusher.run())
    await reached(task, flusher, VIEWERS)
    for number in range(gifts):
        journal.gift(f"viewer-{number * 7919 % VIEWERS}", 1 + number % 99, creator=f"creator-{number % CREATORS}")
        if number % 50_000 == 49_999:
            await journal.send(per_entry)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await journal.send(per_entry)
    cpu, postgres_cpu, began = own_cpu_s(), postgres.cpu_s(), time.perf_counter()
    transactions = flusher.stats.transactions
    already = flusher.stats.gifts
    task = asyncio.create_task(flusher.run())
    await reached(task, flusher, VIEWERS + gifts)
    seconds = time.perf_counter() - began
    done = flusher.stats.gifts - already
    own, theirs = own_cpu_s() - cpu, postgres.cpu_s() - postgres_cpu
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    print(  # noqa: T201 - a measurement is read by a person
        f"{done / seconds:,.0f} gifts/s over {seconds:.1f} s in {flusher.stats.transactions - transactions}"
        " transactions;"
        f" CPU a gift: Python {own / done * 1e6:.1f} µs, PostgreSQL {theirs / done * 1e6:.1f} µs"
    )
    await pool.close()
    await redis.aclose()


async def reached(task: asyncio.Task[None], flusher: Flusher, records: int) -> None:
    """Wait until so many records are written; raises what stopped the flusher before."""
    while flusher.stats.gifts + flusher.stats.credits < records:
        await asyncio.wait([task], timeout=0.01)
        if task.done():
            task.result()


def own_cpu_s() -> float:
    """CPU of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    words = [int(word) for word in sys.argv[1:]]
    with (
        tempfile.TemporaryDirectory(prefix="gw-") as folder,
        tempfile.TemporaryDirectory(prefix="gw-") as other,
        running_valkey(Path(folder)) as valkey,
        running_postgres(Path(other)) as server,
    ):
        uvloop.run(measure(valkey.url, server.url(), server, *(words + [200_000, 16][len(words) :])))
    os._exit(0)
