"""Gifts over WebSockets to a ledger that is held up: refused at once and for a while, paid when it goes on."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ledger.config import LedgerConfig
from tests.gateways import Gateway, Message, Talker, fresh_id, running_gateway
from tests.servers import Valkey, running_valkey
from tests.waiting import until

COINS = 1_000
BEHIND = 50
ANSWER_S_MAX = 20.0


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A Valkey that a test may hold up."""
    with running_valkey(tmp_path) as valkey:
        yield valkey


@pytest.fixture
async def gateway(own_valkey: Valkey, database_url: str) -> AsyncIterator[Gateway]:
    """A gateway on it, whose gifts wait shortly for a commit; a commit that hangs is asked for again for long."""
    ledger = LedgerConfig(partitions=1, batch_wait_ms_max=50, retry_ms_max=60_000)
    async with running_gateway(own_valkey.url, database_url, relay=False, settings={"ledger": ledger}) as running:
        await running.make_room()
        yield running


async def test_gifts_to_a_held_up_ledger(gateway: Gateway, own_valkey: Valkey) -> None:
    """`overloaded` with when to come back, and none is paid; later the same ids are accepted, for the first time."""
    await gateway.grant("ada", COINS)
    talker = await gateway.enter("ada")
    assert (await talker.ask(type="gift", id=fresh_id(), room="demo", gift="rose"))["type"] == "accepted"
    ids = [fresh_id() for _ in range(BEHIND)]
    batcher = gateway.services.ledger.batcher
    with own_valkey.frozen():
        in_flight = fresh_id()
        await talker.say(type="gift", ref=in_flight, id=in_flight, room="demo", gift="rose")
        await until(lambda: batcher.stats.commits == 1 and batcher.in_flight == 1, ANSWER_S_MAX)
        for gift_id in ids:
            await talker.say(type="gift", ref=gift_id, id=gift_id, room="demo", gift="rose")
        told = [await _outcome(talker, gift_id) for gift_id in ids]
    assert {(one["type"], one["code"], one["retryable"]) for one in told} == {("refused", "overloaded", True)}
    assert min(one["retry_after_ms"] for one in told) > 0
    assert (await _outcome(talker, in_flight))["replay"] is False
    for gift_id in ids:
        again = await talker.ask(type="gift", id=gift_id, room="demo", gift="rose")
        assert (again["type"], again["replay"]) == ("accepted", False)
    assert again["balance_coins"] == COINS - 2 - BEHIND


async def _outcome(talker: Talker, ref: str) -> Message:
    return await talker.until(lambda message: message.get("ref") == ref)
