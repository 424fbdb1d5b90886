"""What viewers have spent, counted again from the books after the live ledger was lost."""

import datetime

import msgspec

from ledger.config import LedgerConfig
from ledger.guard_counts import recount
from ledger.guard_state import VIEWER_LIMITS
from ledger.ids import new_id
from ledger.keys import Total
from ledger.model import GiftAccepted, GiftRefused, Limit, Refusal
from ledger.office import Office
from ledger.postgres import Pool
from ledger.service import Ledger
from tests.integration.ledger.orders import gift_order, grant
from tests.integration.ledger_money.money import Money

NOON = datetime.datetime(2030, 9, 25, 12, tzinfo=datetime.UTC)
"""A Wednesday."""
VIEWERS = [f"viewer{number}" for number in range(7)]


async def set_clock(ledger: Ledger, at: datetime.datetime) -> int:
    """Every partition is at least so late."""
    now_ms = round(at.timestamp() * 1000)
    for _, keys in ledger.keys.all():
        await ledger.redis.hset(keys.totals.decode(), Total.CLOCK, str(now_ms))
    return now_ms


async def give(ledger: Ledger, viewer: str, coins: int, at: datetime.datetime) -> None:
    """A gift at a time."""
    now_ms = await set_clock(ledger, at)
    outcome = await ledger.give(gift_order(viewer, coins, gift_id=new_id(now_ms)))
    assert isinstance(outcome, GiftAccepted)


async def spent(ledger: Ledger, viewer: str, now_ms: int) -> tuple[int, ...]:
    """Coins of the day, the week and the month."""
    guard = await ledger.guard(viewer)
    return tuple(guard.spent(limit, now_ms) for limit in VIEWER_LIMITS[1:])


async def test_recount_of_everybody(ledger: Ledger, money: Money, pool: Pool, config: LedgerConfig) -> None:
    """With a cap of the operator's all are counted: what was of this day, this week, this month, and nothing older."""
    for number, viewer in enumerate(VIEWERS):
        await ledger.credit(grant(viewer, 1_000))
        for coins, days in ((100, 27), (10, 3), (4, 2), (2, 1), (1 + number, 0)):
            await give(ledger, viewer, coins, NOON - datetime.timedelta(days=days))
    now_ms = await set_clock(ledger, NOON)
    await money.flush()
    capped = msgspec.structs.replace(config, month_coins_max=500, settle_rows_max=3)
    assert await recount(pool, ledger, capped) == len(VIEWERS)
    for number, viewer in enumerate(VIEWERS):
        day = 1 + number
        # Two and one days before a Wednesday are of its week, three are of its month, 27 lie in August.
        assert await spent(ledger, viewer, now_ms) == (day, day + 2 + 4, day + 2 + 4 + 10)


async def test_recount_of_those_with_caps_of_their_own(
    office: Office, ledger: Ledger, money: Money, pool: Pool, config: LedgerConfig
) -> None:
    """Without a cap of the operator's only they are counted; caps, freezes and the refusal are as before the loss."""
    for viewer in ("ann", "bob"):
        await ledger.credit(grant(viewer, 100))
    await office.guards.set_caps("ann", {Limit.WEEK: 30})
    for viewer in ("ann", "bob"):
        await give(ledger, viewer, 20, NOON - datetime.timedelta(days=1))
    now_ms = await set_clock(ledger, NOON)
    await money.flush()
    guards = [keys.guards for _, keys in ledger.keys.all()]
    before = await ledger.guard("ann")
    await ledger.redis.delete(*guards)
    assert await office.guards.tell_all() == 1
    assert await recount(pool, ledger, config) == 1
    after = await ledger.guard("ann")
    assert after.settings == before.settings
    assert (await spent(ledger, "ann", now_ms), await spent(ledger, "bob", now_ms)) == ((0, 20, 20), (0, 0, 0))
    outcome = await ledger.give(gift_order("ann", 11, gift_id=new_id(now_ms)))
    assert isinstance(outcome, GiftRefused) and outcome.refusal is Refusal.LIMIT_EXCEEDED
    await give(ledger, "ann", 10, NOON)
    await give(ledger, "bob", 11, NOON)
