"""Migrations on a real PostgreSQL: applied once each, in order, and never against a database that does not fit."""

import asyncio
import hashlib

import asyncpg
import pytest

from ledger.books.migrate import (
    DatabaseNewer,
    DatabaseOlder,
    Migration,
    MigrationChanged,
    check_schema,
    migrate,
    migrations,
)
from ledger.errors import LedgerUnavailable


def migration(number: int, sql: str) -> Migration:
    """A file of the test's own."""
    return Migration(number, f"{number:04}_step.sql", sql, hashlib.sha256(sql.encode()).digest())


FIRST = migration(1, "CREATE TABLE first (n INTEGER); INSERT INTO first VALUES (1)")
SECOND = migration(2, "CREATE TABLE second (n INTEGER)")


async def value(url: str, query: str) -> object:
    """One value from a connection of its own."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_fresh_database_gets_every_file(empty_postgres_url: str) -> None:
    """All files of this code are applied to an empty database, and the check passes after."""
    assert await migrate(empty_postgres_url) == [file.name for file in migrations()]
    connection = await asyncpg.connect(empty_postgres_url)
    await check_schema(connection)
    await connection.close()
    assert await value(empty_postgres_url, "SELECT count(*) FROM positions WHERE partition = -1") == 1


async def test_second_run_does_nothing(empty_postgres_url: str) -> None:
    """A migrated database is left as it is."""
    await migrate(empty_postgres_url, [FIRST])
    assert await migrate(empty_postgres_url, [FIRST]) == []
    assert await value(empty_postgres_url, "SELECT count(*) FROM first") == 1


async def test_later_file_alone_is_applied(empty_postgres_url: str) -> None:
    """Only what is missing runs."""
    await migrate(empty_postgres_url, [FIRST])
    assert await migrate(empty_postgres_url, [FIRST, SECOND]) == [SECOND.name]


async def test_changed_file_is_refused(empty_postgres_url: str) -> None:
    """A file that was applied and differs now stops the run before anything else is applied."""
    await migrate(empty_postgres_url, [FIRST])
    with pytest.raises(MigrationChanged, match="0001_step"):
        await migrate(empty_postgres_url, [migration(1, "SELECT 1"), SECOND])
    assert await value(empty_postgres_url, "SELECT to_regclass('second')") is None


async def test_newer_database_is_left_alone(empty_postgres_url: str) -> None:
    """Code that does not know a file of the database does nothing."""
    await migrate(empty_postgres_url, [FIRST, SECOND])
    with pytest.raises(DatabaseNewer, match="0002_step"):
        await migrate(empty_postgres_url, [FIRST])


async def test_failing_file_leaves_no_trace(empty_postgres_url: str) -> None:
    """A file that fails halfway is rolled back whole; those before it stay."""
    broken = migration(2, "CREATE TABLE second (n INTEGER); SELECT 1 / 0")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty_postgres_url, [FIRST, broken])
    assert await value(empty_postgres_url, "SELECT to_regclass('second')") is None
    assert await value(empty_postgres_url, "SELECT max(number) FROM schema_migrations") == 1


async def test_two_runners_at_once_apply_each_file_once(empty_postgres_url: str) -> None:
    """Runners that start together wait for each other: every file is applied by exactly one."""
    applied = await asyncio.gather(*(migrate(empty_postgres_url) for _ in range(4)))
    names = [name for names in applied for name in names]
    assert names == [file.name for file in migrations()]


async def test_check_of_an_empty_database_names_what_is_missing(empty_postgres_url: str) -> None:
    """A database without the schema is told apart from one that fits."""
    connection = await asyncpg.connect(empty_postgres_url)
    try:
        with pytest.raises(DatabaseOlder, match="0001_books"):
            await check_schema(connection)
    finally:
        await connection.close()


async def test_absent_server_is_unavailable() -> None:
    """No server is an operating error that a retry can heal."""
    with pytest.raises(LedgerUnavailable):
        await migrate("postgresql://giftwire@/giftwire?host=/nowhere")
