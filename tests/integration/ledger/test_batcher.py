"""Group commit on a real Valkey: several commits in flight, and still every viewer's gifts one after the other."""

import asyncio
from functools import partial
from pathlib import Path

import pytest

from ledger.config import LedgerConfig
from ledger.ids import new_id
from ledger.model import GiftAccepted, GiftOrder, GiftOutcome, GiftRefused, Refusal
from ledger.service import Ledger, open_ledger
from tests.integration.ledger.orders import gift_order, grant, now_ms
from tests.servers import Valkey, running_valkey

VIEWERS, EACH, COINS = 120, 20, 1_000
BUSY = 300
WAIT_MS_MAX = 60_000
"""These tests hand in more at once than a busy machine judges in the time that gifts wait by default."""


async def give_all(
    ledger: Ledger, orders: list[GiftOrder], busy: asyncio.Event | None = None
) -> list[tuple[GiftOrder, GiftOutcome]]:
    """Submit all at once; outcomes in the order in which they were told. `busy` is set when some are through."""
    told: list[tuple[GiftOrder, GiftOutcome]] = []
    done = asyncio.Event()

    def tell(order: GiftOrder, outcome: GiftOutcome) -> None:
        told.append((order, outcome))
        if busy is not None and len(told) == BUSY:
            busy.set()
        if len(told) == len(orders):
            done.set()

    for order in orders:
        ledger.submit(order, partial(tell, order))
    await done.wait()
    return told


def crowd_orders() -> list[GiftOrder]:
    """Gifts of 1, 2, 3 … coins by each of many viewers, in turn."""
    return [gift_order(f"viewer{n}", 1 + turn) for turn in range(EACH) for n in range(VIEWERS)]


def check_each_viewer_in_order(told: list[tuple[GiftOrder, GiftOutcome]]) -> None:
    """Each viewer hears of its gifts in the order sent, and each wallet follows from the one before."""
    wallets: dict[str, int] = {}
    turns: dict[str, int] = {}
    for order, outcome in told:
        assert isinstance(outcome, GiftAccepted)
        turns[order.viewer] = turns.get(order.viewer, 0) + 1
        assert order.coins == turns[order.viewer]
        wallets[order.viewer] = wallets.get(order.viewer, COINS) - order.coins
        if not outcome.replay:
            assert outcome.balance_coins == wallets[order.viewer]
    assert len(wallets) == VIEWERS


async def test_commits_side_by_side_keep_each_viewers_order(valkey_url: str) -> None:
    """Under load commits overlap, and nobody's gifts change places."""
    ledger = open_ledger(LedgerConfig(redis_url=valkey_url, batch_wait_ms_max=WAIT_MS_MAX))
    await ledger.start()
    for n in range(VIEWERS):
        await ledger.credit(grant(f"viewer{n}", COINS))
    check_each_viewer_in_order(await give_all(ledger, crowd_orders()))
    assert ledger.batcher.stats.overlapped > 0
    assert ledger.batcher.stats.gifts == VIEWERS * EACH
    await ledger.stop()


async def test_gifts_left_over_by_a_commit_keep_each_viewers_order(valkey_url: str) -> None:
    """A script without time leaves most of each batch: it goes first in its partition's next commit."""
    ledger = open_ledger(
        LedgerConfig(redis_url=valkey_url, partitions=8, script_time_ms_max=0.000001, batch_wait_ms_max=WAIT_MS_MAX)
    )
    await ledger.start()
    for n in range(VIEWERS):
        await ledger.credit(grant(f"viewer{n}", COINS))
    check_each_viewer_in_order(await give_all(ledger, crowd_orders()))
    assert ledger.batcher.stats.not_judged > 0
    assert ledger.batcher.waiting == 0
    await ledger.stop()


async def kill_when_busy(valkey: Valkey, busy: asyncio.Event) -> None:
    """kill -9 once some gifts are through, and start again."""
    await busy.wait()
    valkey.kill()
    valkey.start()


async def test_kill_with_two_commits_in_flight_keeps_each_viewers_order(tmp_path: Path) -> None:
    """Both commits are told again with the same ids; what had been paid is a replay, and the order holds."""
    with running_valkey(tmp_path) as valkey:
        ledger = open_ledger(LedgerConfig(redis_url=valkey.url, retry_ms_max=10_000, batch_wait_ms_max=WAIT_MS_MAX))
        await ledger.start()
        for n in range(VIEWERS):
            await ledger.credit(grant(f"viewer{n}", COINS))
        busy = asyncio.Event()
        told, _ = await asyncio.gather(give_all(ledger, crowd_orders(), busy), kill_when_busy(valkey, busy))
        check_each_viewer_in_order(told)
        assert ledger.batcher.stats.retries > 0
        spent = sum(range(1, EACH + 1))
        assert {await ledger.balance(f"viewer{n}") for n in range(VIEWERS)} == {COINS - spent}
        await ledger.stop()


async def test_callback_that_fails_silences_nobody_else(valkey_url: str) -> None:
    """Gifts beside it and after it are told, in its partition and in others, and the batcher ends when asked to."""
    ledger = open_ledger(LedgerConfig(redis_url=valkey_url, partitions=2, batch_wait_ms_max=WAIT_MS_MAX))
    await ledger.start()
    for n in range(VIEWERS):
        await ledger.credit(grant(f"viewer{n}", COINS))

    def fails(_: GiftOutcome) -> None:
        raise ZeroDivisionError

    # Few of them: each is logged with its traceback, and hundreds would keep the loop from reading answers in time.
    for n in range(4):
        ledger.submit(gift_order(f"viewer{n}", 1), fails)
    told = await give_all(ledger, [gift_order(f"viewer{n}", 1) for n in range(VIEWERS)])
    assert all(isinstance(outcome, GiftAccepted) for _, outcome in told)
    assert ledger.batcher.stats.not_told == 4
    await ledger.stop()


async def test_stop_with_commits_in_flight_tells_everyone(valkey_url: str) -> None:
    """What was submitted before the stop is paid and told; what comes after is refused and costs nothing."""
    ledger = open_ledger(LedgerConfig(redis_url=valkey_url, batch_wait_ms_max=WAIT_MS_MAX))
    await ledger.start()
    for n in range(VIEWERS):
        await ledger.credit(grant(f"viewer{n}", COINS))
    before: list[GiftOutcome] = []
    after: list[GiftOutcome] = []
    for order in crowd_orders():
        ledger.submit(order, before.append)
    stopping = asyncio.create_task(ledger.batcher.stop())
    await asyncio.sleep(0)
    ledger.submit(gift_order("viewer0", 1), after.append)
    await stopping
    assert len(before) == VIEWERS * EACH
    assert all(isinstance(outcome, GiftAccepted) for outcome in before)
    assert [outcome.refusal for outcome in after if isinstance(outcome, GiftRefused)] == [Refusal.OVERLOADED]
    assert await ledger.balance("viewer0") == COINS - sum(range(1, EACH + 1))
    await ledger.stop()


async def test_same_id_several_times_in_one_commit(valkey_url: str) -> None:
    """A refused first telling takes nothing from the id; the first that is accepted fixes the content."""
    ledger = open_ledger(LedgerConfig(redis_url=valkey_url, partitions=1))
    await ledger.start()
    await ledger.credit(grant("ann", 4))
    same = new_id(now_ms())
    orders = [
        gift_order("ann", 5, gift_id=same, content=b"a"),
        gift_order("ann", 4, gift_id=same, content=b"b"),
        gift_order("ann", 5, gift_id=same, content=b"a"),
        gift_order("ann", 4, gift_id=same, content=b"b"),
    ]
    outcomes = [outcome for _, outcome in await give_all(ledger, orders)]
    assert [o.replay if isinstance(o, GiftAccepted) else o.refusal for o in outcomes] == [
        Refusal.INSUFFICIENT_COINS,
        False,
        Refusal.ID_CONFLICT,
        True,
    ]
    assert ledger.batcher.stats.commits == 1
    await ledger.stop()


@pytest.mark.parametrize("combo", [False, True])
async def test_ids_of_several_buckets_and_mixed_outcomes_in_one_commit(valkey_url: str, combo: bool) -> None:
    """Ids of other times, combos or not, refusals between: each gift has its own outcome, and told again the same."""
    ledger = open_ledger(
        LedgerConfig(redis_url=valkey_url, partitions=1, batch_gifts_max=2_000, script_time_ms_max=100)
    )
    await ledger.start()
    await ledger.credit(grant("ann", 600))
    times_ms = [now_ms() - minutes * 60_000 for minutes in (0, 15, 30, 45)]
    orders = [
        gift_order("ann", 1_000 if n % 7 == 3 else 1, gift_id=new_id(times_ms[n % 4]), combo=combo) for n in range(600)
    ]
    first = [outcome for _, outcome in await give_all(ledger, orders)]
    again = [outcome for _, outcome in await give_all(ledger, orders)]
    assert ledger.batcher.stats.commits == 2
    accepted = seq = 0
    for n, (outcome, second) in enumerate(zip(first, again, strict=True)):
        if n % 7 == 3:
            assert not isinstance(outcome, GiftAccepted) and outcome.refusal is Refusal.INSUFFICIENT_COINS
            continue
        accepted += 1
        assert isinstance(outcome, GiftAccepted) and isinstance(second, GiftAccepted)
        assert (outcome.balance_coins, outcome.replay, second.replay) == (600 - accepted, False, True)
        assert outcome.seq == (seq + 1 if seq else outcome.seq)
        seq = outcome.seq
        assert (outcome.combo.count if outcome.combo else 0) == (accepted if combo else 0)
    assert await ledger.balance("ann") == 600 - accepted
    await ledger.stop()
