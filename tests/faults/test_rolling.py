"""A rolling restart beside live traffic: all processes are replaced, and nobody is refused but for a moment."""

import asyncio
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from ledger.ids import format_id, new_id
from tests.faults.crowd import send_through
from tests.serving import Serve, serving
from tests.waiting import wait_until

WAIT_S_MAX = 90.0
DATABASE_MS_MAX = 5_000
PARTS = {"gateway-1", "gateway-2", "worker"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with settings."""
    path = tmp_path / "giftwire.toml"
    path.write_text("[edge]\nrooms_per_session_max = 3\n")
    return path


@pytest.fixture
def serve(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """A server with two gateways, a demo room and a file of settings; it soon knows that PostgreSQL is away."""
    monkeypatch.setenv("GIFTWIRE_LEDGER_DATABASE_TIMEOUT_MS", str(DATABASE_MS_MAX))
    with serving(tmp_path / "var", "--demo", "--workers", "2", "--config", str(file)) as running:
        yield running


class Asker:
    """Asks over HTTP again and again, with connections that are kept, and counts how it was answered."""

    def __init__(self, serve: Serve) -> None:
        self.answers: Counter[str] = Counter()
        self.accepted = 0
        self._serve = serve
        self._stop = threading.Event()
        with serve.client("op", "operator") as operator:
            operator.put("/v1/admin/creators/cleo", json={"name": "Cleo"}).raise_for_status()
            operator.put("/v1/admin/rooms/other", json={"creator": "cleo"}).raise_for_status()
            grant = {"id": _fresh(), "user": "ada", "coins": 1_000_000, "reason": "test"}
            operator.post("/v1/admin/grants", json=grant).raise_for_status()
        self._threads = [threading.Thread(target=self._give), threading.Thread(target=self._look)]

    def __enter__(self) -> "Asker":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _give(self) -> None:
        with self._serve.client("ada", "viewer") as client:
            while not self._stop.is_set():
                gift = {"id": _fresh(), "room": "other", "gift": "rose"}
                self.accepted += self._asked(client, "POST", "/v1/gifts", gift)

    def _look(self) -> None:
        with httpx.Client(base_url=self._serve.url, timeout=20.0, trust_env=False) as client:
            while not self._stop.is_set():
                self._asked(client, "GET", "/readyz", None)

    def _asked(self, client: httpx.Client, method: str, path: str, body: object) -> bool:
        try:
            answer = client.request(method, path, json=body)
        except httpx.HTTPError as exc:
            self.answers[f"{path} {type(exc).__name__}"] += 1
            return False
        self.answers[f"{path} {answer.status_code}"] += 1
        return answer.status_code == 200


def _fresh() -> str:
    return format_id(new_id(time.time_ns() // 1_000_000))


def rooms_max(serve: Serve) -> set[int]:
    """What gateways say of a setting, over several connections."""
    said = set()
    for _ in range(10):
        with connect(serve.ws_url, proxy=None) as socket:
            socket.send(json.dumps({"type": "hello", "ref": "h", "token": serve.signer.token("ada", "viewer")}))
            said.add(json.loads(socket.recv())["limits"]["rooms_max"])
    return said


def test_rolling_restart_beside_live_traffic(serve: Serve) -> None:
    """Every process of ours is another afterwards; each gift is paid and shown once, overlays have no gap, and no
    request over HTTP was without its answer."""
    before = serve.processes()
    accepted = 0

    async def restart(_: object) -> None:
        nonlocal accepted
        with Asker(serve) as asker:
            done = await asyncio.to_thread(serve.run, "restart")
            assert done.returncode == 0, done.stderr + serve.output
            assert done.stdout == "replaced: gateway-1, gateway-2, worker\n"
        assert set(asker.answers) == {"/v1/gifts 200", "/readyz 200"}, asker.answers
        accepted = asker.accepted

    asyncio.run(send_through(serve, restart))
    assert accepted > 0
    after = serve.processes()
    assert {name for name in before if before[name] != after[name]} == PARTS
    wait_until(serve.is_ready, WAIT_S_MAX, lambda: serve.output)
    report = serve.audit()
    assert report["ok"], [found for found in report["invariants"] if not found["ok"]]


def test_changed_configuration_is_taken_in(serve: Serve, file: Path) -> None:
    """SIGHUP reads the file anew, also for how many gateways there are; a process that dies has what was accepted."""
    assert rooms_max(serve) == {3}
    file.write_text("[edge]\nrooms_per_session_max = 4\n")
    serve.kill("gateway-1")
    pid = serve.processes().get("gateway-1")
    wait_until(lambda: serve.processes().get("gateway-1") not in (None, pid), WAIT_S_MAX, lambda: serve.output)
    assert rooms_max(serve) == {3}
    os.kill(json.loads((serve.data_dir / "endpoints.json").read_text())["serve_pid"], signal.SIGHUP)
    wait_until(lambda: '"restarted"' in serve.output, WAIT_S_MAX, lambda: serve.output)
    assert rooms_max(serve) == {4}


def test_wrong_configuration_is_refused(serve: Serve, file: Path) -> None:
    """Every fault is named, and everything goes on as before, also for a process that dies then."""
    before = serve.processes()
    file.write_text("prot = 1\n[edge]\nrooms_per_session_max = 0\n")
    done = serve.run("restart")
    assert done.returncode == 2
    assert f"{file}: prot" in done.stderr
    assert f"{file}: edge.rooms_per_session_max" in done.stderr
    file.write_text("[ledger]\npartitions = 3\n")
    done = serve.run("restart")
    assert done.returncode == 2
    assert "ledger.partitions cannot change while this runs" in done.stderr
    file.write_text('catalog_file = "/no/such/folder"\n')
    done = serve.run("restart")
    assert done.returncode == 2
    assert "/no/such/folder" in done.stderr
    assert serve.processes() == before
    serve.kill("gateway-2")
    wait_until(
        lambda: serve.processes().get("gateway-2") not in (None, before["gateway-2"]),
        WAIT_S_MAX,
        lambda: serve.output,
    )
    assert rooms_max(serve) == {3}


def test_restart_while_the_books_are_away(serve: Serve, tmp_path: Path) -> None:
    """A new gateway that could not do its work does not take the place of one that still sells gifts."""
    before = serve.processes()
    os.kill(before["postgres"], signal.SIGSTOP)
    try:
        asking = threading.Thread(target=serve.run, args=("restart",))
        asking.start()
        log = serve.data_dir / "logs" / "gateway-1.log"
        wait_until(lambda: "gateway_waits" in log.read_text(), WAIT_S_MAX, log.read_text)
        assert serve.processes() == before
    finally:
        os.kill(before["postgres"], signal.SIGCONT)
    asking.join()
    after = serve.processes()
    assert {name for name in before if before[name] != after[name]} == PARTS


def test_restart_where_nothing_serves(tmp_path: Path) -> None:
    """It says so."""
    serve = Serve(tmp_path / "var")
    done = serve.run("restart")
    assert done.returncode == 2
    assert f"nothing serves from {tmp_path / 'var'}" in " ".join(done.stderr.split())
