"""Holds of every kind on a live ledger: open, settled whole and in part, voided, expired."""

from ledger.ids import new_id
from ledger.model import EndOutcome, Held, HoldEnd, HoldEnded, HoldOrder, ViewerId
from ledger.service import Ledger
from tests.integration.ledger.orders import now_ms
from tests.waiting import back_off

ANN = ViewerId("ann")
LONG_MS = 600_000


async def hold(ledger: Ledger, viewer: str, coins: int, lasts_ms: int = LONG_MS, reference: str = "order") -> bytes:
    """Coins are put aside; the hold's id."""
    order = HoldOrder(new_id(now_ms()), ViewerId(viewer), coins, lasts_ms, reference)
    assert isinstance(await ledger.hold(order), Held)
    return order.id


async def settle(ledger: Ledger, viewer: str, hold_id: bytes, coins: int | None = None) -> EndOutcome:
    """Coins of a hold are taken."""
    return await ledger.end_hold(hold_id, ViewerId(viewer), HoldEnd.SETTLED, taken_coins=coins)


async def void(ledger: Ledger, viewer: str, hold_id: bytes) -> EndOutcome:
    """Coins of a hold go back."""
    return await ledger.end_hold(hold_id, ViewerId(viewer), HoldEnd.VOIDED)


async def expire(ledger: Ledger, viewer: str, hold_id: bytes) -> None:
    """A hold expires as soon as its time is over."""
    for _ in range(1_000):
        outcome = await ledger.end_hold(hold_id, ViewerId(viewer), HoldEnd.EXPIRED)
        if isinstance(outcome, HoldEnded):
            assert outcome.end is HoldEnd.EXPIRED
            return
        await back_off()
    raise AssertionError("the hold did not expire")


async def hold_in_every_way(ledger: Ledger, viewer: str) -> bytes:
    """Of 100 coins more, 7 are held at the end and 13 are gone; the id of the open hold.

    Held: 10, settled whole; 5, of which 3 are taken; 20, voided; 30, expired; 7, open.
    """
    whole = await hold(ledger, viewer, 10)
    part = await hold(ledger, viewer, 5)
    given_up = await hold(ledger, viewer, 20)
    short = await hold(ledger, viewer, 30, lasts_ms=1)
    left_open = await hold(ledger, viewer, 7, reference="left open")
    await settle(ledger, viewer, whole)
    await settle(ledger, viewer, part, 3)
    await void(ledger, viewer, given_up)
    await expire(ledger, viewer, short)
    return left_open
