"""kill -9 of Valkey while gifts are in flight: what was accepted is still there, and nothing is paid twice.

And a machine that is lost while it writes: the end of the append-only file is cut somewhere.
"""

import asyncio
import os
from pathlib import Path

from ledger.audits.live_audit import read_live
from ledger.config import LedgerConfig
from ledger.live.journal import JournalReader
from ledger.model import GiftAccepted, GiftBody, GiftOrder
from ledger.service import open_ledger
from tests.integration.ledger.orders import gift_order, grant
from tests.servers import running_valkey


async def test_kill_under_load_keeps_every_accepted_gift(tmp_path: Path) -> None:
    """Each accepted gift has exactly one record after the restart, and the wallet is what arithmetic says."""
    with running_valkey(tmp_path) as valkey:
        config = LedgerConfig(
            redis_url=valkey.url, partitions=2, batch_gifts_max=8, batch_wait_ms_max=60_000, retry_ms_max=10_000
        )
        ledger = open_ledger(config)
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


async def test_cut_end_of_the_file_takes_whole_commits(tmp_path: Path) -> None:
    """Wherever the file is cut, wallets, stripes, ids, totals and journal are those of one moment."""
    config = LedgerConfig(redis_url=f"unix://{tmp_path}/v.sock", partitions=1)
    with running_valkey(tmp_path) as valkey:
        ledger = open_ledger(config)
        await ledger.start()
        await ledger.credit(grant("ann", 1_000))
        orders = [gift_order("ann", 1 + n % 3, combo=n % 2 == 0) for n in range(150)]
        for start in range(0, len(orders), 5):
            await asyncio.gather(*map(ledger.give, orders[start : start + 5]))
        await ledger.stop()
        seqs = set()
        for cut_bytes in (1, 100, 333, 10, 1_500, 3_000, 5_000):
            valkey.kill()
            _cut(tmp_path, cut_bytes)
            valkey.start()
            seqs.add(await _assert_one_moment(config, orders))
        assert len(seqs) > 3, "the cuts took commits away"


def _cut(folder: Path, cut_bytes: int) -> None:
    (file,) = folder.glob("appendonlydir/*.incr.aof")
    os.truncate(file, file.stat().st_size - cut_bytes)


async def _assert_one_moment(config: LedgerConfig, orders: list[GiftOrder]) -> int:
    ledger = open_ledger(config)
    ((partition, keys),) = ledger.keys.all()
    live = await read_live(ledger.redis, keys, partition, config)
    totals, gifts = live.totals, [record.body.id for record in live.records if isinstance(record.body, GiftBody)]
    assert (live.holes, live.damaged, live.forgotten) == ([], [], [])
    assert [record.seq for record in live.records] == list(range(1, totals.seq + 1))
    assert gifts == [order.id for order in orders[: len(gifts)]]
    assert totals.spent == sum(order.coins for order in orders[: len(gifts)])
    assert live.wallets["ann"].amount == totals.coins_in - totals.spent == 1_000 - totals.spent
    assert live.stripes["cora"].amount == totals.earned == 50 * totals.spent
    for order in orders[len(gifts) :]:
        assert not await ledger.redis.hexists(keys.ids(order.id_ms // config.id_bucket_ms).decode(), order.id + b"ann")
    await ledger.redis.aclose()
    return totals.seq
