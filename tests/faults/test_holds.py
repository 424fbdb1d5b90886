"""Holds while processes die by kill -9: whatever dies, each ends once, and coins are taken or back."""

import time
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from ledger.ids import format_id, new_id
from tests.serving import Serve, serving
from tests.waiting import wait_until

HOLDS: Final = 12
COINS: Final = 10
SHORT_MS: Final = 2_000
LONG_MS: Final = 3_600_000
WAIT_S_MAX: Final = 60.0


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """A server with one gateway, for a viewer of each test's own."""
    with serving(tmp_path_factory.mktemp("serve") / "var") as running:
        yield running


def _fresh() -> str:
    return format_id(new_id(time.time_ns() // 1_000_000))


def _insist(client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Ask until there is an answer, as an order's server should: the same request each time."""
    answers: list[dict[str, Any]] = []

    def answered() -> bool:
        try:
            response = client.post(path, json=body)
        except httpx.HTTPError:
            return False
        if response.status_code >= 500:
            return False
        assert response.status_code == 200, response.text
        answers.append(response.json())
        return True

    wait_until(answered, WAIT_S_MAX)
    return answers[-1]


@pytest.mark.parametrize("victim", ["worker", "valkey", "postgres", "gateway-1"])
def test_each_hold_ends_once_whatever_dies(serve: Serve, victim: str) -> None:
    """Holds of three kinds over a kill: some expire, some are settled in part, some voided; the wallet adds up."""
    viewer = f"vera-{victim}"
    with serve.client("olga", "operator") as olga, serve.client(viewer, "viewer") as vera:
        _insist(olga, "/v1/admin/grants", {"id": _fresh(), "user": viewer, "coins": 1_000, "reason": "test"})
        ids = [_fresh() for _ in range(HOLDS)]
        for number, hold in enumerate(ids):
            lasts_ms = SHORT_MS if number % 3 == 0 else LONG_MS
            _insist(olga, "/v1/admin/holds", {"id": hold, "user": viewer, "coins": COINS, "lasts_ms": lasts_ms})
            if number == HOLDS // 2:
                old_pid = serve.processes()[victim]
                serve.kill(victim)
        for number, hold in enumerate(ids):
            step, body = [("", {}), ("settle", {"coins": 4}), ("void", {})][number % 3]
            if step:
                ended = _insist(olga, f"/v1/admin/users/{viewer}/holds/{hold}/{step}", body)
                assert ended["taken_coins"] == (4 if step == "settle" else 0)
        wait_until(lambda: serve.processes().get(victim, old_pid) != old_pid and serve.is_ready(), WAIT_S_MAX)
        expected = 1_000 - 4 * HOLDS // 3

        def all_expired() -> bool:
            return bool(vera.get("/v1/wallet").json()["balance_coins"] == expected)

        wait_until(all_expired, WAIT_S_MAX, lambda: vera.get("/v1/wallet").text)

        def listed() -> list[str]:
            return [hold["state"] for hold in vera.get("/v1/wallet/holds").json()["holds"]]

        states = ["expired", "settled", "voided"] * (HOLDS // 3)
        wait_until(lambda: listed()[::-1] == states, WAIT_S_MAX, lambda: str(listed()))
        entries = vera.get("/v1/wallet/entries", params={"limit": 100}).json()["entries"]
        assert sum(entry["coins"] for entry in entries) == expected
        # The grant, a beginning of each, and what came back of each.
        assert len(entries) == 1 + 2 * HOLDS
    report = serve.audit()
    assert report["ok"], [found for found in report["invariants"] if not found["ok"]]
