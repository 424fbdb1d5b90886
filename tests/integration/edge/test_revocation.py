"""A token that was taken back ends what is open with it, on every gateway."""

import asyncio

from gateway.edge.config import EdgeConfig
from gateway.revocations import MadeToken
from tests.gateways import Gateway, Talker, running_gateway

SETTINGS = {"edge": EdgeConfig(revocation_ms=200)}


async def _overlay(gateway: Gateway, token: str) -> Talker:
    talker = await gateway.connect()
    assert (await talker.ask(type="hello", token=token))["type"] == "welcome"
    return talker


async def _made(gateway: Gateway) -> tuple[str, str]:
    services = gateway.services
    token = services.tokens.mint("overlay", "cleo")
    identity = services.tokens.verify(token)
    assert await services.revocations.remember("cleo", MadeToken(identity.jti, None, "", 0, identity.expires_ms))
    return token, identity.jti


async def test_open_overlays_are_closed_when_their_token_is_taken_back(valkey_url: str, database_url: str) -> None:
    """With 4500, wherever they are; those with another token, and viewers, stay."""
    async with (
        running_gateway(valkey_url, database_url, settings=SETTINGS) as one,
        running_gateway(valkey_url, database_url, relay=False, settings=SETTINGS) as other,
    ):
        await one.make_room()
        (taken, jti), (kept, _) = await _made(one), await _made(one)
        closing = [await _overlay(gateway, taken) for gateway in (one, one, other)]
        staying = [await _overlay(other, kept), await other.greet("ada"), await one.greet("olga", "operator")]
        assert await one.services.revocations.revoke("cleo", jti)
        assert await asyncio.gather(*(talker.closed() for talker in closing)) == [4500] * 3
        for talker in staying:
            assert (await talker.ask(type="ping"))["type"] == "pong"
        again = await one.connect()
        await again.say(type="hello", ref="h", token=taken)
        assert await again.closed() == 4500


async def test_revocations_among_many_tokens(valkey_url: str, database_url: str) -> None:
    """More than one round trip's worth is asked about, and just the right ones are found."""
    async with running_gateway(valkey_url, database_url) as gateway:
        _, jti = await _made(gateway)
        await gateway.services.revocations.revoke("cleo", jti)
        others = [f"token-{number}" for number in range(1_200)]
        assert await gateway.services.revocations.revoked_among([*others, jti]) == {jti}
        assert await gateway.services.revocations.revoked_among([]) == set()
