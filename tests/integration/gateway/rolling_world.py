"""A ledger with its books, rooms and a relay, and the two audits that look after the rooms all the time."""

import contextlib
from collections.abc import AsyncIterator, Mapping

import structlog
from redis.asyncio import Redis

from gateway.audits.rolling_rooms import RollingRooms
from gateway.audits.rolling_told import RollingTold
from gateway.room.config import RoomConfig
from gateway.room.facts import GiftFact, RoomBatch, encode_batch
from gateway.rooms.broker import Broker
from gateway.rooms.relay import Relay
from ledger.books.postgres import Pool, open_pool
from ledger.config import LedgerConfig
from ledger.live.journal import Position
from ledger.live.redis_client import connect
from ledger.mending.gifts_in_order import GiftsInOrder
from ledger.model import Partition
from ledger.service import Ledger, open_ledger
from tests.integration.gateway.rooms import opened_broker, order
from tests.integration.ledger.orders import grant
from tests.integration.ledger_postgres.flushing import flush_all

ROOMS = RoomConfig(
    audit_share_permille=1_000, audit_records=4, audit_pause_ms=1, history_page_entries=3, combo_late_ms_max=1
)
HISTORY, META, COMBOS = "gw:{r:demo}:history", "gw:{r:demo}:meta", "gw:{r:demo}:combos"


class World:
    """What the tests use; every method leaves nothing under way."""

    def __init__(self, config: LedgerConfig, rooms: RoomConfig, ledger: Ledger, broker: Broker, pool: Pool) -> None:
        self.config = config
        self.rooms = rooms
        self.ledger = ledger
        self.broker = broker
        self.pool = pool
        self.redis: Redis = connect(config)

    async def give(self, gifts: int = 1, *, room: str = "demo", combo: bool = False, window_ms: int = 5) -> None:
        """Ann and Bob give so many gifts each."""
        for _ in range(gifts):
            for viewer in ("ann", "bob"):
                await self.ledger.give(order(viewer, place=f"room:{room}", combo=combo, window_ms=window_ms))

    async def relay(self) -> None:
        """The rooms are told everything."""
        await Relay(self.ledger, self.broker, self.rooms).catch_up()

    async def flush(self) -> None:
        """The books have everything."""
        await flush_all(self.pool, self.redis, self.config)

    async def note_relayed(self) -> None:
        """Somebody claims that the rooms were told everything."""
        for partition, keys in self.ledger.keys.all():
            totals = await self.redis.hmget(keys.totals, ["epoch", "seq"])
            await self.ledger.save_relay_positions({partition: Position(*(int(one or 0) for one in totals))})

    async def plant(self, *facts: GiftFact) -> None:
        """Append facts to the history of `demo`, past every script."""
        seq = int(await self.redis.hget(META, "seq") or 0) + len(facts)
        batch = RoomBatch("demo", 1, seq - len(facts) + 1, list(facts))
        await self.redis.xadd(HISTORY, {b"b": encode_batch(batch)}, id=f"1-{seq}")
        await self.redis.hset(META, "seq", seq)

    def told(self) -> RollingTold:
        """The audit that follows."""
        return RollingTold(GiftsInOrder(self.pool), self.redis, self._relayed, self.rooms)

    def walking(self) -> RollingRooms:
        """The audit that walks."""
        return RollingRooms(GiftsInOrder(self.pool), self.redis, self.rooms)

    async def follow(self) -> tuple[RollingTold, list[str]]:
        """Follow to the end; and what was said."""
        told = self.told()
        with structlog.testing.capture_logs() as logs:
            while await told.step():
                pass
        said = _said(logs)
        assert len(said) == told.stats.violations_I5
        return told, said

    async def walk(self) -> tuple[RollingRooms, list[str]]:
        """Walk through all rooms once; and what was said."""
        walking = self.walking()
        with structlog.testing.capture_logs() as logs:
            counted = await walking.round()
        said = _said(logs)
        assert len(said) == sum(counted.values()) == walking.stats.violations_I5 + walking.stats.violations_I8
        return walking, said

    async def _relayed(self) -> Mapping[Partition, Position]:
        return await self.ledger.relay_positions()


@contextlib.asynccontextmanager
async def opened_world(valkey_url: str, database_url: str, rooms: RoomConfig = ROOMS) -> AsyncIterator[World]:
    """Ann and Bob, in two partitions, with coins."""
    config = LedgerConfig(
        redis_url=valkey_url, database_url=database_url, partitions=2, flush_interval_ms=1, trim_interval_ms=1
    )
    pool, ledger = await open_pool(config), open_ledger(config)
    await ledger.start()
    async with opened_broker(valkey_url, rooms) as broker:
        world = World(config, rooms, ledger, broker, pool)
        for viewer in ("ann", "bob"):
            await ledger.credit(grant(viewer, 10_000))
        try:
            yield world
        finally:
            await world.redis.aclose()
            await ledger.stop()
            await pool.close()


def _said(logs: list[structlog.typing.EventDict]) -> list[str]:
    return [f"{log['invariant']}: {log['error']}" for log in logs if log["log_level"] == "critical"]
