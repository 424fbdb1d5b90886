"""PostgreSQL away: gifts go on up to the bound, then are refused, and in the end the books have all of them."""

from pathlib import Path
from typing import Any

from ledger.audits.audit import audit
from ledger.books.migrate import migrate
from ledger.books.postgres import open_pool
from ledger.config import LedgerConfig
from ledger.live.redis_client import connect
from ledger.model import GiftAccepted, GiftRefused, Refusal
from ledger.service import open_ledger
from tests.integration.ledger.orders import gift_order, grant
from tests.integration.ledger_postgres.flushing import flushing, until
from tests.servers import running_postgres

RECORDS_MAX = 50


async def test_gifts_while_the_books_are_away(tmp_path: Path, valkey_url: str) -> None:
    """So many records as the bound are taken; once back, the books hold each accepted gift, and gifts go on."""
    with running_postgres(tmp_path) as postgres:
        await migrate(postgres.url())
        config = LedgerConfig(
            redis_url=valkey_url,
            database_url=postgres.url(),
            partitions=1,
            journal_records_max=RECORDS_MAX,
            flush_interval_ms=1,
            flush_retry_ms_max=50,
            trim_interval_ms=1,
        )
        pool, redis, ledger = await open_pool(config), connect(config), open_ledger(config)
        await ledger.start()
        live: Any = redis
        async with flushing(pool, redis, config):
            await ledger.credit(grant("ann", 1_000))
            (name,) = [names.totals for _, names in ledger.keys.all()]

            async def flushed(records: int) -> bool:
                return int(await live.hget(name, "flushed") or 0) == records

            await until(lambda: flushed(1))
            postgres.stop()
            outcomes = [await ledger.give(gift_order("ann", 1)) for _ in range(RECORDS_MAX + 5)]
            accepted = [isinstance(outcome, GiftAccepted) for outcome in outcomes]
            assert accepted == [True] * RECORDS_MAX + [False] * 5
            refused = [one.refusal for one in outcomes if isinstance(one, GiftRefused)]
            assert refused == [Refusal.OVERLOADED] * 5
            assert await ledger.balance("ann") == 1_000 - RECORDS_MAX
            postgres.start()
            await until(lambda: flushed(1 + RECORDS_MAX))
            assert isinstance(await ledger.give(gift_order("ann", 1)), GiftAccepted)
            await until(lambda: flushed(2 + RECORDS_MAX))
        spent = await pool.fetchval("SELECT sum(coins) FROM journal_records WHERE kind = 'gift'")
        assert spent == RECORDS_MAX + 1
        report = await audit(config)
        assert report.ok, [one.violations for one in report.invariants]
        await ledger.stop()
        await redis.aclose()
        await pool.close()
