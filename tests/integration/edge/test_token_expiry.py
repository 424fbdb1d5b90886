"""A token's time that ends while its connection is open."""

import time

import msgspec
import pytest

from gateway.auth import LEEWAY_S
from gateway.edge.config import EdgeConfig
from tests.gateways import Gateway, fresh_id, running_gateway

HOUR_MS = 3_600_000


def _end(gateway: Gateway, ago_s: float) -> None:
    """Let the token of the only connection have ended so long ago."""
    [connection] = gateway.services.edge.everybody()
    session = connection.session
    assert session is not None
    assert session.identity is not None
    ended_ms = int((time.time() - ago_s) * 1000)
    session.identity = msgspec.structs.replace(session.identity, expires_ms=ended_ms)


@pytest.mark.parametrize("heartbeat_ms", [40, HOUR_MS])
async def test_token_that_ends_ends_its_connection(valkey_url: str, database_url: str, heartbeat_ms: int) -> None:
    """At the heartbeat, or with the next command, whichever comes first: no gift is charged with it."""
    settings = {"edge": EdgeConfig(heartbeat_ms=heartbeat_ms)}
    async with running_gateway(valkey_url, database_url, settings=settings) as gateway:
        await gateway.make_room()
        await gateway.grant("ada", 10)
        ada = await gateway.enter("ada")
        _end(gateway, LEEWAY_S + 1)
        if heartbeat_ms == HOUR_MS:
            await ada.say(type="gift", ref="late", id=fresh_id(), room="demo", gift="rose")
        assert await ada.closed() == 4501
        assert await gateway.services.ledger.balance("ada") == 10


async def test_token_that_ended_just_now_is_still_good(gateway: Gateway) -> None:
    """Clocks differ by as much as a hello allows for."""
    ada = await gateway.greet("ada")
    _end(gateway, LEEWAY_S / 2)
    assert (await ada.ask(type="ping"))["type"] == "pong"
