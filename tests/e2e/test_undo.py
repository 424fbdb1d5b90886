"""Dear gifts on a whole server: shown at once, some taken back, the others paid; judged from outside and by audit."""

from pathlib import Path

import msgspec
import pytest

from loadtest.report.report import Report
from tests.serving import serving


def test_dear_gifts_are_undone_or_paid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each receiver saw each gift and each undoing once, all sums are right, and the audit finds nothing."""
    monkeypatch.setenv("GIFTWIRE_ROOMS_UNDO_COINS_MIN", "5000")
    monkeypatch.setenv("GIFTWIRE_ROOMS_UNDO_WINDOW_MS", "1500")
    with serving(tmp_path / "var", "--demo", "--workers", "2") as serve:
        done = serve.run("loadtest", "dear_gifts", "--duration", "4", "--url", serve.ws_url, "--json")
        assert done.stdout, done.stderr
        (report,) = msgspec.json.decode(done.stdout, type=list[Report])
        assert report.verdict.ok, report.verdict.faults
        assert report.verdict.gifts_accepted > report.verdict.gifts_undone > 0
        audit = serve.audit()
        assert audit["ok"], audit
        with serve.client("olga", "operator") as operator:
            metrics = operator.get("/metrics").text
        for outcome in ("undone", "undo_expired"):
            assert f'giftwire_undos_total{{outcome="{outcome}"}}' in metrics
