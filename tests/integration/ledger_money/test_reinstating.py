"""Disputes that are won and refunds that fail, as tables worked out by hand: all that was taken comes back, once.

A coin is 50 diamonds for its creator and 50 for the platform. After each table the audit holds.
"""

import asyncio

import pytest

from ledger.audits.audit import audit
from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.errors import NotFound
from ledger.ids import new_id
from ledger.office import Office
from ledger.rails.sandbox import SandboxRail
from ledger.service import Ledger
from tests.integration.ledger.orders import now_ms
from tests.integration.ledger_money.money import Money
from tests.integration.ledger_money.refund_world import RefundWorld

DEFAULTS: dict[str, str] = {}
BACK = "SELECT coins, creator_diamonds, commission_diamonds FROM reinstatements"
# table, policies, what came back: coins, then diamonds of creators and of commission; accounts at the end
TABLES = {
    "a charge-back with a debt and pending earnings": (
        """
        buy A 100            | 100
        gift cora 60         | 40
        gift carl 20         | 20
        charged_back e A 129 | applied, -80
        settle               | -80
        reinstated w A e 129 | applied, -80
        reinstated w A e 129 | duplicate, -80
        reinstated v A e 129 | no_change, -80
        settle               | 20
        settle               | 20
        gift cora 20         | 0
        """,
        DEFAULTS,
        [(100, 4_000, 4_000)],
        {
            "coins_reversed": 100,
            "coins_granted": -100,
            "pending cora": 1_000,
            "available cora": 3_000,
            "pending carl": 0,
            "available carl": 1_000,
            "commission_returned": 0,
        },
    ),
    "heard before the charge-back is through": (
        """
        buy A 100            | 100
        gift cora 60         | 40
        charged_back e A 129 | applied, -60
        reinstated w A e 129 | applied, -60
        settle               | 40
        settle               | 40
        """,
        DEFAULTS,
        [(100, 3_000, 3_000)],
        {"available cora": 3_000, "pending cora": 0, "commission_returned": 0},
    ),
    "a refund that took what the wallet had, and nothing from creators": (
        """
        buy A 100            | 100
        gift cora 70         | 30
        refunded e A 129     | applied, 0
        settle               | 0
        reinstated w A e 129 | applied, 0
        settle               | 30
        """,
        DEFAULTS,
        [(30, 0, 0)],
        {"coins_reversed": 30, "coins_granted": -30, "pending cora": 3_500, "available cora": 0},
    ),
    "one of two parts": (
        """
        buy A 100            | 100
        refunded e A 64      | applied, 51
        refunded f A 65      | applied, 0
        settle               | 0
        reinstated w A e 64  | applied, 0
        settle               | 49
        """,
        DEFAULTS,
        [(49, 0, 0)],
        {"coins_reversed": 100, "coins_granted": -49},
    ),
    "a purchase that was charged back before it was paid": (
        """
        begin A 100          | pending
        charged_back e A 129 | applied, 0
        pay A                | 0
        reinstated w A e 129 | applied, 0
        settle               | 100
        """,
        DEFAULTS,
        [(100, 0, 0)],
        {"coins_sold": 0, "coins_granted": -100},
    ),
    "what was never taken, other money, and another purchase": (
        """
        buy A 100            | 100
        buy B 100            | 200
        reinstated w A e 129 | no_change, 200
        charged_back e A 129 | applied, 100
        reinstated x A e 128 | wrong_amount, 100
        reinstated y B e 129 | no_change, 100
        settle               | 100
        """,
        DEFAULTS,
        [],
        {"coins_granted": 0, "coins_reversed": 100},
    ),
    "a debt of a creator is paid first": (
        """
        buy A 100            | 100
        gift cora 60         | 40
        mature               | 40
        charged_back e A 129 | applied, -60
        settle               | -60
        reinstated w A e 129 | applied, -60
        settle               | 40
        """,
        {"chargeback_creator": "owe"},
        [(100, 3_000, 3_000)],
        {"available cora": 3_000, "commission_returned": 0},
    ),
}


@pytest.fixture
def world(office: Office, ledger: Ledger, rail: SandboxRail, money: Money, pool: Pool) -> RefundWorld:
    """With the policies that nobody has changed."""
    return RefundWorld(office, ledger, rail, money, pool)


async def came_back(world: RefundWorld) -> list[tuple[int, ...]]:
    """Of each reinstatement: coins, diamonds of creators and of commission."""
    return [tuple(row) for row in await world.pool.fetch(BACK)]


@pytest.mark.parametrize("name", TABLES)
async def test_reinstated_by_table(
    name: str, config: LedgerConfig, ledger: Ledger, rail: SandboxRail, pool: Pool
) -> None:
    """Line by line, then what came back, then the accounts; and nothing more however often it is settled."""
    table, policies, back, accounts = TABLES[name]
    world = await RefundWorld.under(policies, config, ledger, rail, pool)
    await world.play(table)
    for _ in range(3):
        await world.settle()
        assert await came_back(world) == back
        for account, amount in accounts.items():
            kind, _, owner = account.partition(" ")
            assert await world.money.balance(kind, owner) == amount, account
    await world.assert_audit_holds()
    await world.office.close()


async def test_reinstating_by_many_at_once(world: RefundWorld) -> None:
    """However many workers settle, and however often an operator asks, it comes back once."""
    await world.play("buy A 100 | 100\ngift cora 60 | 40\nchargeback r A | taken 100, -60\nsettle | -60")
    refunds = world.office.refunds
    asked = [refunds.reinstate(world.id("r"), by="olga", reason="the bank gave in") for _ in range(4)]
    await asyncio.gather(*asked, *(refunds.settle() for _ in range(4)))
    await world.settle()
    assert await came_back(world) == [(100, 3_000, 3_000)]
    assert await world.ledger.balance("ann") == 40
    assert await world.money.balance("available", "cora") == 3_000
    found = (await refunds.reinstate(world.id("r"), by="otto", reason="again")).reinstated
    assert found is not None
    assert (found.by, found.reason, found.coins, found.creator_diamonds) == ("olga", "the bank gave in", 100, 3_000)
    assert (refunds.stats.reinstated, refunds.stats.reinstating) == (1, 0)
    assert (await world.office.payouts.earnings("cora")).taken_back_diamonds == 0
    await world.assert_audit_holds()
    with pytest.raises(NotFound):
        await refunds.reinstate(new_id(now_ms()), by="olga", reason="of nothing")


async def test_reinstating_by_who_has_a_long_name(world: RefundWorld) -> None:
    """As long as one who refunds may have: the grant takes it too, and no later one is held up."""
    await world.play("buy A 100 | 100\nchargeback r A | taken 100, 0\nsettle | 0")
    await world.office.refunds.reinstate(world.id("r"), by="o" * 300, reason="r" * 500)
    await world.play("settle | 100")
    await world.assert_audit_holds()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE reinstatements SET coins = 99",
        "UPDATE reinstatements SET creator_diamonds = 2999",
        "UPDATE credits SET coins = 99 WHERE cause = 'grant'",
        "DELETE FROM reinstatements",
    ],
)
async def test_audit_names_a_wrong_reinstatement(world: RefundWorld, pool: Pool, statement: str) -> None:
    """What came back is not what was taken, or not what the records say."""
    await world.play("buy A 100 | 100\ngift cora 60 | 40\nchargeback r A | taken 100, -60\nsettle | -60")
    await world.office.refunds.reinstate(world.id("r"), by="olga", reason="the bank gave in")
    await world.play("settle | 40\nsettle | 40")
    await pool.execute(statement)
    found = {result.id: result.violations for result in (await audit(world.money.config)).invariants}
    assert any("it is reinstated with" in violation for violation in found["I1"]), found
