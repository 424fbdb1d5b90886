"""What a scrape says is read, whatever else stands in it."""

import pytest

from loadtest.server.observer import counts_of

TEXT = """# TYPE giftwire_gifts_total counter
giftwire_gifts_total{outcome="accepted",way="websocket"} 5
giftwire_gifts_total{outcome="accepted",way="http"} 2
giftwire_gifts_total{outcome="overloaded",way="websocket"} 100
# TYPE giftwire_frames_sent_total counter
giftwire_frames_sent_total 40
# TYPE giftwire_frame_bytes_sent_total counter
giftwire_frame_bytes_sent_total 4000
# TYPE giftwire_ticks_total counter
giftwire_ticks_total 20
# TYPE giftwire_queue_bytes gauge
giftwire_queue_bytes 7
# TYPE giftwire_worker_duty_number gauge
giftwire_worker_duty_number{duty="relay",of="last_at_ms"} 1764500000300
giftwire_worker_duty_number{duty="flusher",of="last_at_ms"} 1764500000100
giftwire_worker_duty_number{duty="flusher",of="gifts"} 9
"""


def test_counts_are_summed() -> None:
    """Accepted gifts of all ways; the books stand so far behind what the rooms were told."""
    counts = counts_of(TEXT, 1)
    assert (counts.gifts, counts.frames, counts.frame_bytes, counts.ticks) == (7, 40, 4_000, 20)
    assert (counts.queue_bytes, counts.books_behind_ms) == (7, 200)


def test_books_of_a_server_that_says_nothing_of_them_are_not_known() -> None:
    """A gateway beside no worker, or before the first record."""
    assert counts_of("\n".join(TEXT.splitlines()[:12]) + "\n", 1).books_behind_ms is None


def test_what_is_no_scrape_is_refused() -> None:
    """Another page at that address, or one that was cut."""
    for text in ("", "<!doctype html><p>hello", TEXT[:-20]):
        with pytest.raises(ValueError, match=r"\S"):
            counts_of(text, 1)
