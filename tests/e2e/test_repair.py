"""A Valkey whose disk is gone: what was given comes back from the books by one command, and the server goes on."""

import json
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import httpx

from ledger.ids import format_id, new_id
from tests.e2e.test_reconcile import in_books
from tests.e2e.test_serve import balance_of, events_of, guest_of, refused
from tests.serving import Serve
from tests.waiting import wait_until

ROSE_COINS = 1


def order(count: int, *, combo: bool) -> dict[str, Any]:
    """Roses in the demo room."""
    gift_id = format_id(new_id(int(time.time() * 1000)))
    return {"id": gift_id, "room": "demo", "gift": "rose", "count": count, "combo": combo}


def give(guest: httpx.Client, wanted: dict[str, Any]) -> dict[str, Any]:
    """What the server answers to a gift."""
    answer = guest.post("/v1/gifts", json=wanted)
    assert answer.status_code == 200, answer.text
    paid: dict[str, Any] = answer.json()
    return paid


def test_lost_disk(tmp_path: Path) -> None:
    """kill -9, the folder of Valkey is gone: serve names the way out, the repair brings all back, and nothing twice."""
    serve = Serve(tmp_path / "var", "--demo")
    orders = [order(count, combo=count % 2 == 0) for count in (1, 2, 3, 4)]
    try:
        serve.start()
        with guest_of(serve) as guest:
            before = balance_of(guest)
            for one in orders:
                give(guest, one)
            wait_until(lambda: in_books(guest) == len(orders), 20, lambda: "not all gifts are in the books")
            serve.stop(signal.SIGKILL)
            shutil.rmtree(serve.data_dir / "valkey")
            said = refused("--demo", "--port", "0", "--data-dir", str(serve.data_dir))
            assert "`giftwire reconcile --repair`" in said

            looked = serve.run("reconcile")
            assert looked.returncode == 1, looked.stderr
            assert all(one["id"] in looked.stdout for one in orders)
            done = serve.run("reconcile", "--repair", "--json")
            assert done.returncode == 0, done.stdout + done.stderr
            report = json.loads(done.stdout)
            repaired = report["repair"]
            assert (repaired["epoch"], repaired["gifts"], repaired["coins"]) == (2, 4, (1 + 2 + 3 + 4) * ROSE_COINS)
            assert {one["id"] for one in repaired["named"]} >= {one["id"] for one in orders}

            serve.start()
            guest.base_url = httpx.URL(serve.url)
            assert balance_of(guest) == before - 10 * ROSE_COINS
            again = give(guest, orders[0])
            assert (again["replay"], again["balance_coins"]) == (True, before - 10 * ROSE_COINS)
            assert guest.post("/v1/gifts", json=orders[0] | {"count": 2}).status_code == 409
            last = order(5, combo=False)
            assert give(guest, last)["balance_coins"] == before - 15 * ROSE_COINS
            given = [one["id"] for one in (*orders, last)]
            wait_until(lambda: gifts_told(serve) == given, 20, lambda: f"told {gifts_told(serve)}, given {given}")
        report = serve.audit()
        assert report["ok"], report
        assert serve.run("reconcile", "--repair").returncode == 0
    finally:
        serve.stop()


def gifts_told(serve: Serve) -> list[str]:
    """Ids of the gifts in the demo room's history, without the ends of combos."""
    return [event["id"] for event in events_of(serve) if event.get("count")]


def test_repair_while_serving(tmp_path: Path) -> None:
    """Beside a server that agrees there is nothing to repair, and a folder without a server says so."""
    serve = Serve(tmp_path / "var", "--demo")
    nothing = serve.run("reconcile", "--repair")
    assert nothing.returncode == 2
    assert "nothing serves from" in nothing.stderr
    assert not serve.data_dir.exists()
    try:
        serve.start()
        done = serve.run("reconcile", "--repair")
        assert done.returncode == 0, done.stderr
        assert "agree" in done.stdout
    finally:
        serve.stop()
