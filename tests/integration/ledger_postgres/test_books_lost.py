"""PostgreSQL lost with its disk, and a journal that still has every record: the books come back by themselves."""

import asyncio
import random
from typing import Any

import msgspec

from ledger.audits.audit import audit
from ledger.books.copy_rows import RECORD_COLUMNS
from ledger.books.migrate import migrate
from ledger.books.postgres import Pool, open_pool
from ledger.config import LedgerConfig
from ledger.model import GiftAccepted
from ledger.service import Ledger
from tests.integration.ledger.orders import gift_order, grant
from tests.integration.ledger_postgres.flushing import flush_all, unit_sums
from tests.integration.ledger_postgres.holding import hold_in_every_way
from tests.integration.ledger_postgres.undoing import give_in_every_way
from tests.servers import Postgres

VIEWERS, GIFTS, COINS = 7, 200, 1_000
OTHERS = 5 + 4 + 4 + 3
"""Records of one viewer's holds and their ends, and of gifts that may be undone and theirs."""
# When they were recorded is another time now.
_RECORDS = f"SELECT {', '.join(RECORD_COLUMNS)} FROM journal_records ORDER BY partition, seq"  # noqa: S608 - ours
_BALANCES = """
SELECT kind, owner, unit, a.partition, sum(amount)::bigint AS amount
FROM entries e JOIN accounts a ON a.id = account_id GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""


async def rows(pool: Pool, query: str) -> list[tuple[Any, ...]]:
    """What a query answers."""
    return [tuple(row) for row in await pool.fetch(query)]


async def test_empty_books_come_back_from_the_journal(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, session_postgres: Postgres
) -> None:
    """Every record and every balance is what it was, the wallets are what arithmetic says, and the audit holds."""
    dice = random.Random(11)
    viewers = [f"viewer-{n}" for n in range(VIEWERS)]
    spent = dict.fromkeys(viewers, 0)
    for viewer in viewers:
        await ledger.credit(grant(viewer, COINS))
    orders = [gift_order(dice.choice(viewers), dice.randint(1, 9), combo=bool(n % 2)) for n in range(GIFTS)]
    for order, outcome in zip(orders, await asyncio.gather(*map(ledger.give, orders)), strict=True):
        assert isinstance(outcome, GiftAccepted)
        spent[order.viewer] += order.coins
    for viewer in viewers[:2]:
        await hold_in_every_way(ledger, viewer)
        await give_in_every_way(ledger, viewer)
        # Charged and held; paid and open to be undone.
        spent[viewer] += (13 + 7) + (20 + 13 + 7)
    await flush_all(pool, redis, config)
    records, balances = await rows(pool, _RECORDS), await rows(pool, _BALANCES)

    name = session_postgres.create_database()
    fresh = msgspec.structs.replace(config, database_url=session_postgres.url(name))
    await migrate(fresh.database_url)
    again = await open_pool(fresh)
    await flush_all(again, redis, fresh)
    assert len(records) == VIEWERS + GIFTS + 2 * OTHERS
    assert await rows(again, _RECORDS) == records
    assert await rows(again, _BALANCES) == balances
    assert await unit_sums(again) == {"coins": 0, "diamonds": 0}
    wallets = {owner: amount for kind, owner, _, _, amount in balances if kind == "wallet"}
    assert wallets == {viewer: COINS - coins for viewer, coins in spent.items()}
    report = await audit(fresh)
    assert report.ok, report.invariants
    await again.close()
    session_postgres.drop_database(name)
