"""The one way to PostgreSQL: a pool, transactions, and which failures a retry can heal.

What PostgreSQL answers falls into three kinds: the server is away or busy (tell it again), the data contradicts a
constraint (an invariant is broken: never tell it again), and a fault of ours or of the set-up (raised as it is).
"""

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Final

import asyncpg
from asyncpg import exceptions as pg

from ledger.config import LedgerConfig
from ledger.errors import LedgerUnavailable

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Pool = asyncpg.Pool[asyncpg.Record]
    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
else:
    Pool = asyncpg.Pool
    Connection = asyncpg.Connection

LOST: Final = (
    OSError,
    TimeoutError,
    pg.PostgresConnectionError,
    pg.OperatorInterventionError,
    pg.InsufficientResourcesError,
    pg.PostgresSystemError,
    pg.TransactionRollbackError,
    pg.LockNotAvailableError,
    pg.IdleInTransactionSessionTimeoutError,
    pg.InterfaceError,
    pg.InternalClientError,
)
"""The server is away, starting, stopping, out of disk or connections, or chose us to break a deadlock. Whether a
COMMIT took effect is not known. Of a connection that breaks amid an answer asyncpg says that the fault is its own."""

CONTRADICTED: Final = (pg.IntegrityConstraintViolationError, pg.DataError)
"""A row breaks a constraint or cannot be stored: asking again cannot help."""


async def open_pool(config: LedgerConfig, settings: Mapping[str, str] | None = None) -> Pool:
    """A pool for `config.database_url`. It connects on first use, so PostgreSQL may be down meanwhile.

    Args:
        settings: of PostgreSQL, for the sessions of this pool.

    Raises:
        asyncpg.exceptions.ClientConfigurationError: the URL cannot be understood.
    """
    return await asyncpg.create_pool(
        config.database_url,
        min_size=0,
        max_size=config.database_connections_max,
        command_timeout=config.database_timeout_ms / 1000,
        timeout=config.database_timeout_ms / 1000,
        server_settings={
            "application_name": "giftwire",
            "jit": "off",
            "timezone": "UTC",
            # A process that is held up inside a transaction (SIGSTOP, a lost network) would keep its locks for hours.
            "idle_in_transaction_session_timeout": str(config.database_timeout_ms),
            **(settings or {}),
        },
    )


@contextlib.asynccontextmanager
async def connected(pool: Pool) -> AsyncIterator[Connection]:
    """A connection of the pool, outside of any transaction.

    Raises:
        LedgerUnavailable: PostgreSQL is away or was lost meanwhile.
    """
    try:
        async with pool.acquire() as connection:
            yield connection
    except LOST as exc:
        if isinstance(exc, ValueError):
            raise  # asyncpg's word for an argument of the wrong type: a fault of ours
        raise LedgerUnavailable(f"PostgreSQL does not answer: {exc}") from exc


@contextlib.asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """A transaction that commits at the end of the block and rolls back when it raises.

    Raises:
        LedgerUnavailable: PostgreSQL is away or was lost; whether the commit took effect is then not known.
    """
    async with connected(pool) as connection, connection.transaction():
        yield connection


@contextlib.asynccontextmanager
async def snapshot(pool: Pool) -> AsyncIterator[Connection]:
    """A read-only transaction that sees one moment of the database throughout.

    Raises:
        LedgerUnavailable: PostgreSQL is away or was lost meanwhile.
    """
    async with (
        connected(pool) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        yield connection
