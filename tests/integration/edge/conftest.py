"""A gateway of the test's own."""

from collections.abc import AsyncIterator

import pytest

from tests.gateways import Gateway, running_gateway


@pytest.fixture
async def gateway(valkey_url: str, database_url: str) -> AsyncIterator[Gateway]:
    """A gateway with a room `demo` of the creator `cleo`."""
    async with running_gateway(valkey_url, database_url) as running:
        await running.make_room()
        yield running
