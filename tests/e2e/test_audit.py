"""`giftwire audit` on the folder of a running serve: 0 when all holds, 1 with what does not, 2 when it cannot look."""

from pathlib import Path

import httpx
import jwt
import pytest
from redis import Redis

from ledger.config import LedgerConfig, read_endpoints
from ledger.live.keys import Keys
from tests.e2e.test_serve import give, guest_of, until_told
from tests.serving import Serve, serving
from tests.waiting import wait_until

WITHIN_S = 60.0
STORED = {"I1", "I2", "I3", "I4", "I5", "I8", "I9", "I10"}
"""What can be proved from stored data; I6 and I7 are about what is sent."""


def test_audit_of_a_running_serve(tmp_path: Path) -> None:
    """All invariants hold after gifts; a coin that came from nowhere breaks one, and the report names the wallet."""
    with serving(tmp_path / "var", "--demo") as serve:
        with guest_of(serve) as guest:
            give(guest)
            until_told(serve, 1)
            token = guest.headers["Authorization"].removeprefix("Bearer ")
        report = serve.audit()
        assert report["ok"], report
        assert {result["id"] for result in report["invariants"]} == STORED
        assert sum(result["checked"] for result in report["invariants"]) > 0
        assert "holds" in serve.run("audit").stdout

        viewer = jwt.decode(token, options={"verify_signature": False})["sub"]
        add_coin(serve, viewer)
        report = serve.audit()
        assert not report["ok"]
        said = str([result["violations"] for result in report["invariants"] if not result["ok"]])
        assert viewer in said
        done = serve.run("audit")
        assert done.returncode == 1
        assert "BROKEN" in done.stdout


def test_coin_from_nowhere_does_not_stay_unseen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker finds it by itself: critical in its log with the wallet, in the metrics, and as not ready."""
    monkeypatch.setenv("GIFTWIRE_LEDGER_AUDIT_PAUSE_MS", "100")
    monkeypatch.setenv("GIFTWIRE_LEDGER_AUDIT_SHARE_PERMILLE", "100")
    with serving(tmp_path / "var", "--demo") as serve:
        with guest_of(serve) as guest:
            give(guest)
            until_told(serve, 1)
            viewer = guest.get("/v1/wallet").json()["user"]
            wait_until(lambda: metric(guest, "giftwire_audit_rounds") > 0, WITHIN_S)
            assert metric(guest, 'giftwire_audit_violations{invariant="I9"}') == 0
            add_coin(serve, viewer)
            wait_until(lambda: not serve.is_ready(), WITHIN_S)
            missing = guest.get("/readyz").json()["missing"]
            assert missing == {"invariants": "I9 violated"}
            assert metric(guest, 'giftwire_audit_violations{invariant="I9"}') == 1
        log = (serve.data_dir / "logs" / "worker.log").read_text()
        said = [line for line in log.splitlines() if "audit_violation" in line]
        assert "critical" in said[0] and "I9" in said[0] and f"wallet of {viewer} holds" in said[0]


def test_audit_that_cannot_look(tmp_path: Path) -> None:
    """Without servers nothing is said to hold."""
    done = Serve(tmp_path / "var").run("audit", "--json")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "nothing serves from" in done.stderr


def metric(client: httpx.Client, name: str) -> float:
    """A metric's present value; -1 while there is none."""
    found = [line for line in client.get("/metrics").text.splitlines() if line.startswith(f"{name} ")]
    return float(found[0].split()[-1]) if found else -1.0


def add_coin(serve: Serve, viewer: str) -> None:
    """Change a wallet behind the ledger's back."""
    endpoints = read_endpoints(serve.data_dir)
    assert endpoints is not None
    keys = Keys(LedgerConfig().partitions)
    with Redis.from_url(endpoints.redis_url) as redis:
        redis.hincrby(keys.of(keys.partition_of(viewer)).wallets, viewer, 1)
