"""An office beside a live ledger, on real servers and empty data."""

from collections.abc import AsyncIterator

import pytest

from ledger.books.postgres import Pool, open_pool
from ledger.config import LedgerConfig
from ledger.office import Office, open_office
from ledger.rails.sandbox import SandboxRail
from ledger.service import Ledger, open_ledger
from tests.integration.ledger_money.money import Money


@pytest.fixture
def config(valkey_url: str, database_url: str) -> LedgerConfig:
    """Two partitions; one cent costs 100 diamonds, a withdrawal is of 10.00 at least, 1,000.00 a day at most."""
    return LedgerConfig(redis_url=valkey_url, database_url=database_url, partitions=2, maturing_days=0)


@pytest.fixture
def nowhere(config: LedgerConfig, tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """A live ledger whose server never answers."""
    return open_ledger(LedgerConfig(redis_url=f"unix://{tmp_path_factory.mktemp('none')}/none.sock", partitions=2))


@pytest.fixture
async def pool(config: LedgerConfig) -> AsyncIterator[Pool]:
    """Connections to look into the books from outside of the office."""
    opened = await open_pool(config)
    yield opened
    await opened.close()


@pytest.fixture
async def ledger(config: LedgerConfig) -> AsyncIterator[Ledger]:
    """A started live ledger."""
    opened = open_ledger(config)
    await opened.start()
    yield opened
    await opened.stop()


@pytest.fixture
def rail() -> SandboxRail:
    """The provider that coins are bought from."""
    return SandboxRail.from_key("the key of a test, at least so long")


@pytest.fixture
async def office(config: LedgerConfig, ledger: Ledger, rail: SandboxRail) -> AsyncIterator[Office]:
    """An office with the sandbox rail."""
    opened = await open_office(config, ledger, rails=[rail])
    yield opened
    await opened.close()


@pytest.fixture
def money(config: LedgerConfig, ledger: Ledger, office: Office, pool: Pool) -> Money:
    """Makes earnings, and adds up what the books hold."""
    return Money(config, ledger, office, pool)
