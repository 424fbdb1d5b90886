"""The one way to open a connection to Redis or Valkey for money.

The client never repeats a command by itself: redis-py would do so ten times in silence, and a command whose answer was
lost may have been carried out. Repeating is the batcher's decision, with the same gift ids.

A failover always means new connections. So each of them looks, before any command goes over it, whether its server was
promoted and has no new epoch yet: it costs one round trip a connection, and nothing for any command.
"""

import asyncio
import builtins
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.connection import HiredisRespSerializer
from redis.exceptions import BusyLoadingError, ConnectionError, ReadOnlyError, ResponseError, TimeoutError
from redis.maint_notifications import MaintNotificationsConfig

from ledger.config import LedgerConfig
from ledger.live.keys import DEPLOYMENT, SERVER
from ledger.live.promotion import ServerHistory, ServerIsReplica, history_of, refuse_promoted, refuse_replica

LOST = (ConnectionError, TimeoutError, BusyLoadingError, OSError)
"""Errors after which it is unknown whether the command was carried out, or the server is still loading."""
_PACKER: Final = HiredisRespSerializer()


def connect(
    config: LedgerConfig, *, connections_max: int = 16, timeout_s: float = 5.0, any_server: bool = False
) -> Redis:
    """A client for `config.redis_url` (`redis://`, `rediss://` or `unix://`); connects on first use.

    Its commands raise `ServerIsReplica` and `ServerPromoted`, and were not carried out, while the server is no primary
    or is one that was promoted and has no new epoch yet. When a connection finds such a server, or another one than
    those before it, these are made anew before their next command: an idle one may lead to a server that was demoted
    meanwhile.

    Args:
        any_server: for who looks or repairs, and takes no orders: replicas and promoted servers are as good as others.
        connections_max: bound of its pool; one more command in flight waits for a free connection, as long as
            `timeout_s` (redis-py's plain pool would raise at once).
        timeout_s: how long a command may take before its outcome counts as unknown.
    """
    pool = BlockingConnectionPool.from_url(
        config.redis_url,
        max_connections=connections_max,
        timeout=timeout_s,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
        protocol=2,
        known=None if any_server else _Known(),
    )
    pool.connection_class = _LEAN[pool.connection_class]
    return Redis.from_pool(pool)


class Direct:
    """Commands that are worth a connection of their own, past redis-py's pool and its records: 20 µs less for each.

    As many connections are kept as commands were ever in flight at once. Errors are those of the client.
    """

    def __init__(self, redis: Redis) -> None:
        self._new: Callable[[], AbstractConnection] = redis.connection_pool.make_connection
        self._idle: list[AbstractConnection] = []

    async def ask(self, *words: Any) -> Any:
        """Send one command and wait for its answer.

        Raises:
            redis.RedisError, OSError: it was refused, or it is not known whether it was carried out.
        """
        connection = self._idle.pop() if self._idle else self._new()
        try:
            await connection.send_command(*words)
            return await connection.read_response()
        finally:
            # A connection that broke, or whose answer nobody waited for, is closed: it connects anew when it is used.
            self._idle.append(connection)

    async def ask_two(self, first: Sequence[Any], second: Sequence[Any]) -> tuple[Any, Any]:
        """Send two commands at once over one connection and wait for both answers; an error answer is returned.

        Raises:
            redis.RedisError, OSError: it is not known whether they were carried out.
        """
        connection = self._idle.pop() if self._idle else self._new()
        try:
            await connection.send_packed_command(connection.pack_commands([first, second]))
            return await _answer(connection), await _answer(connection)
        finally:
            self._idle.append(connection)

    async def aclose(self) -> None:
        """Close the connections; nothing is asked any more."""
        while self._idle:
            await self._idle.pop().disconnect()


async def _answer(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as exc:
        return exc


class _Known:
    """What the connections of one client know together.

    Attributes:
        turn: rises when a connection finds another server than those before it, or one that takes no orders.
    """

    __slots__ = ("_server", "turn")

    def __init__(self) -> None:
        self.turn = 0
        self._server: bytes | None = None

    def look(self, history: ServerHistory, turn: int) -> int:
        """See that orders may go to a server that has just been connected to.

        Args:
            turn: as it was before the server was asked.

        Returns:
            The turn that the connection is of.

        Raises:
            ServerIsReplica, ServerPromoted: they may not.
        """
        if history.is_replica or history.promoted:
            self.turn += 1
            refuse_replica(history)
            refuse_promoted(history)
        if self._server not in (None, history.own):
            turn = self.turn = self.turn + 1
        self._server = history.own
        return turn


class _Lean(AbstractConnection):
    """A connection that looks at its server first, packs in C and sends without a task.

    redis-py packs each word of a command in Python, a fifth of a commit's cost. It sends inside `asyncio.wait_for`:
    up to Python 3.11 that is a task for each command, and it loses a cancellation that comes in the moment in which the
    send is done, so that the cancelled task would go on for ever. About one cancel of 20 was lost.

    Args:
        known: shared by the connections of a client; None for one that any server will do for.
    """

    def __init__(self, *, known: _Known | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self._known = known
        self._turn = 0
        self._greets = False

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        """As redis-py's own; then see that orders may go to this server.

        Raises:
            ServerIsReplica, ServerPromoted: they may not.
        """
        self._greets = True
        try:
            await super().on_connect_check_health(check_health=check_health)
            if self._known is not None:
                turn = self._known.turn
                self._turn = self._known.look(await self._history(), turn)
        except BaseException:
            # One that was refused, or did not get so far, must never be used.
            await self.disconnect(nowait=True)
            raise
        finally:
            self._greets = False

    async def read_response(self, *args: Any, **settings: Any) -> Any:
        """As redis-py's own, but that a server which became a replica is left.

        Raises:
            ServerIsReplica: it refused to write.
        """
        try:
            return await super().read_response(*args, **settings)
        except ReadOnlyError as exc:
            # It may be promoted again while this connection or an idle one is open, and nobody would look.
            if self._known is not None:
                self._known.turn += 1
            await self.disconnect(nowait=True)
            raise ServerIsReplica(str(exc)) from exc

    def pack_command(self, *args: Any) -> list[bytes]:
        """As redis-py's own, in C."""
        packed: list[bytes] = _PACKER.pack(*args)
        return packed

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        """As redis-py's own, but that no health check is made: none is configured.

        Raises:
            redis.ConnectionError, redis.TimeoutError: it is not known whether it was sent; the connection is closed.
        """
        if self._known is not None and self._turn != self._known.turn and not self._greets:
            # It leads to another server than the newest connection does, or to one that was demoted meanwhile.
            await self.disconnect(nowait=True)
        if not self.is_connected:
            await self.connect_check_health(check_health=False)
        writer = self._writer
        if writer is None or isinstance(command, str):
            raise RuntimeError("not connected, or not packed")
        try:
            writer.writelines([command] if isinstance(command, bytes) else command)
            async with asyncio.timeout(self.socket_timeout):
                await writer.drain()
        except builtins.TimeoutError:
            await self.disconnect(nowait=True)
            raise TimeoutError("the server takes no more bytes") from None
        except OSError as exc:
            await self.disconnect(nowait=True)
            raise ConnectionError(f"the connection broke while writing: {exc}") from exc
        except BaseException:
            # Half a command may have been sent.
            await self.disconnect(nowait=True)
            raise

    async def _history(self) -> ServerHistory:
        commands = [("HGET", DEPLOYMENT, SERVER), ("INFO", "replication")]
        await self.send_packed_command(self.pack_commands(commands), check_health=False)
        noted, text = await self.read_response(), await _answer(self)
        # A managed server may forbid INFO.
        lines = [] if isinstance(text, Exception) else text.decode().splitlines()
        return history_of(noted, dict(line.split(":", 1) for line in lines if ":" in line))


class _LeanTcp(_Lean, Connection):
    """The same over TCP."""


class _LeanTls(_Lean, SSLConnection):
    """The same over TLS."""


class _LeanUnix(_Lean, UnixDomainSocketConnection):
    """The same over a unix socket."""

    async def _connect(self) -> None:
        # redis-py's own greets the server here, and once more like the others.
        async with asyncio.timeout(self.socket_connect_timeout):
            self._reader, self._writer = await asyncio.open_unix_connection(path=self.path)


_LEAN: Final[dict[type[AbstractConnection], Any]] = {
    Connection: _LeanTcp,
    SSLConnection: _LeanTls,
    UnixDomainSocketConnection: _LeanUnix,
}
