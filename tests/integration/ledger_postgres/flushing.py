"""Runs a flusher until what the journal holds is in the books."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from redis.asyncio import Redis

from ledger.books.flusher import Flusher
from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.live.keys import Keys, Total
from tests.waiting import back_off

DEADLINE_S = 20.0
_AT = "SELECT seq FROM positions WHERE partition = $1"


@contextlib.asynccontextmanager
async def flushing(pool: Pool, redis: Redis, config: LedgerConfig) -> AsyncIterator[Flusher]:
    """A flusher of all partitions that runs meanwhile."""
    keys = Keys(config.partitions)
    flusher = Flusher(pool, redis, keys, [partition for partition, _ in keys.all()], config)
    task = asyncio.create_task(flusher.run())
    try:
        yield flusher
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def flush_all(pool: Pool, redis: Redis, config: LedgerConfig) -> None:
    """Everything that is in the journal now is in the books after."""
    keys = Keys(config.partitions)
    async with flushing(pool, redis, config):
        for partition, names in keys.all():
            seq = int(await redis.hget(names.totals, Total.SEQ) or 0)

            async def there(partition: int = partition, seq: int = seq) -> bool:
                return int(await pool.fetchval(_AT, partition) or 0) >= seq

            await until(there)


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition (that may be a coroutine) is true; fail after a deadline."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            await back_off()


async def unit_sums(pool: Pool) -> dict[str, int]:
    """All entries of the books, added up for each unit."""
    rows = await pool.fetch(
        "SELECT unit, sum(amount)::bigint AS total FROM entries JOIN accounts ON id = account_id GROUP BY unit"
    )
    return {row["unit"]: row["total"] for row in rows}
