"""Sockets of overlays, viewers and senders break all the time: nobody misses a gift, and nobody sees one twice."""

from pathlib import Path

import msgspec

from loadtest.report.report import Report
from tests.serving import serving

DROPPED_MIN = 60


def test_dropped_sockets_lose_and_double_nothing(tmp_path: Path) -> None:
    """Every overlay's book, every viewer's sum and every wallet is right after hundreds of lost sockets."""
    with serving(tmp_path / "var", "--demo", "--workers", "2") as serve:
        words = ["--duration", "6", "--rate", "150", "--url", serve.ws_url, "--json"]
        done = serve.run("loadtest", "reconnect_storm", *words)
        assert done.stdout, done.stderr
        (report,) = msgspec.json.decode(done.stdout, type=list[Report])
    assert report.verdict.ok, report.verdict.faults
    assert report.verdict.gifts_accepted > 0
    reconnects = {use.plays: use.reconnects for use in report.generator.processes}
    assert reconnects["overlays"] >= DROPPED_MIN
    assert reconnects["viewers"] >= DROPPED_MIN
    assert reconnects["senders"] > 0
