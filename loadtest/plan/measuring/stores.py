"""What the two servers below say of themselves: bytes written and sent, memory, rows.

Only for a measurement on a server of its own: a load test speaks the public protocol and looks into no store.
"""

import asyncio
from pathlib import Path
from typing import Any, Final

import asyncpg
from msgspec import Struct
from redis import Redis

from loadtest.server.local_server import read_endpoints

_SCANNED: Final = 1_000
_TABLES: Final = "SELECT quote_ident(schemaname) || '.' || quote_ident(relname) AS name FROM pg_stat_user_tables"
_WAL_BYTES: Final = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"


class Stored(Struct, frozen=True):
    """At one moment, counted since the servers began, but for the memory."""

    aof_bytes: float
    published_bytes: float
    wal_bytes: float
    rows: float
    valkey_bytes: float


def grown(before: Stored, after: Stored) -> Stored:
    """By how much everything grew."""
    names = Stored.__struct_fields__
    return Stored(*(getattr(after, name) - getattr(before, name) for name in names))


class Stores:
    """The servers of a data folder.

    Raises:
        OSError: the folder has none.
    """

    def __init__(self, data_dir: Path) -> None:
        self._endpoints = read_endpoints(data_dir)
        self._redis = Redis.from_url(self._endpoints.redis_url)

    def close(self) -> None:
        """Let go of the connection."""
        self._redis.close()

    def ask(self, *words: str | bytes) -> Any:
        """The answer of Valkey to a command."""
        return self._redis.execute_command(*words)  # type: ignore[no-untyped-call]

    def look(self) -> Stored:
        """How much was written and sent so far."""
        found: Any = self._redis.info()
        wal_bytes, rows = asyncio.run(self._written())
        return Stored(
            float(found["aof_current_size"]),
            float(found["total_net_output_bytes"]),
            wal_bytes,
            rows,
            float(found["used_memory"]),
        )

    def streams_bytes(self) -> float:
        """Memory of all streams: the histories of rooms, and what is left of the journals."""
        total = 0
        for name in self._redis.scan_iter(count=_SCANNED, _type="stream"):
            used: Any = self._redis.memory_usage(name, samples=0)
            total += int(used or 0)
        return float(total)

    async def _written(self) -> tuple[float, float]:
        connection = await asyncpg.connect(self._endpoints.database_url)
        try:
            wal_bytes = await connection.fetchval(_WAL_BYTES)
            # Counted, since the server's own statistics come seconds late.
            rows = 0
            for table in await connection.fetch(_TABLES):
                rows += await connection.fetchval(f"SELECT count(*) FROM ONLY {table['name']}")  # noqa: S608
            return float(wal_bytes), float(rows)
        finally:
            await connection.close()
