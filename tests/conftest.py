"""Fixtures that many tests share: real servers, each test on empty data."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from redis import Redis

from ledger.books.migrate import migrate
from tests.databases import Databases
from tests.servers import Postgres, Valkey, running_postgres, running_valkey

# How fast an example is depends on who else uses the machine.
settings.register_profile("giftwire", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("giftwire")


@pytest.fixture(scope="session")
def session_valkey() -> Iterator[Valkey]:
    """One Valkey for this test process."""
    with tempfile.TemporaryDirectory(prefix="gw-") as folder, running_valkey(Path(folder)) as valkey:
        yield valkey


@pytest.fixture
def valkey_url(session_valkey: Valkey) -> str:
    """URL of a Valkey that holds nothing."""
    with Redis.from_url(session_valkey.url) as redis:
        redis.flushall()
    return session_valkey.url


@pytest.fixture(scope="session")
def session_postgres() -> Iterator[Postgres]:
    """One PostgreSQL for this test process."""
    with tempfile.TemporaryDirectory(prefix="gw-") as folder, running_postgres(Path(folder)) as postgres:
        yield postgres


@pytest.fixture
def empty_postgres_url(session_postgres: Postgres) -> Iterator[str]:
    """URL of a database without any table."""
    name = session_postgres.create_database()
    yield session_postgres.url(name)
    session_postgres.drop_database(name)


@pytest.fixture(scope="session")
def session_databases(session_postgres: Postgres) -> Databases:
    """Clean databases with the schema for this test process."""
    template = session_postgres.create_database()
    asyncio.run(migrate(session_postgres.url(template)))
    return Databases(session_postgres, template)


@pytest.fixture
def database_url(session_postgres: Postgres, session_databases: Databases) -> str:
    """URL of a database with the schema and nothing in it."""
    return session_postgres.url(session_databases.clean())
