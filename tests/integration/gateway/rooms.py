"""What the tests of rooms share: orders as a gateway makes them, and looks into the stored rooms."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from gateway.room.config import RoomConfig
from gateway.room.facts import GiftDetails, GiftFact, encode_details
from gateway.rooms.broker import Broker, open_broker
from gateway.rooms.relay import Relay
from gateway.rooms.room_scripts import RoomTelling, Telling
from ledger.config import LedgerConfig
from ledger.ids import id_time_ms, new_id
from ledger.model import CreatorId, GiftOrder, ViewerId
from ledger.service import Ledger, open_ledger
from tests import waiting
from tests.integration.ledger.orders import now_ms
from tests.unit.gateway.room.room_facts import gift

WAIT_S_MAX = 20.0
COMBO_WINDOW_MS = 400


def order(
    viewer: str,
    coins: int = 1,
    *,
    place: str = "room:demo",
    combo: bool = False,
    anonymous: bool = False,
    message: str | None = None,
    window_ms: int = COMBO_WINDOW_MS,
    undo_ms: int = 0,
) -> GiftOrder:
    """A rose as a gateway hands it to the ledger."""
    gift_id = new_id(now_ms())
    return GiftOrder(
        id=gift_id,
        id_ms=id_time_ms(gift_id),
        viewer=ViewerId(viewer),
        creator=CreatorId("cora"),
        content=gift_id,
        place=place,
        item="rose",
        unit_coins=coins,
        count=1,
        coins=coins,
        creator_diamonds=coins * 50,
        commission_diamonds=coins * 50,
        combo_key=f"{place}|rose|{'a' if anonymous else 'n'}" if combo else "",
        combo_window_ms=window_ms if combo else 0,
        details=encode_details(GiftDetails(viewer.title(), 2, anonymous, message)),
        undo_ms=undo_ms,
    )


def telling(record: int, *, partition: int = 0, sender: str = "ann", coins: int = 1) -> Telling:
    """A gift outside any combo."""
    return Telling(gift(sender, coins, record=record, partition=partition))


def told(room: str, *tellings: Telling, epoch: int = 1) -> RoomTelling:
    """What one room is told."""
    return RoomTelling(room, epoch, list(tellings))


async def history(broker: Broker, room: str = "demo") -> list[GiftFact]:
    """Every fact of a room, from the beginning."""
    batches = await broker.since(room, 0, 0, 1_000_000)
    assert batches is not None
    return [fact for batch in batches for fact in batch.facts]


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that other tasks bring about."""
    await waiting.until(condition, WAIT_S_MAX)


async def until_true(ask: Callable[[], Awaitable[bool]]) -> None:
    """The same for something that has to be asked for."""
    await waiting.until_true(ask, WAIT_S_MAX)


@contextlib.asynccontextmanager
async def opened_ledger(url: str, partitions: int = 4) -> AsyncIterator[Ledger]:
    """A started ledger."""
    ledger = open_ledger(LedgerConfig(redis_url=url, partitions=partitions, undo_pause_ms=0))
    await ledger.start()
    try:
        yield ledger
    finally:
        await ledger.stop()


@contextlib.asynccontextmanager
async def opened_broker(url: str, config: RoomConfig | None = None) -> AsyncIterator[Broker]:
    """A broker that hears nothing yet."""
    broker = open_broker(LedgerConfig(redis_url=url), config or RoomConfig())
    try:
        yield broker
    finally:
        await broker.stop()


@contextlib.asynccontextmanager
async def running(relay: Relay) -> AsyncIterator[asyncio.Task[None]]:
    """A relay at work, cancelled at the end."""
    task = asyncio.create_task(relay.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
