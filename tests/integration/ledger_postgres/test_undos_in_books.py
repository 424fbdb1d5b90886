"""Gifts that may be undone, in the books: audits are quiet while all is well and name what is not, and lost ones come
back."""

import asyncio
import random
from typing import Any

import msgspec
import pytest
from redis import Redis

from ledger.accounts import AccountKind
from ledger.audits.audit import audit
from ledger.audits.rolling_audit import open_rolling_audit
from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.guards.guard_counts import recount
from ledger.ids import format_id
from ledger.live.credit_ids import CreditIds
from ledger.live.journal import Position
from ledger.lots.paid_gifts import open_paid_gifts
from ledger.lots.statements import GiftState, Statements
from ledger.mending.former import lost_with_former
from ledger.mending.repair import repair
from ledger.model import GiftUndone, Partition, UndoRefusal, UndoRefused, ViewerId
from ledger.service import Ledger, open_ledger
from ledger.twin.twin import LedgerTwin
from tests.integration.ledger.orders import gift_order, grant
from tests.integration.ledger.stored import check_sums, read_all
from tests.integration.ledger_postgres.flushing import flush_all, flushing, unit_sums, until
from tests.integration.ledger_postgres.repairing import NoRooms, totals_of
from tests.integration.ledger_postgres.test_audit import Fault, broken, sql, told_rooms
from tests.integration.ledger_postgres.test_rolling_audit import found_in_a_round
from tests.integration.ledger_postgres.undoing import dear, give_dear, give_in_every_way, later, settle_all, undo
from tests.servers import running_valkey

ANN = ViewerId("ann")
ACCOUNTS = """
SELECT kind, sum(amount)::bigint AS amount FROM entries JOIN accounts ON id = account_id GROUP BY kind
"""


@pytest.fixture
def config(config: LedgerConfig) -> LedgerConfig:
    """No rest for the rolling audit, in pages of three rows."""
    return msgspec.structs.replace(config, audit_share_permille=1000, audit_rows=3, audit_pause_ms=1)


async def lively(ledger: Ledger) -> bytes:
    """Ann has 100 coins, gives 1 and then in every way: 59 are left, 7 held, 34 spent. Bob has 10 coins."""
    await ledger.credit(grant("ann", 100))
    await ledger.credit(grant("bob", 10))
    await ledger.give(gift_order("ann", 1))
    return await give_in_every_way(ledger, "ann")


async def test_books_of_gifts_that_may_be_undone(ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig) -> None:
    """Held coins are nobody's; only what is settled is earned, and all sums to zero."""
    await lively(ledger)
    await flush_all(pool, redis, config)
    held = {row["kind"]: row["amount"] for row in await pool.fetch(ACCOUNTS)}
    assert held == {
        "wallet": 59 + 10,
        "coins_granted": -110,
        "spent": 34,
        "coins_held": 7,
        "pending": 34 * 50,
        "commission": 34 * 50,
        "issuance": -34 * 100,
    }
    assert await unit_sums(pool) == {"coins": 0, "diamonds": 0}
    days = await pool.fetch("SELECT sum(earned) AS earned, sum(gifts) AS gifts FROM creator_days")
    assert [(day["earned"], day["gifts"]) for day in days] == [(34 * 50, 3)]


async def test_flusher_counts_gifts_by_their_ends(ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig) -> None:
    """So metrics can tell how many are undone."""
    await lively(ledger)
    async with flushing(pool, redis, config) as flusher:
        await until(lambda: flusher.stats.gifts_held == 4)
        stats = flusher.stats
        assert (stats.gifts, stats.gifts_settled, stats.gifts_undone, stats.passed_over) == (1, 2, 1, 0)


@pytest.mark.parametrize("flushed", ["nothing", "part", "all", "all and trimmed"])
async def test_audit_holds_however_far_the_books_are(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, flushed: str
) -> None:
    """Gifts that the books do not have yet, or whose end they do not have, are carried by the journal."""
    await ledger.credit(grant("ann", 100))
    first = await give_dear(ledger, "ann", 10)
    if flushed != "nothing":
        await flush_all(pool, redis, config)
    await undo(ledger, "ann", first)
    await give_in_every_way(ledger, "ann")
    if flushed.startswith("all"):
        if flushed != "all":
            await told_rooms(ledger, redis)
        await flush_all(pool, redis, config)
    assert broken(await audit(config)) == {}


async def test_running_system_gives_no_false_alarm(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """Both audits beside gifts that are given, undone and settled all the time find nothing, however they fall."""
    config = msgspec.structs.replace(config, audit_rows=100)
    dice = random.Random(3)
    viewers = [f"viewer-{n}" for n in range(20)]
    for viewer in viewers:
        await ledger.credit(grant(viewer, 10_000))
    ended = asyncio.Event()

    async def live() -> None:
        while not ended.is_set():
            chosen = dice.sample(viewers, 5)
            ids = await asyncio.gather(
                *(give_dear(ledger, viewer, dice.randint(1, 9), dice.choice([1_000, 60_000])) for viewer in chosen)
            )
            await ledger.give(gift_order(dice.choice(viewers), 1))
            for viewer, gift_id in zip(chosen, ids, strict=True):
                if dice.random() < 0.5:
                    await undo(ledger, viewer, gift_id)
            await later(ledger, 1_000)
            await settle_all(ledger)
            await told_rooms(ledger, redis)

    async with flushing(pool, redis, config) as flusher, open_rolling_audit(config) as rolling:
        living = asyncio.create_task(live())
        for _ in range(4):
            assert broken(await audit(config)) == {}
            assert await rolling.round() == {}
        ended.set()
        await living
    assert flusher.stats.gifts_held > 20


FAULTS: dict[str, tuple[Fault, dict[str, str], dict[str, str]]] = {
    # fault, what the audit says, what the rolling audit says
    "a gift gone": (
        lambda redis, _, keys: redis.delete(keys.open_gifts),
        {"I1": "open gifts are of 0 coins, held for gifts is 7", "I9": "is of 0 coins, the books say 7"},
        {"I1": "open gifts are of 0 coins, held for gifts is 7", "I9": "is of 0 coins, the books say 7"},
    ),
    "held coins changed": (
        lambda redis, _, keys: redis.hincrby(keys.totals, "held", 1),
        {"I1": "held is 8", "I9": "held is 8, the books say 7"},
        {"I1": "held is 8", "I9": "held is 8, the books say 7"},
    ),
    "coins held for gifts changed": (
        lambda redis, _, keys: redis.hincrby(keys.totals, "held_gifts", 1),
        {"I1": "held for gifts is 8"},
        {"I1": "held for gifts is 8"},
    ),
    "a deadline gone": (
        lambda redis, _, keys: redis.delete(keys.undo_deadlines),
        {"I1": "its deadline is None"},
        {"I1": "its deadline is None"},
    ),
    "a deadline of no gift": (
        lambda redis, _, keys: redis.zadd(keys.undo_deadlines, {b"x" * 19: 1}),
        {"I1": "and no such gift"},
        {"I1": "and no such gift"},
    ),
    "a gift that is counted twice": (
        lambda redis, _, keys: redis.hincrby(keys.undo_counts, "ann", 1),
        {"I1": "ann has 1 open gifts, 2 are counted"},
        {"I1": "ann has 1 open gifts, 2 are counted"},
    ),
    "a gift that is no gift": (
        lambda redis, _, keys: redis.hset(keys.open_gifts, b"y" * 19, b"?"),
        {"I1": "is damaged"},
        {"I1": "is damaged"},
    ),
    "a settlement of other coins": (
        sql(
            "UPDATE journal_records SET coins = 12, commission_diamonds = 550"
            " WHERE kind = 'gift_settled' AND coins = 13"
        ),
        {"I1": "the account of held coins says 7, open holds are of 8", "I3": "of 13 coins is another"},
        {"I1": "the account of held coins says 7, open holds are of 8", "I3": "of 13 coins is another"},
    ),
    "a settlement for somebody else": (
        sql("UPDATE journal_records SET creator = 'dora' WHERE kind = 'gift_settled' AND coins = 13"),
        {"I1": "creator cora", "I3": "of 13 coins is another", "I9": "pending of dora"},
        {"I1": "creator cora", "I3": "of 13 coins is another"},
    ),
    "a gift that was undone and is settled": (
        sql("UPDATE journal_records SET kind = 'gift_settled' WHERE kind = 'gift_undone'"),
        {"I3": "(gift_settled) ends gift", "I9": "wallet of ann, record"},
        {"I3": "(gift_settled) ends gift", "I9": "wallet of ann, entry"},
    ),
    "a gift that was settled before its time": (
        sql("UPDATE journal_records SET at = at - interval '2 s' WHERE kind = 'gift_settled' AND coins = 13"),
        {"I3": "(gift_settled) ends gift"},
        {"I3": "(gift_settled) ends gift"},
    ),
    "an end of no gift": (
        sql("UPDATE journal_records SET id = gen_random_uuid() WHERE kind = 'gift_held' AND coins = 13"),
        {"I3": "there is no such gift", "I9": "is of 0 coins, the books say 13"},
        {"I3": "there is no such gift", "I9": "is of 0 coins, the books say 13"},
    ),
    "a gift that was held and paid at once": (
        sql(
            "UPDATE journal_records SET kind = 'gift', combo_window_ms = 0, id = (SELECT id FROM journal_records"
            " WHERE kind = 'gift_held' AND coins = 7) WHERE kind = 'gift'"
        ),
        {"I3": "and paid by record"},
        {"I3": "and paid by record"},
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_fault_is_named(ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, fault: str) -> None:
    """Invariant, gift and record of a planted fault are said by both audits; before it nothing was."""
    plant, expected, of_rolling = FAULTS[fault]
    await lively(ledger)
    await flush_all(pool, redis, config)
    assert broken(await audit(config)) == {}
    assert await found_in_a_round(config) == []
    await plant(redis, pool, ledger.keys.of(ledger.keys.partition_of("ann")))
    found = broken(await audit(config))
    for invariant, words in expected.items():
        assert any(words in sentence for sentence in found.get(invariant, [])), found
    rolling = await asyncio.wait_for(found_in_a_round(config), 30)
    for invariant, words in of_rolling.items():
        assert any(invariant == one and words in sentence for one, sentence in rolling), rolling


async def test_undoing_that_is_forgotten_too_soon_is_named(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """While the books lack the record of it, that a gift was undone has to be remembered."""
    await lively(ledger)
    await redis.delete(ledger.keys.of(ledger.keys.partition_of("ann")).undone_gifts)
    assert sum("its id is not remembered" in words for words in broken(await audit(config))["I3"]) == 1


async def test_lost_gifts_come_back(ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig) -> None:
    """Open gifts, their deadlines and what was undone: all is as before, and the open one ends as it would have."""
    left_open = await lively(ledger)
    undone = await give_dear(ledger, "bob", 4)
    await undo(ledger, "bob", undone)
    await flush_all(pool, redis, config)
    before, names = await totals_of(redis, config), [keys for _, keys in ledger.keys.all()]
    deadlines = [await redis.zrange(keys.undo_deadlines, 0, -1, withscores=True) for keys in names]
    counts = [await redis.hgetall(keys.undo_counts) for keys in names]
    was_undone = [await redis.hgetall(keys.undone_gifts) for keys in names]
    await redis.flushall()
    assert await ledger.undo(left_open, ANN) == UndoRefused(UndoRefusal.UNKNOWN)
    done = await repair(config, NoRooms(redis, config))
    spent = sum(totals.get("spent", 0) for totals in before)
    assert (done.violations, done.coins) == ([], spent)
    for was, now in zip(before, await totals_of(redis, config), strict=True):
        for name in ("held", "held_gifts", "spent", "came_seq"):
            assert now.get(name, 0) == was.get(name, 0)
    assert [await redis.zrange(keys.undo_deadlines, 0, -1, withscores=True) for keys in names] == deadlines
    assert [await redis.hgetall(keys.undo_counts) for keys in names] == counts
    assert [await redis.hgetall(keys.undone_gifts) for keys in names] == was_undone
    again = open_ledger(config)
    await again.start()
    outcome = await again.undo(left_open, ANN)
    assert isinstance(outcome, GiftUndone) and (outcome.coins, outcome.balance_coins) == (7, 66)
    told = await again.undo(undone, ViewerId("bob"))
    assert isinstance(told, GiftUndone) and told.replay and told.balance_coins == 10
    await again.stop()
    assert broken(await audit(config)) == {}


@pytest.mark.parametrize("at_once", [1, 2, 500])
async def test_gifts_come_back_as_the_twin_says(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when a gift is held in one slice and ends in another: what is stored is what the records make of it."""
    await lively(ledger)
    await ledger.credit(grant("cid", 100))
    await give_in_every_way(ledger, "cid", creator="dora")
    records = (await ledger.journal_reader({}).read(block_ms=None)).records
    await flush_all(pool, redis, config)
    twin = LedgerTwin(config)
    twin.lose()
    twin.bring_back(records)
    await redis.flushall()
    monkeypatch.setattr("ledger.mending.repair.RECORDS_REPLAYED_MAX", at_once)
    assert (await repair(config, NoRooms(redis, config))).violations == []
    with Redis.from_url(config.redis_url) as raw:
        found = read_all(raw, ledger.keys, config)
    for stored, state in zip(found, twin.partitions, strict=True):
        check_sums(stored)
        assert (stored.wallets, stored.stripes, stored.totals["held_gifts"]) == (
            *(state.wallets, state.stripes),
            state.gifts.held,
        )
        assert stored.open_gifts == {
            gift_id + viewer.encode(): (gift.body, gift.given_ms, gift.until_ms, True, True)
            for (gift_id, viewer), gift in state.gifts.open.items()
        }
        assert stored.undone_gifts == {
            gift_id + viewer.encode(): (undone.coins, undone.balance_coins, undone.at_ms)
            for (gift_id, viewer), undone in state.gifts.undone.items()
        }


async def test_undone_gifts_leave_redis_when_the_books_have_them_long_enough(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """After so long the books are the memory; open gifts stay."""
    await lively(ledger)
    await flush_all(pool, redis, config)
    partitions = [partition for partition, _ in ledger.keys.all()]
    ids = CreditIds(pool, redis, ledger.keys, partitions, config)
    committed = {
        partition: Position(1, totals["seq"])
        for partition, totals in zip(partitions, await totals_of(redis, config), strict=True)
    }
    kept_s = config.credit_ids_kept_ms / 1000
    went = [await ids.forget_some(at_s, committed) for at_s in (0.0, kept_s)]
    went += [await ids.forget_some(kept_s + more, committed) for more in range(1, 8)]
    assert sum(went) == 2 + 1
    keys = ledger.keys.of(ledger.keys.partition_of("ann"))
    assert (await redis.hlen(keys.undone_gifts), await redis.hlen(keys.open_gifts)) == (0, 1)


async def test_undoing_that_only_a_former_server_knows(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Where a gift survived a failover and that it was undone did not, the undoing is named."""
    await ledger.credit(grant("ann", 100))
    gift_id = await give_dear(ledger, "ann", 30)
    await flush_all(pool, redis, config)
    with running_valkey(tmp_path_factory.mktemp("former")) as valkey:
        former = open_ledger(msgspec.structs.replace(config, redis_url=valkey.url))
        keys = ledger.keys.of(ledger.keys.partition_of("ann"))
        await former.start()
        for name in (keys.totals, keys.wallets, keys.open_gifts):
            await former.redis.hset(name, mapping=await redis.hgetall(name))
        await undo(former, "ann", gift_id)
        lost = await lost_with_former(config, valkey.url)
        await former.stop()
    assert [(one.kind, one.id, one.viewer, one.coins) for one in lost] == [
        ("gift_undone", format_id(gift_id), "ann", 30)
    ]


@pytest.mark.parametrize("flushed", ["nothing", "before the end", "all"])
async def test_gift_by_its_id_says_what_became_of_it(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, flushed: str
) -> None:
    """Held until it ends, wherever its records are on their way into the books; all else is as it was given."""
    statements = Statements(pool, ledger, config)
    await ledger.credit(grant("ann", 100))
    order, other = dear("ann", 30), dear("ann", 20)
    given = await ledger.give(order)
    await ledger.give(other)
    if flushed != "nothing":
        await flush_all(pool, redis, config)
    held = await statements.gift("ann", order.id)
    assert held is not None and (held.state, held.coins, held.balance_coins) == (GiftState.HELD, 30, 70)
    assert held.undo_until_ms == held.at_ms + order.undo_ms and held.seq == getattr(given, "seq", 0)
    await undo(ledger, "ann", order.id)
    await later(ledger)
    await settle_all(ledger)
    if flushed == "all":
        await told_rooms(ledger, redis)
        await flush_all(pool, redis, config)
    undone, settled = await statements.gift("ann", order.id), await statements.gift("ann", other.id)
    assert undone == msgspec.structs.replace(held, state=GiftState.UNDONE, undo_until_ms=0)
    assert settled is not None and (settled.state, settled.coins, settled.balance_coins) == (GiftState.SETTLED, 20, 50)
    assert await statements.gift("bob", order.id) is None


async def test_wallet_and_earnings_of_gifts_that_may_be_undone(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """The wallet tells of the gift and of its undoing; a settlement is told to the creator alone."""
    await lively(ledger)
    await flush_all(pool, redis, config)
    statements = Statements(pool, ledger, config)
    wallet = [
        (one.cause, one.coins, one.balance_coins) for one in await statements.wallet_entries("ann", after=None, limit=9)
    ]
    assert wallet[::-1] == [
        *[("grant", 100, 100), ("gift", -1, 99), ("gift", -20, 79), ("gift", -20, 59), ("gift", -13, 46)],
        *[("undo", 20, 66), ("gift", -7, 59)],
    ]
    earned = await statements.creator_entries("cora", after=None, limit=9, account=AccountKind.PENDING)
    assert [(one.cause, one.diamonds) for one in earned[::-1]] == [("gift", 50), ("gift", 1000), ("gift", 650)]


async def test_gifts_of_a_place_and_what_was_undone_of_them(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """A room is told of a gift when it is given and when it is undone, never when it is settled."""
    await lively(ledger)
    async with open_paid_gifts(ledger, config) as gifts:
        from_journal = await gifts.at("room:demo")
    await flush_all(pool, redis, config)
    async with open_paid_gifts(ledger, config) as gifts:
        from_books = await gifts.at("room:demo")
    for found in (from_journal, from_books):
        told = [(gift.coins, gift.undone) for gift in sorted(found, key=lambda gift: gift.seq)]
        assert told == [(1, False), (20, False), (20, False), (13, False), (20, True), (7, False)]
    assert sorted(from_books, key=lambda gift: gift.seq) == sorted(from_journal, key=lambda gift: gift.seq)


async def test_counts_after_a_loss_leave_out_what_was_undone(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """What is open or settled counts for the caps, what was undone does not."""
    config = msgspec.structs.replace(config, month_coins_max=1_000)
    await lively(ledger)
    await flush_all(pool, redis, config)
    assert await recount(pool, ledger, config) == 1
    assert [coins for _, coins in (await ledger.guard("ann")).counted] == [41, 41, 41]


async def test_open_gifts_are_counted(ledger: Ledger) -> None:
    """Over partitions, those that wait to be settled included."""
    await lively(ledger)
    assert await ledger.open_gifts([partition for partition, _ in ledger.keys.all()]) == 1
    assert await ledger.open_gifts([Partition(1 - ledger.keys.partition_of("ann"))]) == 0
