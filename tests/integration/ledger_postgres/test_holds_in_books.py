"""Holds in the books: both audits are quiet while all is well and name what is not, and lost holds come back."""

import asyncio
import random
from typing import Any

import msgspec
import pytest
from redis import Redis

from ledger.audits.audit import audit
from ledger.audits.rolling_audit import open_rolling_audit
from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.ids import format_id
from ledger.live.credit_ids import CreditIds
from ledger.live.journal import Position
from ledger.mending.former import lost_with_former
from ledger.mending.repair import repair
from ledger.model import HoldEnd, HoldEnded, HoldOrder, ViewerId
from ledger.service import Ledger, open_ledger
from ledger.twin.twin import LedgerTwin
from tests.integration.ledger.orders import gift_order, grant
from tests.integration.ledger.stored import check_sums, read_all
from tests.integration.ledger_postgres.flushing import flush_all, flushing, unit_sums, until
from tests.integration.ledger_postgres.holding import ANN, LONG_MS, hold, hold_in_every_way, settle, void
from tests.integration.ledger_postgres.repairing import NoRooms, totals_of
from tests.integration.ledger_postgres.test_audit import Fault, broken, sql, told_rooms
from tests.integration.ledger_postgres.test_rolling_audit import found_in_a_round
from tests.servers import running_valkey

ACCOUNTS = """
SELECT kind, sum(amount)::bigint AS coins FROM entries JOIN accounts ON id = account_id
WHERE unit = 'coins' GROUP BY kind
"""


@pytest.fixture
def config(config: LedgerConfig) -> LedgerConfig:
    """No rest for the rolling audit, in pages of three rows."""
    return msgspec.structs.replace(config, audit_share_permille=1000, audit_rows=3, audit_pause_ms=1)


async def lively(ledger: Ledger) -> bytes:
    """Ann has 100 coins, gives 1, and holds in every way: 79 are left, 7 held, 13 charged. Bob has 10 coins."""
    await ledger.credit(grant("ann", 100))
    await ledger.credit(grant("bob", 10))
    await ledger.give(gift_order("ann", 1, creator="cora"))
    return await hold_in_every_way(ledger, "ann")


async def test_books_of_holds(ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig) -> None:
    """Held and charged coins are accounts of their own, and all sum to zero."""
    await lively(ledger)
    await flush_all(pool, redis, config)
    held = {row["kind"]: row["coins"] for row in await pool.fetch(ACCOUNTS)}
    assert held == {"wallet": 79 + 10, "coins_granted": -110, "spent": 1, "coins_held": 7, "coins_charged": 13}
    assert await unit_sums(pool) == {"coins": 0, "diamonds": 0}


async def test_flusher_counts_holds_by_their_ends(ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig) -> None:
    """So metrics can tell how holds end."""
    await lively(ledger)
    async with flushing(pool, redis, config) as flusher:
        await until(lambda: flusher.stats.holds_expired > 0)
        stats = flusher.stats
        assert (stats.holds, stats.holds_settled, stats.holds_voided, stats.holds_expired) == (5, 2, 1, 1)
        assert stats.passed_over == 0


@pytest.mark.parametrize("flushed", ["nothing", "part", "all", "all and trimmed"])
async def test_audit_holds_however_far_the_books_are(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, flushed: str
) -> None:
    """Holds that the books do not have yet, or whose end they do not have, are carried by the journal."""
    await ledger.credit(grant("ann", 100))
    first = await hold(ledger, "ann", 10)
    if flushed != "nothing":
        await flush_all(pool, redis, config)
    await settle(ledger, "ann", first, 4)
    await hold_in_every_way(ledger, "ann")
    if flushed.startswith("all"):
        if flushed != "all":
            await told_rooms(ledger, redis)
        await flush_all(pool, redis, config)
    assert broken(await audit(config)) == {}


async def test_running_system_gives_no_false_alarm(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """Both audits beside holds that begin and end all the time find nothing, however they fall."""
    config = msgspec.structs.replace(config, audit_rows=100)
    dice = random.Random(3)
    viewers = [f"viewer-{n}" for n in range(20)]
    for viewer in viewers:
        await ledger.credit(grant(viewer, 10_000))
    ended = asyncio.Event()

    async def live() -> None:
        while not ended.is_set():
            chosen = dice.sample(viewers, 5)
            ids = await asyncio.gather(*(hold(ledger, viewer, dice.randint(1, 9)) for viewer in chosen))
            await ledger.give(gift_order(dice.choice(viewers), 1))
            for viewer, hold_id in zip(chosen, ids, strict=True):
                await (settle if dice.random() < 0.5 else void)(ledger, viewer, hold_id)
            await told_rooms(ledger, redis)

    async with flushing(pool, redis, config) as flusher, open_rolling_audit(config) as rolling:
        living = asyncio.create_task(live())
        for _ in range(4):
            assert broken(await audit(config)) == {}
            assert await rolling.round() == {}
        ended.set()
        await living
    assert flusher.stats.holds > 20


FAULTS: dict[str, tuple[Fault, dict[str, str], dict[str, str]]] = {
    # fault, what the audit says, what the rolling audit says
    "a hold gone": (
        lambda redis, _, keys: redis.delete(keys.holds),
        {"I1": "open holds are of 0 coins, held is 7", "I9": "is of 0 coins, the books say 7"},
        {"I1": "open holds are of 0 coins, held is 7", "I9": "is of 0 coins, the books say 7"},
    ),
    "held coins changed": (
        lambda redis, _, keys: redis.hincrby(keys.totals, "held", 1),
        {"I1": "held is 8", "I9": "held is 8, the books say 7"},
        {"I1": "held is 8", "I9": "held is 8, the books say 7"},
    ),
    "charged coins changed": (
        lambda redis, _, keys: redis.hincrby(keys.totals, "charged", 1),
        {"I1": "wallets hold", "I9": "charged is 14, the books say 13"},
        {"I9": "charged is 14, the books say 13"},
    ),
    "a deadline gone": (
        lambda redis, _, keys: redis.delete(keys.hold_deadlines),
        {"I1": "its deadline is None"},
        {"I1": "its deadline is None"},
    ),
    "a deadline of no hold": (
        lambda redis, _, keys: redis.zadd(keys.hold_deadlines, {b"x" * 19: 1}),
        {"I1": "and no such hold"},
        {"I1": "and no such hold"},
    ),
    "a hold that is counted twice": (
        lambda redis, _, keys: redis.hincrby(keys.hold_counts, "ann", 1),
        {"I1": "ann has 1 open holds, 2 are counted"},
        {"I1": "ann has 1 open holds, 2 are counted"},
    ),
    "a hold that is no hold": (
        lambda redis, _, keys: redis.hset(keys.holds, b"y" * 19, b"?"),
        {"I1": "is damaged"},
        {"I1": "is damaged"},
    ),
    "an end that takes more": (
        sql("UPDATE journal_records SET taken_coins = 4 WHERE kind = 'hold_ended' AND coins = 5"),
        {"I1": "the account of charged coins says 13, holds were charged 14", "I9": "wallet of ann, record"},
        {"I9": "wallet of ann, entry"},
    ),
    "a hold of other coins": (
        sql("UPDATE journal_records SET coins = 8 WHERE kind = 'hold' AND coins = 7"),
        {"I1": "the account of held coins says 7, open holds are of 8", "I9": "is of 7 coins, the books say 8"},
        {"I9": "is of 7 coins, the books say 8"},
    ),
    "an end of no hold": (
        sql("UPDATE journal_records SET kind = 'grant' WHERE kind = 'hold' AND coins = 10"),
        {"I3": "there is no such hold"},
        {"I9": "wallet of ann, entry"},
    ),
    "a void that says settled": (
        sql("UPDATE journal_records SET reference = 'settled' WHERE kind = 'hold_ended' AND coins = 20"),
        {"I3": "of 20 coins (settled, 0 taken)"},
        {},
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_fault_is_named(ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, fault: str) -> None:
    """Invariant, hold and record of a planted fault are said by both audits; before it nothing was."""
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


async def test_end_that_is_forgotten_too_soon_is_named(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """While the books lack a hold's record, its id has to be remembered."""
    await lively(ledger)
    await redis.delete(ledger.keys.of(ledger.keys.partition_of("ann")).ended_holds)
    found = broken(await audit(config))
    assert sum("its id is not remembered" in words for words in found["I3"]) == 4 + 4


async def test_lost_holds_come_back(ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig) -> None:
    """Open holds, their deadlines and how others ended: all is as before, and the open one ends as it would have."""
    left_open = await lively(ledger)
    more = await hold(ledger, "bob", 4)
    await flush_all(pool, redis, config)
    before, names = await totals_of(redis, config), [keys for _, keys in ledger.keys.all()]
    deadlines = [await redis.zrange(keys.hold_deadlines, 0, -1, withscores=True) for keys in names]
    counts = [await redis.hgetall(keys.hold_counts) for keys in names]
    ended = [await redis.hlen(keys.ended_holds) for keys in names]
    await redis.flushall()
    done = await repair(config, NoRooms(redis, config))
    assert done.violations == []
    for was, now in zip(before, await totals_of(redis, config), strict=True):
        assert [now.get(name, 0) for name in ("held", "charged")] == [was.get(name, 0) for name in ("held", "charged")]
    assert [await redis.zrange(keys.hold_deadlines, 0, -1, withscores=True) for keys in names] == deadlines
    assert [await redis.hgetall(keys.hold_counts) for keys in names] == counts
    assert [await redis.hlen(keys.ended_holds) for keys in names] == ended
    again = open_ledger(config)
    await again.start()
    taken = await settle(again, "ann", left_open, 5)
    assert isinstance(taken, HoldEnded)
    assert (taken.end, taken.coins, taken.balance_coins, taken.replay) == (HoldEnd.SETTLED, 7, 81, False)
    given_back = await void(again, "bob", more)
    assert isinstance(given_back, HoldEnded) and given_back.balance_coins == 10
    await again.stop()
    assert broken(await audit(config)) == {}


@pytest.mark.parametrize("at_once", [1, 2, 500])
async def test_holds_come_back_as_the_twin_says(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when a hold begins in one slice and ends in another: what is stored is what the records make of it."""
    await lively(ledger)
    await ledger.credit(grant("cid", 100))
    await hold_in_every_way(ledger, "cid")
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
    ends = list(HoldEnd)
    for stored, state in zip(found, twin.partitions, strict=True):
        check_sums(stored)
        assert (stored.wallets, stored.totals["held"], stored.totals["charged"]) == (
            *(state.wallets, state.holds.held),
            state.holds.charged,
        )
        assert {field: hold[:4] for field, hold in stored.holds.items()} == {
            hold_id + viewer.encode(): (hold.balance_coins, hold.expires_ms, hold.order.coins, hold.begun_ms)
            for (hold_id, viewer), hold in state.holds.open.items()
        }
        assert {field: hold[:4] for field, hold in stored.ended_holds.items()} == {
            hold_id + viewer.encode(): (
                *(ends.index(ended.end) + 1, ended.taken_coins, ended.balance_coins),
                ended.at_ms,
            )
            for (hold_id, viewer), (_, ended) in state.holds.ended.items()
        }


async def test_replayed_hold_answers_its_id_as_before(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """The same order again is a replay with the same deadline, also after the live ledger was lost."""
    await ledger.credit(grant("ann", 100))
    order = HoldOrder(b"\x01" * 6 + b"\x70" + bytes(9), ANN, 30, LONG_MS, "order 7")
    first = await ledger.hold(order)
    await flush_all(pool, redis, config)
    await redis.flushall()
    await repair(config, NoRooms(redis, config))
    again = open_ledger(config)
    await again.start()
    assert await again.hold(order) == msgspec.structs.replace(first, replay=True)
    found = await again.find_hold(order.id, "ann")
    assert found is not None and not isinstance(found, HoldEnded)
    await again.stop()


async def test_ended_holds_leave_redis_when_the_books_have_them_long_enough(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """After so long the books are the memory; open holds stay."""
    await lively(ledger)
    await flush_all(pool, redis, config)
    partitions = [partition for partition, _ in ledger.keys.all()]
    ids = CreditIds(pool, redis, ledger.keys, partitions, config)
    committed = {
        partition: Position(1, totals["seq"])
        for partition, totals in zip(partitions, await totals_of(redis, config), strict=True)
    }
    kept_s = config.credit_ids_kept_ms / 1000
    went = [await ids.forget_some(at_s, committed) for at_s in (0.0, kept_s, kept_s + 1, kept_s + 2, kept_s + 3)]
    went += [await ids.forget_some(kept_s + 4, committed) for _ in range(3)]
    assert sum(went) == 2 + 4
    keys = ledger.keys.of(ledger.keys.partition_of("ann"))
    assert (await redis.hlen(keys.ended_holds), await redis.hlen(keys.holds)) == (0, 1)


async def test_end_that_only_a_former_server_knows(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Where a hold's beginning survived a failover and its end did not, the end is named."""
    await ledger.credit(grant("ann", 100))
    hold_id = await hold(ledger, "ann", 30)
    await flush_all(pool, redis, config)
    with running_valkey(tmp_path_factory.mktemp("former")) as valkey:
        former = open_ledger(msgspec.structs.replace(config, redis_url=valkey.url))
        keys = ledger.keys.of(ledger.keys.partition_of("ann"))
        await former.start()
        for name in (keys.totals, keys.wallets, keys.holds):
            await former.redis.hset(name, mapping=await redis.hgetall(name))
        await settle(former, "ann", hold_id, 12)
        lost = await lost_with_former(config, valkey.url)
        await former.stop()
    assert [(one.kind, one.id, one.viewer, one.coins) for one in lost] == [
        ("hold_ended", format_id(hold_id), ViewerId("ann"), 30)
    ]
