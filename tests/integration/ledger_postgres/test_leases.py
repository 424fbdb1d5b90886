"""Leases on a real PostgreSQL: every partition has one worker, workers have equal parts, and what a dead one had passes
on; and the work that hangs on them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest

from ledger.books.leases import Leases, open_leases
from ledger.books.postgres import Pool, open_pool
from ledger.config import LedgerConfig
from ledger.errors import InvariantBroken, LedgerUnavailable
from ledger.live.keys import Total
from ledger.model import Partition
from ledger.service import Ledger
from tests.integration.ledger.orders import grant
from tests.integration.ledger_postgres.flushing import until

PARTITIONS = 8
LONG_MS, SHORT_MS = 600_000, 300


@pytest.fixture
def config(config: LedgerConfig) -> LedgerConfig:
    """Eight partitions, and leases that outlast every test."""
    return msgspec.structs.replace(config, partitions=PARTITIONS, lease_ms=LONG_MS)


def workers(pool: Pool, config: LedgerConfig, count: int) -> list[Leases]:
    """Workers that have not asked for anything."""
    return [Leases(pool, bytes([number]) * 16, config) for number in range(1, count + 1)]


def holds(worker: Leases) -> list[int]:
    """What a worker holds; -1 is what belongs to no partition."""
    return ([-1] if worker.books else []) + list(worker.partitions)


async def renew_twice(some: Sequence[Leases]) -> None:
    """Once to give what is too much, once more to take what was given."""
    for _ in range(2):
        for worker in some:
            await worker.renew()


@pytest.mark.parametrize("count", [1, 2, 3, 4, 9, 12])
async def test_parts_are_equal_and_whole(pool: Pool, config: LedgerConfig, count: int) -> None:
    """However many there are, each of the nine leases is held once, and no worker has two more than another."""
    some = workers(pool, config, count)
    await renew_twice(some)
    assert sorted(one for worker in some for one in holds(worker)) == list(range(-1, PARTITIONS))
    sizes = [len(holds(worker)) for worker in some]
    assert max(sizes) - min(sizes) <= 1
    assert [worker.stats.held for worker in some] == sizes


async def test_newcomer_moves_no_more_than_its_part(pool: Pool, config: LedgerConfig) -> None:
    """Who was there keeps what it may keep: a third worker costs two others three leases, and they swap none."""
    some = workers(pool, config, 3)
    await renew_twice(some[:2])
    before = [set(holds(worker)) for worker in some[:2]]
    await renew_twice(some)
    after = [set(holds(worker)) for worker in some]
    assert after[0] < before[0] and after[1] < before[1]
    assert len(after[2]) == 3


async def test_lease_that_has_not_ended_is_not_taken(pool: Pool, config: LedgerConfig) -> None:
    """A worker that only renews no more keeps everything until its time is up; its own name brings it all back."""
    first, second = workers(pool, config, 2)
    await first.renew()
    await second.renew()
    assert holds(second) == []
    again = Leases(pool, bytes([1]) * 16, config)
    await again.renew()
    assert len(holds(again)) == 5


async def test_dead_workers_part_passes_on(pool: Pool, config: LedgerConfig) -> None:
    """Once its time is up by PostgreSQL's clock the others have all of it; it is given its part when it is back."""
    brief = msgspec.structs.replace(config, lease_ms=SHORT_MS)
    dead, other = workers(pool, brief, 2)
    await renew_twice([dead, other])
    assert len(holds(other)) == 4

    async def took_all() -> bool:
        await other.renew()
        return len(holds(other)) == PARTITIONS + 1

    await until(took_all)
    await pool.execute("UPDATE leases SET until = clock_timestamp() + interval '1 h'")
    await dead.renew()
    assert holds(dead) == []


async def test_worker_that_stops_gives_its_part_at_once(pool: Pool, config: LedgerConfig) -> None:
    """Nobody waits for the end of a lease that was given back."""
    (other,) = workers(pool, config, 1)
    async with open_leases(config, bytes([7]) * 16) as leases:
        await other.renew()
        assert (len(holds(leases)), len(holds(other))) == (9, 0)
    await other.renew()
    assert len(holds(other)) == 9


async def test_worker_without_postgres_keeps_its_part(pool: Pool, config: LedgerConfig) -> None:
    """While nobody can be asked nobody can take it, and rooms must go on hearing of gifts."""
    (worker,) = workers(pool, config, 1)
    await worker.renew()
    away = await open_pool(msgspec.structs.replace(config, database_url="postgresql://giftwire@/x?host=/nowhere"))
    worker._pool = away
    with pytest.raises(LedgerUnavailable):
        await worker.renew()
    assert len(holds(worker)) == 9
    await away.close()


async def test_racing_workers_share(pool: Pool, config: LedgerConfig) -> None:
    """Six that ask at the same time, again and again, never hold one lease together."""
    some = workers(pool, config, 6)
    for _ in range(4):
        await asyncio.gather(*(worker.renew() for worker in some))
    rows = await pool.fetch("SELECT partition, worker FROM leases WHERE worker IS NOT NULL")
    assert len(rows) == PARTITIONS + 1
    assert sorted(one for worker in some for one in holds(worker)) == list(range(-1, PARTITIONS))


@contextlib.asynccontextmanager
async def going(task: asyncio.Task[None]) -> AsyncIterator[None]:
    """A task that is cancelled at the end."""
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_work_follows_the_leases(pool: Pool, config: LedgerConfig) -> None:
    """It is done for what is held, ended and begun anew when that changes, and not at all while nothing is held."""
    first, second = workers(pool, config, 2)
    begun: list[list[Partition]] = []
    at_work = 0

    async def work(partitions: Sequence[Partition]) -> None:
        nonlocal at_work
        begun.append(list(partitions))
        at_work += 1
        try:
            await asyncio.Event().wait()
        finally:
            at_work -= 1

    await first.renew()
    async with going(asyncio.create_task(first.while_partitions(work))):
        await until(lambda: begun == [list(range(PARTITIONS))])
        await second.renew()
        await first.renew()
        await until(lambda: len(begun) == 2)
        assert (begun[1], at_work) == (first.partitions, 1)
        assert len(begun[1]) < PARTITIONS
        await first.release()
        await until(lambda: at_work == 0)
    assert len(begun) == 2


async def test_work_that_breaks_is_told(pool: Pool, config: LedgerConfig) -> None:
    """What the work raises goes to whoever keeps doing it."""
    (worker,) = workers(pool, config, 1)
    await worker.renew()

    async def breaks() -> None:
        raise InvariantBroken("I9", "planted")

    with pytest.raises(InvariantBroken, match="planted"):
        await worker.while_books(breaks)


async def test_trim_of_one_that_wakes_up_late_takes_nothing(ledger: Ledger, redis: Any) -> None:
    """A trim to where the books once were moves neither the journal nor what counts as flushed."""
    for _ in range(10):
        await ledger.credit(grant("ann", 1))
    partition = ledger.keys.partition_of("ann")
    names = ledger.keys.of(partition)
    assert await ledger.trim(partition, 1, 8, 9) == 8
    left = await redis.xrange(names.journal)
    assert await ledger.trim(partition, 1, 3, 4) == 0
    assert await redis.xrange(names.journal) == left
    assert int(await redis.hget(names.totals, Total.FLUSHED)) == 9
