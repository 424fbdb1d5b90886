"""kill -9 of each process under load: every accepted gift is there, once, and the books balance."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.faults.crowd import send_through
from tests.serving import Serve, serving
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """A server with two gateways and a demo room, for senders of each test's own."""
    with serving(tmp_path_factory.mktemp("serve") / "var", "--demo", "--workers", "2") as running:
        yield running


@pytest.mark.parametrize("victim", ["gateway-1", "worker", "valkey", "postgres"])
def test_every_accepted_gift_is_there_once_after_a_kill(serve: Serve, victim: str) -> None:
    """Accepted means paid, on disk, in the room's history and shown: whatever dies in between."""

    async def kill(_: object) -> None:
        old_pid = serve.processes()[victim]
        serve.kill(victim)
        await asyncio.to_thread(
            wait_until, lambda: serve.processes().get(victim, old_pid) != old_pid and serve.is_ready(), 60
        )

    asyncio.run(send_through(serve, kill))
    report = serve.audit()
    assert report["ok"], [found for found in report["invariants"] if not found["ok"]]
