"""The audit on real servers: quiet while all is well, also under load, and it names every fault that is planted."""

import asyncio
import datetime
import random
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from ledger.audits import live_audit
from ledger.audits.audit import AuditReport, Step, audit
from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.errors import LedgerUnavailable
from ledger.ids import new_id
from ledger.live.keys import PartitionKeys, Total
from ledger.model import CreatorId
from ledger.office import open_office
from ledger.payouts.payout_states import PayoutState
from ledger.payouts.payouts import Withdrawal, WithdrawalOrder
from ledger.service import Ledger, WrongDeployment
from tests.integration.ledger.orders import gift_order, grant, now_ms
from tests.integration.ledger_postgres.flushing import flush_all, flushing
from tests.integration.ledger_postgres.trimmed_amid import TrimmedAmid


async def told_rooms(ledger: Ledger, redis: Any) -> None:
    """Note that the rooms were told everything, as a relay would."""
    for _, keys in ledger.keys.all():
        seq = int(await redis.hget(keys.totals, Total.SEQ) or 0)
        await redis.set(keys.relay, f"1-{seq}")


async def busy(ledger: Ledger) -> None:
    """Some viewers, grants and gifts; `ann` gives `cora` 5 coins last."""
    for viewer in ("ann", "bob", "cid", "dan"):
        await ledger.credit(grant(viewer, 1_000))
    for coins in range(1, 21):
        for viewer in ("ann", "bob", "cid"):
            await ledger.give(gift_order(viewer, coins, creator=f"c{coins % 3}", combo=True))
    await ledger.give(gift_order("ann", 5, creator="cora"))


def broken(report: AuditReport) -> dict[str, list[str]]:
    """Violations by invariant, of those that do not hold."""
    return {result.id: result.violations for result in report.invariants if not result.ok}


async def test_empty_system_holds(ledger: Ledger, config: LedgerConfig) -> None:
    """Nothing contradicts itself before the first coin."""
    report = await audit(config)
    assert broken(report) == {}
    assert report.ok
    assert [result.id for result in report.invariants] == ["I1", "I2", "I3", "I4", "I9", "I10"]


@pytest.mark.parametrize("flushed", ["nothing", "part", "all", "all and trimmed"])
async def test_system_holds_however_far_the_books_are(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, flushed: str
) -> None:
    """The journal makes up for what the books do not have yet, and the books for what the journal has lost."""
    if flushed == "part":
        await busy(ledger)
    if flushed != "nothing":
        await flush_all(pool, redis, config)
    await busy(ledger)
    if flushed.startswith("all"):
        if flushed != "all":
            await told_rooms(ledger, redis)
        await flush_all(pool, redis, config)
    report = await audit(config)
    assert broken(report) == {}
    assert {result.id: result.checked > 0 for result in report.invariants}["I4"]
    assert all(sums["sum"] == 0 for sums in report.units.values())


async def test_running_system_gives_no_false_alarm(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """Audits beside gifts, grants, a flusher and a relay find nothing, however they fall."""
    dice = random.Random(5)
    viewers = [f"viewer-{n}" for n in range(40)]
    for viewer in viewers:
        await ledger.credit(grant(viewer, 100_000))
    ended = asyncio.Event()
    tell: Any = ledger

    async def live() -> None:
        while not ended.is_set():
            orders = [gift_order(dice.choice(viewers), dice.randint(1, 9), creator=f"c{n % 7}") for n in range(30)]
            await asyncio.gather(*map(ledger.give, orders), ledger.credit(grant(f"new-{dice.random()}", 3)))
            await told_rooms(tell, redis)

    async with flushing(pool, redis, config) as flusher:
        living = asyncio.create_task(live())
        reports = [await audit(config) for _ in range(12)]
        ended.set()
        await living
    assert [broken(report) for report in reports] == [{}] * 12
    assert flusher.stats.trimmed_entries > 0
    assert flusher.stats.gifts > 100


async def test_ids_forgotten_by_a_clock_that_ran_ahead_are_no_alarm(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """They are refused from then on, so none can be paid twice."""
    await busy(ledger)
    async for name in redis.scan_iter(match="*:ids:*"):
        assert await redis.pexpireat(name, 1)
    assert broken(await audit(config)) == {}


async def test_journal_trimmed_between_two_pages_is_no_alarm(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was in the journal when its first page was read, and is gone before the second, is in the books."""
    monkeypatch.setattr(live_audit, "_ENTRIES_READ", 2)
    await busy(ledger)
    await flush_all(pool, redis, config)
    await told_rooms(ledger, redis)
    amid = TrimmedAmid(redis, ledger)
    monkeypatch.setattr("ledger.audits.audit.connect", lambda _, **__: amid)
    assert broken(await audit(config)) == {}
    assert amid.trimmed_entries > 2


Fault = Callable[[Any, Pool, PartitionKeys], Awaitable[Any]]


async def _last_entry(redis: Any, keys: PartitionKeys) -> bytes:
    entries = await redis.xrevrange(keys.journal, count=1)
    return bytes(entries[0][0])


async def _delete_middle(redis: Any, keys: PartitionKeys) -> None:
    entries = await redis.xrange(keys.journal, count=3)
    await redis.xdel(keys.journal, entries[1][0])


async def _delete_last(redis: Any, keys: PartitionKeys) -> None:
    await redis.xdel(keys.journal, await _last_entry(redis, keys))


async def _delete_ids(redis: Any, keys: PartitionKeys) -> None:
    async for name in redis.scan_iter(match=keys.ids(0)[:-1] + b"*"):
        # Where a whole bucket went, as after a clock that ran ahead, its ids are refused and nothing is wrong.
        fields = await redis.hkeys(name)
        await redis.hset(name, b"other", b"")
        await redis.hdel(name, *fields)


def sql(statement: str) -> Fault:
    """A fault planted in the books."""

    async def plant(_: Any, pool: Pool, __: PartitionKeys) -> Any:
        assert await pool.execute(statement) not in ("UPDATE 0", "DELETE 0")

    return plant


LIVE_FAULTS: dict[str, tuple[Fault, dict[str, str]]] = {
    "a wallet changed": (
        lambda redis, _, keys: redis.hincrby(keys.wallets, "ann", 1),
        {"I1": "wallets hold", "I9": "; its last record is"},
    ),
    "a wallet below zero": (
        lambda redis, _, keys: redis.hset(keys.wallets, "ann", -1),
        {"I1": "wallets hold", "I2": "wallet of ann", "I9": "wallet of ann"},
    ),
    "a wallet that is no number": (
        lambda redis, _, keys: redis.hset(keys.wallets, "ann", "many"),
        {"I1": "wallets hold", "I2": "wallet of ann holds b'many'", "I9": "wallet of ann"},
    ),
    "a wallet gone": (
        lambda redis, _, keys: redis.hdel(keys.wallets, "ann"),
        {"I1": "wallets hold", "I9": "wallet of ann"},
    ),
    "a wallet from nowhere": (
        lambda redis, _, keys: redis.hset(keys.wallets, "eve", 7),
        {"I1": "wallets hold", "I9": "wallet of eve"},
    ),
    "a stripe changed": (
        lambda redis, _, keys: redis.hincrby(keys.earnings, "cora", -1),
        {"I1": "stripes hold", "I9": "stripe of cora"},
    ),
    "commission changed": (
        lambda redis, _, keys: redis.hincrby(keys.totals, "commission", 1),
        {"I1": "earned + commission", "I9": "commission is"},
    ),
    "a journal entry gone from the middle": (
        lambda redis, _, keys: _delete_middle(redis, keys),
        {"I4": "follows"},
    ),
    "the end of the journal gone": (
        lambda redis, _, keys: _delete_last(redis, keys),
        {"I4": "the journal ends at record"},
    ),
    "the journal trimmed behind nobody": (
        lambda redis, _, keys: redis.xtrim(keys.journal, maxlen=5, approximate=False),
        {"I9": "the rooms were told 0"},
    ),
    "ids gone": (lambda redis, _, keys: _delete_ids(redis, keys), {"I3": "its id is not remembered"}),
    "a seq behind the books": (
        lambda redis, _, keys: redis.hset(keys.totals, "seq", 3),
        {"I4": "the live ledger ends at record 3"},
    ),
}
BOOK_FAULTS: dict[str, tuple[Fault, dict[str, str]]] = {
    "an entry gone": (
        sql("DELETE FROM entries USING accounts WHERE number = 3 AND id = account_id AND owner = 'ann'"),
        {"I1": "wallet of ann (coins): entry 4", "I9": "wallet of ann, record"},
    ),
    "an entry changed": (
        sql(
            "UPDATE entries SET amount = amount - 1 FROM accounts"
            " WHERE number = 3 AND id = account_id AND owner = 'ann'"
        ),
        {"I1": "wallet of ann (coins): entry 3", "I9": "wallet of ann, record"},
    ),
    "earnings changed": (
        sql(
            "UPDATE entries SET amount = amount + 1, balance_after = balance_after + 1"
            " FROM accounts WHERE id = account_id AND owner = 'cora'"
        ),
        {"I1": "pending of cora", "I9": "pending of cora"},
    ),
    "a balance changed": (
        sql("UPDATE balances SET balance = balance + 1 FROM accounts WHERE id = account_id AND owner = 'cora'"),
        {"I1": "pending of cora (diamonds): the balance is 251", "I10": "pending of cora"},
    ),
    "a record's amount changed": (
        sql("UPDATE journal_records SET coins = 6, commission_diamonds = 350 WHERE creator = 'cora'"),
        {"I9": "wallet of ann, record"},
    ),
    "a record's content changed": (
        sql("UPDATE journal_records SET item = 'lion' WHERE creator = 'cora'"),
        {"I9": "of ann: journal and books differ"},
    ),
    "a record gone": (
        sql("DELETE FROM journal_records WHERE viewer = 'ann' AND creator = 'c1' AND coins = 10"),
        {"I9": "which is not there"},
    ),
    "a position ahead": (sql("UPDATE positions SET seq = seq + 1 WHERE partition = 0"), {"I9": "the position is"}),
    "a day changed": (
        sql("UPDATE creator_days SET gifts = gifts + 1 WHERE creator = 'cora'"),
        {"I1": "creator cora: days say"},
    ),
    "a day's earnings changed": (
        sql("UPDATE creator_days SET earned = earned + 1 WHERE creator = 'cora'"),
        {"I1": "creator cora: days say", "I10": "pending of cora"},
    ),
    "the same gift again": (
        sql(
            "ALTER TABLE journal_records DROP CONSTRAINT journal_records_pkey; DROP INDEX journal_records_v1_id;"
            "INSERT INTO journal_records SELECT * FROM journal_records WHERE creator = 'cora'"
        ),
        {"I3": "of ann has 2 records"},
    ),
}


@pytest.mark.parametrize("fault", LIVE_FAULTS)
async def test_fault_in_the_live_ledger_is_named(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, fault: str
) -> None:
    """Invariant, account and record of a fault planted in Valkey are in the report."""
    await _plant_and_see(ledger, pool, redis, config, *LIVE_FAULTS[fault])


@pytest.mark.parametrize("fault", BOOK_FAULTS)
async def test_fault_in_the_books_is_named(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, fault: str
) -> None:
    """Invariant, account and record of a fault planted in PostgreSQL are in the report."""
    await _plant_and_see(ledger, pool, redis, config, *BOOK_FAULTS[fault])


async def _plant_and_see(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, plant: Fault, expected: dict[str, str]
) -> None:
    await busy(ledger)
    await flush_all(pool, redis, config)
    assert broken(await audit(config)) == {}
    await plant(redis, pool, ledger.keys.of(ledger.keys.partition_of("ann")))
    found = broken(await audit(config))
    assert found
    for invariant, words in expected.items():
        assert any(words in sentence for sentence in found[invariant]), found


async def test_payouts_are_checked(ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig) -> None:
    """Withdrawals in every state hold; a state, a hold or a payout that was changed by hand does not (I10)."""
    config = msgspec.structs.replace(config, maturing_days=0, payout_min_minor=1)
    office = await open_office(config, ledger)
    await office.directory.put_creator(CreatorId("cora"), name="Cora")
    await ledger.credit(grant("ann", 10_000))
    await ledger.give(gift_order("ann", 9_000, creator="cora"))
    await flush_all(pool, redis, config)
    await office.maturing.round(datetime.date(2100, 1, 1))
    method = new_id(now_ms())
    await office.payouts.add_method(method, "cora", "bank", "my bank", b"")
    paths = [[], ["review"], ["review", "approved", "sent", "paid"], ["rejected"]]
    for path in paths:
        order = WithdrawalOrder(new_id(now_ms()), CreatorId("cora"), method, 50_000)
        assert isinstance(await office.payouts.request(order), Withdrawal)
        for state in path:
            await office.payouts.step(order.id, PayoutState(state), by="olga")
    report = await audit(config)
    assert broken(report) == {}
    assert report.units["diamonds"]["payout_hold"] == 100_000
    await pool.execute("UPDATE withdrawals SET state = 'paid' WHERE state = 'review'")
    words = " ".join(broken(await audit(config))["I10"])
    for expected in ("payout hold of cora", "paid out to cora", "redeemed", "its steps end at review"):
        assert expected in words
    await office.close()


async def test_progress_is_told(ledger: Ledger, config: LedgerConfig) -> None:
    """Every step once, in order: the partitions, then the checks of the books."""
    told: list[Step] = []
    await audit(config, told.append)
    assert [step.done for step in told] == list(range(told[0].steps))
    assert [step.words for step in told[:2]] == ["partition 0", "partition 1"]
    assert all(step.words.startswith("the books: ") for step in told[2:])


async def test_violations_are_bounded(ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig) -> None:
    """A hundred of an invariant are named, the rest is counted."""
    for number in range(120):
        await ledger.credit(grant(f"viewer-{number}", 1))
    await flush_all(pool, redis, config)
    await pool.execute("UPDATE journal_records SET wallet_after = 2")
    violations = broken(await audit(config))["I9"]
    assert len(violations) == 101
    assert violations[-1].startswith("and ")


@pytest.mark.parametrize("setting", ["partitions", "id_bucket_ms", "id_window_ms"])
async def test_other_layout_is_no_verdict(ledger: Ledger, config: LedgerConfig, setting: str) -> None:
    """With settings under which nothing was stored, money would be passed over, or ids looked for elsewhere."""
    await busy(ledger)
    for value in (1, 2 * getattr(config, setting)):
        with pytest.raises(WrongDeployment, match=f"{setting} = {getattr(config, setting)}"):
            await audit(msgspec.structs.replace(config, **{setting: value}))


async def test_other_layout_of_the_books_is_no_verdict(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """Where the live ledger is lost, too, partitions of the books are not passed over."""
    await busy(ledger)
    await flush_all(pool, redis, config)
    await redis.flushall()
    with pytest.raises(WrongDeployment, match="the books have partition 1"):
        await audit(msgspec.structs.replace(config, partitions=1))
    assert "the live ledger ends at record 0" in str(broken(await audit(config))["I4"])


async def test_absent_server_is_no_verdict(config: LedgerConfig) -> None:
    """Without one of the servers there is an error, not a report."""
    for lost in ({"redis_url": "unix:///nowhere"}, {"database_url": "postgresql://giftwire@/x?host=/nowhere"}):
        with pytest.raises(LedgerUnavailable):
            await audit(msgspec.structs.replace(config, **lost))
