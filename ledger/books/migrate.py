"""Brings a database to the schema of this code: plain SQL files, applied once each, in order, forward only.

Every file runs in a transaction of its own together with the note that it ran. An applied file must not change: its
checksum is kept. A database that knows more files than we do was made by newer code, and is left alone.
"""

import hashlib
import re
from collections.abc import Sequence
from importlib import resources
from typing import Final

import asyncpg
from msgspec import Struct

from ledger.books.postgres import LOST, Connection
from ledger.errors import LedgerError, LedgerUnavailable

_FILE_NAME: Final = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_LOCK: Final = 0x67_69_66_74
"""Advisory lock that one runner of migrations holds."""
_CONNECT_S_MAX: Final = 10.0


class Migration(Struct, frozen=True):
    """One file: its number (1, 2, 3 …), name, SQL and SHA-256."""

    number: int
    name: str
    sql: str
    checksum: bytes


class SchemaWrong(LedgerError):
    """The database cannot be used with this code; the message says why and what helps."""


class DatabaseNewer(SchemaWrong):
    """The database was migrated by newer code."""


class DatabaseOlder(SchemaWrong):
    """Migrations are missing."""


class MigrationChanged(SchemaWrong):
    """A file that was applied is not the same any more."""


def migrations() -> list[Migration]:
    """The files of this code, in order.

    Raises:
        SchemaWrong: a name is not `NNNN_words.sql`, or a number is missing or stands twice.
    """
    found = []
    for file in (resources.files("ledger.books") / "migrations").iterdir():
        if not file.name.endswith(".sql"):
            continue
        match = _FILE_NAME.fullmatch(file.name)
        if match is None:
            raise SchemaWrong(f"{file.name} is not named NNNN_words.sql")
        content = file.read_bytes()
        found.append(Migration(int(match[1]), file.name, content.decode(), hashlib.sha256(content).digest()))
    found.sort(key=lambda migration: migration.number)
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise SchemaWrong(f"migrations are not numbered 1 to {len(found)}")
    return found


async def migrate(database_url: str, files: Sequence[Migration] | None = None) -> list[str]:
    """Apply what is missing; runners that start together wait for each other.

    Args:
        files: in the place of this code's own.

    Returns:
        The names of the files that were applied now.

    Raises:
        SchemaWrong: the database was made by newer code, or an applied file has changed. Nothing is done then.
        LedgerUnavailable: PostgreSQL does not answer; files already named as applied stay applied.
    """
    files = migrations() if files is None else files
    try:
        connection = await asyncpg.connect(database_url, timeout=_CONNECT_S_MAX)
    except LOST as exc:
        raise LedgerUnavailable(f"PostgreSQL does not answer: {exc}") from exc
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL,"
            " checksum BYTEA NOT NULL, applied_at TIMESTAMPTZ NOT NULL DEFAULT now())"
        )
        missing = _missing(await _applied(connection), files)
        for migration in missing:
            await _apply(connection, migration)
    except LOST as exc:
        raise LedgerUnavailable(f"PostgreSQL was lost while migrating: {exc}") from exc
    finally:
        await connection.close(timeout=_CONNECT_S_MAX)
    return [migration.name for migration in missing]


async def check_schema(connection: Connection) -> None:
    """See that the database has exactly this code's schema.

    Raises:
        DatabaseOlder: `giftwire migrate` is to be run.
        SchemaWrong: as `migrate` raises it.
    """
    known = await connection.fetchval("SELECT to_regclass('schema_migrations') IS NOT NULL")
    missing = _missing(await _applied(connection) if known else {}, migrations())
    if missing:
        raise DatabaseOlder(f"the database lacks {missing[0].name} and later: run `giftwire migrate`")


async def _applied(connection: Connection) -> dict[int, tuple[str, bytes]]:
    rows = await connection.fetch("SELECT number, name, checksum FROM schema_migrations")
    return {row["number"]: (row["name"], row["checksum"]) for row in rows}


def _missing(applied: dict[int, tuple[str, bytes]], files: Sequence[Migration]) -> list[Migration]:
    newer = sorted(set(applied) - {migration.number for migration in files})
    if newer:
        raise DatabaseNewer(f"the database has {applied[newer[-1]][0]}, which this code does not know: use newer code")
    for migration in files:
        if migration.number in applied and applied[migration.number][1] != migration.checksum:
            raise MigrationChanged(f"{migration.name} was changed after it had been applied: restore the file")
    return [migration for migration in files if migration.number not in applied]


async def _apply(connection: Connection, migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute(migration.sql)
        await connection.execute(
            "INSERT INTO schema_migrations (number, name, checksum) VALUES ($1, $2, $3)",
            migration.number,
            migration.name,
            migration.checksum,
        )
