"""From the live ledger to the books: the flusher between a real Valkey and a real PostgreSQL."""

import asyncio
import functools
import random
from collections import Counter
from typing import Any

import msgspec
import pytest

from ledger.books.books import Books
from ledger.books.flusher import Flusher, FlusherCondition
from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.errors import InvariantBroken
from ledger.live.credit_ids import CreditIds
from ledger.live.journal import DECODED_AT_ONCE, JournalReader, Position, decode_entry
from ledger.live.keys import Keys, Total
from ledger.model import CreditAccepted, CreditRefused, GiftAccepted, GiftRefused, JournalRecord, Partition, Refusal
from ledger.service import Ledger, open_ledger
from tests.integration.ledger.orders import gift_order, grant
from tests.integration.ledger_postgres.flushing import flush_all, flushing, unit_sums, until
from tests.integration.ledger_postgres.journals import JournalWriter

COMBO_COUNT_MAX = 2**31 - 1
RECORDS_PER_ENTRY = 16
WALLETS = (
    "SELECT owner, balance_after FROM accounts JOIN entries ON account_id = id WHERE kind = 'wallet' ORDER BY number"
)


async def test_gifts_reach_the_books(ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig) -> None:
    """What the live ledger accepted is in the books: each record once, wallets and earnings alike, units at zero."""
    dice = random.Random(7)
    viewers = [f"viewer-{n}" for n in range(12)]
    for viewer in viewers:
        assert isinstance(await ledger.credit(grant(viewer, 1_000)), CreditAccepted)
    orders = [
        gift_order(dice.choice(viewers), dice.randint(1, 30), creator=f"c{n % 3}", combo=True) for n in range(300)
    ]
    async with flushing(pool, redis, config):
        outcomes = await asyncio.gather(*map(ledger.give, orders))
        accepted = [order for order, outcome in zip(orders, outcomes, strict=True) if isinstance(outcome, GiftAccepted)]
    await flush_all(pool, redis, config)
    ids = [row["id"].bytes for row in await pool.fetch("SELECT id FROM journal_records WHERE kind = 'gift'")]
    assert Counter(ids) == Counter(order.id for order in accepted)
    assert await unit_sums(pool) == {"coins": 0, "diamonds": 0}
    wallets = {row["owner"]: row["balance_after"] for row in await pool.fetch(WALLETS)}
    assert wallets == {viewer: await ledger.balance(viewer) for viewer in viewers}
    for creator in ("c0", "c1", "c2"):
        pending = await pool.fetchval(
            "SELECT balance FROM balances JOIN accounts ON account_id = id WHERE owner = $1", creator
        )
        assert pending == await ledger.live_earnings(creator)


async def test_journal_goes_only_behind_both_readers(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """An entry leaves the journal when PostgreSQL has committed it and the relay has told it, whichever comes last."""
    partition = ledger.keys.partition_of("ann")
    keys = ledger.keys.of(partition)
    for _ in range(3):
        await ledger.credit(grant("ann", 10))
    async with flushing(pool, redis, config) as flusher:
        await until(lambda: flusher.stats.credits == 3)
        await until(lambda: _is_flushed(redis, keys.totals, 3))
        assert await redis.xlen(keys.journal) == 3
        await redis.set(keys.relay, "1-2")
        await until(lambda: flusher.stats.trimmed_entries == 2)
        assert await redis.xlen(keys.journal) == 1
    await redis.set(keys.relay, "1-4")
    await ledger.credit(grant("ann", 10))
    async with blocking_positions(pool), flushing(pool, redis, config) as blocked:
        await until(lambda: _somebody_waits(pool))
        assert blocked.stats.credits == 0
        assert (await redis.xrange(keys.journal))[-1][0] == b"1-4"
    async with flushing(pool, redis, config):
        await until(lambda: _is_empty(redis, keys.journal))


async def test_combo_at_the_largest_count_of_the_books(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """A combo ends where the books cannot count further; a count too large would hold up every later record."""
    await ledger.credit(grant("ann", 10))
    orders = [
        msgspec.structs.replace(gift_order("ann", 1, combo=True), count=count) for count in (COMBO_COUNT_MAX - 1, 1, 1)
    ]
    outcomes = [await ledger.give(order) for order in orders]
    combos = [outcome.combo for outcome in outcomes if isinstance(outcome, GiftAccepted)]
    assert [combo and combo.count for combo in combos] == [COMBO_COUNT_MAX - 1, COMBO_COUNT_MAX, 1]
    await flush_all(pool, redis, config)


async def test_flusher_that_was_overtaken_takes_up_the_new_position(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """A flusher that rested while another wrote and trimmed finds a gap where it stopped, and goes on after that."""
    partition = ledger.keys.partition_of("ann")
    keys = ledger.keys.of(partition)
    # Long enough for what the other does meanwhile, also on a busy machine.
    resting = msgspec.structs.replace(config, flush_interval_ms=5_000)
    await ledger.credit(grant("ann", 10))
    await flush_all(pool, redis, config)
    await redis.set(keys.relay, "1-1")
    async with flushing(pool, redis, resting) as slow:
        # It has read, found nothing new and trimmed; now it rests.
        await until(lambda: slow.stats.trimmed_entries == 1)
        async with flushing(pool, redis, config) as fast:
            for _ in range(3):
                await ledger.credit(grant("ann", 10))
            await until(lambda: fast.stats.credits == 3)
            await redis.set(keys.relay, "1-4")
            await until(lambda: _is_empty(redis, keys.journal))
        await ledger.credit(grant("ann", 10))
        await until(lambda: slow.stats.credits == 1)
        assert (slow.stats.moved, slow.stats.condition) == (1, FlusherCondition.RUNNING)
    assert await pool.fetchval("SELECT seq FROM positions WHERE partition = $1", partition) == 5


async def test_flusher_waits_for_postgres(ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig) -> None:
    """Connections that die under it cost a retry, and nothing is lost or doubled."""
    async with flushing(pool, redis, config) as flusher:
        for coins in range(1, 6):
            await ledger.credit(grant("ann", coins))
            await until(functools.partial(_has_written, flusher, coins))
            await pool.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'giftwire'"
            )
    await flush_all(pool, redis, config)
    assert await pool.fetchval("SELECT sum(coins)::bigint FROM journal_records") == 15
    assert await unit_sums(pool) == {"coins": 0}


async def test_backlog_is_flushed_without_a_rest(ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig) -> None:
    """While more waits than one read takes the flusher does not rest, however few records the read had."""
    for n in range(60):
        await ledger.credit(grant(f"viewer-{n}", 1))
    an_hour = msgspec.structs.replace(config, flush_entries_max=4, flush_interval_ms=3_600_000)
    await flush_all(pool, redis, an_hour)
    assert await pool.fetchval("SELECT count(*) FROM journal_records") == 60


async def test_reader_lets_others_go_on_while_it_decodes(
    redis: Any, config: LedgerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The relay shares the flusher's loop: between two of its turns only so many records are decoded."""
    keys = Keys(config.partitions)
    writer = JournalWriter(redis, keys)
    writer.credit("ann", 10_000)
    for _ in range(5 * DECODED_AT_ONCE):
        writer.gift("ann", 1)
    await writer.send(RECORDS_PER_ENTRY)
    decoded, most = 0, 0

    def counted(*entry: Any) -> list[JournalRecord]:
        nonlocal decoded
        records = decode_entry(*entry)
        decoded += len(records)
        return records

    async def watch() -> None:
        nonlocal decoded, most
        while True:
            most, decoded = max(most, decoded), 0
            await asyncio.sleep(0)

    monkeypatch.setattr("ledger.live.journal.decode_entry", counted)
    watching = asyncio.create_task(watch())
    reader = JournalReader(redis, keys, [partition for partition, _ in keys.all()], {})
    batch = await reader.read(block_ms=None, entries_max=1_000)
    await asyncio.sleep(0)
    watching.cancel()
    assert len(batch.records) == 5 * DECODED_AT_ONCE + 1
    assert 0 < most < DECODED_AT_ONCE + RECORDS_PER_ENTRY


async def test_redis_that_lost_records_stops_the_flusher(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """When PostgreSQL is ahead of Redis nothing is written any more (I4)."""
    await ledger.credit(grant("ann", 10))
    await flush_all(pool, redis, config)
    await redis.flushall()
    keys = Keys(config.partitions)
    flusher = Flusher(pool, redis, keys, [partition for partition, _ in keys.all()], config)
    with pytest.raises(InvariantBroken, match="reconcile"):
        await flusher.run()
    assert flusher.stats.condition is FlusherCondition.STOPPED
    assert "I4" in flusher.stats.broken


async def test_partition_that_went_back_takes_no_gifts(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """A gateway that runs on over an older copy of Redis takes nothing once the flusher has seen it."""
    config = msgspec.structs.replace(config, partitions=1)
    await redis.flushall()
    one = open_ledger(config)
    await one.start()
    await one.credit(grant("ann", 10))
    assert isinstance(await one.give(gift_order("ann", 1)), GiftAccepted)
    await flush_all(pool, redis, config)
    ((partition, keys),) = one.keys.all()
    await redis.hset(keys.totals, Total.SEQ, "1")
    with pytest.raises(InvariantBroken, match="reconcile"):
        await Flusher(pool, redis, one.keys, [partition], config).run()
    assert await one.give(gift_order("ann", 1)) == GiftRefused(Refusal.UNKNOWN)
    assert isinstance(await one.credit(grant("ann", 1)), CreditRefused)
    assert await one.balance("ann") == 9
    await one.stop()


async def test_every_partition_that_went_back_takes_no_gifts(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """Not only the first one that the flusher sees: all are shut, and all are named."""
    viewers = {ledger.keys.partition_of(name): name for name in ("ann", "bob", "cid", "dan")}
    assert len(viewers) == 2
    for viewer in viewers.values():
        for _ in range(2):
            await ledger.credit(grant(viewer, 10))
    await flush_all(pool, redis, config)
    for _, keys in ledger.keys.all():
        await redis.hset(keys.totals, Total.SEQ, "1")
    with pytest.raises(InvariantBroken, match=r"partition 0: .* partition 1: "):
        await Flusher(pool, redis, ledger.keys, sorted(viewers), config).run()
    for viewer in viewers.values():
        assert await ledger.give(gift_order(viewer, 1)) == GiftRefused(Refusal.UNKNOWN)


async def test_trimmed_too_far_stops_the_flusher(ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig) -> None:
    """A record that is gone from the journal before PostgreSQL had it is not passed over (I9)."""
    for _ in range(2):
        await ledger.credit(grant("ann", 10))
    partition = ledger.keys.partition_of("ann")
    await ledger.trim(partition, 1, 1, 0)
    flusher = Flusher(pool, redis, ledger.keys, [partition], config)
    with pytest.raises(InvariantBroken, match="those between are gone"):
        await flusher.run()
    assert await pool.fetchval("SELECT count(*) FROM journal_records") == 0


async def test_one_transaction_takes_no_more_than_its_bound(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """A backlog of more than `flush_records_max` is written in several transactions."""
    for _ in range(23):
        await ledger.credit(grant("ann", 1))
    await flush_all(pool, redis, msgspec.structs.replace(config, flush_records_max=5))
    sizes = await pool.fetch(
        "SELECT count(*) AS size FROM (SELECT xmin::text AS x FROM journal_records) AS rows GROUP BY x"
    )
    assert max(row["size"] for row in sizes) <= 5
    assert sum(row["size"] for row in sizes) == 23


async def test_position_inside_an_entry_is_gone_on_from(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """A flusher that ends between two transactions of one entry leaves a position from which the next one goes on."""
    await ledger.credit(grant("ann", 1_000))
    await asyncio.gather(*(ledger.give(gift_order("ann", 1)) for _ in range(60)))
    partition = ledger.keys.partition_of("ann")
    journal = ledger.keys.of(partition).journal
    last_seq = int(await redis.hget(ledger.keys.of(partition).totals, Total.SEQ))
    assert await redis.xlen(journal) < last_seq
    for seq in range(1, last_seq):
        reader = JournalReader(redis, ledger.keys, [partition], {partition: Position(1, seq)})
        records = (await reader.read(block_ms=None, entries_max=100)).records
        assert [record.seq for record in records] == list(range(seq + 1, last_seq + 1))
    books = Books(pool, [partition], config)
    await books.load_positions()
    whole = (await JournalReader(redis, ledger.keys, [partition], {}).read(block_ms=None, entries_max=100)).records
    await books.write(whole[: last_seq - 2])
    await flush_all(pool, redis, config)
    assert await pool.fetchval("SELECT count(*) FROM journal_records") == last_seq


async def test_credit_ids_stay_until_flushed_long_ago(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """An id is forgotten once its record has been in PostgreSQL for `credit_ids_kept_ms`, not a moment sooner."""
    partition = ledger.keys.partition_of("ann")
    credits_key = ledger.keys.of(partition).credits
    old, young, unflushed = (grant("ann", coins) for coins in (1, 2, 3))
    await ledger.credit(old)
    await flush_all(pool, redis, config)
    ids = CreditIds(pool, redis, ledger.keys, [partition], msgspec.structs.replace(config, credit_ids_kept_ms=1_000))
    assert await ids.forget_some(0.0, {partition: Position(1, 1)}) == 0
    await ledger.credit(young)
    await flush_all(pool, redis, config)
    await ledger.credit(unflushed)
    assert await ids.forget_some(0.999, {partition: Position(1, 2)}) == 0
    assert await ids.forget_some(1.0, {partition: Position(1, 2)}) == 1
    assert set(await redis.hkeys(credits_key)) == {young.id, unflushed.id}
    assert await ids.forget_some(2.0, {partition: Position(1, 2)}) == 1
    assert await redis.hkeys(credits_key) == [unflushed.id]


async def test_credit_ids_are_walked_through_in_steps(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """Steps that look at a few ids each come by all ids of all partitions."""
    # More than what Valkey keeps in one piece (512 fields by default), which it always gives whole.
    # A hundred at a time: more would wait for one of 16 connections, and no longer than their time allows.
    for first in range(0, 1_600, 100):
        made = await asyncio.gather(*(ledger.credit(grant(f"viewer-{first + n}", 1)) for n in range(100)))
        assert all(isinstance(outcome, CreditAccepted) for outcome in made)
    await flush_all(pool, redis, config)
    both = [Partition(0), Partition(1)]
    positions = {p: Position(1, int(await redis.hget(ledger.keys.of(p).totals, Total.SEQ) or 0)) for p in both}
    small = msgspec.structs.replace(config, credit_ids_kept_ms=1, credit_ids_read=10)
    ids = CreditIds(pool, redis, ledger.keys, both, small)
    await ids.forget_some(0.0, positions)
    steps = [await ids.forget_some(float(n), positions) for n in range(1, 400)]
    assert sum(steps) == 1_600
    assert max(steps) < 200


def blocking_positions(pool: Pool) -> "Blocking":
    """Holds the lock that every writer of records needs."""
    return Blocking(pool)


class Blocking:
    """A transaction that holds all positions until the end of its block."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def __aenter__(self) -> None:
        self._connection = await self._pool.acquire()
        await self._connection.execute("BEGIN; SELECT 1 FROM positions FOR UPDATE")

    async def __aexit__(self, *_: object) -> None:
        await self._connection.execute("ROLLBACK")
        await self._pool.release(self._connection)


def _has_written(flusher: Flusher, records: int) -> bool:
    return flusher.stats.credits + flusher.stats.passed_over >= records


async def _somebody_waits(pool: Pool) -> bool:
    return bool(await pool.fetchval("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))


async def _is_flushed(redis: Any, totals: bytes, seq: int) -> bool:
    return int(await redis.hget(totals, Total.FLUSHED) or 0) == seq


async def _is_empty(redis: Any, journal: bytes) -> bool:
    return int(await redis.xlen(journal)) == 0
