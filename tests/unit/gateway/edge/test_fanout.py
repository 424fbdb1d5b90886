"""The order in which an audience is written to."""

import asyncio
from typing import cast

from gateway.auth import Identity
from gateway.counting.metrics import Metrics
from gateway.edge.config import EdgeConfig
from gateway.edge.fanout import Audience
from gateway.edge.frames import frame
from gateway.edge.prepared import VARIANTS
from gateway.edge.session import Session
from gateway.wire.codec import Encoding
from gateway.wire.messages import Notice
from tests.unit.gateway.edge.line import EchoEdge, Line

SLICE = 2


class _Socket:
    """A connection that keeps what is written to it; its own session as well."""

    def __init__(self, log: list[str], name: str) -> None:
        self.name = name
        self.connection = self
        self.transport = self
        self.variant = VARIANTS[0]
        self.held = False
        self.identity: Identity | None = None
        self._log = log

    def sees_all(self, creator: str) -> bool:
        return False

    def write(self, content: bytes) -> None:
        self._log.append(f"{self.name}{'1' if b'first' in content else '2'}")


def _audience(log: list[str], names: str, finished: asyncio.Event) -> tuple[Audience, list[_Socket]]:
    def wrote(_: float, done: bool) -> None:
        if done:
            finished.set()

    audience = Audience("cleo", EdgeConfig(fan_out_slice_max=SLICE), Metrics(), lambda: 0, lambda session: None, wrote)
    sockets = [_Socket(log, name) for name in names]
    for socket in sockets:
        audience.add(cast("Session", socket))
    return audience, sockets


async def test_nobody_gets_a_later_tick_first() -> None:
    """A tick that comes while the last one is being written waits, also for those whose place moved up meanwhile."""
    log: list[str] = []
    finished = asyncio.Event()
    audience, sockets = _audience(log, "abcdef", finished)
    audience.tell_viewers(Notice("n", "first"))
    assert (log, audience.is_busy) == (["a1", "b1"], True)
    audience.remove(cast("Session", sockets[0]))
    audience.tell_viewers(Notice("n", "second"))
    await finished.wait()
    assert log == ["a1", "b1", "c1", "d1", "e1", "f1", "b2", "c2", "d2", "e2", "f2"]
    assert not audience.is_busy


async def test_slice_takes_no_more_than_its_sockets() -> None:
    """What is left of a slice goes to the next message; others have their turn between slices."""
    log: list[str] = []
    finished = asyncio.Event()
    audience, _ = _audience(log, "abc", finished)
    audience.tell_viewers(Notice("n", "first"))
    audience.tell_viewers(Notice("n", "second"))
    turns = [len(log)]
    while not finished.is_set():
        await asyncio.sleep(0)
        turns.append(len(log))
    assert turns == [2, 4, 6]


async def test_replies_go_before_each_slice_of_a_tick() -> None:
    """Of every connection, whether it is in the room or not."""
    edge, finished = EchoEdge(EdgeConfig(fan_out_slice_max=SLICE)), asyncio.Event()
    log: list[str] = []
    audience = Audience(
        "cleo",
        edge.config,
        edge.metrics,
        lambda: 0,
        lambda session: None,
        lambda took_s, last: finished.set() if last else None,
        edge.ticks.first,
    )
    for name in "abc":
        audience.add(cast("Session", _Socket(log, name)))
    line = Line(edge=edge)
    line.connection.reply(frame(b"1", Encoding.JSON))
    assert line.told() == []
    audience.tell_viewers(Notice("n", "first"))
    assert ([told.payload for told in line.told()], log) == ([b"1"], ["a1", "b1"])
    await finished.wait()
    assert log == ["a1", "b1", "c1"]
