"""The load tester on a whole server whose processes die meanwhile: it judges, and says how long each was felt."""

from pathlib import Path

import msgspec

from loadtest.report.compare import compare
from loadtest.report.report import Report
from tests.serving import Serve, serving


def test_blows_lose_and_double_nothing(tmp_path: Path) -> None:
    """Processes are killed and stopped under load; every gift is where it belongs, and the report tells all of it.

    A server that is not that of the data folder is not struck, and one without a sandbox sells nothing.
    """
    with serving(tmp_path / "var", "--workers", "2") as serve:
        endpoints, elsewhere = serve.data_dir / "endpoints.json", tmp_path / "endpoints.json"
        endpoints.rename(elsewhere)
        refused = serve.run("loadtest", "hot_room", "--faults", "--url", serve.ws_url)
        elsewhere.rename(endpoints)
        unsold = serve.run("loadtest", "purchase_rush", "--url", serve.ws_url)
        words = ["--url", serve.ws_url, "--rate", "80", "--viewers", "30", "--seed", "1", "--report", str(tmp_path)]
        done = serve.run("loadtest", "many_rooms", "--faults", "--duration", "16", "--json", *words)
    assert refused.returncode == 2
    assert "nothing of it can be killed" in refused.stderr
    assert unsold.returncode == 2
    assert "must run with --demo" in unsold.stderr
    assert done.returncode == 0, done.stdout + done.stderr
    (report,) = msgspec.json.decode(done.stdout, type=list[Report])
    assert report.verdict.faults == []
    assert len({blow.process for blow in report.struck}) >= 2
    assert all(blow.ready_after_s is not None and blow.accepted_after_s is not None for blow in report.struck)
    assert any(moment.gifts_per_s for moment in report.server)
    for used in ("cpu", "memory_mb"):
        # At any one look a part may be dead.
        assert {"gateway", "worker", "valkey", "postgres"} <= {p for one in report.server for p in getattr(one, used)}
    assert compare(report, report).unlike == []
    for ending in ("html", "json", "png"):
        (written,) = tmp_path.glob(f"many_rooms-*.{ending}")
        assert written.stat().st_size > 10_000


def test_purchases_are_credited_once(demo: Serve) -> None:
    """Many buy at once beside gifts, some tell each step twice: every wallet has what was bought, and gifts go on."""
    words = ["--duration", "3", "--rate", "50", "--viewers", "5", "--url", demo.ws_url, "--json"]
    done = demo.run("loadtest", "purchase_rush", *words)
    assert done.stdout, done.stderr
    (report,) = msgspec.json.decode(done.stdout, type=list[Report])
    assert report.verdict.faults == []
    assert report.verdict.purchases_credited > 20
    assert report.credited.samples == report.verdict.purchases_credited
