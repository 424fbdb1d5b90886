"""Refunds and charge-backs on real servers, as tables worked out by hand.

A coin is 50 diamonds for its creator and 50 for the platform. After each table the audit holds.
"""

import asyncio

import msgspec
import pytest

from ledger.audits.audit import audit
from ledger.audits.rolling_audit import RollingAudit
from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.errors import IdConflict, NotFound, ValueRefused
from ledger.ids import new_id
from ledger.invariants import Invariant
from ledger.mending.repair import repair
from ledger.model import CreatorId, RefundKind
from ledger.office import Office, open_office
from ledger.payouts.payouts import WithdrawalOrder
from ledger.purchases.purchases import PurchaseState, RailOutcome
from ledger.rails.sandbox import SandboxRail
from ledger.refunds.refunds import Refund, RefundOrder, RefundState
from ledger.service import Ledger
from tests.integration.ledger.orders import now_ms
from tests.integration.ledger_money.money import Money
from tests.integration.ledger_money.refund_world import RefundWorld
from tests.integration.ledger_postgres.repairing import NoRooms

DEFAULTS: dict[str, str] = {}
# table, policies, refunds at the end, accounts at the end
TABLES = {
    "nothing spent": (
        """
        buy A 100+20        | 120
        refund r A 50       | taken 50, 70
        refund s A          | taken 70, 0
        refund t A          | refused, left 0
        refund s A          | taken 70, 0
        """,
        DEFAULTS,
        ["refund settled 50 50 0 0 0 0", "refund settled 70 70 0 0 0 0"],
        {"coins_sold": -120, "coins_reversed": 120, "pending cora": 0},
    ),
    "more than was bought": (
        """
        buy A 100           | 100
        buy B 100           | 200
        refund r A 101      | refused, left 100
        refund r A 60       | taken 60, 140
        refund s A 41       | refused, left 40
        refund s A 40       | taken 40, 100
        """,
        DEFAULTS,
        ["refund settled 60 60 0 0 0 0", "refund settled 40 40 0 0 0 0"],
        {"coins_sold": -200, "coins_reversed": 100},
    ),
    "a refund of spent coins by default takes what the wallet has, and nothing from creators": (
        """
        buy A 100           | 100
        gift cora 70        | 30
        grant 10            | 40
        refund r A          | taken 100, 0
        gift cora 1         | insufficient_coins
        """,
        DEFAULTS,
        ["refund settled 100 40 70 0 0 3500"],
        {"coins_reversed": 40, "spent": 70, "pending cora": 3500, "commission_returned": 0},
    ),
    "a charge-back by default makes a debt, and takes back what is pending": (
        """
        buy A 100           | 100
        gift cora 60        | 40
        gift carl 20        | 20
        chargeback r A      | taken 100, -80
        gift cora 1         | insufficient_coins
        buy B 50            | -30
        gift cora 1         | insufficient_coins
        buy C 50            | 20
        gift cora 5         | 15
        """,
        DEFAULTS,
        ["chargeback settled 100 100 80 4000 4000 0"],
        {"coins_reversed": 100, "spent": 85, "pending cora": 250, "pending carl": 0, "commission_returned": -4000},
    ),
    "a partial charge-back returns the last gifts": (
        """
        buy A 100           | 100
        gift cora 60        | 40
        gift carl 30        | 10
        chargeback r A 25   | taken 25, -15
        chargeback s A 30   | taken 30, -45
        """,
        DEFAULTS,
        ["chargeback settled 25 25 15 750 750 0", "chargeback settled 30 30 30 1500 1500 0"],
        {"pending cora": 60 * 50 - 15 * 50, "pending carl": 0, "commission_returned": -(15 + 30) * 50},
    ),
    "what has matured is the creator's by default": (
        """
        buy A 100           | 100
        gift cora 60        | 40
        mature              | 40
        chargeback r A      | taken 100, -60
        """,
        DEFAULTS,
        ["chargeback settled 100 100 60 0 0 3000"],
        {"pending cora": 0, "available cora": 3000, "commission_returned": 0},
    ),
    "earned: pending first, then available, never below zero": (
        """
        buy A 100           | 100
        gift cora 60        | 40
        mature              | 40
        chargeback r A      | taken 100, -60
        """,
        {"chargeback_creator": "earned"},
        ["chargeback settled 100 100 60 3000 3000 0"],
        {"available cora": 0, "commission_returned": -3000},
    ),
    "absorb: only what is left of the purchase is taken": (
        """
        buy A 100           | 100
        gift cora 70        | 30
        buy B 50            | 80
        settle              | 80
        chargeback r A      | taken 100, 50
        gift cora 50        | 0
        """,
        {"chargeback_viewer": "absorb", "chargeback_creator": "absorb"},
        ["chargeback settled 100 30 70 0 0 3500"],
        {"coins_reversed": 30, "spent": 120, "pending cora": 6000},
    ),
    "absorb: a gift that the books do not have yet was paid by the oldest coins": (
        """
        buy A 100           | 100
        buy B 50            | 150
        settle              | 150
        gift cora 90        | 60
        chargeback r A      | taken 100, 50
        """,
        {"chargeback_viewer": "absorb", "chargeback_creator": "pending"},
        ["chargeback settled 100 10 90 4500 4500 0"],
        {"coins_reversed": 10, "pending cora": 0},
    ),
    "refund by the rail in three parts: 120 coins for 129": (
        """
        buy A 100+20        | 120
        gift cora 100       | 20
        refunded e A 43     | applied, 0
        refunded e A 43     | duplicate, 0
        refunded f A 42     | applied, 0
        charged_back g A 45 | wrong_amount, 0
        charged_back h A 44 | applied, -41
        refunded i A 1      | wrong_amount, -41
        """,
        DEFAULTS,
        [
            "refund settled 40 20 20 0 0 1000",
            "refund settled 39 0 39 0 0 1950",
            "chargeback settled 41 41 41 2050 2050 0",
        ],
        {"coins_reversed": 61, "pending cora": 5000 - 2050},
    ),
    "the operator gives some back, then the bank takes all": (
        """
        buy A 100           | 100
        refund r A 30       | taken 30, 70
        charged_back e A 129 | applied, 0
        refund s A          | refused, left 0
        """,
        DEFAULTS,
        ["refund settled 30 30 0 0 0 0", "chargeback settled 70 70 0 0 0 0"],
        {"coins_reversed": 100},
    ),
    "wholly charged back before it is paid: never credited": (
        """
        begin A 100         | pending
        charged_back e A 129 | applied, 0
        pay A               | 0
        refund r A          | refused, left 0
        """,
        DEFAULTS,
        ["chargeback voided 100 None None None None None"],
        {"coins_sold": 0, "coins_reversed": 0},
    ),
    "partly refunded before its payment is heard: the rest is credited": (
        """
        begin A 100         | pending
        refunded e A 64     | applied, 51
        pay A               | 51
        gift cora 51        | 0
        """,
        DEFAULTS,
        ["refund settled 49 49 0 0 0 0"],
        {"coins_sold": -100, "coins_reversed": 49, "pending cora": 2550},
    ),
    "ordered before it is paid, in part: taken when it is credited": (
        """
        begin A 100         | pending
        refund r A 10       | owed 10, 0
        pay A               | 90
        """,
        DEFAULTS,
        ["refund settled 10 10 0 0 0 0"],
        {"coins_reversed": 10},
    ),
    "ordered before it is paid, wholly: voided when the payment is heard": (
        """
        begin A 100         | pending
        refund r A 10       | owed 10, 0
        refund s A          | owed 90, 0
        pay A               | 0
        """,
        DEFAULTS,
        ["refund voided 10 None None None None None", "refund voided 90 None None None None None"],
        {"coins_sold": 0},
    ),
    "an empty wallet gives nothing, and that is on record": (
        """
        buy A 100           | 100
        gift cora 100       | 0
        refund r A          | taken 100, 0
        grant 5             | 5
        gift cora 5         | 0
        """,
        {"refund_creator": "pending"},
        ["refund settled 100 0 100 5000 5000 0"],
        {"coins_reversed": 0, "pending cora": 250},
    ),
    "a debt does not count another refund's coins twice": (
        """
        buy A 100           | 100
        gift cora 20        | 80
        buy B 50            | 130
        gift cora 80        | 50
        gift carl 50        | 0
        chargeback r B      | taken 50, -50
        chargeback s A      | taken 100, -150
        """,
        DEFAULTS,
        ["chargeback settled 50 50 50 2500 2500 0", "chargeback settled 100 100 100 5000 5000 0"],
        {"pending cora": 0, "pending carl": 0, "coins_reversed": 150, "commission_returned": -7500},
    ),
}


@pytest.fixture
def world(office: Office, ledger: Ledger, rail: SandboxRail, money: Money, pool: Pool) -> RefundWorld:
    """With the policies that nobody has changed."""
    return RefundWorld(office, ledger, rail, money, pool)


@pytest.mark.parametrize("name", TABLES)
async def test_refunds_by_table(name: str, config: LedgerConfig, ledger: Ledger, rail: SandboxRail, pool: Pool) -> None:
    """Worked out by hand, line by line, and again from the refunds and accounts at the end."""
    table, policies, refunds, accounts = TABLES[name]
    world = await RefundWorld.under(policies, config, ledger, rail, pool)
    await world.play(table)
    await world.settle()
    assert await world.refunds() == refunds
    for account, amount in accounts.items():
        kind, _, owner = account.partition(" ")
        assert await world.money.balance(kind, owner) == amount, account
    await world.assert_audit_holds()
    before = await world.refunds()
    await world.settle()
    assert await world.refunds() == before
    await world.office.close()


async def test_creator_who_owes_pays_with_later_earnings(
    config: LedgerConfig, ledger: Ledger, rail: SandboxRail, pool: Pool
) -> None:
    """60 coins matured and half was withdrawn: 3,000 are taken of 2,000; the next 1,500 pay that first."""
    config_ = {"chargeback_creator": "owe", "payout_min_minor": 1}
    world = await RefundWorld.under(config_, config, ledger, rail, pool)
    method = await world.money.add_creator("cora")
    await world.play("buy A 100 | 100\ngift cora 60 | 40\nmature | 40")
    await withdraw(world, method.id, 1_000, "Withdrawal")
    await world.play("chargeback r A | taken 100, -60\nsettle | -60\nbuy B 100 | 40\ngift cora 30 | 10")
    assert await world.money.balance("available", "cora") == -1_000
    await withdraw(world, method.id, 100, "PayoutRefused")
    await world.assert_audit_holds()
    await world.play("mature | 10")
    assert await world.money.balance("available", "cora") == 500
    assert (await world.office.payouts.earnings("cora")).taken_back_diamonds == 3_000
    await withdraw(world, method.id, 600, "PayoutRefused")
    await withdraw(world, method.id, 500, "Withdrawal")
    await world.assert_audit_holds()
    await world.office.close()


async def withdraw(world: RefundWorld, method: bytes, diamonds: int, expected: str) -> None:
    """Ask for a withdrawal; the name of what comes back."""
    order = WithdrawalOrder(new_id(now_ms()), CreatorId("cora"), method, diamonds)
    assert type(await world.office.payouts.request(order)).__name__ == expected


async def test_refund_told_with_other_content(world: RefundWorld) -> None:
    """An id stands for one refund; what cannot be stored is refused, and nothing leaves the wallet for it."""
    await world.play("buy A 100 | 100\nbuy B 100 | 200\nrefund r A 10 | taken 10, 190")
    for purchase, coins, kind in (
        ("A", 11, RefundKind.REFUND),
        ("A", None, RefundKind.REFUND),
        ("A", 10, RefundKind.CHARGEBACK),
        ("B", 10, RefundKind.REFUND),
    ):
        with pytest.raises(IdConflict):
            await world.refund("r", purchase, coins, kind)
    with pytest.raises(NotFound):
        await world.refund("s", "unheard of", 10, RefundKind.REFUND)
    order = RefundOrder(world.id("t"), world.id("A"), 10, RefundKind.REFUND, "", "olga")
    with pytest.raises(ValueRefused):
        await world.office.refunds.refund(order)
    await world.play("settle | 190")
    assert await world.refunds() == ["refund settled 10 10 0 0 0 0"]
    await world.assert_audit_holds()


async def test_many_refunds_at_once(world: RefundWorld) -> None:
    """Twenty of 7 coins of a purchase of 100: fourteen fit, and each takes its 7 once, though each is told twice."""
    await world.play("buy A 100 | 100")
    names = [f"r{number}" for number in range(20)] * 2
    outcomes = await asyncio.gather(*(world.refund(name, "A", 7, RefundKind.REFUND) for name in names))
    taken = {outcome.id for outcome in outcomes if isinstance(outcome, Refund)}
    assert len(taken) == 14
    assert {outcome for outcome in outcomes if isinstance(outcome, int)} == {2}
    await world.settle()
    assert await world.ledger.balance("ann") == 100 - 14 * 7
    await world.assert_audit_holds()


async def test_gifts_during_refunds(world: RefundWorld) -> None:
    """Whatever comes first, every coin of 200 is given, taken or left; the debt is what was given too much."""
    await world.play("buy A 100 | 100\nbuy B 100 | 200")
    gifts = [world.do(["gift", "cora", "10"]) for _ in range(20)]
    refunds = [world.refund(f"r{number}", "A", 10, RefundKind.CHARGEBACK) for number in range(10)]
    told = [world.office.refunds.settle() for _ in range(3)]
    outcomes = await asyncio.gather(*gifts, *refunds, *told)
    given = 10 * sum(isinstance(one, str) and one != "insufficient_coins" for one in outcomes)
    await world.settle()
    assert await world.ledger.balance("ann") == 200 - given - 100
    assert await world.money.balance("coins_reversed") == 100
    lots = await world.office.lots.of_viewer("ann")
    assert sum(lot.left_coins for lot in lots.lots) - lots.debt_coins == 100 - given
    assert sum(lot.spent_coins for lot in lots.lots) == given
    await world.assert_audit_holds()


@pytest.mark.parametrize("flushed", [False, True], ids=["before the flush", "after the flush"])
async def test_refund_whose_note_was_lost(world: RefundWorld, pool: Pool, flushed: bool) -> None:
    """The wallet gave, and the process died before the row knew: the next round notes it, and takes nothing twice."""
    await world.play("buy A 100 | 100\ngift cora 30 | 70\nrefund r A 80 | taken 80, 0")
    if flushed:
        await world.money.flush()
        for _, keys in world.ledger.keys.all():
            await world.ledger.redis.delete(keys.reversals)
            await world.ledger.redis.hset(
                keys.totals, "flushed", await world.ledger.redis.hget(keys.totals, "seq") or 0
            )
    await pool.execute("UPDATE refunds SET state = 'owed', taken_coins = NULL, balance_coins = NULL")
    found = await world.refund("r", "A", 80, RefundKind.REFUND)
    assert isinstance(found, Refund)
    assert (found.state, found.taken_coins, found.balance_coins) == (RefundState.TAKEN, 70, 0)
    await world.settle()
    assert await world.refunds() == ["refund settled 80 70 10 0 0 500"]
    await world.assert_audit_holds()


async def test_refund_that_died_behind_its_row(world: RefundWorld, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row is there, nothing was taken: the duty takes it, once."""
    await world.play("buy A 100 | 100")

    async def die(_: bytes) -> None:
        raise ConnectionResetError

    monkeypatch.setattr(world.office.refunds, "take_owed", die)
    with pytest.raises(ConnectionResetError):
        await world.refund("r", "A", 40, RefundKind.REFUND)
    monkeypatch.undo()
    assert await world.ledger.balance("ann") == 100
    await asyncio.gather(*(world.office.refunds.settle() for _ in range(4)))
    assert await world.ledger.balance("ann") == 60
    await world.settle()
    assert await world.refunds() == ["refund settled 40 40 0 0 0 0"]
    await world.assert_audit_holds()


async def test_refund_that_valkey_lost(world: RefundWorld) -> None:
    """Taken, noted, and lost before the books had it: after the repair it is taken once more, and once in all."""
    await world.play("buy A 100 | 100\ngift cora 30 | 70")
    await world.money.flush()
    await world.play("chargeback r A | taken 100, -30")
    redis, config = world.ledger.redis, world.money.config
    await redis.flushall()
    assert (await repair(config, NoRooms(redis, config))).violations == []
    assert await world.ledger.balance("ann") == 70
    await world.settle()
    assert await world.refunds() == ["chargeback settled 100 100 30 1500 1500 0"]
    assert await world.ledger.balance("ann") == -30
    await world.assert_audit_holds()


async def test_repair_brings_refunds_back(world: RefundWorld, pool: Pool) -> None:
    """Wallets with their debts, what was taken in all, and the ids, so that a late call takes nothing twice."""
    await world.play("buy A 100 | 100\ngift cora 30 | 70\nchargeback r A | taken 100, -30\nsettle | -30")
    redis, config = world.ledger.redis, world.money.config
    names = world.ledger.keys.of(world.ledger.keys.partition_of("ann"))
    before = await redis.hgetall(names.totals), await redis.hgetall(names.reversals)
    await redis.flushall()
    assert (await repair(config, NoRooms(redis, config))).violations == []
    after = await redis.hgetall(names.totals), await redis.hgetall(names.reversals)
    assert await world.ledger.balance("ann") == -30
    assert after[0][b"reversed"] == before[0][b"reversed"] == b"100"
    assert after[1] == before[1]
    await world.assert_audit_holds()


async def test_settling_by_many_at_once(world: RefundWorld) -> None:
    """The books take back once, however many workers settle."""
    await world.play("buy A 100 | 100\ngift cora 100 | 0\nchargeback r A | taken 100, -100")
    await world.money.flush()
    await asyncio.gather(*(world.office.refunds.settle() for _ in range(6)))
    assert await world.money.balance("pending", "cora") == 0
    assert await world.money.balance("commission_returned") == -5_000
    assert await world.money.balance("issuance") == -5_000 - 5_000 + 10_000
    await world.assert_audit_holds()


async def test_refund_while_valkey_is_away(
    config: LedgerConfig, nowhere: Ledger, ledger: Ledger, rail: SandboxRail, pool: Pool, world: RefundWorld
) -> None:
    """It is on record, and is taken when Valkey is back."""
    await world.play("buy A 100 | 100")
    away = RefundWorld(await open_office(config, nowhere, rails=[rail]), nowhere, rail, world.money, pool)
    away.ids = world.ids
    found = await away.refund("r", "A", 30, RefundKind.REFUND)
    assert isinstance(found, Refund)
    assert (found.state, found.taken_coins) == (RefundState.OWED, None)
    await away.office.close()
    await world.play("refund r A 30 | taken 30, 70")


async def test_voided_purchase_stays_voided(world: RefundWorld) -> None:
    """No later word of the rail brings its coins."""
    await world.play("begin A 100 | pending\ncharged_back e A 129 | applied, 0")
    for outcome in (RailOutcome.PAID, RailOutcome.DECLINED, RailOutcome.EXPIRED):
        await world.hear("A", outcome, f"late-{outcome}")
    assert await world.office.purchases.settle() == 0
    stored = await world.office.purchases.get(world.id("A"))
    assert stored is not None
    assert (stored.state, stored.refunded_coins, stored.balance_coins) == (PurchaseState.VOIDED, 100, None)
    await world.assert_audit_holds()


TAMPERED = {
    "a refund larger than its purchase": (
        "ALTER TABLE purchases DROP CONSTRAINT purchases_refunded_coins;"
        "UPDATE purchases SET refunded_coins = 101; UPDATE refunds SET coins = 101, asked_coins = 101",
        "I1",
        "100 coins were bought, 101 are counted as refunded, its refunds are of 101",
    ),
    "a record larger than its purchase": (
        "UPDATE journal_records SET coins = 101 WHERE kind = 'chargeback'",
        "I1",
        "100 coins came in, reversals are of 101",
    ),
    "a refund that its purchase does not count": (
        "UPDATE purchases SET refunded_coins = 0",
        "I1",
        "0 are counted as refunded, its refunds are of 100",
    ),
    "a reversal without a refund": (
        "DELETE FROM refund_shares; DELETE FROM refunds",
        "I9",
        "there is no such refund",
    ),
    "a refund of another kind": (
        "UPDATE refunds SET kind = 'refund'",
        "I9",
        "the refund is a refund of 100 coins",
    ),
    "a refund that took other coins": (
        "UPDATE refunds SET taken_coins = 99",
        "I9",
        "and took 99",
    ),
    "a settled refund without a record": (
        "DELETE FROM refund_shares; UPDATE refunds SET id = gen_random_uuid()",
        "I9",
        "its reversal is not in the books",
    ),
    "shares that are not what was taken back": (
        "UPDATE refund_shares SET from_pending = from_pending - 1",
        "I1",
        "3000 diamonds of creators",
    ),
    "a day that counts more as taken back": (
        "UPDATE creator_days SET taken_back = taken_back - 1",
        "I1",
        "2999 diamonds are counted as taken back, refunds took 3000",
    ),
    "a reversal that was sealed": (
        "UPDATE journal_records SET taken_coins = 99 WHERE kind = 'chargeback'",
        "I9",
        "are not those that were sealed",
    ),
    "a debt that no refund made": (
        "UPDATE journal_records SET kind = 'grant' WHERE kind = 'chargeback'",
        "I2",
        "leaves -60",
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
async def test_audit_names_a_wrong_refund(name: str, world: RefundWorld, pool: Pool) -> None:
    """Each contradiction is named under its invariant, with the numbers."""
    statements, invariant, words = TAMPERED[name]
    await world.play("buy A 100 | 100\ngift cora 60 | 40\nchargeback r A | taken 100, -60\nsettle | -60")
    await world.office.seals.round()
    await pool.execute(statements)
    report = await audit(world.money.config)
    found = {result.id: result.violations for result in report.invariants}
    assert any(words in violation for violation in found[invariant]), found
    restless = msgspec.structs.replace(world.money.config, audit_share_permille=1_000)
    assert (await RollingAudit(pool, world.ledger.redis, restless).round()).get(Invariant(invariant)), found
