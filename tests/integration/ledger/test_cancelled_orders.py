"""Whoever asks may go away at any moment: an order is then carried out once or not at all, and its id tells which."""

import asyncio
import random
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from ledger.config import LedgerConfig
from ledger.live.journal import JournalReader
from ledger.model import CreditAccepted, CreditOrder, CreditRefused, GiftAccepted, GiftOrder, JournalRecord, Refusal
from ledger.service import Ledger, open_ledger
from tests.integration.ledger.losing_proxy import LosingProxy
from tests.integration.ledger.orders import gift_order, grant
from tests.servers import running_valkey

STEPS_MAX = 40
"""Turns of the event loop after which every command is answered, many times over."""
ROUNDS = 150
COINS = {"ann": 100_000, "bob": 200_000, "cid": 300_000}


async def read_records(ledger: Ledger) -> list[JournalRecord]:
    """All records of all partitions."""
    reader = JournalReader(ledger.redis, ledger.keys, [p for p, _ in ledger.keys.all()], {})
    return (await reader.read(block_ms=None, entries_max=100_000)).records


async def cancelled_after(turns: int, asked: Coroutine[Any, Any, Any]) -> bool:
    """Ask, and cancel after so many turns of the loop; whether the cancel came before the answer."""
    task = asyncio.create_task(asked)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=10)
    assert done, f"the cancel after {turns} turns was lost"
    return task.cancelled()


async def tell_again(ledger: Ledger, order: GiftOrder | CreditOrder) -> bool:
    """The same order again, until its outcome is known; whether it had been carried out before."""
    while True:
        outcome = await (ledger.give(order) if isinstance(order, GiftOrder) else ledger.credit(order))
        if isinstance(outcome, GiftAccepted | CreditAccepted):
            return outcome.replay
        assert outcome == CreditRefused(Refusal.UNKNOWN)


async def ask_and_check(ledger: Ledger, order: GiftOrder) -> None:
    """A gift that nobody cancels hears its own outcome, and a question after it its own answer."""
    outcome = await ledger.give(order)
    assert isinstance(outcome, GiftAccepted)
    assert outcome.coins == order.coins
    if not outcome.replay:
        assert outcome.combo is not None and outcome.combo.id == order.id
        position = f"{outcome.epoch}-{outcome.seq}"
        name: Any = ledger.keys.of(ledger.keys.partition_of(order.viewer)).journal
        entries: Any = await ledger.redis.xrange(name, min=position, count=1)
        assert order.id in entries[0][1][b"r"]


async def storm(ledger: Ledger, chance: random.Random, proxy: LosingProxy | None = None) -> None:
    """Rounds of orders at once, some of them cancelled; afterwards everything is told again and added up."""
    wallets = dict(COINS)
    for viewer, coins in COINS.items():
        assert await tell_again(ledger, grant(viewer, coins)) in (True, False)
    cancelled: list[GiftOrder | CreditOrder] = []
    early = 0
    for number in range(ROUNDS):
        calls: list[Coroutine[Any, Any, Any]] = []
        for viewer in COINS:
            # A window that is closed at once: each gift's combo bears its own id, which shows whose outcome it is.
            gift = gift_order(viewer, 1 + chance.randrange(9), combo=True, combo_window_ms=-1)
            lost: GiftOrder | CreditOrder = gift_order(viewer, 5) if chance.random() < 0.5 else grant(viewer, 3)
            wallets[viewer] += (lost.coins if isinstance(lost, CreditOrder) else -lost.coins) - gift.coins
            cancelled.append(lost)
            asked = ledger.give(lost) if isinstance(lost, GiftOrder) else ledger.credit(lost)
            calls += [ask_and_check(ledger, gift), cancelled_after(chance.randrange(STEPS_MAX), asked)]
        if proxy is not None and number % 10 == 5:
            proxy.lose_next()
        chance.shuffle(calls)
        early += sum(was is True for was in await asyncio.gather(*calls))
        again = cancelled[-1]
        await tell_again(ledger, again)
        assert await tell_again(ledger, again)
    # A task that is cancelled in its first two turns never has its answer: one of 20 is.
    assert early > 10, "cancels came before the answer"
    replays = [await tell_again(ledger, order) for order in cancelled]
    assert True in replays
    await check_records(ledger, cancelled, wallets)


async def check_records(ledger: Ledger, cancelled: list[GiftOrder | CreditOrder], wallets: dict[str, int]) -> None:
    """Each order has one record, and the wallets are what arithmetic says."""
    ids = [record.body.id for record in await read_records(ledger)]
    assert len(set(ids)) == len(ids) == len(COINS) + ROUNDS * len(COINS) * 2
    assert {order.id for order in cancelled} <= set(ids)
    assert {viewer: await ledger.balance(viewer) for viewer in COINS} == wallets


@pytest.mark.parametrize("seed", range(3))
async def test_storm_of_cancels(valkey_url: str, seed: int) -> None:
    """Every order, cancelled or not, is paid once in the end; each of the others hears its own outcome."""
    ledger = open_ledger(LedgerConfig(redis_url=valkey_url, partitions=2))
    await ledger.start()
    await storm(ledger, random.Random(seed))
    await ledger.stop()


async def test_storm_of_cancels_while_answers_are_lost(tmp_path: Path) -> None:
    """The same where connections break after the command was carried out."""
    with running_valkey(tmp_path) as valkey:
        proxy = LosingProxy(valkey.socket, tmp_path / "proxy.sock")
        await proxy.start()
        ledger = open_ledger(LedgerConfig(redis_url=proxy.url, partitions=2))
        await ledger.start()
        await storm(ledger, random.Random(7), proxy)
        assert proxy.lost > 5
        await ledger.stop()
        await proxy.stop()


@pytest.mark.parametrize("kind", ["gift", "credit"])
async def test_cancel_at_every_step(valkey_url: str, kind: str) -> None:
    """However many turns of the loop an order was given, the same id told again says whether that was enough."""
    ledger = open_ledger(LedgerConfig(redis_url=valkey_url, partitions=1))
    await ledger.start()
    await ledger.credit(grant("ann", 1_000))
    carried_out = []
    for turns in range(STEPS_MAX):
        order: GiftOrder | CreditOrder = gift_order("ann", 2) if kind == "gift" else grant("ann", 3)
        asked = ledger.give(order) if isinstance(order, GiftOrder) else ledger.credit(order)
        await cancelled_after(turns, asked)
        before = {record.body.id for record in await read_records(ledger)}
        replay = await tell_again(ledger, order)
        # It may have been on its way when we looked; one that had arrived is never paid again.
        assert replay or order.id not in before
        carried_out.append(replay)
    assert not carried_out[0] and carried_out[-1]
    assert await ledger.balance("ann") == 1_000 + STEPS_MAX * (-2 if kind == "gift" else 3)
    await ledger.stop()
