"""kill -9 of Valkey while gifts are in flight: what was accepted is still there, and nothing is paid twice."""

import asyncio
from pathlib import Path

from ledger.config import LedgerConfig
from ledger.journal import JournalReader
from ledger.model import GiftAccepted, GiftBody
from ledger.service import open_ledger
from tests.integration.ledger.orders import gift_order, grant
from tests.servers import running_valkey


async def test_kill_under_load_keeps_every_accepted_gift(tmp_path: Path) -> None:
    """Each accepted gift has exactly one record after the restart, and the wallet is what arithmetic says."""
    with running_valkey(tmp_path) as valkey:
        ledger = open_ledger(LedgerConfig(redis_url=valkey.url, partitions=2, batch_gifts_max=8, retry_ms_max=10_000))
        await ledger.start()
        await ledger.credit(grant("ann", 100_000))
        orders = [gift_order("ann", 1 + n % 7) for n in range(2_000)]
        given = [asyncio.create_task(ledger.give(order)) for order in orders]
        await asyncio.wait(given[:200], return_when=asyncio.ALL_COMPLETED)
        valkey.kill()
        valkey.start()
        outcomes = await asyncio.gather(*given)
        assert all(isinstance(outcome, GiftAccepted) for outcome in outcomes)
        assert ledger.batcher.stats.retries > 0
        reader = JournalReader(ledger.redis, ledger.keys, [p for p, _ in ledger.keys.all()], {})
        records = (await reader.read(block_ms=None, entries_max=10_000)).records
        ids = [record.body.id for record in records if isinstance(record.body, GiftBody)]
        assert sorted(ids) == sorted(order.id for order in orders)
        assert await ledger.balance("ann") == 100_000 - sum(order.coins for order in orders)
        await ledger.stop()
