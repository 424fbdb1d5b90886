"""Dear gifts while processes die by kill -9 between the gift and its end: each is undone or paid, once."""

import time
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from ledger.ids import format_id, new_id
from tests.serving import Serve, serving
from tests.waiting import wait_until

GIFTS: Final = 12
COINS: Final = 100
WINDOW_MS: Final = 6_000
WAIT_S_MAX: Final = 60.0
_EXPIRED: Final = 410


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """A server with the demo's room, where what costs 100 coins can be undone for a while; each test has a viewer of
    its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIFTWIRE_ROOMS_UNDO_COINS_MIN", str(COINS))
        patch.setenv("GIFTWIRE_ROOMS_UNDO_WINDOW_MS", str(WINDOW_MS))
        with serving(tmp_path_factory.mktemp("serve") / "var", "--demo") as running:
            yield running


def _fresh() -> str:
    return format_id(new_id(time.time_ns() // 1_000_000))


def _insist(client: httpx.Client, path: str, body: dict[str, Any] | None) -> httpx.Response:
    """Ask until there is an answer, as a client should: the same request each time."""
    answers: list[httpx.Response] = []

    def answered() -> bool:
        try:
            response = client.post(path, json=body)
        except httpx.HTTPError:
            return False
        answers.append(response)
        return response.status_code < 500

    wait_until(answered, WAIT_S_MAX, lambda: answers[-1].text if answers else "no answer")
    return answers[-1]


@pytest.mark.parametrize("victim", ["worker", "valkey", "postgres", "gateway-1"])
def test_each_dear_gift_ends_once_whatever_dies(serve: Serve, victim: str) -> None:
    """Whoever was told that it is undone has the coins, all others are paid; wallet, earnings and books agree."""
    viewer = f"vera-{victim}"
    with serve.client("olga", "operator") as olga, serve.client(viewer, "viewer") as vera:
        granted = GIFTS * COINS + 7
        grant = {"id": _fresh(), "user": viewer, "coins": granted, "reason": "test"}
        assert _insist(olga, "/v1/admin/grants", grant).status_code == 200
        ids = [_fresh() for _ in range(GIFTS)]
        undone = set()
        for number, gift in enumerate(ids):
            wish = {"id": gift, "gift": "rose", "count": COINS, "room": "demo"}
            assert _insist(vera, "/v1/gifts", wish).status_code == 200
            if number == GIFTS // 2:
                old_pid = serve.processes()[victim]
                serve.kill(victim)
            if number % 2:
                answer = _insist(vera, f"/v1/gifts/{gift}/undo", None)
                assert answer.status_code in (200, _EXPIRED), answer.text
                undone |= {gift} if answer.status_code == 200 else set()
        wait_until(lambda: serve.processes().get(victim, old_pid) != old_pid and serve.is_ready(), WAIT_S_MAX)
        paid = [gift for gift in ids if gift not in undone]

        def states() -> list[str]:
            return [vera.get(f"/v1/gifts/{gift}").json()["state"] for gift in ids]

        expected = ["undone" if gift in undone else "accepted" for gift in ids]
        wait_until(lambda: states() == expected, WAIT_S_MAX, lambda: str(states()))
        assert vera.get("/v1/wallet").json()["balance_coins"] == granted - COINS * len(paid)
        for gift in ids:
            answer = _insist(vera, f"/v1/gifts/{gift}/undo", None)
            assert answer.status_code == (200 if gift in undone else _EXPIRED), answer.text
            assert answer.status_code == _EXPIRED or answer.json()["replay"]

        def entries() -> list[dict[str, Any]]:
            return list(vera.get("/v1/wallet/entries", params={"limit": 100}).json()["entries"])

        wait_until(lambda: len(entries()) == 1 + GIFTS + len(undone), WAIT_S_MAX, lambda: str(len(entries())))
        assert sum(entry["coins"] for entry in entries()) == granted - COINS * len(paid)
    report = serve.audit()
    assert report["ok"], [found for found in report["invariants"] if not found["ok"]]
