"""What PostgreSQL refuses by itself: the invariants that a row can show hold also against a fault of the code."""

from typing import Any

import asyncpg
import pytest

from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.model import GiftAccepted
from ledger.service import Ledger
from tests.integration.ledger.orders import gift_order, grant
from tests.integration.ledger_postgres.flushing import flush_all
from tests.integration.ledger_postgres.holding import hold_in_every_way
from tests.integration.ledger_postgres.undoing import give_in_every_way

RECORDS = "UPDATE journal_records SET"
AGAIN = """
INSERT INTO journal_records (partition, epoch, seq, at, id, kind, viewer, coins, wallet_after)
SELECT partition, epoch, {seq}, at, {id}, kind, viewer, 0, 0 FROM journal_records WHERE kind = 'grant'
"""
REFUSED = {
    "I1: a gift that creates diamonds": f"{RECORDS} creator_diamonds = creator_diamonds + 1 WHERE kind = 'gift'",
    "I1: a held gift that creates diamonds": f"{RECORDS} commission_diamonds = 1 WHERE kind = 'gift_held'",
    "I1: a settled gift that creates diamonds": f"{RECORDS} creator_diamonds = 1 WHERE kind = 'gift_settled'",
    "I1: a part of an agency above the commission": f"{RECORDS} agency = 'stars', agency_diamonds = coins * 100",
    "I1: a part of nobody": f"{RECORDS} agency_diamonds = 1 WHERE kind = 'gift'",
    "I1: more taken of a hold than it held": f"{RECORDS} taken_coins = coins + 1 WHERE kind = 'hold_ended'",
    "I1: fewer than no coins": f"{RECORDS} coins = -1 WHERE kind = 'grant'",
    "I1: more coins than stay exact": f"{RECORDS} coins = 9007199254740992 WHERE kind = 'grant'",
    "I1: an entry that moves nothing": "UPDATE entries SET amount = 0",
    "I1: a unit that is none": "UPDATE accounts SET unit = 'gold'",
    "I2: a gift that the wallet did not have": f"{RECORDS} wallet_after = -1 WHERE kind = 'gift'",
    "I2: a held gift that the wallet did not have": f"{RECORDS} wallet_after = -1 WHERE kind = 'gift_held'",
    "I2: a hold that the wallet did not have": f"{RECORDS} wallet_after = -1 WHERE kind = 'hold'",
    "I3: an id once more": AGAIN.format(seq=90, id="id"),
    "I9: a record once more": AGAIN.format(seq="seq", id="gen_random_uuid()"),
    "I9: an entry once more": "INSERT INTO entries SELECT * FROM entries",
    "I10: more withdrawn than there was": "UPDATE balances SET balance = -1 WHERE NOT may_owe",
}


async def test_database_refuses_what_contradicts(ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig) -> None:
    """Whoever writes such a row is stopped by a constraint."""
    await ledger.credit(grant("ann", 200))
    assert isinstance(await ledger.give(gift_order("ann", 1)), GiftAccepted)
    await hold_in_every_way(ledger, "ann")
    await give_in_every_way(ledger, "ann")
    await flush_all(pool, redis, config)
    for name, statement in REFUSED.items():
        try:
            done = await pool.execute(statement)
        except asyncpg.IntegrityConstraintViolationError:
            continue
        pytest.fail(f"{name}: {done}")
