"""What all connections of one gateway process share: their registry, the heartbeat, the counts and the way to close.

`Edge.protocol` is what uvicorn is given as its WebSocket protocol: called once a connection with uvicorn's own keyword
arguments, which we do not need.
"""

import asyncio
import http
import logging
import time
from collections.abc import Sequence
from typing import Any, Final

import structlog

from gateway.counting.metrics import Shed, Stage
from gateway.edge.config import EdgeConfig
from gateway.edge.connection import PATH, Connection
from gateway.edge.fanout import HEALS_MAX, heal
from gateway.edge.intake import Intake
from gateway.edge.leaving import send_elsewhere
from gateway.edge.session import Session, SessionServices
from gateway.tasks import end_all
from gateway.wire.codes import CloseCode
from ledger.errors import LedgerUnavailable

BEATS: Final = 40
"""The heartbeat, like the look-out for revoked tokens, takes one part in so many of the connections at a
time, so that neither comes in bursts."""
LOOP_PROBE_S: Final = 0.1
"""Between two looks at how late the event loop is."""
HEAL_S: Final = 0.5
"""How long a viewer that reads again waits for a tick, in whose place it would be told that some were skipped."""
_log = structlog.get_logger()


class Edge:
    """The connections of this process.

    Args:
        services: what sessions need.
    """

    def __init__(self, config: EdgeConfig, services: SessionServices) -> None:
        self.config = config
        self.intake = Intake(config, lambda: services.desk.full)
        self.silent = logging.getLogger("gateway.edge.websockets")
        self.silent.setLevel(logging.CRITICAL + 1)
        self._services = services
        self._parts: list[set[Connection]] = [set() for _ in range(BEATS)]
        self._next_part = 0
        self._part_of: dict[Connection, int] = {}
        self._origins = frozenset(config.origins.split())
        self._tasks: list[asyncio.Task[None]] = []
        self._draining = False
        self._replying: list[Connection] = []
        self._replying_since_s = 0.0
        self._to_heal: list[Connection] = []
        self._empty = asyncio.Event()
        services.rooms.before_ticks(self._send_replies)

    def protocol(self, **_: Any) -> Connection:
        """A connection for uvicorn's hand-over."""
        return Connection(self)

    def start(self) -> None:
        """Begin the heartbeat, and to look after tokens that were taken back and after the event loop."""
        self._tasks = [
            asyncio.create_task(self._beat(), name="heartbeat"),
            asyncio.create_task(self._watch_tokens(), name="revoked-tokens"),
            asyncio.create_task(self._watch_loop(), name="loop-lag"),
        ]

    async def drain(self, within_ms: int) -> None:
        """Take no more connections, send everybody elsewhere in steps, and wait until they have gone.

        Args:
            within_ms: how long closing them may take; whoever does not answer the close is waited for longer.
        """
        self._draining = True
        await send_elsewhere(self.everybody(), self.config.drain_per_s, within_ms)
        if self._part_of:
            self._empty.clear()
            await self._empty.wait()

    async def stop(self) -> None:
        """Let go of whoever is left."""
        await end_all(self._tasks)
        for connection in list(self._part_of):
            connection.abort()

    @property
    def connections(self) -> int:
        """How many sockets are open."""
        return len(self._part_of)

    @property
    def waiting_bytes(self) -> int:
        """What all connections have not sent yet."""
        return sum(connection.waiting_bytes for connection in self._part_of)

    def everybody(self) -> list[Connection]:
        """All connections that are open now."""
        return list(self._part_of)

    # What a connection calls.

    def connected(self, connection: Connection) -> None:
        """It is there."""
        part = self._next_part
        self._next_part = (part + 1) % BEATS
        self._part_of[connection] = part
        self._parts[part].add(connection)
        self._services.metrics.socket_opened()

    def disconnected(self, connection: Connection) -> None:
        """It is gone."""
        part = self._part_of.pop(connection, None)
        if part is not None:
            self._parts[part].discard(connection)
            self._services.metrics.socket_gone()
            self._services.admission.disconnect(connection.address)
        if not self._part_of:
            self._empty.set()

    def refuses(self, path: str, origins: Sequence[str]) -> tuple[http.HTTPStatus, str] | None:
        """Why a handshake is refused, or None.

        Args:
            path: as it was asked for, with its query.
            origins: the `Origin` headers, of which there is at most one.
        """
        if path.partition("?")[0] != PATH:
            return http.HTTPStatus.NOT_FOUND, f"The WebSocket is at {PATH}.\n"
        if self._draining or len(self._part_of) > self.config.sessions_max:
            self._services.metrics.shed(Shed.SESSIONS_MAX)
            return http.HTTPStatus.SERVICE_UNAVAILABLE, "This server takes no more connections now.\n"
        if len(origins) > 1:
            return http.HTTPStatus.BAD_REQUEST, "There is more than one origin.\n"
        if "*" not in self._origins and not self._origins.issuperset(origins):
            return http.HTTPStatus.FORBIDDEN, "This origin is not allowed.\n"
        return None

    def open_session(self, connection: Connection) -> Session:
        """The session of a connection whose handshake is done."""
        return Session(connection, self._services, self.config)

    def reply_soon(self, connection: Connection) -> None:
        """It has replies, which are written when all that is answered now has been."""
        if not self._replying:
            self._replying_since_s = time.perf_counter()
            asyncio.get_running_loop().call_soon(self._send_replies)
        self._replying.append(connection)

    def _send_replies(self) -> None:
        # Also called before each slice of a tick: replies about money do not wait for one.
        if not self._replying:
            return
        connections, self._replying = self._replying, []
        for connection in connections:
            connection.send_replies()
        self._services.metrics.stage_took(Stage.REPLY, time.perf_counter() - self._replying_since_s)

    def heal_soon(self, connection: Connection) -> None:
        """Ticks of it were skipped and it reads again; in a quiet room no tick would come to say so."""
        if not self._to_heal:
            asyncio.get_running_loop().call_later(HEAL_S, self._heal_some)
        self._to_heal.append(connection)

    def _heal_some(self) -> None:
        now, self._to_heal = self._to_heal[:HEALS_MAX], self._to_heal[HEALS_MAX:]
        if self._to_heal:
            asyncio.get_running_loop().call_soon(self._heal_some)
        for connection in now:
            if connection.slow_since_ms and not connection.congested and not connection.is_closing:
                heal(connection, self._services.rooms.show_present)

    def closed(self, code: int) -> None:
        """We closed one with this code."""
        self._services.metrics.socket_closed(code)

    def shed(self, reason: Shed) -> None:
        """A connection was shed for passing a bound."""
        self._services.metrics.shed(reason)

    async def _beat(self) -> None:
        pause_s = self.config.heartbeat_ms / 1000 / BEATS
        while True:
            for part in self._parts:
                await asyncio.sleep(pause_s)
                self._look_at_all(part)

    async def _watch_tokens(self) -> None:
        """Ask again and again, a part of the connections at a time: nothing that is published can be missed then."""
        pause_s = self.config.revocation_ms / 1000 / BEATS
        while True:
            for part in self._parts:
                await asyncio.sleep(pause_s)
                await self._close_revoked(part)

    async def _watch_loop(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began_s = loop.time()
            await asyncio.sleep(LOOP_PROBE_S)
            elapsed_s = loop.time() - began_s
            self._services.metrics.loop_was_late(max(elapsed_s - LOOP_PROBE_S, 0.0))
            self._services.rooms.pace.look(elapsed_s)

    async def _close_revoked(self, part: set[Connection]) -> None:
        held = {c: jti for c in part if c.session is not None and (jti := c.session.revocable)}
        if not held:
            return
        try:
            revoked = await self._services.revoked_among(list(set(held.values())))
        except LedgerUnavailable as exc:
            _log.warning("revoked_tokens_not_asked", error=str(exc))
            return
        for connection, jti in held.items():
            if jti in revoked:
                connection.close(CloseCode.BAD_TOKEN, "the token was taken back")

    def _look_at_all(self, part: set[Connection]) -> None:
        """In a call of its own, so that the heartbeat holds none of them while it waits."""
        now_ms = self._services.now_ms()
        for connection in list(part):
            self._look_at(connection, now_ms)

    def _look_at(self, connection: Connection, now_ms: int) -> None:
        session = connection.session
        if session is not None and session.expired(now_ms):
            connection.close(CloseCode.TOKEN_EXPIRED, "the token has expired")
        elif connection.heard:
            connection.heard = connection.pinged = False
            connection.idle_frames = 0
        elif connection.pinged:
            connection.close(CloseCode.HEARTBEAT, "nothing heard")
            connection.abort()
        elif not connection.is_closing:
            connection.talks = False
            connection.rest()
            connection.ping()
