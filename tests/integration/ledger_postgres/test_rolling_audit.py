"""The rolling audit on real servers: quiet while all is well, also under load, and it sees every planted fault."""

import asyncio
import random
from typing import Any

import msgspec
import pytest
import structlog

from ledger.audits import rolling_round, rolling_sums
from ledger.audits.pacing import Pacer
from ledger.audits.rolling_audit import NAMED_MAX, RollingAudit, open_rolling_audit
from ledger.audits.rolling_books import Found, read_positions
from ledger.audits.rolling_entries import EntryWalk
from ledger.audits.rolling_sums import add_records
from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.errors import LedgerUnavailable
from ledger.invariants import Invariant
from ledger.service import Ledger
from tests.integration.ledger.orders import gift_order, grant
from tests.integration.ledger_postgres.flushing import flush_all, flushing, until
from tests.integration.ledger_postgres.test_audit import BOOK_FAULTS, LIVE_FAULTS, Fault, busy, sql, told_rooms
from tests.integration.ledger_postgres.trimmed_amid import TrimmedAmid
from tests.waiting import back_off


@pytest.fixture
def config(config: LedgerConfig) -> LedgerConfig:
    """Pages of three rows, so that everything spans several, and no rest."""
    return msgspec.structs.replace(config, audit_share_permille=1000, audit_rows=3, audit_pause_ms=1)


async def found_in_a_round(config: LedgerConfig) -> list[tuple[str, str]]:
    """Invariant and words of all that one round logs as critical."""
    with structlog.testing.capture_logs() as logs:
        async with open_rolling_audit(config) as rolling:
            counted = await rolling.round()
    said = [(log["invariant"], log["error"]) for log in logs if log["log_level"] == "critical"]
    assert sum(min(count, NAMED_MAX) for count in counted.values()) == len(said)
    return said


async def test_empty_system_is_quiet(ledger: Ledger, config: LedgerConfig) -> None:
    """Nothing contradicts itself before the first coin."""
    assert await found_in_a_round(config) == []


async def test_quiet_system_is_looked_at_wholly(ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig) -> None:
    """All that was flushed is counted: entries, records, wallets of both sides, stripes, days, balances, totals."""
    await busy(ledger)
    await told_rooms(ledger, redis)
    await flush_all(pool, redis, config)
    async with open_rolling_audit(config) as rolling:
        assert await rolling.round() == {}
        entries = await pool.fetchval("SELECT count(*) FROM entries")
        records = await pool.fetchval("SELECT count(*) FROM journal_records")
        in_journal = sum([len(await redis.xrange(keys.journal)) for _, keys in ledger.keys.all()])
        # 4 wallets, seen from both sides; 4 creators with a balance and days each; a stripe in each partition.
        stripes = sum([await redis.hlen(keys.earnings) for _, keys in ledger.keys.all()])
        assert rolling.stats.checked >= entries + records + 2 * 4 + 2 * 4 + stripes + in_journal
        assert rolling.stats.rounds == 1


async def test_running_system_gives_no_false_alarm(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """Rounds beside gifts, grants, new creators, a flusher and a relay find nothing, however they fall."""
    config = msgspec.structs.replace(config, audit_rows=100)
    dice = random.Random(7)
    viewers = [f"viewer-{n}" for n in range(40)]
    for viewer in viewers:
        await ledger.credit(grant(viewer, 100_000))
    ended = asyncio.Event()

    async def live(rolling: RollingAudit) -> None:
        while not ended.is_set():
            enough = rolling.stats.checked + 100
            creators = [f"c{dice.randint(1, 60)}" for _ in range(20)]
            orders = [gift_order(dice.choice(viewers), dice.randint(1, 9), creator=creator) for creator in creators]
            await asyncio.gather(*map(ledger.give, orders), ledger.credit(grant(f"new-{dice.random()}", 3)))
            await told_rooms(ledger, redis)
            # Gifts at the audit's own pace, or it would never come to the end of them.
            while rolling.stats.checked < enough and not ended.is_set():
                await back_off()

    with structlog.testing.capture_logs() as logs:
        async with flushing(pool, redis, config) as flusher, open_rolling_audit(config) as rolling:
            living = asyncio.create_task(live(rolling))
            while flusher.stats.gifts < 500:
                assert await rolling.round() == {}, logs
            ended.set()
            await living
    assert flusher.stats.trimmed_entries > 0
    assert rolling.stats.rounds > 1


async def test_journal_trimmed_between_two_pages_is_no_alarm(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was in the journal when its first page was read, and is gone before the second, is in the books."""
    monkeypatch.setattr(rolling_round, "ENTRIES_READ", 2)
    await busy(ledger)
    await flush_all(pool, redis, config)
    await told_rooms(ledger, redis)
    amid: Any = TrimmedAmid(redis, ledger)
    with structlog.testing.capture_logs() as logs:
        assert await RollingAudit(pool, amid, config).round() == {}, logs
    assert amid.trimmed_entries > 2


async def test_books_that_lag_are_waited_for(ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig) -> None:
    """A round that began before the books had anything ends when they have all of it, without an alarm."""
    await busy(ledger)
    async with open_rolling_audit(config) as rolling:
        going = asyncio.create_task(rolling.round())
        await until(lambda: rolling.stats.slices > 0 or rolling.stats.checked > 0)
        await flush_all(pool, redis, config)
        assert await asyncio.wait_for(going, 30) == {}


EXPECTED: dict[str, tuple[str, str]] = {
    "a wallet changed": ("I9", "wallet of ann holds"),
    "a wallet below zero": ("I2", "wallet of ann holds -1"),
    "a wallet that is no number": ("I2", "wallet of ann holds b'many'"),
    "a wallet gone": ("I9", "wallet of ann holds 0"),
    "a wallet from nowhere": ("I9", "wallet of eve holds 7"),
    "a stripe changed": ("I9", "stripe of cora holds"),
    "commission changed": ("I1", "earned + commission is"),
    "a journal entry gone from the middle": ("I4", "follows"),
    "the end of the journal gone": ("I4", "the journal ends at record"),
    "the journal trimmed behind nobody": ("I9", "the rooms were told 0"),
    "ids gone": ("I3", "its id is not remembered"),
    "a seq behind the books": ("I4", "the live ledger ends at record 3"),
    "a stripe gone": ("I9", "stripe of cora holds 0"),
    "an entry gone": ("I1", "wallet of ann, entry 4 (record"),
    "an entry changed": ("I1", "wallet of ann, entry 3 (record"),
    "earnings changed": ("I9", "pending of cora, entry 1 (record"),
    "a balance changed": ("I1", "pending of cora: the balance is 251"),
    "a record's amount changed": ("I9", "wallet of ann, entry"),
    "a record's content changed": ("I9", "of ann: journal and books differ"),
    "a record gone": ("I9", "the record is not there"),
    "a position ahead": ("I9", "are not there"),
    "a day changed": ("I1", "creator cora: days say"),
    "a day's earnings changed": ("I1", "creator cora: days say"),
    "a day gone": ("I1", "creator cora: days say 0 diamonds by 0 gifts"),
    "the last entry of a wallet gone": ("I9", "wallet of ann holds"),
    "the last earnings gone": ("I1", "pending of cora: the balance is"),
    "an account gone": ("I1", "it has no account"),
    "ids not kept unique": ("I3", "unique index"),
}
MORE_FAULTS: dict[str, Fault] = {
    "a stripe gone": lambda redis, _, keys: redis.hdel(keys.earnings, "cora"),
    "a day gone": sql("DELETE FROM creator_days WHERE creator = 'cora'"),
    "the last entry of a wallet gone": sql(
        "DELETE FROM entries USING accounts a WHERE a.id = account_id AND a.owner = 'ann' AND a.kind = 'wallet'"
        " AND number = (SELECT max(number) FROM entries WHERE account_id = a.id)"
    ),
    "the last earnings gone": sql("DELETE FROM entries USING accounts WHERE id = account_id AND owner = 'cora'"),
    "an account gone": sql("DELETE FROM accounts WHERE kind = 'spent'"),
    "ids not kept unique": sql("DROP INDEX journal_records_v1_id"),
}
FAULTS = {name: fault for name, (fault, _) in (LIVE_FAULTS | BOOK_FAULTS).items() if name in EXPECTED} | MORE_FAULTS


@pytest.mark.parametrize("fault", EXPECTED)
async def test_fault_is_named(ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, fault: str) -> None:
    """Invariant, account and record of a planted fault are logged; before it nothing was."""
    await busy(ledger)
    await flush_all(pool, redis, config)
    assert await found_in_a_round(config) == []
    await FAULTS[fault](redis, pool, ledger.keys.of(ledger.keys.partition_of("ann")))
    invariant, words = EXPECTED[fault]
    found = await asyncio.wait_for(found_in_a_round(config), 30)
    assert any(invariant == one and words in sentence for one, sentence in found), found


async def test_faults_are_counted_until_a_round_without(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """What is mended is forgotten after the next whole round, not before; what is found shows before the round ends."""
    await busy(ledger)
    await flush_all(pool, redis, config)
    async with open_rolling_audit(config) as rolling:
        await pool.execute(
            "UPDATE balances SET balance = balance + 1 WHERE account_id = (SELECT min(account_id) FROM balances)"
        )
        assert await rolling.round() == {Invariant.I1: 1, Invariant.I10: 1}
        assert rolling.stats.violations_I1 == 1
        await pool.execute(
            "UPDATE balances SET balance = balance - 1 WHERE account_id = (SELECT min(account_id) FROM balances)"
        )
        assert rolling.stats.violations_I1 == 1
        assert await rolling.round() == {}
        assert (rolling.stats.violations_I1, rolling.stats.rounds) == (0, 2)


async def test_absent_server_is_no_verdict(config: LedgerConfig) -> None:
    """Without the books there is an error, and no round is counted."""
    lost = msgspec.structs.replace(config, database_url="postgresql://giftwire@/x?host=/nowhere")
    async with open_rolling_audit(lost) as rolling:
        with pytest.raises(LedgerUnavailable):
            await rolling.round()
        assert rolling.stats.rounds == 0


async def test_share_of_nothing_audits_nothing(pool: Pool, redis: Any, config: LedgerConfig) -> None:
    """Switched off it runs on, and looks at nothing."""
    rolling = RollingAudit(pool, redis, msgspec.structs.replace(config, audit_share_permille=0))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(rolling.run(), 0.05)
    assert rolling.stats.slices == 0


@pytest.mark.parametrize("bytes_max", [rolling_sums.CODES_BYTES_MAX, 4, 0])
async def test_healthy_books_cancel(
    ledger: Ledger,
    pool: Pool,
    redis: Any,
    config: LedgerConfig,
    monkeypatch: pytest.MonkeyPatch,
    bytes_max: int,
) -> None:
    """Entries leave nothing but the ends of their accounts and the records that made them, also while more are added;
    so only a small part of them is walked through. It is the same with accounts that have no byte and are looked up."""
    monkeypatch.setattr(rolling_sums, "CODES_BYTES_MAX", bytes_max)
    await busy(ledger)
    await flush_all(pool, redis, config)
    async with pool.acquire() as connection:
        until = await read_positions(connection)
    await busy(ledger)
    await flush_all(pool, redis, config)
    found: list[Found] = []
    walk = EntryWalk(pool, config, Pacer(1), found.extend, lambda _: None)
    entries = await walk.add_up(until)
    assert (walk.suspect, found) == (False, [])
    for partition, seq in until.items():
        async with pool.acquire() as connection:
            records = await add_records(connection, partition, 0, seq)
        assert records.rows == seq
        assert entries.hashes.get((partition, "wallet"), 0) == records.wallets
        assert entries.hashes.get((partition, "pending"), 0) == records.earnings or partition < 0
        assert entries.counts.get((partition, "wallet"), 0) == records.moving
        assert entries.counts.get((partition, "pending"), 0) == records.earning or partition < 0
    assert {unit for (_, unit), amount in entries.amounts.items() if amount} == set()
    await pool.execute("UPDATE entries SET balance_after = balance_after + 1 WHERE seq = 3")
    await walk.add_up(until)
    assert walk.suspect


async def test_order_of_entries_is_seen_after_some_rounds(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """Two records that changed places, with all that they say, contradict no sum: the walk from account to account,
    that goes on with each round, comes to them."""
    config = msgspec.structs.replace(config, audit_rows=1)
    await ledger.credit(grant("ann", 100))
    for coins in (5, 5):
        await ledger.give(gift_order("ann", coins))
    await flush_all(pool, redis, config)
    first, second = await pool.fetch("SELECT partition, seq FROM journal_records WHERE kind = 'gift' ORDER BY seq")
    places = (first["partition"], first["seq"], second["seq"])
    of_both = "WHERE partition = $1 AND seq IN ($2, $3)"
    await pool.execute(
        f"UPDATE entries SET seq = $2 + $3 - seq {of_both} AND balance_after IN (95, 90)",  # noqa: S608 - texts of ours
        *places,
    )
    await pool.execute(
        f"UPDATE journal_records SET wallet_after = 185 - wallet_after {of_both}",  # noqa: S608 - texts of ours
        *places,
    )
    said: list[str] = []
    async with open_rolling_audit(config) as rolling:
        for _ in range(12):
            with structlog.testing.capture_logs() as logs:
                await rolling.round()
            said += [log["error"] for log in logs if "of the same or a later record" in log.get("error", "")]
    assert said and all(words.startswith("wallet of ann, entry 3") for words in said)


async def test_table_written_anew_under_the_audit(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who rewrites a table while it is read moves its entries about: they are added up again, and nothing is said."""
    await busy(ledger)
    await flush_all(pool, redis, config)
    whole, rewrites = rolling_sums.add_entries, 0

    async def rewritten(connection: Any, *args: Any) -> int:
        nonlocal rewrites
        if args[1].name == "entries_v1" and args[2][0] == 0 and not rewrites:
            rewrites += 1
            await pool.execute("VACUUM FULL entries_v1")
            return 0
        return await whole(connection, *args)

    monkeypatch.setattr(rolling_sums, "add_entries", rewritten)
    assert (await found_in_a_round(config), rewrites) == ([], 1)
