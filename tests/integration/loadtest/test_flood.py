"""The cheap sender against a real gateway: every gift has its answer, and wallets are what arithmetic says."""

import time
from array import array
from collections.abc import AsyncIterator

import pytest

from gateway.admission.config import AdmissionConfig
from loadtest.bench.overload.flood import Fate, Flood, FloodFailed, Gifts, text_frame
from tests.gateways import Gateway, fresh_id, running_gateway

SENDERS, GIFTS, COINS = 3, 60, 1_000
ANSWERS_S_MAX = 20.0


@pytest.fixture
async def gateway(valkey_url: str, database_url: str) -> AsyncIterator[Gateway]:
    """A gateway at which an account may have one socket."""
    settings = {"admission": AdmissionConfig(account_sessions_max=1)}
    async with running_gateway(valkey_url, database_url, relay=False, settings=settings) as running:
        await running.make_room()
        yield running


def book(first: int) -> Gifts:
    """Gifts that are due at once."""
    frames = [
        text_frame(
            b'{"type":"gift","ref":"%d","id":"%s","room":"demo","gift":"rose"}' % (first + n, fresh_id().encode())
        )
        for n in range(GIFTS)
    ]
    return Gifts(frames, array("q", [time.monotonic_ns()] * GIFTS), SENDERS, first)


async def test_floods_over_the_same_sockets(gateway: Gateway) -> None:
    """Accepted in turn by each sender, flood after flood, each in its own book."""
    for sender in range(SENDERS):
        await gateway.grant(f"s{sender}", COINS)
    flood = Flood("127.0.0.1", gateway.port, [gateway.token(f"s{sender}") for sender in range(SENDERS)])
    await flood.open()
    for turn in (1, 2):
        gifts = book(GIFTS * turn)
        await flood.send(gifts, ANSWERS_S_MAX)
        assert set(gifts.fate) == {Fate.ACCEPTED}
        assert gifts.accepted_of == [GIFTS // SENDERS] * SENDERS
        assert gifts.balance_of == [COINS - turn * GIFTS // SENDERS] * SENDERS
        assert all(gifts.sent_ns)
    flood.close()


async def test_flood_whose_sockets_are_lost(gateway: Gateway) -> None:
    """It fails and says so: a book of half of the senders would say nothing."""
    flood = Flood("127.0.0.1", gateway.port, [gateway.token(f"s{sender}") for sender in range(SENDERS)])
    await flood.open()
    other = await gateway.greet("s1")
    with pytest.raises(FloodFailed, match="closed the socket"):
        await flood.send(book(0), 1.0)
    await other.close()
    flood.close()


async def test_sender_who_is_not_let_in(gateway: Gateway) -> None:
    """A token that is not valid ends it."""
    flood = Flood("127.0.0.1", gateway.port, ["nonsense"])
    with pytest.raises(FloodFailed, match="not let in"):
        await flood.open()
    flood.close()
