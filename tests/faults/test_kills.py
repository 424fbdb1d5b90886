"""kill -9 of each process under load: every accepted gift is there, once, and the books balance."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.ids import format_id, new_id
from tests.faults.crowd import PRICE_COINS, Overlay, Sender
from tests.serving import Serve, serving
from tests.waiting import until, wait_until

SENDERS = 6
COINS = 100_000
BEFORE_GIFTS = 300
AFTER_GIFTS = 300


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """A server with two gateways and a demo room."""
    with serving(tmp_path / "var", "--demo", "--workers", "2") as running:
        yield running


@pytest.mark.parametrize("victim", ["gateway-1", "worker", "valkey", "postgres"])
def test_every_accepted_gift_is_there_once_after_a_kill(serve: Serve, victim: str) -> None:
    """Accepted means paid, on disk, in the room's history and shown: whatever dies in between."""
    with serve.client("op", "operator") as operator:
        for number in range(SENDERS):
            grant_id = format_id(new_id(int(time.time() * 1000)))
            body = {"id": grant_id, "user": f"sender{number}", "coins": COINS, "reason": "test"}
            operator.post("/v1/admin/grants", json=body).raise_for_status()
    asyncio.run(_load_and_kill(serve, victim))
    report = serve.audit()
    assert report["ok"], [found for found in report["invariants"] if not found["ok"]]


async def _load_and_kill(serve: Serve, victim: str) -> None:
    senders = [Sender(serve, f"sender{number}") for number in range(SENDERS)]
    overlay = Overlay(serve, "demo-creator")
    await overlay.until_watching()
    stop = asyncio.Event()
    sending = asyncio.gather(*(sender.send_until(stop) for sender in senders))

    async def until_accepted(count: int) -> None:
        await until(lambda: sending.done() or sum(len(sender.accepted) for sender in senders) >= count, 60)

    try:
        await until_accepted(BEFORE_GIFTS)
        old_pid = serve.processes()[victim]
        serve.kill(victim)
        await asyncio.to_thread(
            wait_until, lambda: serve.processes().get(victim, old_pid) != old_pid and serve.is_ready(), 60
        )
        await until_accepted(sum(len(sender.accepted) for sender in senders) + AFTER_GIFTS)
    finally:
        stop.set()
        await sending
    accepted = set().union(*(sender.accepted for sender in senders))
    await overlay.until_seen(accepted)
    await overlay.close()
    assert overlay.gaps == 0
    assert set(overlay.seen) == accepted, f"missing {len(accepted - set(overlay.seen))}"
    assert [gift_id for gift_id, times in overlay.seen.items() if times != 1] == []
    for sender in senders:
        with serve.client(sender.user, "viewer") as viewer:
            balance = viewer.get("/v1/wallet").raise_for_status().json()["balance_coins"]
        assert balance == COINS - PRICE_COINS * len(sender.accepted)
    with serve.client("demo-creator", "creator") as creator:
        earnings = creator.get("/v1/creators/me/earnings").raise_for_status().json()
    assert earnings["live_diamonds"] == 50 * PRICE_COINS * len(accepted)
