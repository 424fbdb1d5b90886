"""Stops a real process at a chosen statement: a session of the test holds the lock that this statement needs."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg

from tests.waiting import until_true

STUCK_S_MAX: Final = 60.0
_WAITING: Final = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE $1"
_WORTH_TRYING: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)


class Locks:
    """Locks that are held until they are let go, or until the server is killed.

    Args:
        url: of the database.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._held: list[asyncpg.Connection] = []

    async def hold(self, statement: str, *values: object) -> None:
        """Run a statement that locks, and keep its transaction open."""
        connection = await asyncpg.connect(self._url)
        self._held.append(connection)
        await connection.execute("BEGIN")
        await connection.execute(statement, *values) if values else await connection.execute(statement)

    async def let_go(self, first: int | None = None) -> None:
        """End the first so many transactions, or all."""
        going, self._held = self._held[:first], self._held[len(self._held[:first]) :]
        for connection in going:
            connection.terminate()

    async def until_stuck(self, statement: str) -> None:
        """Wait until somebody waits for a lock in a statement like this one."""
        watcher = await asyncpg.connect(self._url)
        try:

            async def stuck() -> bool:
                return bool(await watcher.fetchval(_WAITING, f"%{statement}%"))

            await until_true(stuck, STUCK_S_MAX, lambda: f"nobody waits in {statement}")
        finally:
            watcher.terminate()


@contextlib.asynccontextmanager
async def locks_of(url: str) -> AsyncIterator[Locks]:
    """Locks in a database; none is left at the end."""
    locks = Locks(url)
    try:
        yield locks
    finally:
        await locks.let_go()


async def ask(url: str, query: str, *values: object) -> Any:
    """The first value of a query, asked until the server answers."""
    answers: list[Any] = []

    async def answered() -> bool:
        try:
            connection = await asyncpg.connect(url)
            try:
                answers.append(await connection.fetchval(query, *values))
            finally:
                connection.terminate()
        except _WORTH_TRYING:
            return False
        return True

    await until_true(answered, STUCK_S_MAX, lambda: f"no answer to {query}")
    return answers[-1]
