"""One refund that is heard of in two ways: an operator orders it, and the purchase's provider tells of its money.

Its coins are taken once, whatever comes first; where that cannot be told, nothing moves and somebody is asked.
"""

import asyncio

import pytest

from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.rails.sandbox import SandboxRail
from ledger.refunds.refunds import RefundKind
from ledger.service import Ledger
from tests.integration.ledger_money.refund_world import RefundWorld

# 100 + 20 coins for 129 minor units: 43 of them stand for 40 coins, 86 for 80.
TABLES = {
    "ordered, then told": """
        buy A 100+20              | 120
        refund r A 40             | taken 40, 80
        refunded e A 43           | no_change, 80
        refunded e A 43           | duplicate, 80
    """,
    "told, then ordered": """
        buy A 100+20              | 120
        refunded e A 43           | applied, 80
        refund r A 40             | refused, left 80
        refund s A 80             | refused, left 80
    """,
    "ordered in parts, told in other parts": """
        buy A 100+20              | 120
        refund r A 30             | taken 30, 90
        refunded e A 43           | applied, 80
        refund s A 10             | refused, left 80
        refunded f A 86           | applied, 0
    """,
    "ordered twice, then told twice": """
        buy A 100+20              | 120
        refund r A 40             | taken 40, 80
        refund s A 40             | taken 40, 40
        refunded e A 43           | no_change, 40
        refunded f A 43           | no_change, 40
        refunded g A 43           | applied, 0
    """,
    "ordered, told, ordered, told": """
        buy A 100+20              | 120
        refund r A 40             | taken 40, 80
        refunded e A 43           | no_change, 80
        refund s A 40             | taken 40, 40
        refunded f A 43           | no_change, 40
    """,
    "a part ordered, then all told": """
        buy A 100+20              | 120
        refund r A 40             | taken 40, 80
        refunded e A 129          | applied, 0
        refund s A                | refused, left 0
    """,
    "a part told, then all that is left ordered": """
        buy A 100+20              | 120
        refunded e A 43           | applied, 80
        refund r A                | taken 80, 0
        refunded f A 86           | no_change, 0
        refunded g A 1            | wrong_amount, 0
    """,
    "all ordered, then told in parts": """
        buy A 100+20              | 120
        refund r A                | taken 120, 0
        refunded e A 43           | no_change, 0
        refunded f A 86           | no_change, 0
    """,
    "a dispute after a refund": """
        buy A 100+20              | 120
        refund r A 40             | taken 40, 80
        refunded e A 43           | no_change, 80
        charged_back f A 86       | applied, 0
    """,
    "a dispute of all after a refund": """
        buy A 100+20              | 120
        refund r A 40             | taken 40, 80
        refunded e A 43           | no_change, 80
        charged_back f A 129      | wrong_amount, 80
    """,
    "a dispute that comes before the word of the refund": """
        buy A 100+20              | 120
        refund r A 40             | taken 40, 80
        charged_back e A 43       | no_change, 80
        refunded f A 43           | applied, 40
    """,
    "money that goes another way": """
        buy A 100+20              | 120
        refunded e A 43           | applied, 80
        refund-otherwise r A 40   | taken 40, 40
        refunded f A 43           | applied, 0
    """,
    "money that goes another way first": """
        buy A 100+20              | 120
        refund-otherwise r A 40   | taken 40, 80
        refunded e A 43           | applied, 40
    """,
    "both ways together more than was paid": """
        buy A 100+20              | 120
        refund-otherwise r A 40   | taken 40, 80
        refunded e A 129          | wrong_amount, 80
        refund s A                | taken 80, 0
    """,
    "an order whose money did not go is none": """
        buy A 100+20              | 120
        refund r A 40             | taken 40, 80
        settle                    | 80
        reinstate r               | 80
        settle                    | 120
        refunded e A 43           | applied, 80
        refunded f A 86           | wrong_amount, 80
    """,
    "what its provider took back is no word": """
        buy A 100+20              | 120
        charged_back e A 43       | applied, 80
        settle                    | 80
        reinstated f A e 43       | applied, 80
        settle                    | 120
        refund r A 40             | taken 40, 80
        refunded g A 43           | no_change, 80
    """,
    "before the payment is heard of": """
        begin A 100+20            | pending
        refund r A 40             | owed 40, 0
        refunded e A 43           | applied, 80
    """,
}


@pytest.mark.parametrize("name", TABLES)
async def test_refund_that_is_heard_of_in_two_ways(
    config: LedgerConfig, ledger: Ledger, rail: SandboxRail, pool: Pool, name: str
) -> None:
    """Never more coins are taken than the money stands for that came back."""
    world = await RefundWorld.under({}, config, ledger, rail, pool)
    await world.play(TABLES[name])
    await world.settle()
    await world.assert_audit_holds()
    await world.office.close()


async def test_ordered_and_told_at_the_same_moment(
    config: LedgerConfig, ledger: Ledger, rail: SandboxRail, pool: Pool
) -> None:
    """Whoever is first, the second takes nothing."""
    world = await RefundWorld.under({}, config, ledger, rail, pool)
    for number in range(8):
        await world.do(["buy", f"p{number}", "100+20"])
        await asyncio.gather(
            world.refund(f"r{number}", f"p{number}", 40, RefundKind.REFUND),
            world.do(["refunded", f"e{number}", f"p{number}", "43"]),
        )
    assert await ledger.balance("ann") == 8 * 80
    await world.settle()
    await world.assert_audit_holds()
    await world.office.close()
