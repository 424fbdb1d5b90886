"""Real losses of a Valkey of the test's own: a file that is cut, and a replica that was behind when it was promoted."""

import contextlib
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ledger.audits.audit import audit
from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.ids import format_id
from ledger.live.redis_client import connect
from ledger.mending.former import lost_with_former
from ledger.mending.reconcile import require_agreement
from ledger.mending.repair import repair
from ledger.model import GiftAccepted
from ledger.service import Ledger, open_ledger
from tests.integration.ledger.orders import gift_order, grant
from tests.integration.ledger.test_durability import free_port
from tests.integration.ledger_postgres.flushing import flush_all
from tests.integration.ledger_postgres.repairing import NoRooms
from tests.servers import Valkey, running_valkey
from tests.waiting import back_off

CUTS = 12
"""So many places of the last commit are tried, its first and its last byte among them."""


@pytest.fixture
def primary(tmp_path: Path) -> Iterator[Valkey]:
    """A Valkey that may be cut and killed."""
    folder = tmp_path / "primary"
    folder.mkdir()
    with running_valkey(folder) as valkey:
        yield valkey


@pytest.fixture
def config(primary: Valkey, database_url: str) -> LedgerConfig:
    """One partition on it, so that the last commit is the file's end."""
    return LedgerConfig(
        redis_url=primary.url, database_url=database_url, partitions=1, flush_interval_ms=1, trim_interval_ms=1
    )


@contextlib.asynccontextmanager
async def started(config: LedgerConfig) -> AsyncIterator[Ledger]:
    """A ledger as a gateway opens it."""
    await require_agreement(config)
    ledger = open_ledger(config)
    await ledger.start()
    try:
        yield ledger
    finally:
        await ledger.stop()


async def flushed(pool: Pool, config: LedgerConfig) -> None:
    """Everything is in the books."""
    redis = connect(config)
    await flush_all(pool, redis, config)
    await redis.aclose()


async def repaired(config: LedgerConfig) -> int:
    """Repair, see that all is well, and say how many records came back."""
    redis = connect(config, any_server=True)
    try:
        done = await repair(config, NoRooms(redis, config))
    finally:
        await redis.aclose()
    assert done.violations == []
    assert (await audit(config)).ok
    return done.records


async def test_file_cut_in_its_last_commit(primary: Valkey, pool: Pool, config: LedgerConfig, tmp_path: Path) -> None:
    """Wherever the last commit's bytes end, Valkey has all of it or nothing, and the repair brings back the rest."""
    async with started(config) as ledger:
        await ledger.credit(grant("ann", 100))
        await ledger.give(gift_order("ann", 10, combo=True))
        file = next((primary.folder / "appendonlydir").glob("*.incr.aof"))
        before = file.stat().st_size
        last = gift_order("ann", 5, combo=True)
        assert isinstance(await ledger.give(last), GiftAccepted)
    after = file.stat().st_size
    await flushed(pool, config)
    primary.kill()
    kept = tmp_path / "kept"
    shutil.copytree(primary.folder / "appendonlydir", kept)
    for number in range(CUTS):
        shutil.rmtree(primary.folder / "appendonlydir")
        shutil.copytree(kept, primary.folder / "appendonlydir")
        cut = before + (after - before) * number // (CUTS - 1)
        with file.open("r+b") as written:
            written.truncate(cut)
        primary.start()
        assert await repaired(config) == (0 if cut == after else 1), f"cut at {cut} of {before} to {after}"
        async with started(config) as ledger:
            assert await ledger.balance("ann") == 85
            outcome = await ledger.give(last)
            assert isinstance(outcome, GiftAccepted)
            assert (outcome.replay, outcome.balance_coins) == (True, 85)
        primary.kill()
    primary.start()


async def test_replica_that_was_behind(primary: Valkey, pool: Pool, config: LedgerConfig, tmp_path: Path) -> None:
    """After a failover what the books have comes back, and what neither has is named by a look at the former server."""
    folder, port = tmp_path / "replica", free_port()
    folder.mkdir()
    leader: Any = connect(config)
    await leader.config_set("port", port)
    await leader.config_set("repl-diskless-sync-delay", 0)
    with running_valkey(folder) as replica:
        promoted = msgspec.structs.replace(config, redis_url=replica.url)
        follower: Any = connect(promoted, any_server=True)
        async with started(config) as ledger:
            await ledger.credit(grant("ann", 100))
            await follower.replicaof("127.0.0.1", port)
            while (await follower.info("replication"))["master_link_status"] != "up":
                await back_off()
            while not await follower.exists(ledger.keys.of(ledger.keys.partition_of("ann")).totals):
                await back_off()
            await follower.replicaof("NO", "ONE")
            in_books = gift_order("ann", 7)
            assert isinstance(await ledger.give(in_books), GiftAccepted)
            await flushed(pool, config)
            nowhere = gift_order("ann", 9)
            assert isinstance(await ledger.give(nowhere), GiftAccepted)
        assert await repaired(promoted) == 1
        lost = await lost_with_former(promoted, primary.url)
        assert [(one.id, one.viewer, one.coins) for one in lost] == [(format_id(nowhere.id), "ann", 9)]
        async with started(promoted) as ledger:
            assert await ledger.balance("ann") == 93
            outcome = await ledger.give(in_books)
            assert isinstance(outcome, GiftAccepted)
            assert outcome.replay
            again = await ledger.give(nowhere)
            assert isinstance(again, GiftAccepted)
            assert (again.replay, again.balance_coins, again.epoch) == (False, 84, 2)
        assert [one.id for one in await lost_with_former(promoted, primary.url)] == []
        await follower.aclose()
    await leader.aclose()
