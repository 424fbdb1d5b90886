"""`giftwire serve --demo` as somebody who tries it meets it."""

import re
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.run.keeping.processes import processes_started_as
from ledger.ids import format_id, new_id
from tests.serving import GIFTWIRE, Serve
from tests.waiting import wait_until

STOP_S_MAX = 15.0
REFUSED_S_MAX = 60.0
GIFTS, SCRAPES = 12, 8


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """A demo on a free port, not started yet."""
    serve = Serve(tmp_path / "var", "--demo", "--workers", "2")
    yield serve
    serve.stop()


def guest_of(serve: Serve) -> httpx.Client:
    """A guest of the demo."""
    guest = httpx.post(f"{serve.url}/v1/demo/guest", timeout=10, trust_env=False).json()
    assert guest["room"] == "demo"
    headers = {"Authorization": f"Bearer {guest['token']}"}
    return httpx.Client(base_url=serve.url, headers=headers, timeout=10, trust_env=False)


def a_rose(count: int = 1) -> dict[str, Any]:
    """A gift in the demo room that nobody has given yet."""
    return {"id": format_id(new_id(int(time.time() * 1000))), "room": "demo", "gift": "rose", "count": count}


def give(guest: httpx.Client) -> dict[str, Any]:
    """Give a rose in the demo room."""
    answer = guest.post("/v1/gifts", json=a_rose(3))
    assert answer.status_code == 200, answer.text
    paid: dict[str, Any] = answer.json()
    return paid


def events_of(serve: Serve) -> list[dict[str, Any]]:
    """The demo room's history, as its creator reads it."""
    with serve.client("demo-creator", "creator") as creator:
        answer = creator.get("/v1/rooms/demo/events")
    assert answer.status_code == 200, answer.text
    events: list[dict[str, Any]] = answer.json()["events"]
    return events


def balance_of(guest: httpx.Client) -> int:
    """Coins of a guest."""
    return int(guest.get("/v1/wallet").json()["balance_coins"])


def until_told(serve: Serve, count: int) -> list[dict[str, Any]]:
    """The room's history once it holds so many events."""
    wait_until(lambda: len(events_of(serve)) >= count, 20, lambda: f"{len(events_of(serve))} events, not {count}")
    return events_of(serve)


def test_scrape_of_any_gateway_tells_what_all_of_them_counted(serve: Serve) -> None:
    """Gifts over connections that reach one gateway or the other are all in every scrape, also after one was killed."""
    serve.start()
    with guest_of(serve) as guest:
        for _ in range(GIFTS):
            httpx.post(
                f"{serve.url}/v1/gifts", json=a_rose(), headers=guest.headers, timeout=10, trust_env=False
            ).raise_for_status()
    wait_until(lambda: accepted_by(serve) == {GIFTS}, 20, lambda: f"{accepted_by(serve)}")
    serve.kill("gateway-1")
    wait_until(lambda: accepted_by(serve) == {GIFTS}, 20, lambda: f"{accepted_by(serve)}")


def accepted_by(serve: Serve) -> set[int]:
    """Gifts that were accepted, as several scrapes say that meet this gateway or that."""
    counted = set()
    for _ in range(SCRAPES):
        try:
            text = httpx.get(f"{serve.url}/metrics", timeout=10, trust_env=False).text
        except httpx.HTTPError:
            return set()
        found = re.search(r'^giftwire_gifts_total{outcome="accepted",way="http"} (\S+)$', text, re.MULTILINE)
        counted.add(int(float(found[1])) if found else 0)
    return counted


def test_demo_from_start_to_start(serve: Serve) -> None:
    """A guest gives, coins go and the room hears; Ctrl-C ends in seconds, and the next start has it all."""
    serve.start()
    for part in ("/rooms/demo", "/overlay/demo#token=", "/studio", "/docs", str(serve.data_dir), "Ctrl-C"):
        assert part in serve.output
    with guest_of(serve) as guest:
        before = balance_of(guest)
        paid = give(guest)
        assert paid["balance_coins"] == before - paid["coins"] == balance_of(guest)
        events = until_told(serve, 1)
        assert (events[0]["gift"], events[0]["count"], events[0]["id"]) == ("rose", 3, paid["id"])

        began_s = time.monotonic()
        assert serve.stop(signal.SIGINT) == 0
        assert time.monotonic() - began_s < STOP_S_MAX
        assert processes_started_as(["--data-dir", str(serve.data_dir)]) == []

        serve.start()
        guest.base_url = httpx.URL(serve.url)
        assert balance_of(guest) == before - paid["coins"]
        assert events_of(serve) == events
        give(guest)
        assert len(until_told(serve, 2)) == 2


def test_serve_killed(serve: Serve) -> None:
    """After kill -9 of serve everything ends by itself, and the next start on the same port has every paid gift."""
    serve.start()
    with guest_of(serve) as guest:
        paid = give(guest)
        serve.stop(signal.SIGKILL)
        serve.start()
        guest.base_url = httpx.URL(serve.url)
        assert balance_of(guest) == paid["balance_coins"]
        assert [event["id"] for event in until_told(serve, 1)] == [paid["id"]]


def test_gateways_share_the_port(serve: Serve) -> None:
    """Two of them answer on one port, and it is answered on while one is killed and started again."""
    serve.start()
    first, second = (serve.processes()[f"gateway-{number}"] for number in (1, 2))
    assert first != second
    serve.kill("gateway-1")
    with guest_of(serve) as guest:
        give(guest)
    wait_until(
        lambda: serve.processes().get("gateway-1", first) != first, 30, lambda: "gateway-1 was not started again"
    )
    assert serve.processes()["gateway-2"] == second


def test_data_folder(serve: Serve) -> None:
    """It is its owner's alone, and so is everything in it."""
    serve.start()
    with guest_of(serve) as guest:
        give(guest)
    paths = [serve.data_dir, *serve.data_dir.rglob("*")]
    loose = [path for path in paths if path.is_dir() and stat.S_IMODE(path.stat().st_mode) & 0o077]
    assert loose == []


def refused(*flags: str) -> str:
    """What a `serve` says that ends by itself with 2."""
    done = subprocess.run(
        [*GIFTWIRE, "serve", *flags], capture_output=True, text=True, timeout=REFUSED_S_MAX, check=False
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_second_serve(serve: Serve, tmp_path: Path) -> None:
    """On the same folder it names the first; on the same port, with a folder of its own, it names the port."""
    serve.start()
    said = refused("--data-dir", str(serve.data_dir), "--port", "0")
    assert "is in use: giftwire serve already runs on it as process" in said
    said = refused("--data-dir", str(tmp_path / "other"), "--port", str(serve.port))
    assert f"port {serve.port} on 127.0.0.1 is in use" in said
    assert serve.is_ready()


def test_serve_with_faults(tmp_path: Path) -> None:
    """All faults of the configuration are named, and nothing is made."""
    file = tmp_path / "giftwire.toml"
    file.write_text("prot = 8080\n[ledger]\npartitions = 0\n")
    said = refused("--config", str(file), "--data-dir", str(tmp_path / "var"), "--port", "70000")
    assert all(place in said for place in ("prot", "ledger.partitions", "--port"))
    assert not (tmp_path / "var").exists()
