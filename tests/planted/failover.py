"""The check of failovers: a primary dies, its replica is promoted under a running ledger, and nobody repairs.

Every order must be refused then, so the promoted server holds what the primary gave it and nothing else.
"""

import asyncio
from pathlib import Path
from typing import Any

from ledger.config import LedgerConfig
from ledger.live.keys import Keys
from ledger.live.redis_client import connect
from ledger.model import GiftAccepted
from ledger.service import open_ledger
from tests.integration.ledger.orders import gift_order, grant
from tests.integration.ledger_postgres.replicas import Address, all_have_it, replicas_of
from tests.servers import running_valkey


def promotion(folder: Path, database_url: str) -> list[str]:
    """Gifts and credits right after a promotion; what was taken of them."""
    return asyncio.run(_promote(folder))


async def _promote(folder: Path) -> list[str]:
    primary_folder = folder / "p"
    primary_folder.mkdir()
    with running_valkey(primary_folder) as primary:
        address = Address(folder, primary)
        config = LedgerConfig(redis_url=address.url, partitions=2, retry_ms_max=50)
        async with replicas_of(primary, folder, ("r",)) as (replica,):
            ledger = open_ledger(config)
            await ledger.start()
            await ledger.credit(grant("ann", 100))
            assert isinstance(await ledger.give(gift_order("ann", 1)), GiftAccepted)
            await all_have_it(primary, 1)
            primary.kill()
            await replica.promote()
            before = await _ends(replica.url)
            address.lead_to(replica.valkey)
            for coins in range(1, 4):
                await ledger.give(gift_order("ann", coins))
                await ledger.credit(grant("ann", coins))
            await ledger.stop()
            after = await _ends(replica.url)
    return [
        f"partition {partition}: orders were taken in the old epoch, records {was} to {now}"
        for partition, (was, now) in enumerate(zip(before, after, strict=True))
        if was != now
    ]


async def _ends(url: str) -> list[str]:
    """The last record of each partition."""
    redis: Any = connect(LedgerConfig(redis_url=url), any_server=True)
    ends = [await redis.xrevrange(keys.journal, count=1) for _, keys in Keys(2).all()]
    await redis.aclose()
    return [entry[0][0].decode() if entry else "none" for entry in ends]
