"""The one way to open a connection to Redis or Valkey for money.

The client never repeats a command by itself: redis-py would do so ten times in silence, and a command whose answer was
lost may have been carried out. Repeating is the batcher's decision, with the same gift ids.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, ConnectionError, TimeoutError
from redis.maint_notifications import MaintNotificationsConfig

from ledger.config import LedgerConfig

LOST = (ConnectionError, TimeoutError, BusyLoadingError, OSError)
"""Errors after which it is unknown whether the command was carried out, or the server is still loading."""


def connect(config: LedgerConfig, *, connections_max: int = 16, timeout_s: float = 5.0) -> Redis:
    """A client for `config.redis_url` (`redis://`, `rediss://` or `unix://`); connects on first use.

    Args:
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
    )
    pool.connection_class = _HEEDING[pool.connection_class]
    return Redis.from_pool(pool)


class _HeedsCancel(AbstractConnection):
    """Lets a cancelled task end.

    redis-py sends inside `asyncio.wait_for`, which up to Python 3.11 loses a cancellation that comes in the moment in
    which the send is done: a task that works with Redis would then go on for ever. About one cancel of 20 was lost.
    """

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        task = asyncio.current_task()
        cancels = task.cancelling() if task is not None else 0
        await super().send_packed_command(command, check_health)
        if task is not None and task.cancelling() > cancels:
            # The answer to what was sent must not be read by whoever gets this connection next.
            await self.disconnect(nowait=True)
            raise asyncio.CancelledError


class _HeedingTcp(_HeedsCancel, Connection):
    """The same over TCP."""


class _HeedingTls(_HeedsCancel, SSLConnection):
    """The same over TLS."""


class _HeedingUnix(_HeedsCancel, UnixDomainSocketConnection):
    """The same over a unix socket."""


_HEEDING: Final = {
    Connection: _HeedingTcp,
    SSLConnection: _HeedingTls,
    UnixDomainSocketConnection: _HeedingUnix,
}
