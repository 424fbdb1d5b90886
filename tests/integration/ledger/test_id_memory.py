"""What the memory of gift ids rests on: the settings under which they were stored, and the server's clock."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from ledger.config import LedgerConfig
from ledger.ids import new_id
from ledger.live.journal import JournalReader
from ledger.live.keys import Total
from ledger.model import GiftAccepted, GiftRefused, Refusal
from ledger.service import Ledger, WrongDeployment, open_ledger
from tests.integration.ledger.orders import gift_order, grant, now_ms

WINDOW_MS = 3_600_000
BUCKET_MS = 600_000


@pytest.fixture
async def ledger(valkey_url: str) -> AsyncIterator[Ledger]:
    """A started ledger of one partition, in which Ann has 100 coins."""
    opened = open_ledger(LedgerConfig(redis_url=valkey_url, partitions=1))
    await opened.start()
    await opened.credit(grant("ann", 100))
    yield opened
    await opened.stop()


@pytest.mark.parametrize("changed", [{"id_bucket_ms": 300_000}, {"id_window_ms": 7_200_000}])
async def test_id_memory_does_not_start_under_other_settings(valkey_url: str, changed: dict[str, int]) -> None:
    """A gift's id would be looked for where it was not stored, or after it was forgotten, and be paid again (I3)."""
    config = LedgerConfig(redis_url=valkey_url, partitions=2)
    order = gift_order("ann", 10, gift_id=new_id(now_ms() - 400_000))
    first = open_ledger(config)
    await first.start()
    await first.credit(grant("ann", 100))
    assert isinstance(await first.give(order), GiftAccepted)
    await first.stop()
    other = open_ledger(msgspec.structs.replace(config, **changed))
    with pytest.raises(WrongDeployment, match=next(iter(changed))):
        await other.start()
    await other.redis.aclose()


async def test_gift_told_again_after_its_window(valkey_url: str) -> None:
    """An id that is remembered is answered with what became of it, also when a fresh one so old would be refused."""
    ledger = open_ledger(LedgerConfig(redis_url=valkey_url, partitions=1, id_window_ms=200))
    await ledger.start()
    await ledger.credit(grant("ann", 100))
    order = gift_order("ann", 5)
    assert isinstance(await ledger.give(order), GiftAccepted)
    while await ledger.now_ms() <= order.id_ms + 200:
        pass
    again = await ledger.give(order)
    assert isinstance(again, GiftAccepted) and again.replay
    late = await ledger.give(gift_order("ann", 5, gift_id=new_id(order.id_ms)))
    assert isinstance(late, GiftRefused) and late.refusal is Refusal.ID_EXPIRED
    assert late.window_ms == (200, LedgerConfig().id_ahead_ms)
    await ledger.stop()


async def test_ids_of_several_buckets_in_one_commit(ledger: Ledger) -> None:
    """Each id is remembered in the bucket of its own time, for longer than it is taken."""
    now = now_ms()
    orders = [gift_order("ann", 1, gift_id=new_id(now - age)) for age in (0, 700_000, 1_400_000, 3_590_000)]
    for replay in (False, True):
        outcomes = await asyncio.gather(*(ledger.give(order) for order in orders))
        assert [outcome.replay for outcome in outcomes if isinstance(outcome, GiftAccepted)] == [replay] * 4
    assert ledger.batcher.stats.commits == 2
    ((_, keys),) = ledger.keys.all()
    for order in orders:
        name = keys.ids(order.id_ms // BUCKET_MS).decode()
        expires_ms = await ledger.redis.pexpiretime(name)
        assert expires_ms > order.id_ms + WINDOW_MS + BUCKET_MS
        assert await ledger.redis.hexists(name, order.id + b"ann")


async def test_clock_that_was_set_back(ledger: Ledger) -> None:
    """Times of a partition never fall, and the window is counted from the latest of them: no id comes back into it."""
    ((_, keys),) = ledger.keys.all()
    ahead_ms = now_ms() + 200_000
    await ledger.redis.hset(keys.totals, Total.CLOCK, str(ahead_ms))
    await ledger.credit(grant("ann", 1))
    accepted = await ledger.give(gift_order("ann", 1))
    assert isinstance(accepted, GiftAccepted) and accepted.at_ms == ahead_ms
    old = await ledger.give(gift_order("ann", 1, gift_id=new_id(ahead_ms - WINDOW_MS - 1)))
    assert isinstance(old, GiftRefused) and old.refusal is Refusal.ID_EXPIRED
    reader = JournalReader(ledger.redis, ledger.keys, [p for p, _ in ledger.keys.all()], {})
    records = (await reader.read(block_ms=None)).records
    assert [record.at_ms for record in records[1:]] == [ahead_ms, ahead_ms]
