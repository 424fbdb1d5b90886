"""After a repair the rooms know every gift once, and no client takes the new numbers for the old ones (I5, I7)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from gateway.audits.repair import repair_all
from gateway.room.config import RoomConfig
from ledger.books.postgres import open_pool
from ledger.config import LedgerConfig
from ledger.live.journal import Position
from ledger.live.keys import Keys
from ledger.live.redis_client import connect
from ledger.mending.reconcile import LedgersDiffer, require_agreement
from ledger.mending.replay import RECORDS_REPLAYED_MAX
from ledger.model import GiftAccepted
from ledger.office import open_office
from ledger.service import open_ledger
from tests.gateways import Gateway, fresh_id, running_gateway
from tests.integration.ledger.orders import gift_order, grant
from tests.integration.ledger_postgres.flushing import flush_all
from tests.waiting import until_true

PARTITIONS = 4
WINDOW_MS = 200


@pytest.fixture
async def config(valkey_url: str, database_url: str) -> LedgerConfig:
    """As `running_gateway` has it, with a flusher that loses no time."""
    return LedgerConfig(
        redis_url=valkey_url,
        database_url=database_url,
        partitions=PARTITIONS,
        flush_interval_ms=1,
        trim_interval_ms=1,
    )


@pytest.fixture
async def redis(config: LedgerConfig) -> AsyncIterator[Redis]:
    """A client of the live ledger's server."""
    client = connect(config)
    yield client
    await client.aclose()


async def flushed(redis: Redis, config: LedgerConfig) -> None:
    """Everything is in the books."""
    pool = await open_pool(config)
    try:
        await flush_all(pool, redis, config)
    finally:
        await pool.close()


async def give(gateway: Gateway, viewer: str, *counts: int) -> None:
    """Roses of a viewer, each of one coin."""
    talker = await gateway.greet(viewer)
    for count in counts:
        reply = await talker.ask(type="gift", id=fresh_id(), room="demo", gift="rose", count=count)
        assert reply["type"] == "accepted", reply


def position(events: dict[str, Any]) -> dict[str, int]:
    """Where a client stands after a message."""
    return {"epoch": events["epoch"], "seq": events["seq"]}


@pytest.mark.parametrize("copied", [False, True])
async def test_rooms_after_a_loss(
    config: LedgerConfig, redis: Redis, valkey_url: str, database_url: str, copied: bool
) -> None:
    """Whoever knows an earlier position is told of the gap, is shown no old gift again, and then misses none."""
    copy: dict[bytes, Any] = {}
    async with running_gateway(valkey_url, database_url) as gateway:
        await gateway.make_room()
        for viewer in ("ann", "bob"):
            await gateway.grant(viewer, 1_000)
        overlay = await gateway.enter("cleo", "overlay")
        await give(gateway, "ann", 1, 2)
        told = await overlay.until(lambda message: any(event.get("count") == 2 for event in message.get("events", ())))
        early = position(told)
        if copied:
            await flushed(redis, config)
            names = [name async for name in redis.scan_iter()]
            copy = {name: await redis.dump(name) for name in names}
        await give(gateway, "ann", 3)
        await give(gateway, "bob", 4)
        told = await overlay.until(lambda message: any(event.get("count") == 4 for event in message.get("events", ())))
        late = position(told)
        await flushed(redis, config)
    await redis.flushall()
    for name, value in copy.items():
        await redis.restore(name, 0, value)
    with pytest.raises(LedgersDiffer):
        await require_agreement(config)
    done = await repair_all(config, RoomConfig())
    assert (done.epoch, done.violations, done.gifts) == (2, [], 2 if copied else 4)
    async with running_gateway(valkey_url, database_url) as gateway:
        for known in (early, late):
            overlay = await gateway.greet("cleo", "overlay")
            joined = await overlay.ask(type="join", room="demo", since=known)
            assert (joined["recovered"], joined["epoch"]) == (False, 2)
            board = {entry["user"]: entry["coins"] for entry in joined["state"]["leaderboard"]}
            assert board == {"ann": 6, "bob": 4}
            here = position(joined)
        await give(gateway, "bob", 5)
        event = await overlay.until_gift(lambda gift: gift["count"] == 5)
        assert [gift["count"] for gift in overlay.gifts] == [5]
        assert event["sender"]["id"] == "bob"
        again = await gateway.enter("cleo", "overlay", since=here)
        await again.until_gift(lambda gift: gift["count"] == 5)
        assert [gift["count"] for gift in again.gifts] == [5]


async def test_combo_that_is_longer_than_a_slice(config: LedgerConfig, redis: Redis) -> None:
    """A combo whose time is over long ago comes back in several slices: it ends once, behind its last gift (I8)."""
    ledger = open_ledger(config)
    await ledger.start()
    office = await open_office(config, ledger)
    await office.directory.put_creator("cora", name="Cora")
    await office.directory.put_place("room:demo", creator="cora", title="Demo")
    await office.close()
    await ledger.credit(grant("ann", 10_000))
    orders = [gift_order("ann", 1, combo=True, combo_window_ms=WINDOW_MS) for _ in range(RECORDS_REPLAYED_MAX * 2)]
    assert all(isinstance(one, GiftAccepted) for one in await asyncio.gather(*map(ledger.give, orders)))
    over_ms = await ledger.now_ms() + WINDOW_MS
    await flushed(redis, config)
    await redis.flushall()

    async def is_over() -> bool:
        return await ledger.now_ms() > over_ms

    await until_true(is_over, WINDOW_MS)
    done = await repair_all(config, RoomConfig())
    assert (done.records, done.violations) == (1 + len(orders), [])
    partition = ledger.keys.partition_of("ann")
    assert await ledger.open_combos(partition) == []
    assert await ledger.live_earnings("cora") == 50 * len(orders)
    await ledger.stop()


async def test_repair_beside_a_gateway(config: LedgerConfig, redis: Redis, valkey_url: str, database_url: str) -> None:
    """While a gateway runs nothing is brought back: it would show old gifts as new ones."""
    async with running_gateway(valkey_url, database_url, relay=False) as gateway:
        await gateway.make_room()
        await gateway.grant("ann", 10)
        await flushed(redis, config)
        await redis.flushall()
        with pytest.raises(LedgersDiffer, match="1 gateways run"):
            await repair_all(config, RoomConfig())
        assert await redis.dbsize() == 0


async def test_rooms_that_a_relay_said_to_have_told(
    config: LedgerConfig, redis: Redis, valkey_url: str, database_url: str
) -> None:
    """A relay that ran on over the emptied server noted how far it had come: the rooms are told all of it again."""
    async with running_gateway(valkey_url, database_url) as gateway:
        await gateway.make_room()
        await gateway.grant("ann", 1_000)
        await give(gateway, "ann", 1, 2, 3)
        await flushed(redis, config)
    positions = {partition: Position(1, 1_000) for partition, _ in Keys(PARTITIONS).all()}
    await redis.flushall()
    for partition, keys in Keys(PARTITIONS).all():
        await redis.set(keys.relay, str(positions[partition]))
    done = await repair_all(config, RoomConfig())
    assert (done.gifts, done.violations) == (3, [])
