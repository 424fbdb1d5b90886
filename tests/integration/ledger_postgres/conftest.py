"""A live ledger and books beside each other, on real servers and empty data."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from ledger.books.postgres import Pool, open_pool
from ledger.config import LedgerConfig
from ledger.live.redis_client import connect
from ledger.service import Ledger, open_ledger
from tests.integration.ledger_postgres.repairing import NoRooms


@pytest.fixture
def config(valkey_url: str, database_url: str) -> LedgerConfig:
    """Two partitions, a schema, and a flusher that loses no time."""
    return LedgerConfig(
        redis_url=valkey_url,
        database_url=database_url,
        partitions=2,
        flush_interval_ms=1,
        trim_interval_ms=1,
        undo_pause_ms=0,
    )


@pytest.fixture
async def pool(config: LedgerConfig) -> AsyncIterator[Pool]:
    """Connections to the books."""
    opened = await open_pool(config)
    yield opened
    await opened.close()


@pytest.fixture
async def redis(config: LedgerConfig) -> AsyncIterator[Redis]:
    """A client of the live ledger's server."""
    client = connect(config)
    yield client
    await client.aclose()


@pytest.fixture
async def ledger(config: LedgerConfig) -> AsyncIterator[Ledger]:
    """A started live ledger."""
    opened = open_ledger(config)
    await opened.start()
    yield opened
    await opened.stop()


@pytest.fixture
async def rooms(redis: Redis, config: LedgerConfig) -> NoRooms:
    """Rooms of a repair that show nothing."""
    return NoRooms(redis, config)
