"""A gateway that goes: what its clients are told, in which order, and what becomes of gifts meanwhile."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.edge.config import EdgeConfig
from tests.gateways import Gateway, fresh_id, running_gateway
from tests.servers import Valkey
from tests.waiting import until

WAIT_S_MAX = 20.0
CLIENTS = 30


@pytest.fixture
async def slow_gateway(valkey_url: str, database_url: str) -> AsyncIterator[Gateway]:
    """A gateway that lets ten clients a second come back, and has a second to go."""
    settings = {"edge": EdgeConfig(drain_per_s=10), "drain_ms_max": 1_000}
    async with running_gateway(valkey_url, database_url, settings=settings) as running:
        await running.make_room()
        yield running


@pytest.fixture
async def patient_gateway(valkey_url: str, database_url: str) -> AsyncIterator[Gateway]:
    """A gateway with time to go."""
    async with running_gateway(valkey_url, database_url, settings={"drain_ms_max": 600_000}) as running:
        await running.make_room()
        yield running


async def test_clients_are_told_different_times_to_come_back(slow_gateway: Gateway) -> None:
    """All are closed in time, and told to wait so that ten come back in a second; the overlay first."""
    talkers = [await slow_gateway.enter(f"viewer{number}") for number in range(CLIENTS)]
    overlay = await slow_gateway.enter("cleo", "overlay")
    await asyncio.wait_for(slow_gateway.app.drain(), WAIT_S_MAX)
    assert {await talker.closed() for talker in (*talkers, overlay)} == {4000}
    hints = []
    for talker in talkers:
        (notice,) = [told for told in talker.heard if told["type"] == "notice"]
        assert notice["code"] == "drain"
        hints.append(notice["reconnect_after_ms"])
    # Three seconds' worth of clients: those closed in the first half second wait for up to two and a half more.
    assert len(set(hints)) > CLIENTS / 2
    assert 2_300 < max(hints) <= 2_600
    assert min(hints) < 400
    (notice,) = [told for told in overlay.heard if told["type"] == "notice"]
    assert notice["reconnect_after_ms"] < 100


async def test_gift_in_flight_is_answered_before_the_close(patient_gateway: Gateway, session_valkey: Valkey) -> None:
    """Its sender stays until the ledger has answered; what it sends meanwhile is to be sent elsewhere."""
    await patient_gateway.grant("ada", 100)
    ada, ben = await patient_gateway.enter("ada"), await patient_gateway.enter("ben")
    ready = await ada.ask(type="gift", id=fresh_id(), room="demo", gift="rose")
    assert ready["type"] == "accepted"
    with session_valkey.frozen():
        await ada.say(type="gift", ref="in-flight", id=fresh_id(), room="demo", gift="rose")
        sessions = [one.session for one in patient_gateway.services.edge.everybody()]
        await until(lambda: any(one is not None and one.gifts_in_flight for one in sessions), WAIT_S_MAX)
        draining = asyncio.create_task(patient_gateway.app.drain())
        assert await ben.closed() == 4000
        await until(lambda: all(one is None or one.leaves_for_ms is not None for one in sessions), WAIT_S_MAX)
        late = await ada.ask(type="gift", id=fresh_id(), room="demo", gift="rose")
        assert (late["type"], late["code"], late["retryable"]) == ("refused", "unavailable", True)
        assert late["retry_after_ms"] >= 1
        assert not any(told.get("ref") == "in-flight" for told in ada.heard)
    answer = await ada.until(lambda told: told.get("ref") == "in-flight")
    assert answer["type"] == "accepted"
    assert await ada.closed() == 4000
    await asyncio.wait_for(draining, WAIT_S_MAX)


async def test_gift_without_an_answer_does_not_hold_up_the_end(slow_gateway: Gateway, session_valkey: Valkey) -> None:
    """Its sender is closed all the same when the time is nearly over, and asks again elsewhere."""
    await slow_gateway.grant("ada", 100)
    ada = await slow_gateway.enter("ada")
    assert (await ada.ask(type="gift", id=fresh_id(), room="demo", gift="rose"))["type"] == "accepted"
    with session_valkey.frozen():
        await ada.say(type="gift", ref="in-flight", id=fresh_id(), room="demo", gift="rose")
        sessions = [one.session for one in slow_gateway.services.edge.everybody()]
        await until(lambda: any(one is not None and one.gifts_in_flight for one in sessions), WAIT_S_MAX)
        await asyncio.wait_for(slow_gateway.app.drain(), WAIT_S_MAX)
        assert await ada.closed() == 4000
    assert not any(told.get("ref") == "in-flight" for told in ada.heard)
