"""Several processes count, and any of them tells the sum."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.counting.metrics import Metrics, Shed
from gateway.counting.shared_metrics import FOLDER, SharedMetrics
from ledger.live.batcher import BatcherStats

Join = Callable[[Metrics], SharedMetrics]


@pytest.fixture
async def join(tmp_path: Path) -> AsyncIterator[Join]:
    """Makes one process more, which has written its numbers."""
    joined = []

    def made(metrics: Metrics) -> SharedMetrics:
        shared = SharedMetrics(tmp_path, lambda: metrics.families(BatcherStats()))
        shared.start()
        joined.append(shared)
        return shared

    yield made
    for shared in joined:
        await shared.stop()


def counted(frames: int, sockets: int, seconds: float = 0.002) -> Metrics:
    """What a process counted that holds so many sockets."""
    metrics = Metrics()
    metrics.frames_sent(frames, frames * 10)
    for _ in range(sockets):
        metrics.socket_opened()
    metrics.gift_answered("accepted", seconds)
    return metrics


def lines_of(shared: SharedMetrics) -> list[str]:
    """The lines of a scrape."""
    return shared.text().decode().splitlines()


async def test_scrape_of_one_of_two_processes_tells_the_sum(join: Join) -> None:
    """Counters, gauges and histograms are added up, series by series; every series stands once."""
    busy = counted(5, 2)
    busy.shed(Shed.SLOW_CONSUMER)
    one, other = join(busy), join(counted(7, 1, seconds=0.2))
    for shared in (one, other):
        lines = lines_of(shared)
        assert "giftwire_frames_sent_total 12.0" in lines
        assert "giftwire_sockets 3.0" in lines
        assert 'giftwire_shed_total{reason="slow_consumer"} 1.0' in lines
        assert 'giftwire_gift_seconds_bucket{le="0.0025"} 1.0' in lines
        assert "giftwire_gift_seconds_count 2.0" in lines
        series = [line.rpartition(" ")[0] for line in lines if not line.startswith("#")]
        assert len(set(series)) == len(series)
        assert "_created" not in "\n".join(lines)


async def test_process_that_died_still_counts_and_holds_nothing(join: Join) -> None:
    """A counter never falls; its sockets are gone. So it stays when others start, however often."""
    dead = join(counted(5, 2))
    await dead.stop()
    alive = join(counted(7, 1))
    lines = lines_of(alive)
    assert "giftwire_frames_sent_total 12.0" in lines
    assert "giftwire_sockets 1.0" in lines
    await alive.stop()
    last = join(counted(1, 1))
    assert "giftwire_frames_sent_total 13.0" in lines_of(last)
    assert "giftwire_sockets 1.0" in lines_of(last)


async def test_files_of_the_dead_do_not_pile_up(join: Join, tmp_path: Path) -> None:
    """However many processes die, a start leaves one file for all of them."""
    for _ in range(5):
        await join(counted(1, 1)).stop()
    last = join(counted(1, 1))
    assert len(list((tmp_path / FOLDER).glob("*.msgpack"))) == 2
    assert "giftwire_frames_sent_total 6.0" in lines_of(last)


async def test_damaged_file_counts_nothing(join: Join, tmp_path: Path) -> None:
    """Whatever stands there, a scrape is answered."""
    alive = join(counted(7, 1))
    (tmp_path / FOLDER / "0123456789abcdef.msgpack").write_bytes(b"\xc1 no")
    assert "giftwire_frames_sent_total 7.0" in lines_of(alive)


async def test_folder_that_cannot_be_made_lets_a_process_count_for_itself(tmp_path: Path) -> None:
    """A file stands in its place."""
    (tmp_path / "run").write_text("in the way")
    shared = SharedMetrics(tmp_path / "run", lambda: counted(3, 1).families(BatcherStats()))
    shared.start()
    assert "giftwire_frames_sent_total 3.0" in lines_of(shared)
    await shared.stop()
