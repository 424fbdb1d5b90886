"""Processes that stand still for a while (SIGSTOP) and wake up late: nothing is lost, doubled, or stopped for good."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.faults.crowd import SETTLE_S_MAX, Sender, accepted_by, send_through
from tests.serving import GIFTWIRE, Serve, serving
from tests.waiting import until, wait_until

BREAKS = 1
"""Replies that every sender missed; it waits for one for longer than the ledger does."""
MEANWHILE_GIFTS = 500


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """A server with two gateways and a demo room, for senders of each test's own."""
    with serving(tmp_path_factory.mktemp("serve") / "var", "--demo", "--workers", "2") as running:
        yield running


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Let a process stand still meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def another_worker(serve: Serve, folder: Path) -> Iterator[None]:
    """A second worker on the same servers, with a data folder of its own."""
    where = json.loads((serve.data_dir / "endpoints.json").read_text())
    addresses = {"GIFTWIRE_REDIS_URL": where["redis_url"], "GIFTWIRE_DATABASE_URL": where["database_url"]}
    log = folder.with_suffix(".log")
    with log.open("wb") as output:
        command = [*GIFTWIRE, "worker", "--demo", "--data-dir", str(folder)]
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=os.environ | addresses)
    try:
        wait_until(lambda: "worker_ready" in log.read_text(), SETTLE_S_MAX, log.read_text)
        yield
    finally:
        process.kill()
        process.wait()


def assert_books_and_rooms_hold(serve: Serve) -> None:
    """Every duty is being done, and the audit finds nothing."""
    wait_until(serve.is_ready, SETTLE_S_MAX, lambda: serve.output)
    report = serve.audit()
    assert report["ok"], [found for found in report["invariants"] if not found["ok"]]


def test_valkey_stands_still_for_longer_than_the_ledger_waits(serve: Serve) -> None:
    """Gifts whose answers were lost, and their repetitions, are all read when it wakes up: each is paid once."""

    async def freeze(senders: Sequence[Sender]) -> None:
        with frozen(serve.processes()["valkey"]):
            await until(lambda: min(sender.broken for sender in senders) >= BREAKS, SETTLE_S_MAX)

    asyncio.run(send_through(serve, freeze))
    assert_books_and_rooms_hold(serve)


def test_worker_wakes_up_behind_another_one(serve: Serve, tmp_path: Path) -> None:
    """The journal behind it is gone by then: it takes up where the other is, and goes on alone when that one dies."""

    async def freeze(senders: Sequence[Sender]) -> None:
        with frozen(serve.processes()["worker"]), another_worker(serve, tmp_path / "other"):
            enough = accepted_by(senders) + MEANWHILE_GIFTS
            await until(lambda: accepted_by(senders) >= enough, SETTLE_S_MAX)

    asyncio.run(send_through(serve, freeze))
    assert_books_and_rooms_hold(serve)
