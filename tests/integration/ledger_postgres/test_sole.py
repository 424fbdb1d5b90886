"""Who repairs is alone: workers that work are named, those that died are waited for, and none begins meanwhile."""

import asyncio
from typing import Any

import msgspec
import pytest

from ledger.books.leases import Leases
from ledger.books.postgres import Pool
from ledger.books.sole import alone
from ledger.config import LedgerConfig
from ledger.mending.reconcile import StillAtWork
from ledger.mending.repair import repair
from ledger.service import Ledger
from tests.integration.ledger.orders import gift_order, grant
from tests.integration.ledger_postgres.flushing import flush_all, until
from tests.integration.ledger_postgres.repairing import NoRooms, is_fenced

LEASE_MS = 600
ONE, TWO = bytes([1]) * 16, bytes([2]) * 16


@pytest.fixture
def config(config: LedgerConfig) -> LedgerConfig:
    """Leases that end soon."""
    return msgspec.structs.replace(config, lease_ms=LEASE_MS)


async def lose_everything(ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig) -> None:
    """A grant and a gift are in the books, and Valkey is empty."""
    await ledger.credit(grant("ann", 10))
    await ledger.give(gift_order("ann", 3))
    await flush_all(pool, redis, config)
    await redis.flushall()


async def test_worker_that_works_is_named(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, rooms: NoRooms
) -> None:
    """Nothing is touched, and whoever has to stop it hears where it is; afterwards the repair is made."""
    await lose_everything(ledger, pool, redis, config)
    worker = Leases(pool, ONE, config, "process 77 on mars, /srv/gw")
    await worker.renew()
    working = asyncio.create_task(worker.run())
    with pytest.raises(StillAtWork, match=rf"{ONE.hex()} \(process 77 on mars, /srv/gw\) with 3 leases"):
        await repair(config, rooms)
    assert (rooms.begun, await redis.dbsize()) == ([], 0)
    working.cancel()
    await worker.release()
    assert (await repair(config, rooms)).gifts == 1


async def test_lease_of_a_dead_worker_is_waited_for(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, rooms: NoRooms
) -> None:
    """It renews nothing, so nobody needs to be asked."""
    await lose_everything(ledger, pool, redis, config)
    await Leases(pool, ONE, config).renew()
    assert (await repair(config, rooms)).gifts == 1


async def test_no_worker_begins_beside_a_repair(pool: Pool, config: LedgerConfig) -> None:
    """It gets no lease, however long the repair takes, and all of them right afterwards."""
    worker, renewed = Leases(pool, ONE, config), 0
    async with alone(pool, config):
        began = await pool.fetchval("SELECT min(until) FROM leases")

        async def kept() -> bool:
            return bool(await pool.fetchval("SELECT min(until) > $1 FROM leases", began))

        await until(kept)
        await worker.renew()
        renewed = worker.stats.held
    await worker.renew()
    assert (renewed, worker.stats.held) == (0, 3)


async def test_two_repairs(pool: Pool, config: LedgerConfig) -> None:
    """The second is refused, and hears of the first."""
    async with alone(pool, config):
        with pytest.raises(StillAtWork, match=r"a repair on .* with 3 leases"):
            async with alone(pool, config):
                raise AssertionError("two are alone")
    async with alone(pool, config):
        assert await pool.fetchval("SELECT count(*) FROM workers") == 1


async def test_repair_that_stood_still_for_too_long_ends(pool: Pool, config: LedgerConfig) -> None:
    """Its leases are another's by then: what it does is cancelled."""
    with pytest.raises(StillAtWork, match="taken while it stood still"):
        async with alone(pool, config):
            await pool.execute("UPDATE leases SET worker = '00000000-0000-0000-0000-000000000002' WHERE partition = 0")
            await asyncio.Event().wait()


async def test_cancelled_repair_gives_its_leases_back(pool: Pool, config: LedgerConfig) -> None:
    """Cancelled by somebody else it is cancelled, and the next one need not wait."""
    begun = asyncio.Event()

    async def work() -> None:
        async with alone(pool, config):
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await pool.fetchval("SELECT count(*) FROM leases WHERE worker IS NOT NULL") == 0


async def test_repair_refused_halfway_keeps_orders_out(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """A repair that loses its leases while it brings records back leaves the partitions shut; the next one ends it."""
    await lose_everything(ledger, pool, redis, config)

    class Taken(NoRooms):
        async def tell(self, epoch: int, before_ms: int | None) -> None:
            await pool.execute("UPDATE leases SET worker = '00000000-0000-0000-0000-000000000002' WHERE partition = 0")
            await asyncio.Event().wait()

    with pytest.raises(StillAtWork):
        await repair(config, Taken(redis, config))
    assert await is_fenced(redis, config)
    await pool.execute("UPDATE leases SET worker = NULL")
    assert (await repair(config, NoRooms(redis, config))).epoch == 2
