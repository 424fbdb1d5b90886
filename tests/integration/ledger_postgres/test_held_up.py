"""A writer that is held up in the midst of a transaction holds up nobody else for longer than the configured time."""

import asyncio

import msgspec
import pytest

from ledger.books.postgres import Pool, open_pool, transaction
from ledger.config import LedgerConfig
from ledger.errors import LedgerUnavailable

LOCK = "SELECT * FROM positions WHERE partition = -1 FOR UPDATE"


async def test_held_up_writer_loses_its_locks(pool: Pool, config: LedgerConfig) -> None:
    """PostgreSQL gives the locks to the next one, and the one that was held up is told to begin again."""
    impatient = await open_pool(msgspec.structs.replace(config, database_timeout_ms=300))
    passed_on = False
    with pytest.raises(LedgerUnavailable):
        async with transaction(impatient) as held_up:
            await held_up.execute(LOCK)
            async with asyncio.timeout(20), transaction(pool) as other:
                await other.execute(LOCK)
                passed_on = True
            await held_up.execute("UPDATE positions SET seq = seq + 1 WHERE partition = -1")
    await impatient.close()
    assert passed_on
    assert await pool.fetchval("SELECT seq FROM positions WHERE partition = -1") == 0
