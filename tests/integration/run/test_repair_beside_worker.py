"""A worker that runs on another machine, or was killed there, and a repair from here: real processes."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from ledger.config import LedgerConfig
from ledger.live.keys import Keys
from ledger.live.redis_client import connect
from ledger.model import GiftAccepted
from ledger.service import open_ledger
from tests.integration.ledger.orders import gift_order, grant
from tests.integration.run.running import until
from tests.integration.run.test_two_workers import LEASE_MS, Worker
from tests.serving import GIFTWIRE
from tests.waiting import back_off

GIFTS = 20


@pytest.fixture
def worker(tmp_path: Path, valkey_url: str, database_url: str) -> Iterator[Worker]:
    """It has its own data folder, as on another machine."""
    found = Worker(tmp_path / "there", tmp_path / "there.log", valkey_url, database_url, LEASE_MS)
    try:
        until(lambda: found.said("worker_ready"), "the worker works")
        yield found
    finally:
        found.process.kill()
        found.process.wait()


def repair(folder: Path, valkey_url: str, database_url: str) -> subprocess.CompletedProcess[str]:
    """`giftwire reconcile --repair` with a data folder of its own."""
    addresses = {"GIFTWIRE_REDIS_URL": valkey_url, "GIFTWIRE_DATABASE_URL": database_url}
    environment = os.environ | addresses | {"GIFTWIRE_LEDGER_LEASE_MS": str(LEASE_MS)}
    command = [*GIFTWIRE, "reconcile", "--repair", "--data-dir", str(folder)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


async def lose_everything(config: LedgerConfig) -> None:
    """Gifts are in the books, and Valkey is empty."""
    ledger = open_ledger(config)
    await ledger.start()
    await ledger.credit(grant("ann", 100))
    for _ in range(GIFTS):
        assert isinstance(await ledger.give(gift_order("ann", 2)), GiftAccepted)
    books = await asyncpg.connect(config.database_url)
    while await books.fetchval("SELECT count(*) FROM journal_records") < GIFTS + 1:
        await back_off()
    await books.close()
    await ledger.redis.flushall()
    await ledger.stop()


async def held(config: LedgerConfig) -> tuple[int, list[Any]]:
    """Coins that ann holds, and what the partitions note as their epochs."""
    redis: Any = connect(config)
    keys = Keys(config.partitions)
    wallet = await redis.hget(keys.of(keys.partition_of("ann")).wallets, "ann")
    epochs = [await redis.hget(names.totals, "epoch") for _, names in keys.all()]
    await redis.aclose()
    return int(wallet or 0), epochs


def test_repair_beside_a_worker_elsewhere(worker: Worker, tmp_path: Path, valkey_url: str, database_url: str) -> None:
    """It is refused and names process, machine and folder, and no partition has begun; once that worker was stopped,
    every coin comes back."""
    config = LedgerConfig(redis_url=valkey_url, database_url=database_url)
    asyncio.run(lose_everything(config))
    refused = repair(tmp_path / "here", valkey_url, database_url)
    assert refused.returncode == 1
    said = " ".join(refused.stdout.split())
    assert f"process {worker.process.pid} on" in said and str(tmp_path / "there") in said, refused.stdout
    assert "stop every gateway and worker, then repair" in said
    coins, epochs = asyncio.run(held(config))
    assert (coins, set(epochs) <= {None, b"0"}) == (0, True)
    worker.process.terminate()
    worker.process.wait()
    done = repair(tmp_path / "here", valkey_url, database_url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert asyncio.run(held(config)) == (100 - 2 * GIFTS, [b"2"] * config.partitions)


def test_repair_after_a_worker_elsewhere_was_killed(
    worker: Worker, tmp_path: Path, valkey_url: str, database_url: str
) -> None:
    """What it held ends by itself, and the repair waits for that."""
    config = LedgerConfig(redis_url=valkey_url, database_url=database_url)
    asyncio.run(lose_everything(config))
    worker.process.kill()
    done = repair(tmp_path / "here", valkey_url, database_url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert asyncio.run(held(config)) == (100 - 2 * GIFTS, [b"2"] * config.partitions)


def test_worker_that_wakes_up_after_a_repair(
    worker: Worker, tmp_path: Path, valkey_url: str, database_url: str
) -> None:
    """It stood still all the while with leases that ended, and does no harm to what was brought back."""
    config = LedgerConfig(redis_url=valkey_url, database_url=database_url)
    asyncio.run(lose_everything(config))
    worker.process.send_signal(signal.SIGSTOP)
    try:
        done = repair(tmp_path / "here", valkey_url, database_url)
    finally:
        worker.process.send_signal(signal.SIGCONT)
    assert done.returncode == 0, done.stdout + done.stderr
    worker.process.terminate()
    worker.process.wait()
    audited = subprocess.run(
        [*GIFTWIRE, "audit", "--data-dir", str(tmp_path / "here")],
        env=os.environ | {"GIFTWIRE_REDIS_URL": valkey_url, "GIFTWIRE_DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert audited.returncode == 0, audited.stdout + audited.stderr
    assert asyncio.run(held(config)) == (100 - 2 * GIFTS, [b"2"] * config.partitions)
