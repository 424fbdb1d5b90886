"""What is counted, and that nothing a client sends makes a time series of its own."""

import pytest

from gateway.counting.metrics import METRICS, OTHER, Metrics, Shed, Stage
from gateway.counting.shared_metrics import text_of
from gateway.wire.codes import CloseCode, Code
from ledger.live.batcher import BatcherStats


def test_labels_are_bounded() -> None:
    """A value outside of its set is counted as other."""
    metrics = Metrics()
    metrics.session_begun("king")
    metrics.socket_closed(4321)
    metrics.gift_answered("invented", 0.001)
    metrics.request_answered("/v1/wallet", "BREW", 200, 0.001)
    text = _text(metrics)
    assert f'giftwire_sessions{{role="{OTHER}"}} 1.0' in text
    assert f'giftwire_sockets_closed_total{{code="{OTHER}"}} 1.0' in text
    assert f'giftwire_gifts_total{{outcome="{OTHER}",way="websocket"}} 1.0' in text
    assert "king" not in text and "4321" not in text and "invented" not in text and "BREW" not in text


@pytest.mark.parametrize("code", CloseCode)
def test_close_codes_are_told_apart(code: CloseCode) -> None:
    """Each of our close codes has a series of its own."""
    metrics = Metrics()
    metrics.socket_closed(code)
    assert f'giftwire_sockets_closed_total{{code="{code.value}"}} 1.0' in _text(metrics)


def test_everything_is_counted() -> None:
    """Each method moves its own metric, by as much as it was told."""
    metrics = Metrics()
    metrics.socket_opened()
    metrics.socket_opened()
    metrics.socket_gone()
    metrics.session_begun("viewer")
    metrics.session_begun("viewer")
    metrics.session_ended("viewer")
    metrics.frames_sent(200, 40_000)
    metrics.shed(Shed.TICK_SKIPPED, 3)
    metrics.queued(512)
    metrics.loop_was_late(0.003)
    metrics.gift_answered("accepted", 0.002)
    metrics.gift_answered(Code.OVERLOADED, 0.002, "http")
    metrics.undo_answered("undone")
    metrics.undo_answered(Code.UNDO_EXPIRED)
    metrics.ticked(0.01, 200, merged=3, slowed=True)
    metrics.ticked(0.01, 1, merged=1, slowed=False)
    metrics.stage_took(Stage.RELAY, 0.02)
    metrics.stage_took(Stage.RELAY, -0.5)
    metrics.rooms_held(2)
    metrics.events_heard(7)
    metrics.resynced()
    metrics.acknowledged(3)
    text = _text(metrics)
    for line in (
        "giftwire_sockets 1.0",
        "giftwire_sockets_opened_total 2.0",
        'giftwire_sessions{role="viewer"} 1.0',
        "giftwire_frames_sent_total 200.0",
        "giftwire_frame_bytes_sent_total 40000.0",
        'giftwire_shed_total{reason="tick_skipped"} 3.0',
        'giftwire_gifts_total{outcome="accepted",way="websocket"} 1.0',
        'giftwire_gifts_total{outcome="overloaded",way="http"} 1.0',
        "giftwire_gift_seconds_count 2.0",
        'giftwire_undos_total{outcome="undone"} 1.0',
        'giftwire_undos_total{outcome="undo_expired"} 1.0',
        "giftwire_queue_bytes 512.0",
        "giftwire_loop_lag_seconds_count 1.0",
        "giftwire_ticks_total 2.0",
        "giftwire_tick_sockets_total 201.0",
        "giftwire_merged_gifts_total 4.0",
        "giftwire_ticks_slowed_total 1.0",
        'giftwire_stage_seconds_count{stage="relay"} 2.0',
        'giftwire_stage_seconds_sum{stage="relay"} 0.02',
        "giftwire_rooms 2.0",
        "giftwire_events_total 7.0",
        "giftwire_resyncs_total 1.0",
        "giftwire_ack_lag_events_count 1.0",
    ):
        assert f"\n{line}\n" in text


def test_names_follow_the_rules() -> None:
    """Ours begin alike, counters end in total, times are in seconds; each name stands once."""
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    for metric in METRICS:
        assert metric.name.startswith("giftwire_")
        assert metric.name.endswith("_total") == (metric.kind.__name__ == "Counter")
        assert "_ms" not in metric.name


def test_commits_are_counted_once_however_often_they_are_asked_for() -> None:
    """What the batcher has counted is shown as it is now."""
    metrics, commits = Metrics(), BatcherStats(commits=2, gifts=9, not_judged=1, retries=1)
    metrics.families(commits)
    commits.commits, commits.gifts, commits.overloaded, commits.windows_left_out = 3, 14, 6, 2
    text = text_of(metrics.families(commits)).decode()
    for line in (
        "giftwire_commits_total 3.0",
        'giftwire_undo_windows_total{outcome="left_out"} 2.0',
        'giftwire_commit_gifts_total{outcome="judged"} 14.0',
        'giftwire_commit_gifts_total{outcome="left"} 1.0',
        'giftwire_commit_gifts_total{outcome="overloaded"} 6.0',
        'giftwire_commit_gifts_total{outcome="unknown"} 0.0',
        "giftwire_commit_retries_total 1.0",
    ):
        assert f"\n{line}\n" in text


def _text(metrics: Metrics) -> str:
    return text_of(metrics.families(BatcherStats())).decode()
