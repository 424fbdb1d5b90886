"""All clients of one gateway come to another at once: counted is what that asks of PostgreSQL."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from gateway.edge.config import EdgeConfig
from tests.gateways import Gateway, Message, Talker, running_gateway
from tests.servers import Postgres

ROOMS: Final = 30
VIEWERS: Final = 240
AT_A_TIME: Final = 24
"""Clients of the test that are on their way: they share its event loop with both gateways."""
_STATEMENT: Final = re.compile(r"LOG:  (?:execute [^:]*|statement): (.*?)(?=\n\d{4}-\d\d-\d\d |\Z)", re.DOTALL)
_BY_ITSELF: Final = ("starts_with(place", "pg_advisory_unlock_all()")
"""What a gateway asks every 20 seconds, however many clients come; and what its pool says behind each question."""


@pytest.fixture
def statements(session_postgres: Postgres, database_url: str) -> Callable[[], list[str]]:
    """All that sessions from now on ask of the test's database, but for what gateways ask by themselves."""
    name = database_url.partition("?")[0].rpartition("/")[2]
    session_postgres.run_sql(f"ALTER DATABASE {name} SET log_statement = 'all'")
    log: Path = session_postgres.folder / "log"
    begin = log.stat().st_size

    def asked() -> list[str]:
        with log.open("rb") as file:
            file.seek(begin)
            found = _STATEMENT.findall(file.read().decode())
        return [statement for statement in found if not any(words in statement for words in _BY_ITSELF)]

    return asked


async def _crowd(gateway: Gateway, since: list[Message] | None = None) -> list[tuple[Talker, Message]]:
    """Viewers, and an overlay for each room, one close behind the other; each with the answer to its join."""
    doors = asyncio.Semaphore(AT_A_TIME)

    async def come(number: int) -> tuple[Talker, Message]:
        role, user = ("viewer", f"viewer{number}") if number < VIEWERS else ("overlay", "cleo")
        async with doors:
            talker = await gateway.greet(user, role)  # type: ignore[arg-type]
            position = {} if since is None else {"since": {name: since[number][name] for name in ("epoch", "seq")}}
            return talker, await talker.ask(type="join", room=f"room{number % ROOMS}", **position)

    return list(await asyncio.gather(*(come(number) for number in range(VIEWERS + ROOMS))))


async def test_reconnect_storm_asks_nothing_of_postgresql(
    valkey_url: str, database_url: str, statements: Callable[[], list[str]]
) -> None:
    """A whole gateway's clients are let in by another, in whose rooms nobody was, and once more by the same one later:
    tokens are verified in place, balances and revocations come from Valkey, rooms were read ahead."""
    settings = {"edge": EdgeConfig(hello_ms_max=60_000)}
    async with running_gateway(valkey_url, database_url, settings=settings, relay=False) as first:
        for number in range(ROOMS):
            await first.make_room(f"room{number}")
        async with running_gateway(valkey_url, database_url, settings=settings, relay=False) as second:
            there = await _crowd(first)
            before = len(statements())
            assert before > 0, "what PostgreSQL is asked is not seen"
            for talker, _ in there:
                talker.socket.transport.abort()
            for _ in range(2):
                back = await _crowd(second, [joined for _, joined in there])
                assert [joined["type"] for _, joined in back] == ["joined"] * len(there)
                assert {joined["recovered"] for _, joined in back} == {True}
                for talker, _ in back:
                    talker.socket.transport.abort()
            assert statements()[before:] == []
