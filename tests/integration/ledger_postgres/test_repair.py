"""What the books have comes back into a live ledger that lost it, once and as it was; a contradiction is only named."""

from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from ledger.audits.audit import audit
from ledger.books.copy_rows import read_record
from ledger.books.flusher import open_flusher
from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.errors import InvariantBroken
from ledger.guards.ages import AgeLimits, AgeRules, PersonChange
from ledger.guards.directory import Directory
from ledger.guards.guards import Guards
from ledger.ids import format_id
from ledger.live.keys import DEPLOYMENT, REPAIR_EPOCH, Total
from ledger.mending.reconcile import LedgersDiffer, reconcile, require_agreement
from ledger.mending.repair import repair
from ledger.mending.replay import RECORDS_REPLAYED_MAX, Replay
from ledger.model import CreditAccepted, GiftAccepted, GiftOrder, GiftRefused, Limit, Refusal
from ledger.service import Ledger, RepairUnfinished, open_ledger
from tests.integration.ledger.orders import gift_order, grant
from tests.integration.ledger_postgres.flushing import flush_all
from tests.integration.ledger_postgres.repairing import NoRooms, is_fenced, let_in, totals_of

VIEWERS = ("ann", "bob", "cid", "dan")


async def reopened(config: LedgerConfig) -> Ledger:
    """A ledger as a gateway that starts now opens it."""
    await require_agreement(config)
    ledger = open_ledger(config)
    await ledger.start()
    return ledger


async def give_all(ledger: Ledger, gifts: int) -> tuple[dict[str, int], list[GiftOrder]]:
    """Everyone is granted 100,000 coins and sends gifts of 1, 2, 3 … coins; what they hold then, and their orders."""
    held: dict[str, int] = defaultdict(int)
    orders = []
    for viewer in VIEWERS:
        assert isinstance(await ledger.credit(grant(viewer, 100_000)), CreditAccepted)
        held[viewer] += 100_000
        for coins in range(1, gifts + 1):
            order = gift_order(viewer, coins, creator=f"creator-{coins % 3}", combo=coins % 2 == 0)
            assert isinstance(await ledger.give(order), GiftAccepted)
            held[viewer] -= coins
            orders.append(order)
    return held, orders


@pytest.fixture
async def after(config: LedgerConfig) -> AsyncIterator[list[Ledger]]:
    """Ledgers that the test opened; they are stopped at the end."""
    opened: list[Ledger] = []
    yield opened
    for ledger in opened:
        await ledger.stop()


async def test_nothing_is_done_where_nothing_is_lost(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, rooms: NoRooms
) -> None:
    """A system that agrees goes on in its epoch, and its rooms hear nothing."""
    await give_all(ledger, 3)
    await flush_all(pool, redis, config)
    done = await repair(config, rooms)
    assert (done.epoch, done.records, rooms.begun, rooms.told) == (None, 0, [], [])
    assert [totals["epoch"] for totals in await totals_of(redis, config)] == [1, 1]


async def test_lost_valkey_comes_back(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, rooms: NoRooms, after: list[Ledger]
) -> None:
    """Wallets, stripes, totals, record numbers: all are what they were, under the next epoch, and the audit holds."""
    held, orders = await give_all(ledger, 6)
    await flush_all(pool, redis, config)
    before = await totals_of(redis, config)
    stripes = {f"creator-{n}": await ledger.live_earnings(f"creator-{n}") for n in range(3)}
    await redis.flushall()
    done = await repair(config, rooms)
    assert (done.epoch, done.records, done.gifts, done.violations) == (2, 28, 24, [])
    assert done.coins == 4 * (1 + 2 + 3 + 4 + 5 + 6)
    assert {one.id for one in done.named} >= {format_id(order.id) for order in orders}
    again = await reopened(config)
    after.append(again)
    assert {viewer: await again.balance(viewer) for viewer in VIEWERS} == held
    # Half of 100 diamonds a coin: creator-0 had gifts of 3 and 6 coins of each viewer, 1 and 2 those of 1, 4 and 2, 5.
    assert {creator: await again.live_earnings(creator) for creator in stripes} == stripes
    assert stripes == {"creator-0": 4 * 9 * 50, "creator-1": 4 * 5 * 50, "creator-2": 4 * 7 * 50}
    for was, now in zip(before, await totals_of(redis, config), strict=True):
        assert now["epoch"] == 2
        assert now["flushed"] == now["seq"] == was["seq"]
        for name in ("coins_in", "spent", "earned", "commission", "clock"):
            assert now[name] == was[name]
    assert (await audit(config)).ok
    assert (await reconcile(config)).all_differences == []


def capped(order: GiftOrder) -> GiftOrder:
    """The same to a creator who takes 50 coins of a viewer in a day."""
    return msgspec.structs.replace(order, creator_day_coins_max=50)


async def test_caps_and_freezes_hold_after_a_repair(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, rooms: NoRooms, after: list[Ledger]
) -> None:
    """The first gift after it is judged by own caps and creators', with what was given before, by freezes and ages."""
    for viewer in ("ann", "bob", "cid", "dan"):
        await ledger.credit(grant(viewer, 100))
    directory = Directory(pool, config)
    await directory.put_creator("cora", name="Cora")
    await directory.put_place("room:demo", creator="cora", settings=b"with a cap")
    guards = Guards(pool, ledger, config, AgeRules(AgeLimits(give_age_min=200)))
    await guards.know("dan", PersonChange(age_least=99), by="olga")
    await guards.set_caps("ann", {Limit.MONTH: 30})
    await guards.freeze("bob", "Ask us.", by="olga")
    assert isinstance(await ledger.give(gift_order("ann", 20)), GiftAccepted)
    assert isinstance(await ledger.give(capped(gift_order("cid", 40))), GiftAccepted)
    await flush_all(pool, redis, config)
    await redis.flushall()
    await repair(config, rooms)
    again = await reopened(config)
    after.append(again)
    assert await again.give(gift_order("dan", 1)) == GiftRefused(Refusal.UNDER_AGE, 100, age=200)
    over = await again.give(capped(gift_order("cid", 11)))
    assert isinstance(over, GiftRefused) and over.cap is not None
    assert (over.cap.limit, over.cap.coins, over.cap.spent_coins) == (Limit.CREATOR_DAY, 50, 40)
    assert isinstance(await again.give(capped(gift_order("cid", 10))), GiftAccepted)
    refused = await again.give(gift_order("ann", 11))
    assert isinstance(refused, GiftRefused) and refused.cap is not None
    assert (refused.cap.limit, refused.cap.coins, refused.cap.spent_coins) == (Limit.MONTH, 30, 20)
    assert isinstance(await again.give(gift_order("ann", 10)), GiftAccepted)
    assert await again.give(gift_order("bob", 1)) == GiftRefused(Refusal.FROZEN, 100, reason="Ask us.")


async def test_ids_are_remembered_after_a_repair(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, rooms: NoRooms, after: list[Ledger]
) -> None:
    """A late repetition of a lost gift is a replay, with other content a conflict; a grant is not credited again."""
    given = grant("ann", 100)
    assert isinstance(await ledger.credit(given), CreditAccepted)
    order = gift_order("ann", 7)
    await ledger.give(order)
    await flush_all(pool, redis, config)
    await redis.flushall()
    await repair(config, rooms)
    again = await reopened(config)
    after.append(again)
    outcome = await again.give(order)
    assert isinstance(outcome, GiftAccepted)
    assert (outcome.replay, outcome.coins, outcome.balance_coins) == (True, 7, 93)
    assert await again.give(msgspec.structs.replace(order, content=b"other")) == GiftRefused(Refusal.ID_CONFLICT, 93)
    assert await again.credit(given) == CreditAccepted(balance_coins=100, replay=True)
    assert await again.balance("ann") == 93
    # And if the server's clock runs ahead then, they are refused.
    partition = again.keys.partition_of("ann")
    await redis.pexpireat(again.keys.of(partition).ids(order.id_ms // config.id_bucket_ms), 1)
    assert await again.give(order) == GiftRefused(
        Refusal.ID_EXPIRED, 93, window_ms=(config.id_window_ms, config.id_ahead_ms)
    )


async def test_ids_left_out_by_a_clock_that_is_ahead(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, rooms: NoRooms, after: list[Ledger]
) -> None:
    """A repair under a clock that runs ahead brings back no ids of gifts; once it is right they are refused."""
    orders = [gift_order("ann", 7), gift_order("ann", 8)]
    await ledger.credit(grant("ann", 100))
    for order in orders:
        await ledger.give(order)
    await flush_all(pool, redis, config)
    partition = ledger.keys.partition_of("ann")
    async with pool.acquire() as connection:
        rows = await connection.fetch("SELECT * FROM journal_records WHERE partition = $1 ORDER BY seq", partition)
    records = [read_record(row) for row in rows]
    await redis.flushall()
    again = open_ledger(config)
    await again.start()
    after.append(again)
    keys = again.keys.of(partition)
    await redis.hset(keys.totals, Total.EPOCH, "0")
    replay = Replay(redis.execute_command, again.keys, config)
    day_ms = 86_400_000
    # The first two records while it is ahead, the last once it is right again: its bucket is forgotten already.
    await replay.bring_back(records[:2], orders[0].id_ms + day_ms)
    await replay.bring_back(records[2:], orders[0].id_ms)
    await redis.hset(keys.totals, Total.EPOCH, "1")
    for order in orders:
        outcome = await again.give(order)
        assert isinstance(outcome, GiftRefused) and outcome.refusal is Refusal.ID_EXPIRED
    assert await again.balance("ann") == 85


async def test_gifts_go_on_after_a_repair(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, rooms: NoRooms, after: list[Ledger]
) -> None:
    """Record numbers go on, the books take the new epoch, and a combo that was open is carried on."""
    await ledger.credit(grant("ann", 100))
    first = await ledger.give(gift_order("ann", 1, combo=True, combo_window_ms=600_000))
    assert isinstance(first, GiftAccepted)
    assert first.combo is not None
    await flush_all(pool, redis, config)
    await redis.flushall()
    await repair(config, rooms)
    again = await reopened(config)
    after.append(again)
    second = await again.give(gift_order("ann", 1, combo=True, combo_window_ms=600_000))
    assert isinstance(second, GiftAccepted)
    assert second.combo is not None
    assert (second.epoch, second.seq, second.balance_coins) == (2, first.seq + 1, 98)
    assert (second.combo.id, second.combo.count, second.combo.coins) == (first.combo.id, 2, 2)
    async with open_flusher(config):
        await flush_all(pool, redis, config)
    assert (await audit(config)).ok


async def test_two_losses_in_a_row(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, rooms: NoRooms, after: list[Ledger]
) -> None:
    """Nothing of the second epoch has reached the books, and the third is another: clients know the second."""
    await ledger.credit(grant("ann", 100))
    await flush_all(pool, redis, config)
    for epoch in (2, 3, 4):
        await redis.flushall()
        assert (await repair(config, rooms)).epoch == epoch
        again = await reopened(config)
        after.append(again)
        outcome = await again.give(gift_order("ann", 1))
        assert isinstance(outcome, GiftAccepted)
        assert (outcome.epoch, outcome.seq, outcome.balance_coins) == (epoch, 2, 99)


async def test_lost_end_comes_back(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, rooms: NoRooms, after: list[Ledger]
) -> None:
    """A Valkey of an earlier moment gets the records since, and those alone; what was told before stays."""
    held, _ = await give_all(ledger, 2)
    names: Any = [name async for name in redis.scan_iter()]
    copy = {name: await redis.dump(name) for name in names}
    for viewer in VIEWERS:
        for coins in (10, 20):
            await ledger.give(gift_order(viewer, coins))
            held[viewer] -= coins
    await flush_all(pool, redis, config)
    await redis.flushall()
    for name, value in copy.items():
        await redis.restore(name, 0, value)
    done = await repair(config, rooms)
    assert (done.epoch, done.records, done.gifts, done.coins) == (2, 8, 8, 4 * 30)
    again = await reopened(config)
    after.append(again)
    assert {viewer: await again.balance(viewer) for viewer in VIEWERS} == held
    assert (await audit(config)).ok


async def test_no_orders_while_it_lasts(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, after: list[Ledger]
) -> None:
    """From the loss to the end of the repair neither a gateway that ran on nor a new one gets a coin through."""
    await give_all(ledger, 4)
    await flush_all(pool, redis, config)
    await redis.flushall()
    assert await ledger.give(gift_order("ann", 1)) == GiftRefused(Refusal.UNKNOWN)
    killed = NoRooms(redis, config, killed_at=2)
    with pytest.raises(KeyboardInterrupt):
        await repair(config, killed)
    assert await is_fenced(redis, config)
    assert await ledger.give(gift_order("ann", 1)) == GiftRefused(Refusal.UNKNOWN)
    fresh = open_ledger(config)
    after.append(fresh)
    with pytest.raises(RepairUnfinished):
        await fresh.start()
    with pytest.raises(LedgersDiffer, match=r"a repair into epoch 2 has not ended"):
        await require_agreement(config)
    done = await repair(config, NoRooms(redis, config))
    assert (done.epoch, done.violations) == (2, [])
    assert await redis.hget(DEPLOYMENT, REPAIR_EPOCH) is None
    outcome = await ledger.give(gift_order("ann", 1))
    assert isinstance(outcome, GiftAccepted)
    assert outcome.epoch == 2
    assert (await audit(config)).ok


@pytest.mark.parametrize("killed_at", range(1, 7))
async def test_killed_repair_goes_on(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, after: list[Ledger], killed_at: int
) -> None:
    """Wherever it is killed between its slices, the next run ends it, with every coin once and a small journal."""
    records = 2 * RECORDS_REPLAYED_MAX + 10
    await ledger.credit(grant("ann", records * 2))
    orders = [gift_order("ann", 1) for _ in range(records)]
    for order in orders:
        await ledger.give(order)
    await ledger.credit(grant("dan", 5))
    await flush_all(pool, redis, config)
    await redis.flushall()
    killed = False
    try:
        await repair(config, NoRooms(redis, config, killed_at))
    except KeyboardInterrupt:
        killed = True
    rooms = NoRooms(redis, config)
    done = await repair(config, rooms)
    assert done.epoch == (2 if killed else None)
    assert rooms.journal_max <= RECORDS_REPLAYED_MAX
    again = await reopened(config)
    after.append(again)
    assert await again.balance("ann") == records
    assert await again.balance("dan") == 5
    outcome = await again.give(orders[0])
    assert isinstance(outcome, GiftAccepted)
    assert outcome.replay
    assert (await audit(config)).ok


async def test_other_content_is_named_and_left_alone(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, rooms: NoRooms
) -> None:
    """Where both hold a record of one number and it is not the same, both are named and nothing is touched."""
    await ledger.credit(grant("ann", 100))
    lost = gift_order("ann", 7)
    await ledger.give(lost)
    await flush_all(pool, redis, config)
    await redis.flushall()
    await let_in(config)
    other = grant("ann", 3)
    await ledger.credit(other)
    before = await totals_of(redis, config)
    with pytest.raises(LedgersDiffer, match="contradict") as caught:
        await repair(config, rooms)
    assert f"record 1 of the journal is grant {format_id(other.id)} of ann (3 coins)" in str(caught.value)
    assert f"gift {format_id(lost.id)} of ann (7 coins)" in str(caught.value)
    assert await totals_of(redis, config) == before
    assert (rooms.begun, rooms.told) == ([], [])


async def test_wallet_that_is_not_the_books_stops_it(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, rooms: NoRooms
) -> None:
    """A live ledger that holds other coins than the books say it held gets nothing on top, and stays shut."""
    await ledger.credit(grant("ann", 100))
    keys = ledger.keys.of(ledger.keys.partition_of("ann"))
    await ledger.give(gift_order("ann", 7))
    await flush_all(pool, redis, config)
    await redis.hset(keys.totals, Total.SEQ, 1)
    await redis.delete(keys.journal)
    with pytest.raises(InvariantBroken, match="ann holds 93 coins"):
        await repair(config, rooms)
    assert await is_fenced(redis, config)
    assert await ledger.balance("ann") == 93


async def test_other_number_of_partitions_is_not_filled(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, rooms: NoRooms
) -> None:
    """An empty Valkey is not filled by the wrong number of partitions: wallets would be where nobody looks."""
    await give_all(ledger, 1)
    await flush_all(pool, redis, config)
    await redis.flushall()
    with pytest.raises(LedgersDiffer, match="another number of partitions"):
        await repair(msgspec.structs.replace(config, partitions=7), rooms)
    assert await redis.dbsize() == 0


async def test_old_records_without_digest_are_never_paid_again(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, rooms: NoRooms, after: list[Ledger]
) -> None:
    """Of a gift that older code wrote the content is not known: its id is refused, and nothing is charged."""
    await ledger.credit(grant("ann", 100))
    order = gift_order("ann", 7)
    await ledger.give(order)
    await flush_all(pool, redis, config)
    await pool.execute("UPDATE journal_records SET digest = NULL")
    await redis.flushall()
    await repair(config, rooms)
    again = await reopened(config)
    after.append(again)
    assert await again.give(order) == GiftRefused(Refusal.ID_CONFLICT, 93)
    assert await again.balance("ann") == 93
