"""A PostgreSQL that is killed about the moment of a commit: what the flusher wrote is there once, or not yet."""

from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from asyncpg.transaction import Transaction
from redis.asyncio import Redis

from ledger.books.books import Books
from ledger.books.migrate import migrate
from ledger.books.postgres import open_pool
from ledger.config import LedgerConfig
from ledger.errors import LedgerUnavailable
from ledger.live.keys import Keys
from tests.integration.ledger_postgres.flushing import unit_sums, until
from tests.integration.ledger_postgres.journals import JournalWriter
from tests.integration.ledger_postgres.test_books import BOTH, by_place, stored
from tests.servers import running_postgres


@pytest.mark.parametrize(("committed", "there"), [(False, 2), (True, 4)])
async def test_postgres_killed_about_a_commit(tmp_path: Path, redis: Redis, committed: bool, there: int) -> None:
    """All rows of a batch are written and PostgreSQL dies before the COMMIT, or after it and before its answer: the
    writer cannot tell which. Told again, each record is in the books once."""
    with running_postgres(tmp_path) as postgres:
        await migrate(postgres.url())
        config = LedgerConfig(database_url=postgres.url(), partitions=2)
        pool, journal = await open_pool(config), JournalWriter(redis, Keys(2))
        books = Books(pool, BOTH, config)
        await books.load_positions()
        journal.credit("ann", 100)
        journal.gift("ann", 5, creator="cora")
        await books.write(journal.records)
        journal.gift("ann", 7, creator="cora")
        journal.gift("ann", 9, creator="cora")
        end, killed = Transaction.__aexit__, 0

        async def dies(self: Any, *failed: Any) -> Any:
            nonlocal killed
            if committed:
                await end(self, *failed)
            postgres.kill()
            killed += 1
            await until(self._connection.is_closed)
            if committed:
                raise ConnectionResetError("the answer to COMMIT was lost")
            return await end(self, *failed)

        with patch.object(Transaction, "__aexit__", dies), pytest.raises(LedgerUnavailable):
            await books.write(journal.records[2:])
        assert killed == 1
        postgres.start()
        positions = await books.load_positions()
        assert sum(position.seq for position in positions.values()) == there
        batch = await books.write(journal.records)
        assert (0 if batch is None else batch.gifts) == 4 - there
        assert await stored(pool) == by_place(journal.records)
        assert await unit_sums(pool) == {"coins": 0, "diamonds": 0}
        wallet = "SELECT balance_after FROM entries JOIN accounts ON id = account_id WHERE kind = 'wallet'"
        assert [row[0] for row in await pool.fetch(f"{wallet} ORDER BY number")] == [100, 95, 88, 79]
        await pool.close()
