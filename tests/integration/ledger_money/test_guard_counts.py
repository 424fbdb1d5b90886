"""What viewers have spent, counted again from the books after the live ledger was lost."""

import datetime

import msgspec

from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.guards.guard_counts import recount
from ledger.guards.periods import period_number
from ledger.ids import new_id
from ledger.live.guard_state import VIEWER_LIMITS, pack_counts
from ledger.live.keys import Total
from ledger.model import GiftAccepted, GiftRefused, Limit, Refusal
from ledger.office import Office
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


async def give(
    ledger: Ledger, viewer: str, coins: int, at: datetime.datetime, *, to: str = "cora", room: str = "demo"
) -> None:
    """A gift at a time."""
    now_ms = await set_clock(ledger, at)
    order = gift_order(viewer, coins, gift_id=new_id(now_ms), creator=to)
    outcome = await ledger.give(msgspec.structs.replace(order, place=f"room:{room}"))
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


async def capped(ledger: Ledger, viewer: str, to: str, coins: int, cap: int) -> tuple[int, int] | None:
    """What a creator's cap of a day says of a gift: coins given before, and the cap; None when it lets it through."""
    order = gift_order(viewer, coins, gift_id=new_id(await set_clock(ledger, NOON)), creator=to)
    outcome = await ledger.give(msgspec.structs.replace(order, creator_day_coins_max=cap))
    if isinstance(outcome, GiftAccepted):
        return None
    assert outcome.cap is not None and outcome.cap.limit is Limit.CREATOR_DAY
    return outcome.cap.spent_coins, outcome.cap.coins


async def test_recount_of_what_creators_were_given_today(
    office: Office, ledger: Ledger, money: Money, pool: Pool, config: LedgerConfig
) -> None:
    """Of each viewer and creator, at places with settings alone; what was given yesterday is none of today's."""
    for creator, room, settings in (("cora", "demo", b"caps"), ("cleo", "lounge", b"caps"), ("cara", "plain", b"")):
        await office.directory.put_creator(creator, name=creator)
        await office.directory.put_place(f"room:{room}", creator=creator, settings=settings)
    for viewer in VIEWERS:
        await ledger.credit(grant(viewer, 1_000))
        await give(ledger, viewer, 100, NOON - datetime.timedelta(days=1))
    for number, viewer in enumerate(VIEWERS):
        await give(ledger, viewer, 20 + number, NOON)
        await give(ledger, viewer, 5, NOON)
        await give(ledger, viewer, 7, NOON, to="cleo", room="lounge")
        await give(ledger, viewer, 9, NOON, to="cara", room="plain")
    await money.flush()
    await ledger.redis.delete(*(keys.given_today for _, keys in ledger.keys.all()))
    for partition, _ in ledger.keys.all():
        # What is left of an older day goes.
        await ledger.set_given(partition, 1, [("viewer0", "cora", 900)])
    await recount(pool, ledger, msgspec.structs.replace(config, settle_rows_max=3))
    for number, viewer in enumerate(VIEWERS):
        given = 20 + number + 5
        assert await capped(ledger, viewer, "cora", 1, given) == (given, given)
        assert await capped(ledger, viewer, "cora", 1, given + 1) is None
        assert await capped(ledger, viewer, "cleo", 1, 7) == (7, 7)
        assert await capped(ledger, viewer, "cara", 1, 0) == (0, 0)


async def test_recount_of_many_in_one_go(ledger: Ledger, config: LedgerConfig) -> None:
    """The largest batch that may be set up fits into one call, of counters and of what creators were given."""
    partition = ledger.keys.partition_of("viewer0")
    now_ms = await set_clock(ledger, NOON)
    numbers = [period_number(limit, now_ms) for limit in VIEWER_LIMITS[1:]]
    counts = pack_counts(zip(numbers, (5, 6, 7), strict=True))
    many = [f"viewer{number}" for number in range(10_000)]
    await ledger.set_counts(partition, [(viewer, counts) for viewer in many])
    await ledger.set_given(partition, numbers[0], [(viewer, "cora", 3) for viewer in many])
    keys = ledger.keys.of(partition)
    assert await ledger.redis.hlen(keys.guards.decode()) == len(many)
    assert await ledger.redis.hlen(keys.given_today.decode()) == len(many) + 1
    assert await spent(ledger, "viewer0", now_ms) == (5, 6, 7)
