"""Readers that stall, among many: what they cost is counted, and it is less than what they cost while they read."""

from typing import NamedTuple, cast

import pytest

from gateway.edge.config import EdgeConfig
from gateway.edge.fanout import HEALS_MAX, SLOW_CLOSES_MAX, Audience
from gateway.edge.session import Session
from gateway.wire.messages import Notice
from tests.unit.gateway.edge.line import Echo, EchoEdge, Line

READERS = 100
TICKS = 200
MESSAGE = Notice("n", "x" * 150)
FRAME_BYTES = 250
QUEUE_BYTES = 4_000
SLOW_MS = 1_000


class Told(Echo):
    """A session of a room."""

    complete = False

    def sees_all(self, creator: str) -> bool:
        return self.complete


class Everything(Told):
    """One that is told every gift."""

    complete = True


class Hall(NamedTuple):
    """An audience on sockets of memory, with a clock that the test turns."""

    audience: Audience
    lines: list[Line]
    edge: EchoEdge
    clock: list[int]
    refreshed: list[Session]

    def tick(self, times: int = 1) -> None:
        for _ in range(times):
            self.clock[0] += 10
            self.audience.tell_viewers(MESSAGE)

    def stall(self, count: int) -> tuple[list[Line], list[Line]]:
        """So many stop to read; returns them and the others."""
        for line in self.lines[:count]:
            line.transport.stalled = True
        return self.lines[:count], self.lines[count:]


def _hall(kind: type[Told] = Told, readers: int = READERS) -> Hall:
    config = EdgeConfig(
        viewer_queue_bytes_max=QUEUE_BYTES,
        overlay_queue_bytes_max=QUEUE_BYTES,
        slow_ms_max=SLOW_MS,
        close_ms_max=60_000,
    )
    edge, clock = EchoEdge(config), [0]
    refreshed: list[Session] = []
    audience = Audience("cleo", config, edge.metrics, lambda: clock[0], refreshed.append, lambda took_s, last: None)
    lines = []
    for _ in range(readers):
        line = Line(edge=edge)
        line.connection.session = session = cast("Session", kind(line.connection))
        audience.add(session)
        line.transport.writes = 0
        lines.append(line)
    return Hall(audience, lines, edge, clock, refreshed)


def _codes(line: Line) -> list[bytes]:
    return [told.payload for told in line.told() if told.opcode == 0x8]


@pytest.mark.parametrize("stalled", [0, 1, READERS // 10])
async def test_stalled_readers_take_nothing_from_the_others(stalled: int) -> None:
    """Every other reader is written each tick in one call; the stalled ones less, and their queues are bounded."""
    hall = _hall()
    silent, others = hall.stall(stalled)
    hall.tick(TICKS // 2)
    assert [line.transport.writes for line in others] == [TICKS // 2] * len(others)
    for line in silent:
        assert line.connection.waiting_bytes <= QUEUE_BYTES + FRAME_BYTES
        assert line.transport.writes <= QUEUE_BYTES // len(MESSAGE.message) + 1
        assert _codes(line) == []
    skipped = sum(TICKS // 2 - line.transport.writes for line in silent)
    assert skipped > 0 or not stalled
    assert f'giftwire_shed_total{{reason="tick_skipped"}} {skipped:.1f}' in hall.edge.counted() or not skipped


async def test_stalled_readers_are_closed_a_few_at_a_time() -> None:
    """Each slice of a tick closes so many, so that a crowd that stalled together holds up nobody."""
    hall = _hall()
    silent, others = hall.stall(READERS // 2)
    hall.tick(2 * QUEUE_BYTES // len(MESSAGE.message))
    closed = 0
    for _ in range(TICKS):
        hall.tick()
        now = sum(line.connection.is_closing for line in silent)
        assert now - closed <= SLOW_CLOSES_MAX
        closed = now
    assert closed == len(silent)
    assert all(_codes(line) == [b"4001"] for line in silent)
    assert not any(line.connection.is_closing for line in others)
    assert {line.transport.writes for line in others} == {TICKS + 2 * QUEUE_BYTES // len(MESSAGE.message)}


async def test_reader_that_reads_again_is_healed_once() -> None:
    """A notice and the present state in the place of one tick, then ticks as before."""
    hall = _hall(readers=2)
    (line,), (other,) = hall.stall(1)
    hall.tick(50)
    line.transport.flow()
    before = line.transport.writes
    hall.tick(5)
    assert [session.connection for session in hall.refreshed] == [line.connection]
    assert line.transport.writes == before + 5
    assert b"resync" in line.told()[-5].payload
    assert other.transport.writes == 55
    assert not line.connection.held


async def test_crowd_that_reads_again_is_healed_a_few_at_a_time() -> None:
    """Each slice of a tick heals so many; the others are skipped once more, and then all are healed."""
    hall = _hall()
    silent, others = hall.stall(READERS)
    hall.tick(50)
    for line in silent:
        line.transport.flow()
    assert not others
    for tick in range(1, READERS // HEALS_MAX + 1):
        hall.tick()
        assert len(hall.refreshed) == tick * HEALS_MAX
    assert not any(line.connection.held for line in silent)


async def test_complete_receivers_are_never_skipped() -> None:
    """Each message is written to every one, until too much waits for it: then it is closed to resume."""
    hall = _hall(Everything)
    silent, others = hall.stall(READERS // 10)
    told = 0
    while not silent[0].connection.is_closing:
        hall.audience.tell_complete(MESSAGE)
        told += 1
    for line in silent:
        assert [line.transport.writes, _codes(line)] == [told, [b"4001"]]
        assert line.connection.waiting_bytes <= QUEUE_BYTES + 2 * FRAME_BYTES
    assert {line.transport.writes for line in others} == {told}
    assert hall.refreshed == []


async def test_complete_receiver_that_is_closed_is_counted_once() -> None:
    """While its close is on the way nothing is written to it, and nothing is counted as written."""
    hall = _hall(Everything, readers=2)
    (silent,), (other,) = hall.stall(1)
    while not silent.connection.is_closing:
        hall.audience.tell_complete(MESSAGE)
    sent = silent.transport.writes - 1 + other.transport.writes
    for _ in range(5):
        hall.audience.tell_complete(MESSAGE)
    counted = hall.edge.counted()
    assert 'giftwire_shed_total{reason="slow_consumer"} 1.0' in counted
    assert f"giftwire_frames_sent_total {sent + 5:.1f}" in counted
