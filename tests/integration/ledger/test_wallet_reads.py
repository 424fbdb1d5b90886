"""Balances that are asked for at once are read together, each its own, and an absent server is told to all."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ledger.config import LedgerConfig
from ledger.errors import LedgerUnavailable
from ledger.live.wallet_reads import TOGETHER_MAX, WalletReads
from ledger.service import Ledger, open_ledger
from tests.integration.ledger.orders import grant


@pytest.fixture
async def ledger(valkey_url: str) -> AsyncIterator[Ledger]:
    """A ledger of four partitions."""
    ledger = open_ledger(LedgerConfig(redis_url=valkey_url, partitions=4))
    await ledger.start()
    yield ledger
    await ledger.stop()


async def commands(redis: Any) -> int:
    """Commands that read several fields of a hash, so far."""
    return int((await redis.info("commandstats")).get("cmdstat_hmget", {}).get("calls", 0))


async def test_many_at_once_are_few_commands(ledger: Ledger) -> None:
    """Two thousand viewers cost a command for each partition and part, and each hears of its own wallet."""
    granted = {f"viewer-{n}": n + 1 for n in range(40)}
    for viewer, coins in granted.items():
        await ledger.credit(grant(viewer, coins))
    viewers = [*granted, *(f"nobody-{n}" for n in range(2_000))]
    before = await commands(ledger.redis)
    balances = await asyncio.gather(*map(ledger.balance, viewers))
    assert balances == [granted.get(viewer, 0) for viewer in viewers]
    parts = -(-len(viewers) // TOGETHER_MAX)
    assert await commands(ledger.redis) - before <= parts * ledger.keys.partitions


async def test_balance_is_that_after_the_question(ledger: Ledger) -> None:
    """One who asks while another read of the same wallet is under way is not given what that one finds."""
    before = asyncio.create_task(ledger.balance("ann"))
    await asyncio.sleep(0)
    await ledger.credit(grant("ann", 7))
    assert await ledger.balance("ann") == 7
    assert await before in (0, 7)


async def test_one_who_no_longer_waits_does_not_matter(ledger: Ledger) -> None:
    """A cancelled question takes nothing from others that ask for the same wallet."""
    await ledger.credit(grant("ann", 7))
    first, second = asyncio.create_task(ledger.balance("ann")), asyncio.create_task(ledger.balance("ann"))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == 7
    assert await ledger.balance("ann") == 7


async def test_damaged_wallet_concerns_its_viewer_only(ledger: Ledger) -> None:
    """What is no number is an error for who asked for it."""
    await ledger.credit(grant("bob", 7))
    keys: Any = ledger.keys.of(ledger.keys.partition_of("ann"))
    await ledger.redis.hset(keys.wallets, "ann", "many")
    found = await asyncio.gather(ledger.balance("ann"), ledger.balance("bob"), return_exceptions=True)
    assert isinstance(found[0], ValueError)
    assert found[1] == 7


async def test_absent_server_is_told_to_all() -> None:
    """Nobody waits for ever; the next question is asked anew."""

    lost = open_ledger(LedgerConfig(redis_url="unix:///nowhere/at/all.sock", partitions=4))
    found = await asyncio.gather(*map(lost.balance, ("ann", "bob", "ann")), return_exceptions=True)
    assert [type(one) for one in found] == [LedgerUnavailable] * 3
    with pytest.raises(LedgerUnavailable):
        await lost.balance("ann")


async def test_closing_lets_nobody_wait(ledger: Ledger) -> None:
    """Who asks while the ledger closes is told so."""
    reads = WalletReads(ledger.redis, ledger.keys)
    asked = [asyncio.create_task(reads.balance(f"viewer-{n}")) for n in range(TOGETHER_MAX + 3)]
    await asyncio.sleep(0)
    await reads.aclose()
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert {type(one) for one in found} == {LedgerUnavailable}
