"""`giftwire audit` on the folder of a running serve: 0 when all holds, 1 with what does not, 2 when it cannot look."""

from pathlib import Path

import jwt
from redis import Redis

from ledger.config import LedgerConfig, read_endpoints
from ledger.keys import Keys
from tests.e2e.test_serve import give, guest_of, until_told
from tests.serving import Serve, serving

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


def test_audit_that_cannot_look(tmp_path: Path) -> None:
    """Without servers nothing is said to hold."""
    done = Serve(tmp_path / "var").run("audit", "--json")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "nothing serves from" in done.stderr


def add_coin(serve: Serve, viewer: str) -> None:
    """Change a wallet behind the ledger's back."""
    endpoints = read_endpoints(serve.data_dir)
    assert endpoints is not None
    keys = Keys(LedgerConfig().partitions)
    with Redis.from_url(endpoints.redis_url) as redis:
        redis.hincrby(keys.of(keys.partition_of(viewer)).wallets, viewer, 1)
