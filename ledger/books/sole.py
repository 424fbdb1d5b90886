"""Who repairs is alone: it holds every lease meanwhile, so that no worker, on whatever machine, works beside it.

A worker that went on would tell the rooms what the repair is bringing back, note that as told, and let the journal go
before the repair has told what came earlier. One that still works is named, and nothing is done. One that was killed
leaves its lease behind: that is waited for, since a lease which nobody renews comes to its end.

After a failover no worker reaches the server, and what it has read elsewhere does not reach the books any more. There
the leases are taken from workers that run; only another repair is in the way.
"""

import asyncio
import contextlib
import datetime
import socket
import uuid
from collections.abc import AsyncIterator
from typing import Final

import asyncpg
import structlog

from ledger.accounts import BOOKS_PARTITION
from ledger.books.leases import LOCK, MAKE, RENEWALS
from ledger.books.postgres import Connection, Pool, connected, transaction
from ledger.config import LedgerConfig
from ledger.errors import LedgerUnavailable
from ledger.mending.reconcile import StillAtWork

LOOKS: Final = 20
"""So many looks at the others' leases within the life of one."""
_log = structlog.get_logger()
_OTHERS: Final = """
SELECT w.worker, w.place, w.until, (
    SELECT count(*) FROM leases l WHERE l.worker = w.worker AND l.until >= clock_timestamp()
) AS held FROM workers w
WHERE w.worker <> $1 AND w.until >= clock_timestamp() AND (w.repairs OR NOT $2) ORDER BY w.worker
"""
_SEEN: Final = """
INSERT INTO workers (worker, until, place, repairs) VALUES ($1, clock_timestamp() + $2 * interval '1 ms', $3, true)
ON CONFLICT (worker) DO UPDATE SET until = excluded.until
"""
_TAKE: Final = "UPDATE leases SET worker = $1, until = clock_timestamp() + $2 * interval '1 ms'"
_OURS: Final = "SELECT bool_and(worker = $1) FROM leases"
_GIVE: Final = "UPDATE leases SET worker = NULL, until = '-infinity' WHERE worker = $1"

_Seen = dict[uuid.UUID, datetime.datetime]


@contextlib.asynccontextmanager
async def alone(pool: Pool, config: LedgerConfig, *, from_workers: bool = False) -> AsyncIterator[None]:
    """Every lease is ours within the block. What the block does is cancelled if they cannot be kept.

    Waits for the leases of workers that do not renew them, at most as long as those are.

    Args:
        from_workers: take the leases from workers, whether they renew them or not, and wait for nobody; for a server
            that they cannot reach.

    Raises:
        StillAtWork: a worker works, or another repair does: it renewed its leases while we waited, or took ours since.
        LedgerUnavailable: PostgreSQL does not answer.
    """
    holder, body = uuid.uuid4(), asyncio.current_task()
    if from_workers:
        await _take_from_workers(pool, holder, config)
    else:
        await _until_nobody(pool, holder, config)
    keeper = asyncio.create_task(_keep(pool, holder, config), name="sole-keeper")

    def ended(task: asyncio.Task[None]) -> None:
        if body is not None and not task.cancelled():
            body.cancel()

    keeper.add_done_callback(ended)
    try:
        yield
    except asyncio.CancelledError:
        if body is not None and keeper.done() and not keeper.cancelled():
            body.uncancel()
            keeper.result()
        raise
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
        with contextlib.suppress(LedgerUnavailable):
            async with connected(pool) as connection:
                await connection.execute(_GIVE, holder)
                await connection.execute("DELETE FROM workers WHERE worker = $1", holder)


async def _take_from_workers(pool: Pool, holder: uuid.UUID, config: LedgerConfig) -> None:
    """Take every lease now, unless another repair has them."""
    others = await _take(pool, holder, config, from_workers=True)
    if others:
        raise StillAtWork(f"another repair is at work: {'; '.join(map(_named, others))}")


async def _until_nobody(pool: Pool, holder: uuid.UUID, config: LedgerConfig) -> None:
    """Take every lease as soon as nobody is in the way."""
    seen: _Seen | None = None
    while others := await _take(pool, holder, config, from_workers=False):
        if seen is None:
            seen = {row["worker"]: row["until"] for row in others}
            _log.warning("repair_waits", workers=[_named(row) for row in others])
        _refuse_renewed(others, seen)
        await asyncio.sleep(config.lease_ms / 1000 / LOOKS)


async def _keep(pool: Pool, holder: uuid.UUID, config: LedgerConfig) -> None:
    """Renew until cancelled."""
    while True:
        await asyncio.sleep(config.lease_ms / 1000 / RENEWALS)
        async with transaction(pool) as connection:
            await connection.execute(LOCK)
            if not await connection.fetchval(_OURS, holder):
                raise StillAtWork(
                    "leases of this repair were taken while it stood still; stop every worker, and repair again"
                )
            await _hold(connection, holder, config)


async def _take(pool: Pool, holder: uuid.UUID, config: LedgerConfig, *, from_workers: bool) -> list[asyncpg.Record]:
    """Take every lease, unless others are in the way; those."""
    async with transaction(pool) as connection:
        await connection.execute(LOCK)
        others = await connection.fetch(_OTHERS, holder, from_workers)
        if not others:
            await _hold(connection, holder, config)
    return others


async def _hold(connection: Connection, holder: uuid.UUID, config: LedgerConfig) -> None:
    await connection.execute(MAKE, [BOOKS_PARTITION, *range(config.partitions)])
    await connection.execute(_SEEN, holder, config.lease_ms, f"a repair on {socket.gethostname()}")
    await connection.execute(_TAKE, holder, config.lease_ms)


def _refuse_renewed(others: list[asyncpg.Record], seen: _Seen) -> None:
    at_work = [row for row in others if seen.get(row["worker"]) != row["until"]]
    if at_work:
        names = "; ".join(map(_named, at_work))
        raise StillAtWork(f"at work is {names}: stop every gateway and worker, then repair")


def _named(row: asyncpg.Record) -> str:
    place = f" ({row['place']})" if row["place"] else ""
    return f"worker {row['worker'].hex}{place} with {row['held']} leases"
