"""Gifts that may be undone on a live ledger: open, undone, settled."""

from typing import Any

from msgspec import structs

from ledger.live.keys import Total
from ledger.model import UNDO_MS_MAX, GiftAccepted, GiftOrder, GiftUndone, ViewerId
from ledger.service import Ledger
from tests.integration.ledger.orders import gift_order


def dear(viewer: str, coins: int, undo_ms: int = UNDO_MS_MAX, **named: Any) -> GiftOrder:
    """A gift that may be undone for so long."""
    return structs.replace(gift_order(viewer, coins, **named), undo_ms=undo_ms)


async def give_dear(ledger: Ledger, viewer: str, coins: int, undo_ms: int = UNDO_MS_MAX, **named: Any) -> bytes:
    """It is given and may be undone; its id."""
    order = dear(viewer, coins, undo_ms, **named)
    outcome = await ledger.give(order)
    assert isinstance(outcome, GiftAccepted) and outcome.undo_until_ms > 0, outcome
    return order.id


async def undo(ledger: Ledger, viewer: str, gift_id: bytes) -> None:
    """It is undone."""
    outcome = await ledger.undo(gift_id, ViewerId(viewer))
    assert isinstance(outcome, GiftUndone) and not outcome.replay, outcome


async def later(ledger: Ledger, ms: int = UNDO_MS_MAX) -> None:
    """So much time has passed for every partition, as if the server's clock had been ahead once."""
    totals: Any
    for _, keys in ledger.keys.all():
        totals = keys.totals
        clock = int(await ledger.redis.hget(totals, Total.CLOCK) or 0)
        await ledger.redis.hset(totals, Total.CLOCK, str(max(clock, await ledger.now_ms()) + ms))


async def settle_all(ledger: Ledger) -> int:
    """Everything that may not be undone any more is settled; how many gifts were."""
    return sum([await ledger.settle_gifts(partition, 100) for partition, _ in ledger.keys.all()])


async def give_in_every_way(ledger: Ledger, viewer: str, *, creator: str = "cora") -> bytes:
    """Of 60 coins more, 7 are held at the end and 20 + 13 are paid; the id of the open gift.

    Held: 20, settled; 13, settled; 20, undone; 7, open.
    """
    first = await give_dear(ledger, viewer, 20, 1_000, creator=creator)
    second = await give_dear(ledger, viewer, 20, creator=creator)
    await give_dear(ledger, viewer, 13, 1_000, creator=creator)
    await undo(ledger, viewer, second)
    await later(ledger, 1_000)
    await settle_all(ledger)
    assert first != second
    return await give_dear(ledger, viewer, 7, creator=creator)
