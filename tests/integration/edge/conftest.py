"""A gateway of the test's own."""

from collections.abc import AsyncIterator

import pytest

from tests.gateways import Gateway, running_gateway
from tests.integration.edge.raw import Raws


@pytest.fixture
async def gateway(valkey_url: str, database_url: str) -> AsyncIterator[Gateway]:
    """A gateway with a room `demo` of the creator `cleo`."""
    async with running_gateway(valkey_url, database_url) as running:
        await running.make_room()
        yield running


@pytest.fixture
async def raws(gateway: Gateway) -> AsyncIterator[Raws]:
    """Opens raw connections to the gateway."""
    opened = Raws(gateway.port)
    yield opened
    await opened.close()
