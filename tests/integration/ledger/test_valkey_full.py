"""A Valkey that may use no more memory: nothing is half done, and what was paid before is still known."""

import asyncio
from pathlib import Path

from ledger.config import LedgerConfig
from ledger.ids import new_id
from ledger.live.journal import JournalReader
from ledger.model import (
    Bound,
    BoundReached,
    CreditAccepted,
    CreditRefused,
    GiftAccepted,
    GiftBody,
    GiftRefused,
    HoldOrder,
    Refusal,
    ViewerId,
)
from ledger.service import open_ledger
from tests.integration.ledger.orders import gift_order, grant, now_ms
from tests.servers import running_valkey

STEP_BYTES = 2_000


async def test_full_valkey_does_nothing_by_halves(tmp_path: Path) -> None:
    """Wherever the bound lies, a gift is paid wholly or not at all, and who is refused is told that it cost nothing."""
    with running_valkey(tmp_path) as valkey:
        ledger = open_ledger(LedgerConfig(redis_url=valkey.url, partitions=2))
        await ledger.start()
        await ledger.credit(grant("ann", 1_000))
        before, late, owed = gift_order("ann", 5, combo=True), gift_order("ann", 5), grant("ann", 7)
        assert isinstance(await ledger.give(before), GiftAccepted)
        await ledger.redis.config_set("maxmemory", "1mb")
        held = HoldOrder(new_id(now_ms()), ViewerId("ann"), 5, 60_000, "order")
        full = GiftRefused(Refusal.OVERLOADED, bound=BoundReached(Bound.MEMORY, 1 << 20))
        assert await ledger.give(late) == full
        assert await ledger.hold(held) == full
        assert await ledger.credit(owed) == CreditRefused(Refusal.UNKNOWN)
        replay = await ledger.give(before)
        assert isinstance(replay, GiftAccepted) and replay.replay
        accepted = refused = 0
        for step in range(100):
            used_bytes = (await ledger.redis.info("memory"))["used_memory"]
            memory_max = used_bytes + step * STEP_BYTES
            await ledger.redis.config_set("maxmemory", str(memory_max))
            outcomes = await asyncio.gather(*(ledger.give(gift_order("ann", 1, combo=True)) for _ in range(3)))
            accepted += sum(isinstance(outcome, GiftAccepted) for outcome in outcomes)
            full = GiftRefused(Refusal.OVERLOADED, bound=BoundReached(Bound.MEMORY, memory_max))
            refused += outcomes.count(full)
        assert accepted + refused == 300
        await ledger.redis.config_set("maxmemory", "0")
        assert await ledger.credit(owed) == CreditAccepted(1_002 - accepted, replay=False)
        assert isinstance(await ledger.give(late), GiftAccepted)
        assert await ledger.balance("ann") == 997 - accepted
        assert ledger.batcher.stats.full == refused + 1
        reader = JournalReader(ledger.redis, ledger.keys, [p for p, _ in ledger.keys.all()], {})
        records = (await reader.read(block_ms=None, entries_max=10_000)).records
        assert sum(isinstance(record.body, GiftBody) for record in records) == accepted + 2
        await ledger.stop()
