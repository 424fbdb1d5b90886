"""Two workers: on one data folder, where the second waits, and on folders of their own, where they share the work."""

import asyncio
import contextlib
import functools
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from ledger.audits.audit import audit
from ledger.config import LedgerConfig
from ledger.model import GiftAccepted
from ledger.service import Ledger, open_ledger
from tests.integration.ledger.orders import gift_order, grant
from tests.integration.run.running import until
from tests.serving import GIFTWIRE
from tests.waiting import back_off


class Worker:
    """A `giftwire worker` of a folder, with what it said."""

    def __init__(self, data_dir: Path, log: Path, redis_url: str, database_url: str, lease_ms: int = 6_000) -> None:
        self._log = log
        environment = os.environ | {"GIFTWIRE_REDIS_URL": redis_url, "GIFTWIRE_DATABASE_URL": database_url}
        environment["GIFTWIRE_LEDGER_LEASE_MS"] = str(lease_ms)
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [*GIFTWIRE, "worker", "--data-dir", str(data_dir)],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
            )

    def said(self, word: str) -> bool:
        """Whether a word stands in its log."""
        return word in self._log.read_text()


@pytest.fixture
def workers(tmp_path: Path, valkey_url: str, database_url: str) -> Iterator[tuple[Worker, Worker]]:
    """The second was started when the first was at work."""
    first = Worker(tmp_path / "var", tmp_path / "first", valkey_url, database_url)
    with contextlib.ExitStack() as stack:
        stack.callback(first.process.wait)
        stack.callback(first.process.kill)
        until(lambda: first.said("worker_ready"), "the first worker works")
        second = Worker(tmp_path / "var", tmp_path / "second", valkey_url, database_url)
        stack.callback(second.process.wait)
        stack.callback(second.process.kill)
        yield first, second


def test_second_worker_of_a_folder_takes_over(workers: tuple[Worker, Worker]) -> None:
    """It waits, and says so; a kill -9 of the first gives it the work."""
    first, second = workers
    until(lambda: second.said("worker_waits"), "the second worker waits")
    assert not second.said("worker_ready")
    first.process.kill()
    until(lambda: second.said("worker_ready"), "the second worker works")


def test_second_worker_of_a_folder_ends_while_it_waits(workers: tuple[Worker, Worker]) -> None:
    """Waiting for its turn does not keep it from ending when it is told to."""
    first, second = workers
    until(lambda: second.said("worker_waits"), "the second worker waits")
    second.process.terminate()
    assert second.process.wait(timeout=20) == 0
    assert first.process.poll() is None


LEASE_MS = 1_500


@pytest.fixture
def sharers(tmp_path: Path, valkey_url: str, database_url: str) -> Iterator[tuple[Worker, Worker]]:
    """Each has a folder of its own, and both are at work."""
    with contextlib.ExitStack() as stack:
        both = []
        for name in ("first", "second"):
            worker = Worker(tmp_path / name, tmp_path / f"{name}.log", valkey_url, database_url, LEASE_MS)
            stack.callback(worker.process.wait)
            stack.callback(worker.process.kill)
            until(functools.partial(worker.said, "worker_ready"), "a worker works")
            both.append(worker)
        until(lambda: held(database_url) == [4, 5], "they share")
        yield both[0], both[1]


def held(database_url: str) -> list[int]:
    """How many leases each worker holds that has any, the fewest first."""

    async def ask() -> list[int]:
        connection = await asyncpg.connect(database_url)
        try:
            rows = await connection.fetch(
                "SELECT count(*) AS held FROM leases WHERE until > clock_timestamp() GROUP BY worker ORDER BY 1"
            )
            return [row["held"] for row in rows]
        finally:
            await connection.close()

    return asyncio.run(ask())


def test_worker_that_is_killed_leaves_its_part_to_the_other(
    sharers: tuple[Worker, Worker], database_url: str, tmp_path: Path, valkey_url: str
) -> None:
    """The other has all nine leases soon; one that is started on the dead one's folder has its part again."""
    sharers[0].process.kill()
    sharers[0].process.wait()
    until(lambda: held(database_url) == [9], "the other takes all")
    back = Worker(tmp_path / "first", tmp_path / "back.log", valkey_url, database_url, LEASE_MS)
    try:
        until(lambda: held(database_url) == [4, 5], "they share again")
    finally:
        back.process.terminate()
        assert back.process.wait(timeout=20) == 0
    until(lambda: held(database_url) == [9], "what was given back is taken")


def test_gifts_given_while_a_worker_stands_still_are_written_once(
    sharers: tuple[Worker, Worker], database_url: str, valkey_url: str
) -> None:
    """It stands still with its part of the work, another does that meanwhile, and it wakes up in the midst of it: every
    gift is in the books once, the wallets are what the gifts left, and no duty has stopped."""

    async def give(ledger: Ledger, viewers: list[str]) -> None:
        for viewer in viewers:
            for outcome in await asyncio.gather(*(ledger.give(gift_order(viewer, 2)) for _ in range(10))):
                assert isinstance(outcome, GiftAccepted)

    async def play() -> None:
        config = LedgerConfig(redis_url=valkey_url, database_url=database_url)
        ledger = open_ledger(config)
        await ledger.start()
        viewers = [f"viewer-{number}" for number in range(24)]
        for viewer in viewers:
            await ledger.credit(grant(viewer, 1_000))
        giving = asyncio.create_task(give(ledger, viewers))
        sharers[0].process.send_signal(signal.SIGSTOP)
        try:
            await giving
            await asyncio.to_thread(until, lambda: held(database_url) == [9], "the other takes all")
            giving = asyncio.create_task(give(ledger, viewers))
        finally:
            sharers[0].process.send_signal(signal.SIGCONT)
        await giving
        await asyncio.to_thread(until, lambda: held(database_url) == [4, 5], "they share again")
        await give(ledger, viewers)
        pool = await asyncpg.connect(database_url)
        try:
            while await pool.fetchval("SELECT count(*) FROM journal_records") < len(viewers) * 31:
                await back_off()
            assert await pool.fetchval("SELECT count(DISTINCT id) FROM journal_records") == len(viewers) * 31
            assert (
                await pool.fetchval("SELECT sum(coins) FROM journal_records WHERE kind = 'gift'") == len(viewers) * 60
            )
        finally:
            await pool.close()
        assert [await ledger.balance(viewer) for viewer in viewers] == [940] * len(viewers)
        await ledger.stop()
        report = await audit(config)
        assert report.ok, [one.violations for one in report.invariants]

    asyncio.run(asyncio.wait_for(play(), 90))
    assert not any(worker.said("duty_stopped") for worker in sharers)
