"""What is left of gifts when their parts are rounded down, on real servers: posted apart, taken back, and never lost.

Every expectation is worked out by hand, or by fractions that know nothing of the ledger.
"""

import math
from collections import Counter
from collections.abc import AsyncIterator
from fractions import Fraction
from typing import Any, Final

import msgspec
import pytest

from ledger.accounts import AccountKind
from ledger.audits.audit import audit
from ledger.audits.rolling_audit import RollingAudit
from ledger.books.postgres import Pool
from ledger.books.terms import EventTerms, PlanTerms
from ledger.config import LedgerConfig
from ledger.ids import new_id
from ledger.invariants import Invariant
from ledger.live.keys import Total
from ledger.mending.repair import repair
from ledger.model import GiftAccepted, GiftOrder, ViewerId
from ledger.office import Office
from ledger.purchases.grants import GrantOrder
from ledger.rails.sandbox import SandboxRail
from ledger.service import Ledger
from tests.integration.ledger.orders import gift_order, now_ms
from tests.integration.ledger_money.money import Money
from tests.integration.ledger_money.refund_world import RefundWorld
from tests.integration.ledger_postgres.repairing import NoRooms

AGENCY_BP: Final = 1_250
_KINDS: Final = ("commission", "residue", "commission_returned", "residue_returned", "discount")
_TABLES: Final = """
SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN ('schema_migrations', 'volumes')
"""
_ENTRIES: Final = """
SELECT kind, owner, a.partition, number, seq, amount, balance_after FROM entries JOIN accounts a ON a.id = account_id
ORDER BY kind, owner, a.partition, number
"""


async def by_terms(office: Office, viewer: str, coins: int, item: str) -> GiftOrder:
    """A gift as a gateway orders it at the place `room:demo`."""
    place = await office.directory.place("room:demo")
    assert place is not None
    parts = place.terms.parts(coins, place.place, item, now_ms())
    return msgspec.structs.replace(
        gift_order(viewer, coins),
        item=item,
        creator_diamonds=parts.creator_diamonds,
        commission_diamonds=parts.commission_diamonds,
        plan=parts.terms,
        agency=place.terms.agency if parts.agency_diamonds else "",
        agency_diamonds=parts.agency_diamonds,
    )


async def audits_hold(ledger: Ledger, pool: Pool, config: LedgerConfig) -> None:
    """The audit on demand and a round of the one that never ends find nothing."""
    report = await audit(config)
    assert report.ok, [result.violations for result in report.invariants if not result.ok]
    restless = msgspec.structs.replace(config, audit_share_permille=1_000)
    assert await RollingAudit(pool, ledger.redis, restless).round() == {}


async def live_total(ledger: Ledger, total: Total) -> int:
    """What all partitions of the live ledger have together."""
    redis: Any = ledger.redis
    return sum([int(await redis.hget(keys.totals, total) or 0) for _, keys in ledger.keys.all()])


async def test_gifts_of_a_plan_by_arithmetic(
    office: Office, ledger: Ledger, money: Money, pool: Pool, config: LedgerConfig
) -> None:
    """Creator, agency and commission are their true shares without the fractions, and the residue is all the rest."""
    rates = {"rose": 3_333, "cake": 1, "bun": 9_999, "heart": 5_000, "star": 4_250, "sun": 101}
    evening = EventTerms(0, 2**53 - 1, 777, items=("night",))
    await office.plans.put("gold", PlanTerms(4_000, AGENCY_BP, rates, (evening,)), "olga")
    await office.directory.put_creator("cora", name="Cora", plan="gold", agency="stars")
    await office.directory.put_place("room:demo", creator="cora")
    wanted: Counter[str] = Counter()
    for viewer in ("ann", "bob", "cem"):
        await office.grants.grant(GrantOrder(new_id(now_ms()), ViewerId(viewer), 10_000, "test", "olga"))
        for item, rate in {**rates, "night": 777}.items():
            for coins in (1, 2, 3, 7, 99, 100):
                order = await by_terms(office, viewer, coins, item)
                assert isinstance(await ledger.give(order), GiftAccepted)
                whole = coins * 100
                creator = math.floor(Fraction(whole * (10_000 - rate), 10_000))
                commission = math.floor(Fraction(whole * rate, 10_000))
                agency = min(commission, math.floor(Fraction(whole * AGENCY_BP, 10_000)))
                wanted.update(pending=creator, agency=agency, commission=commission - agency)
                wanted.update(residue=whole - creator - commission, issuance=-whole)
    await money.flush()
    owners = {"pending": "cora", "agency": "stars"}
    assert {kind: await money.balance(kind, owners.get(kind, "")) for kind in wanted} == wanted
    assert wanted["residue"] > 0
    # What the live ledger calls commission is the platform's with the agency's, and with the residue.
    others = wanted["commission"] + wanted["agency"] + wanted["residue"]
    assert await live_total(ledger, Total.COMMISSION) == others
    assert await live_total(ledger, Total.EARNED) == wanted["pending"]
    kept = {row["plan"] for row in await pool.fetch("SELECT DISTINCT plan FROM journal_records WHERE kind = 'gift'")}
    assert kept == {"gold@1", *(f"gold@1:{rate}" for rate in (3_333, 1, 9_999, 4_250, 101, 777))}
    await money.assert_books_sum_to_zero()
    await audits_hold(ledger, pool, config)


async def test_gifts_of_whole_percents_leave_nothing(office: Office, ledger: Ledger, money: Money, pool: Pool) -> None:
    """There is not even such an account."""
    await money.earn("cora", 100)
    assert await pool.fetchval("SELECT count(*) FROM accounts WHERE kind = 'residue'") == 0


async def test_rates_of_creator_and_deployment_stay_with_the_record(
    office: Office, ledger: Ledger, money: Money, pool: Pool, config: LedgerConfig
) -> None:
    """Neither is in a plan's version, and both may change: what a gift left is known all the same."""
    await office.grants.grant(GrantOrder(new_id(now_ms()), ViewerId("ann"), 10, "test", "olga"))
    for rate in (3_333, 6_667, 5_000):
        await office.directory.put_creator("cora", name="Cora", commission_bp=rate)
        await office.directory.put_place("room:demo", creator="cora")
        assert isinstance(await ledger.give(await by_terms(office, "ann", 1, "rose")), GiftAccepted)
    await money.flush()
    rows = await pool.fetch("SELECT plan, creator_diamonds FROM journal_records WHERE kind = 'gift' ORDER BY seq")
    assert [tuple(row) for row in rows] == [(":3333", 66), (":6667", 33), (None, 50)]
    assert await money.balance("residue") == 2
    await audits_hold(ledger, pool, config)


async def test_records_from_before_keep_their_commission(
    office: Office, ledger: Ledger, money: Money, pool: Pool, config: LedgerConfig
) -> None:
    """Terms that say no rate are of older gateways: all that is not the creator's is the commission, as it was."""
    await office.grants.grant(GrantOrder(new_id(now_ms()), ViewerId("ann"), 10, "test", "olga"))
    old = msgspec.structs.replace(gift_order("ann", 1, commission_bp=3_333), plan="gold@2")
    await ledger.give(old)
    await ledger.give(gift_order("ann", 1, commission_bp=3_333))
    await money.flush()
    assert await money.balance("commission") == 34 + 33
    assert await money.balance("residue") == 1
    await audits_hold(ledger, pool, config)


# table, settings, refunds at the end, what accounts hold at the end in the order of _KINDS
LIVES: Final[dict[str, tuple[str, dict[str, object], list[str], tuple[int, ...]]]] = {
    "a gift that may be undone leaves it when it is paid": (
        """
        grant 20                | 20
        dear g cora 3 3333      | 17
        dear h cora 4 3333      | 13
        undo g                  | 16
        later                   | 16
        """,
        {},
        [],
        (133, 1, 0, 0, 0),
    ),
    "bonus coins are worth a half: the residue is of the gift, and not of what the creator has less": (
        """
        buy A 2+1               | 3
        gift cora 3 3333        | 0
        """,
        {"bonus_worth_bp": 5_000},
        [],
        (99, 1, 0, 0, 33),
    ),
    "a charge-back of everything takes it back whole": (
        """
        buy A 10                | 10
        gift cora 3 3333        | 7
        gift cora 4 3333        | 3
        gift carl 3             | 0
        chargeback r A          | taken 10, -10
        """,
        {},
        ["chargeback settled 10 10 10 616 384 0"],
        (99 + 133 + 150, 2, -382, -2, 0),
    ),
    "in parts: the last coin of the gift brings it back": (
        """
        buy A 3                 | 3
        gift cora 3 3333        | 0
        chargeback r A 1        | taken 1, -1
        settle                  | -1
        chargeback s A 1        | taken 1, -2
        settle                  | -2
        chargeback t A 1        | taken 1, -3
        """,
        {},
        [f"chargeback settled 1 {words}" for words in ("1 1 67 33 0", "1 1 67 33 0", "1 1 66 34 0")],
        (99, 1, -99, -1, 0),
    ),
    "a part without the last coin leaves it": (
        """
        buy A 1                 | 1
        buy B 2                 | 3
        gift cora 3 3333        | 0
        chargeback r A          | taken 1, -1
        """,
        {},
        ["chargeback settled 1 1 1 66 34 0"],
        (99, 1, -34, 0, 0),
    ),
    "where the commission was nothing else": (
        """
        buy A 2                 | 2
        gift cora 2 1           | 0
        chargeback r A 1        | taken 1, -1
        settle                  | -1
        chargeback s A 1        | taken 1, -2
        """,
        {},
        ["chargeback settled 1 1 1 100 0 0", "chargeback settled 1 1 1 99 1 0"],
        (0, 1, 0, -1, 0),
    ),
    "where the creator gives nothing back the platform keeps commission and residue": (
        """
        buy A 3                 | 3
        gift cora 3 3333        | 0
        refund r A              | taken 3, 0
        """,
        {},
        ["refund settled 3 0 3 0 0 200"],
        (99, 1, 0, 0, 0),
    ),
    "a dispute that is won brings it back": (
        """
        buy A 10                | 10
        gift cora 3 3333        | 7
        gift carl 4 9999        | 3
        charged_back e A 129    | applied, -7
        settle                  | -7
        reinstated w A e 129    | applied, -7
        settle                  | 3
        settle                  | 3
        """,
        {},
        ["chargeback settled 10 10 7 200 500 0"],
        (99 + 399, 2, 0, 0, 0),
    ),
}


@pytest.mark.parametrize("name", LIVES)
async def test_lives_by_table(name: str, config: LedgerConfig, ledger: Ledger, rail: SandboxRail, pool: Pool) -> None:
    """Whatever becomes of a gift, its parts sum to it, and to what is taken back of it."""
    table, settings, refunds, accounts = LIVES[name]
    world = await RefundWorld.under(settings, config, ledger, rail, pool)
    await world.play(table)
    await world.settle()
    assert await world.refunds() == refunds
    assert tuple([await world.money.balance(kind) for kind in _KINDS]) == accounts
    await world.assert_audit_holds()
    await audits_hold(ledger, pool, world.money.config)
    await world.office.close()


async def test_books_written_again_are_the_same(world: RefundWorld, pool: Pool) -> None:
    """From the journal alone, and a live ledger from the books alone."""
    await world.play("grant 50 | 50\ngift cora 3 3333 | 47\ndear g cora 4 3333 | 43\ngift carl 7 | 36\nlater | 36")
    await world.money.flush()
    before = [tuple(row) for row in await pool.fetch(_ENTRIES)]
    names = ", ".join(row["tablename"] for row in await pool.fetch(_TABLES))
    await pool.execute(f"TRUNCATE {names} RESTART IDENTITY CASCADE")
    await pool.execute("INSERT INTO positions (partition) VALUES (-1)")
    await world.money.flush()
    assert [tuple(row) for row in await pool.fetch(_ENTRIES)] == before
    assert await world.money.balance("residue") == 2
    redis, config = world.ledger.redis, world.money.config
    totals = [await live_total(world.ledger, total) for total in (Total.SPENT, Total.EARNED, Total.COMMISSION)]
    await redis.flushall()
    assert (await repair(config, NoRooms(redis, config))).violations == []
    assert [await live_total(world.ledger, total) for total in (Total.SPENT, Total.EARNED, Total.COMMISSION)] == totals
    await world.play("gift cora 1 3333 | 35")
    await world.money.flush()
    assert await world.money.balance("residue") == 3
    await audits_hold(world.ledger, pool, config)


async def test_residue_as_it_was(world: RefundWorld) -> None:
    """The account can be read as of any time, as every other."""
    partition = world.ledger.keys.partition_of("ann")
    await world.play("grant 50 | 50\ngift cora 3 3333 | 47")
    await world.money.flush()
    at_ms = await world.ledger.now_ms()
    await world.play("later | 47\ngift cora 3 3333 | 44")
    await world.money.flush()
    accounts = world.office.accounts
    now = await accounts.at(AccountKind.RESIDUE, "", at_ms + 3_600_000, partition=partition, limit=10)
    then = await accounts.at(AccountKind.RESIDUE, "", at_ms, partition=partition, limit=10)
    assert (now.balance, [entry.balance_after for entry in now.entries]) == (2, [2, 1])
    assert (then.balance, [entry.balance_after for entry in then.entries]) == (1, [1])


_MOVE: Final = """
WITH of_residue AS (
    SELECT e.* FROM entries e JOIN accounts a ON a.id = e.account_id WHERE a.kind = 'residue'
), to_commission AS (
    UPDATE entries SET amount = entries.amount + o.amount, balance_after = entries.balance_after + o.amount
    FROM of_residue o, accounts a
    WHERE a.id = entries.account_id AND a.kind = '{kind}' AND entries.partition = o.partition AND entries.seq = o.seq
    RETURNING 1
)
DELETE FROM entries USING of_residue o WHERE entries.account_id = o.account_id AND entries.number = o.number
"""
_DROP: Final = "ALTER TABLE journal_records DROP CONSTRAINT journal_records_rates;"
TAMPERED: Final = {
    "it is in the commission": (_MOVE.format(kind="commission"), "I1", "gifts left 1"),
    "it is the creator's": (
        f"{_DROP} UPDATE journal_records SET creator_diamonds = creator_diamonds + 1,"  # noqa: S608 - texts of ours
        " commission_diamonds = commission_diamonds - 1 WHERE kind = 'gift';",
        "I1",
        "3 coins became 201 and 99 diamonds by :3333",
    ),
    "a record of another rate": (
        f"{_DROP} UPDATE journal_records SET plan = ':3366' WHERE kind = 'gift'",  # noqa: S608 - texts of ours
        "I1",
        "3 coins became 200 and 100 diamonds by :3366",
    ),
    "a record of no rate": ("UPDATE journal_records SET plan = NULL WHERE kind = 'gift'", "I1", "gifts left 0"),
}


@pytest.mark.parametrize("name", TAMPERED)
async def test_audits_see_a_residue_that_is_elsewhere(name: str, world: RefundWorld, pool: Pool) -> None:
    """Both audits find it, and the one on demand says where."""
    statements, invariant, words = TAMPERED[name]
    await world.play("grant 50 | 50\ngift cora 3 3333 | 47")
    await world.money.flush()
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(statements)
    report = await audit(world.money.config)
    found = {result.id: result.violations for result in report.invariants}
    assert any(words in violation for violation in found[invariant]), found
    restless = msgspec.structs.replace(world.money.config, audit_share_permille=1_000)
    rolling = await RollingAudit(pool, world.ledger.redis, restless).round()
    assert rolling.get(Invariant(invariant)), rolling


async def test_audit_sees_a_residue_that_was_not_taken_back(world: RefundWorld, pool: Pool) -> None:
    """Shares of a refund that say another residue than the records of the books moved."""
    await world.play("buy A 3 | 3\ngift cora 3 3333 | 0\nchargeback r A | taken 3, -3\nsettle | -3")
    await pool.execute("UPDATE refund_shares SET residue_diamonds = 0")
    report = await audit(world.money.config)
    found = [words for result in report.invariants for words in result.violations]
    assert any("of it residue: 0 and 1" in words for words in found), found


@pytest.fixture
async def world(config: LedgerConfig, ledger: Ledger, rail: SandboxRail, pool: Pool) -> AsyncIterator[RefundWorld]:
    """One viewer, and an office with the defaults."""
    made = await RefundWorld.under({}, config, ledger, rail, pool)
    yield made
    await made.office.close()
