"""A room that nobody is in is let go of, however those who came to it went."""

import asyncio

import pytest
from redis.asyncio import Redis

from gateway.edge.connection import Connection
from gateway.rooms.broker import RoomSnapshot
from gateway.rooms.room_keys import keys_of
from tests.gateways import Gateway, fresh_id
from tests.waiting import until

WAIT_S_MAX = 10.0


def _holds_nothing(gateway: Gateway) -> bool:
    channels = gateway.services.broker.channels
    assert channels is not None
    return len(gateway.services.rooms) == 0 and keys_of("demo").channel not in channels.subscribed


async def test_room_is_let_go_of_when_the_only_one_who_came_was_refused(gateway: Gateway) -> None:
    """Another creator's overlay opened it to no end."""
    stranger = await gateway.greet("carl", "overlay")
    refused = await stranger.ask(type="join", room="demo")
    assert refused["code"] == "not_allowed"
    await until(lambda: _holds_nothing(gateway), WAIT_S_MAX)


async def test_room_is_let_go_of_when_the_only_one_left_while_it_was_opened(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was opened for somebody who was gone by then."""
    talker = await gateway.greet("ada")
    [connection] = gateway.services.edge.everybody()
    broker = gateway.services.broker
    read, opened = broker.snapshot, asyncio.Event()

    async def read_late(room: str) -> RoomSnapshot:
        await _gone(gateway, connection)
        opened.set()
        return await read(room)

    monkeypatch.setattr(broker, "snapshot", read_late)
    await talker.say(type="join", ref="r", room="demo")
    await opened.wait()
    await until(lambda: _holds_nothing(gateway), WAIT_S_MAX)


async def test_room_whose_history_could_not_be_read_is_not_heard_further(gateway: Gateway, valkey_url: str) -> None:
    """Nobody is in it, so nothing of it is needed."""
    redis = Redis.from_url(valkey_url)
    await redis.set(keys_of("demo").history, "no history")
    ada = await gateway.greet("ada")
    assert (await ada.ask(type="join", room="demo"))["code"] == "unavailable"
    await until(lambda: _holds_nothing(gateway), WAIT_S_MAX)
    await redis.delete(keys_of("demo").history)
    assert (await ada.ask(type="join", room="demo"))["type"] == "joined"
    await redis.aclose()


async def test_who_could_not_enter_again_is_not_kept(gateway: Gateway, valkey_url: str) -> None:
    """A second join that fails ends the first: the room does not keep a connection that has gone."""
    await gateway.grant("ada", 10)
    ada = await gateway.enter("ada")
    assert (await ada.ask(type="gift", id=fresh_id(), room="demo", gift="rose"))["type"] == "accepted"
    seen = await ada.until(lambda told: any(event["kind"] == "gift" for event in told.get("events", ())))
    redis = Redis.from_url(valkey_url)
    history = keys_of("demo").history
    await redis.rename(history, b"kept:{r:demo}")
    await redis.set(history, "no history")
    refused = await ada.ask(type="join", room="demo", since={"epoch": seen["epoch"], "seq": 0})
    assert refused["code"] == "unavailable"
    await redis.aclose()
    await ada.close()
    await until(lambda: gateway.services.edge.connections == 0, WAIT_S_MAX)
    await until(lambda: _holds_nothing(gateway), WAIT_S_MAX)


async def _gone(gateway: Gateway, connection: Connection) -> None:
    connection.abort()
    await until(lambda: connection not in gateway.services.edge.everybody(), WAIT_S_MAX)
