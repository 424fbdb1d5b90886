"""The one way to open a connection to Redis or Valkey for money.

The client never repeats a command by itself: redis-py would do so ten times in silence, and a command whose answer was
lost may have been carried out. Repeating is the batcher's decision, with the same gift ids.
"""

from redis.asyncio import BlockingConnectionPool, Redis
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
    return Redis.from_pool(pool)
