"""One frame to many sockets: built once for each variant, written in slices, skipped where a viewer does not keep up.

An audience is the local half of a room. Viewers may be skipped: the next tick that fits is led by a notice, since what
was skipped is not told again. Complete receivers (overlays, creators, operators) are never skipped: one whose queue
passes its bound is closed, and resumes where it stopped.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from gateway.counting.metrics import Metrics, Shed, Stage
from gateway.edge.config import EdgeConfig
from gateway.edge.connection import Connection
from gateway.edge.frames import frame
from gateway.edge.prepared import VARIANTS, Built, Prepared, Variant
from gateway.edge.session import Session
from gateway.wire.codec import Encoding, encode
from gateway.wire.codes import CloseCode, NoticeCode
from gateway.wire.messages import Notice, ServerMessage

RESYNC: Final = Notice(NoticeCode.RESYNC.value, "Some events were not sent to you. What follows is the present state.")
_RESYNC_FRAMES: Final = {encoding: frame(encode(RESYNC, encoding), encoding) for encoding in Encoding}


SLOW_CLOSES_MAX: Final = 8
"""Slow viewers that one slice closes: a close costs more than a write, and a crowd that stalled at once would hold up
those who read."""

HEALS_MAX: Final = 50
"""Viewers who read again that one slice, or one moment, shows what is now: that takes as long as several writes."""


def heal(connection: Connection, refresh: Callable[[Session], None]) -> None:
    """Tell a viewer that ticks were skipped, of whichever rooms, and show it what is now; ticks are written again."""
    connection.slow_since_ms = 0
    connection.held = False
    connection.write(_RESYNC_FRAMES[connection.encoding])
    if connection.session is not None:
        refresh(connection.session)


class _Unwritten(Struct):
    """A message on its way: the connections from `start` on have not been written to.

    Attributes:
        began_s: of the last part of a message, since when that goes out; else 0.
    """

    connections: list[Connection]
    built: Built
    start: int = 0
    began_s: float = 0.0


class Audience:
    """The sessions of one room on this gateway.

    Args:
        creator: whose room it is; those who speak for the creator are told every gift.
        refresh: sends the present state of its rooms to one session, after it was skipped.
        wrote: told how long a later slice took, and whether it was the last for now.
        first: called before a slice: what is more urgent than ticks goes out.
    """

    def __init__(
        self,
        creator: str,
        config: EdgeConfig,
        metrics: Metrics,
        now_ms: Callable[[], int],
        refresh: Callable[[Session], None],
        wrote: Callable[[float, bool], None],
        first: Callable[[], None] = lambda: None,
    ) -> None:
        self._creator = creator
        self._config = config
        self._metrics = metrics
        self._now_ms = now_ms
        self._refresh = refresh
        self._wrote = wrote
        self._first = first
        self._unwritten: deque[_Unwritten] = deque()
        self._closes_left = SLOW_CLOSES_MAX
        self._heals_left = HEALS_MAX
        self._viewers: dict[Variant, dict[Connection, Session]] = {variant: {} for variant in VARIANTS}
        self._complete: dict[Variant, dict[Connection, Session]] = {variant: {} for variant in VARIANTS}

    def __len__(self) -> int:
        return self.viewers + self.complete

    @property
    def viewers(self) -> int:
        """How many viewers."""
        return sum(len(members) for members in self._viewers.values())

    @property
    def complete(self) -> int:
        """How many that are told every gift."""
        return sum(len(members) for members in self._complete.values())

    @property
    def is_busy(self) -> bool:
        """Whether a tick still has to be written to some viewers: the next should wait."""
        return bool(self._unwritten)

    def __contains__(self, session: Session) -> bool:
        return session.connection in self._members(session)

    def tells_all(self, session: Session) -> bool:
        """Whether a session is told every gift here; viewers, and creators of other rooms, get them merged."""
        return session.sees_all(self._creator)

    def give_to(self, creator: str) -> list[Session]:
        """It is this creator's room from now on. Those who are told more, or less, there than before are out of it.

        Returns:
            Who they are: they have to enter anew.
        """
        changed = [one for one in self.sessions() if one.sees_all(self._creator) != one.sees_all(creator)]
        for session in changed:
            self.remove(session)
        self._creator = creator
        return changed

    def add(self, session: Session) -> None:
        """It gets what is sent from now on."""
        self._members(session)[session.connection] = session

    def remove(self, session: Session) -> bool:
        """It gets nothing more; False when it was not here."""
        return self._members(session).pop(session.connection, None) is not None

    def sessions(self) -> list[Session]:
        """Everybody."""
        return [
            session for members in (*self._viewers.values(), *self._complete.values()) for session in members.values()
        ]

    def tell_complete(self, message: ServerMessage) -> None:
        """Send to everyone who is told every gift."""
        prepared = Prepared(message, self._config.deflate_bytes_min)
        for variant, members in self._complete.items():
            if not members:
                continue
            built, sent = prepared.built(variant), 0
            for connection in list(members):
                if connection.is_closing:
                    continue
                if connection.waiting_bytes > self._config.overlay_queue_bytes_max:
                    self._metrics.shed(Shed.SLOW_CONSUMER)
                    connection.close(CloseCode.SLOW_CONSUMER, "too much is waiting: come back and resume")
                else:
                    connection.write(built.content)
                    sent += 1
            self._count(built, sent)

    def tell_viewers(self, message: ServerMessage) -> int:
        """Send to every viewer; returns how many there are.

        Big audiences are written in slices, the first one now. Messages are written one after the other, so that no
        viewer gets one before an earlier one.
        """
        told = 0
        goes_on, began_s = self.is_busy, time.perf_counter()
        prepared = Prepared(message, self._config.deflate_bytes_min)
        for variant, members in self._viewers.items():
            if members:
                told += len(members)
                self._unwritten.append(_Unwritten(list(members), prepared.built(variant)))
        if told:
            self._unwritten[-1].began_s = began_s
        if not goes_on and self._unwritten:
            self._write_slice()
        return told

    def _go_on(self) -> None:
        began_s = time.perf_counter()
        self._write_slice()
        self._wrote(time.perf_counter() - began_s, not self._unwritten)

    def _write_slice(self) -> None:
        self._first()
        left = self._config.fan_out_slice_max
        self._closes_left = SLOW_CLOSES_MAX
        self._heals_left = HEALS_MAX
        while self._unwritten and left > 0:
            first = self._unwritten[0]
            end = first.start + left
            self._write(first.connections, first.built, first.start, end)
            left = end - len(first.connections)
            if left >= 0:
                self._unwritten.popleft()
                if first.began_s:
                    self._metrics.stage_took(Stage.WRITE, time.perf_counter() - first.began_s)
            else:
                first.start = end
        if self._unwritten:
            asyncio.get_running_loop().call_soon(self._go_on)

    def _write(self, connections: Sequence[Connection], built: Built, start: int, end: int) -> None:
        """Hot path, measured by `giftwire bench fanout`: one test and one call a socket."""
        sent = 0
        content = built.content
        for connection in connections[start:end]:
            if connection.held and not self._may_write(connection):
                continue
            connection.transport.write(content)
            sent += 1
        self._count(built, sent)

    def _may_write(self, connection: Connection) -> bool:
        """Whether a held connection gets this tick; if not, the tick is lost for it.

        One that keeps up again is told that something is missing and shown the present state, in the place of the tick.
        """
        if connection.is_closing:
            return False
        if not connection.congested and not connection.slow_since_ms:
            connection.held = False
            return True
        self._metrics.shed(Shed.TICK_SKIPPED)
        now_ms = self._now_ms()
        if connection.congested:
            connection.slow_since_ms = connection.slow_since_ms or now_ms
            if now_ms - connection.slow_since_ms > self._config.slow_ms_max and self._closes_left > 0:
                self._closes_left -= 1
                self._metrics.shed(Shed.SLOW_CONSUMER)
                connection.close(CloseCode.SLOW_CONSUMER, "too slow for this room")
        elif self._heals_left > 0:
            self._heals_left -= 1
            heal(connection, self._refresh)
        return False

    def _count(self, built: Built, sent: int) -> None:
        self._metrics.frames_sent(sent, sent * len(built.content))
        if built.saved:
            self._metrics.bytes_saved(sent * built.saved)

    def _members(self, session: Session) -> dict[Connection, Session]:
        return (self._complete if session.sees_all(self._creator) else self._viewers)[session.connection.variant]
