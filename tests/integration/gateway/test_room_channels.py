"""Subscriptions that are lost: noticed, taken up again, told, and healed from the history."""

import asyncio
from pathlib import Path

import pytest
from redis.asyncio import Redis

from gateway.room.config import RoomConfig
from gateway.room.facts import RoomBatch, WalletChange
from gateway.room.room import Hearing, Room
from gateway.rooms.broker import Broker, BrokerUnavailable
from tests.integration.gateway.rooms import opened_broker, telling, told, until, until_true
from tests.servers import Valkey, no_subscribers, running_valkey


class Shell:
    """A gateway's part in small: one room that is healed when something was missed."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.room = Room("demo", RoomConfig(), epoch=0, seq=0)
        self.losses = 0
        self.wallets: list[WalletChange] = []

    async def start(self) -> None:
        await self.broker.start(self.on_batch, self.wallets.extend, self.on_lost)
        await self.broker.subscribe("demo")

    def on_batch(self, batch: RoomBatch) -> None:
        self.room.hear(batch)

    def on_lost(self) -> None:
        self.losses += 1

    async def heal(self) -> None:
        batches = await self.broker.since("demo", self.room.epoch, self.room.seq, 1_000)
        assert batches is not None
        for batch in batches:
            assert self.room.hear(batch).hearing is not Hearing.GAP


async def test_lost_connection_is_healed(valkey_url: str) -> None:
    """What is told while the subscription is cut is not heard, is known to be missing, and comes from the history."""
    async with opened_broker(valkey_url) as broker, opened_broker(valkey_url) as teller:
        shell = Shell(broker)
        await shell.start()
        await teller.tell([told("demo", telling(1))])
        await until(lambda: shell.room.seq == 1)
        async with no_subscribers(valkey_url):
            await teller.tell([told("demo", telling(2))])
        await until(lambda: shell.losses == 1)
        assert shell.room.seq == 1
        await shell.heal()
        await teller.tell([told("demo", telling(3))], [WalletChange("ann", 3, 7)])
        await until(lambda: shell.room.seq == 3 and bool(shell.wallets))
        assert shell.room.behind is None


async def test_killed_server_comes_back(tmp_path: Path) -> None:
    """After kill -9 of the server every room is subscribed to again, and nothing that was told is missing."""
    with running_valkey(tmp_path) as valkey:
        async with opened_broker(valkey.url) as broker:
            shell = Shell(broker)
            await shell.start()
            for number in range(1, 4):
                await broker.tell([told("demo", telling(number))])
            valkey.kill()
            valkey.start()
            await until(lambda: shell.losses >= 1)
            await shell.heal()
            await broker.tell([told("demo", telling(4))])
            await until(lambda: shell.room.seq == 4)


async def test_room_joined_while_the_server_is_away(tmp_path: Path) -> None:
    """A subscription asked for while the server is away is confirmed when it is back, and is heard from then on."""
    valkey = Valkey(tmp_path)
    valkey.start()
    async with opened_broker(valkey.url) as broker:
        heard: list[RoomBatch] = []
        losses: list[int] = []
        await broker.start(heard.append, lambda changes: None, lambda: losses.append(1))
        valkey.kill()
        joining = asyncio.create_task(broker.subscribe("other"))
        valkey.start()
        await joining
        await broker.tell([told("other", telling(1))])
        await until(lambda: len(heard) == 1 and len(losses) == 1)
    valkey.stop()


async def test_subscribe_gives_up_in_time(tmp_path: Path) -> None:
    """A server that stays away makes joining a room fail, not hang; the room is then not subscribed to."""
    valkey = Valkey(tmp_path)
    valkey.start()
    async with opened_broker(valkey.url, RoomConfig(broker_timeout_ms=200)) as broker:
        shell = Shell(broker)
        await shell.start()
        assert broker.channels is not None
        before = broker.channels.subscribed
        valkey.kill()
        await until(lambda: broker.channels is not None and broker.channels.stats.losses > 0)
        with pytest.raises(BrokerUnavailable):
            await broker.subscribe("other")
        assert broker.channels.subscribed == before
    valkey.stop()


async def test_quiet_connection_is_pinged_and_kept(valkey_url: str) -> None:
    """A connection on which nothing is published is asked whether it lives, and its answer counts."""
    async with opened_broker(valkey_url, RoomConfig(ping_ms=300)) as broker:
        shell = Shell(broker)
        await shell.start()
        redis = Redis.from_url(valkey_url)
        pings = await _pings(redis)

        async def pinged_twice() -> bool:
            return await _pings(redis) >= pings + 2

        await until_true(pinged_twice)
        assert shell.losses == 0
        await redis.aclose()


async def test_silent_server_counts_as_lost(valkey_url: str) -> None:
    """A connection on which even pings get no answer is given up, and hearing goes on over another."""
    async with opened_broker(valkey_url, RoomConfig(ping_ms=20)) as broker:
        shell = Shell(broker)
        await shell.start()
        redis = Redis.from_url(valkey_url)
        await redis.client_pause(300, all=True)
        await until(lambda: shell.losses >= 1)
        await broker.tell([told("demo", telling(1))])
        await shell.heal()
        assert shell.room.seq == 1
        await redis.aclose()


async def _pings(redis: Redis) -> int:
    stats = await redis.info("commandstats")
    return int(stats.get("cmdstat_ping", {}).get("calls", 0))


async def test_receiver_that_fails_is_healed(valkey_url: str) -> None:
    """A message that cannot be taken counts as a loss: hearing goes on, and the shell is told to heal."""
    async with opened_broker(valkey_url) as broker:
        shell = Shell(broker)
        await shell.start()
        redis = Redis.from_url(valkey_url)
        await redis.spublish("gw:{r:demo}:channel", "no batch")
        await redis.aclose()
        await until(lambda: shell.losses == 1)
        await broker.tell([told("demo", telling(1))])
        await until(lambda: shell.room.seq == 1)
