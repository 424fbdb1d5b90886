"""The subscriptions of one process: one connection that hears every channel it asked for, and comes back when lost.

It works on a plain connection rather than on redis-py's `PubSub`, for two reasons: `PubSub` reconnects and subscribes
again in silence, and what was published in between would be missed without anybody knowing; and a message goes from
the connection's read straight to its receiver.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog
from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.room.config import RoomConfig
from gateway.tasks import end_all

_log = structlog.get_logger()
_PAUSE_S_MIN: Final = 0.02
_CHANNELS_PER_COMMAND: Final = 500

OnMessage = Callable[[bytes, bytes], None]
"""Hears channel and payload from the read loop. It must not block; if it raises, the connection counts as lost."""


class ChannelStats(Struct):
    """Counts since the start, for metrics."""

    messages: int = 0
    losses: int = 0


class Channels:
    """Subscribed channels. `start` and `stop` own its tasks.

    Args:
        redis: its pool lends one connection for good.
        on_message: hears every message.
        on_lost: is told after a lost connection is back and every channel is confirmed: what was published in between
            was missed, and what is read from now on is complete.
    """

    def __init__(self, redis: Redis, config: RoomConfig, on_message: OnMessage, on_lost: Callable[[], None]) -> None:
        self.stats = ChannelStats()
        self._pool: Any = redis.connection_pool
        self._config = config
        self._on_message = on_message
        self._on_lost = on_lost
        self._wanted: set[bytes] = set()
        self._waiting: dict[bytes, asyncio.Future[None]] = {}
        self._asked: dict[bytes, int] = {}
        self._returning: set[bytes] = set()
        self._connection: Any = None
        self._heard = False
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Connect and begin to hear.

        Raises:
            redis.RedisError, OSError: the server does not answer.
        """
        self._connection = await self._connect()
        self._tasks = [
            asyncio.create_task(self._run(), name="room-channels"),
            asyncio.create_task(self._watch(), name="room-channels-watch"),
        ]

    async def stop(self) -> None:
        """Hear no more and let go of the connection."""
        await end_all(self._tasks)
        await self._drop()

    @property
    def subscribed(self) -> frozenset[bytes]:
        """The channels asked for."""
        return frozenset(self._wanted)

    async def subscribe(self, channel: bytes) -> None:
        """Hear a channel; everything published after this returns is heard, or `on_lost` is told.

        Raises:
            TimeoutError: the server has not confirmed it in time; it is not heard.
        """
        if channel in self._wanted and channel not in self._waiting:
            return
        confirmed = self._waiting.setdefault(channel, asyncio.get_running_loop().create_future())
        if channel not in self._wanted:
            self._wanted.add(channel)
            self._asked[channel] = self._asked.get(channel, 0) + 1
            await self._send("SSUBSCRIBE", [channel])
        try:
            async with asyncio.timeout(self._config.broker_timeout_ms / 1000):
                await asyncio.shield(confirmed)
        except TimeoutError:
            if self._waiting.pop(channel, None) is not None:
                await self.unsubscribe(channel)
            raise

    async def unsubscribe(self, channel: bytes) -> None:
        """Hear a channel no more."""
        if channel in self._wanted:
            self._wanted.discard(channel)
            await self._send("SUNSUBSCRIBE", [channel])

    async def _run(self) -> None:
        while True:
            try:
                await self._read(self._connection)
            except (RedisError, OSError) as exc:
                _log.warning("room_channels_lost", error=f"{type(exc).__name__}: {exc}")
            except Exception:  # noqa: BLE001
                # The task's top: a message that a receiver could not take must not end hearing; coming back heals.
                _log.exception("room_channels_failed")
            self.stats.losses += 1
            await self._come_back()

    async def _read(self, connection: Any) -> None:
        read, on_message, stats = connection.read_response, self._on_message, self.stats
        while True:
            reply = await read(timeout=math.inf, disconnect_on_error=False)
            self._heard = True
            kind = reply[0]
            if kind == b"smessage":
                stats.messages += 1
                on_message(reply[1], reply[2])
            elif kind == b"ssubscribe":
                self._confirm(reply[1])

    def _confirm(self, channel: bytes) -> None:
        asked = self._asked.pop(channel, 0)
        if asked > 1:
            # It was dropped and asked for again meanwhile: only the last answer counts.
            self._asked[channel] = asked - 1
            return
        confirmed = self._waiting.pop(channel, None)
        if confirmed is not None and not confirmed.done():
            confirmed.set_result(None)
        if channel in self._returning:
            self._returning.discard(channel)
            if not self._returning:
                self._on_lost()

    async def _come_back(self) -> None:
        pause_s = _PAUSE_S_MIN
        while True:
            await self._drop()
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, self._config.reconnect_ms_max / 1000)
            try:
                self._connection = await self._connect()
                self._returning, self._asked = set(self._wanted), dict.fromkeys(self._wanted, 1)
                if self._wanted:
                    await self._send_now("SSUBSCRIBE", sorted(self._wanted))
            except (RedisError, OSError) as exc:
                _log.info("room_channels_away", error=f"{type(exc).__name__}: {exc}")
                continue
            if not self._returning:
                self._on_lost()
            return

    async def _watch(self) -> None:
        """Tell a silent connection from a dead one: no answer to a ping is a loss."""
        pinged: Any = None
        while True:
            await asyncio.sleep(self._config.ping_ms / 1000)
            # Before the ping goes out: its answer may be there by the time that sending it returns.
            heard, self._heard = self._heard, False
            connection = self._connection
            if heard or connection is None:
                pinged = None
            elif pinged is connection:
                with contextlib.suppress(RedisError, OSError):
                    await connection.disconnect(nowait=True)
            else:
                pinged = connection
                await self._send("PING", [])

    async def _connect(self) -> Any:
        return await self._pool.get_connection()

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(RedisError, OSError):
                await connection.disconnect(nowait=True)
            await self._pool.release(connection)

    async def _send(self, command: str, channels: list[bytes]) -> None:
        """Send it if there is a connection; if there is none, coming back subscribes to everything that is wanted."""
        with contextlib.suppress(RedisError, OSError):
            await self._send_now(command, channels)

    async def _send_now(self, command: str, channels: list[bytes]) -> None:
        connection = self._connection
        if connection is None or not connection.is_connected:
            return
        for part in _parts(channels):
            await connection.send_command(command, *part, check_health=False)


def _parts(channels: Sequence[bytes]) -> list[Sequence[bytes]]:
    """Bounded parts; one empty part for a command without channels."""
    starts = range(0, max(1, len(channels)), _CHANNELS_PER_COMMAND)
    return [channels[start : start + _CHANNELS_PER_COMMAND] for start in starts]
