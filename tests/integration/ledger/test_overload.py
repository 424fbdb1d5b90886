"""More gifts than a held-up ledger can pay: they are refused while they have cost nothing, and none is lost."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ledger.config import LedgerConfig
from ledger.live.taking_in import TAKEN_IN_MIN
from ledger.model import Bound, BoundReached, GiftAccepted, GiftOrder, GiftOutcome, GiftRefused, Refusal
from ledger.service import Ledger, open_ledger
from tests.integration.ledger.orders import gift_order, grant
from tests.servers import Valkey, running_valkey
from tests.waiting import until

COINS = 10_000
ANSWER_S_MAX = 20.0


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A Valkey that a test may hold up."""
    with running_valkey(tmp_path) as valkey:
        yield valkey


@contextlib.asynccontextmanager
async def opened(valkey: Valkey, wait_ms_max: int) -> AsyncIterator[Ledger]:
    """A ledger with a viewer who has coins."""
    # A commit that is held up is asked for again until the server goes on: its outcome must not become unknown.
    config = LedgerConfig(redis_url=valkey.url, partitions=2, batch_wait_ms_max=wait_ms_max, retry_ms_max=60_000)
    ledger = open_ledger(config)
    await ledger.start()
    await ledger.credit(grant("ann", COINS))
    yield ledger
    await ledger.stop()


class Counter:
    """Hands gifts in one by one, and keeps what became of each."""

    def __init__(self, ledger: Ledger) -> None:
        self.orders: list[GiftOrder] = []
        self.outcomes: dict[bytes, GiftOutcome] = {}
        self._ledger = ledger

    def give(self) -> GiftOrder:
        """Hand in a gift of one coin."""
        given = gift_order("ann", 1)
        self.orders.append(given)
        self._ledger.submit(given, lambda outcome: self.outcomes.__setitem__(given.id, outcome))
        return given

    def refused(self) -> list[GiftOrder]:
        """Those that were refused as overloaded, each with the bound that it met."""
        outcomes = [(order, self.outcomes.get(order.id)) for order in self.orders]
        return [
            order
            for order, outcome in outcomes
            if isinstance(outcome, GiftRefused)
            and outcome.refusal is Refusal.OVERLOADED
            and outcome.bound is not None
            and outcome.bound.most is not None
        ]

    def accepted(self) -> int:
        """How many were paid by this telling."""
        return sum(isinstance(outcome, GiftAccepted) and not outcome.replay for outcome in self.outcomes.values())

    async def all_told(self) -> None:
        """Wait until each has its outcome."""
        await until(lambda: len(self.outcomes) == len(self.orders), ANSWER_S_MAX)


async def test_gifts_behind_a_held_up_commit_are_refused_and_paid_when_told_again(own_valkey: Valkey) -> None:
    """What waits is refused while the ledger stands still, the commit in flight is paid, and all ids stay good."""
    async with opened(own_valkey, wait_ms_max=50) as ledger:
        counter = Counter(ledger)
        with own_valkey.frozen():
            first = counter.give()
            await until(lambda: ledger.batcher.waiting == 0, ANSWER_S_MAX)
            behind = [counter.give() for _ in range(100)]
            await until(lambda: len(counter.outcomes) == len(behind), ANSWER_S_MAX)
            assert counter.refused() == behind
            late = GiftRefused(Refusal.OVERLOADED, bound=BoundReached(Bound.WAIT_MS, 50))
            assert [counter.outcomes[order.id] for order in behind] == [late] * len(behind)
            assert first.id not in counter.outcomes
            assert (ledger.batcher.waiting, ledger.batcher.stats.late) == (0, len(behind))
        await counter.all_told()
        assert isinstance(counter.outcomes[first.id], GiftAccepted)
        for order in behind:
            outcome = await ledger.give(order)
            assert isinstance(outcome, GiftAccepted) and not outcome.replay
        assert await ledger.balance("ann") == COINS - 1 - len(behind)


async def test_gifts_above_what_is_judged_are_refused_as_they_come(own_valkey: Valkey) -> None:
    """While nothing is judged only so many are taken in, one more is refused at once; nothing of it is left later."""
    async with opened(own_valkey, wait_ms_max=2_000) as ledger:
        counter, batcher = Counter(ledger), ledger.batcher
        with own_valkey.frozen():
            counter.give()
            await until(lambda: batcher.waiting == 0, ANSWER_S_MAX)
            for _ in range(TAKEN_IN_MIN - 1):
                counter.give()
            assert not batcher.full
            counter.give()
            # Before it has looked it does not know that nothing is judged; then it is full.
            await until(lambda: batcher.full, ANSWER_S_MAX)
            one_more = counter.give()
            bound = BoundReached(Bound.WAITING, TAKEN_IN_MIN)
            assert counter.outcomes[one_more.id] == GiftRefused(Refusal.OVERLOADED, bound=bound)
            assert batcher.stats.overloaded == 1
        await counter.all_told()
        assert counter.accepted() + len(counter.refused()) == len(counter.orders)
        assert counter.accepted() >= 1
        assert await ledger.balance("ann") == COINS - counter.accepted()
        await until(lambda: batcher.taking_in.bound == LedgerConfig().batch_waiting_max, ANSWER_S_MAX)
        for _ in range(TAKEN_IN_MIN * 3):
            counter.give()
        assert batcher.stats.overloaded == 1
        await counter.all_told()
