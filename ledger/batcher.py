"""Group commit: gifts that arrive while commits are in flight go out together in the next one.

An idle batcher sends at once, so a lone gift waits for nothing; a busy one pays one round trip, one script call and
one fsync for many. Under load two commits are in flight, so that Valkey works on one while the answers of the other
are told and the next is made. They never share a partition: so gifts of a viewer are judged in the order of arrival,
also when a commit whose answer was lost is told again.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import structlog
from msgspec import Struct
from redis.exceptions import RedisError

from ledger.config import LedgerConfig
from ledger.model import GiftOutcome, GiftRefused, Partition, Refusal
from ledger.redis_client import LOST
from ledger.scripts import PreparedGift, Scripts

COMMITS_MAX: Final = 2
"""Commits in flight."""
COMMIT_GIFTS_GOOD: Final = 64
"""Gifts that are worth a commit beside another one; fewer cost more in calls than the overlap gains. A commit that
has so many takes no more partitions than its part: many gifts of few partitions cost less than few of many."""
PARTITIONS_PART: Final = 4
"""A commit's part of the partitions is one in so many: half for two commits, and as many gather meanwhile."""
JUDGED_MIN: Final = 16
"""The smallest batch to which a script that runs out of its time brings the batcher down."""

_log = structlog.get_logger()
_UNKNOWN: Final = GiftRefused(Refusal.UNKNOWN)
_OVERLOADED: Final = GiftRefused(Refusal.OVERLOADED)

Told = Callable[[GiftOutcome], None]
"""Is told the outcome, once, from the event loop. It must not raise and must not block."""
_Entry = tuple[PreparedGift, Told]


class BatcherStats(Struct):
    """Counts since the start, for metrics.

    Attributes:
        gifts: whose outcome was told after a commit.
        overlapped: commits begun while another was in flight.
        not_judged: gifts that a commit left for the next one.
        not_told: outcomes whose hearer failed; the gift is what it is all the same.
    """

    commits: int = 0
    gifts: int = 0
    overlapped: int = 0
    not_judged: int = 0
    not_told: int = 0
    overloaded: int = 0
    retries: int = 0
    unknown: int = 0


class Batcher:
    """Collects gifts and commits them in batches. `start` and `stop` own its tasks.

    Args:
        scripts: where the commits go.
        config: `batch_gifts_max` bounds one commit, `batch_waiting_max` all that wait, `retry_ms_max` the time for
            which a commit whose answer was lost is told again (with the same ids, so that nothing is paid twice).
    """

    def __init__(self, scripts: Scripts, config: LedgerConfig) -> None:
        self.stats = BatcherStats()
        self._scripts = scripts
        self._gifts_max = config.batch_gifts_max
        self._gifts_now = config.batch_gifts_max
        self._groups_good = max(config.partitions // PARTITIONS_PART, 1)
        self._waiting_max = config.batch_waiting_max
        self._retry_s_max = config.retry_ms_max / 1000
        self._queues: list[deque[_Entry]] = [deque() for _ in range(config.partitions)]
        self._ready: deque[Partition] = deque()
        """Partitions whose gifts wait and that are in no commit; each once, in the order in which they are served."""
        self._busy: set[Partition] = set()
        self._waiting = 0
        self._waiting_ready = 0
        self._in_flight = 0
        self._changed = asyncio.Event()
        self._stopping = False
        self._lanes: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to commit."""
        self._lanes = [asyncio.create_task(self._lane(), name=f"ledger-batcher-{n}") for n in range(COMMITS_MAX)]

    async def stop(self) -> None:
        """Commit what waits, tell everyone, and end. Gifts that come after are refused as overloaded."""
        self._stopping = True
        self._changed.set()
        await asyncio.gather(*self._lanes)

    @property
    def waiting(self) -> int:
        """How many gifts wait for a commit."""
        return self._waiting

    def submit(self, gift: PreparedGift, told: Told) -> None:
        """Queue a gift; `told` hears its outcome. At the bound of the queue it hears OVERLOADED at once."""
        if self._waiting >= self._waiting_max or self._stopping:
            self.stats.overloaded += 1
            told(_OVERLOADED)
            return
        queue = self._queues[gift.partition]
        if gift.partition not in self._busy:
            self._waiting_ready += 1
            if not queue:
                self._ready.append(gift.partition)
        queue.append((gift, told))
        self._waiting += 1
        self._changed.set()

    async def _lane(self) -> None:
        while True:
            if self._ready and (not self._in_flight or self._waiting_ready >= COMMIT_GIFTS_GOOD):
                await self._commit(self._take())
            elif self._stopping and not self._waiting and not self._in_flight:
                return
            else:
                self._changed.clear()
                await self._changed.wait()

    def _take(self) -> list[list[_Entry]]:
        """The next batch, by partition: all that waits in each, as far as the batch may grow."""
        batch: list[list[_Entry]] = []
        gifts = 0
        while self._ready and gifts < self._gifts_now:
            if gifts >= COMMIT_GIFTS_GOOD and len(batch) >= self._groups_good:
                break
            partition = self._ready.popleft()
            queue = self._queues[partition]
            self._busy.add(partition)
            self._waiting_ready -= len(queue)
            batch.append([queue.popleft() for _ in range(min(len(queue), self._gifts_now - gifts))])
            gifts += len(batch[-1])
        self._waiting -= gifts
        return batch

    async def _commit(self, batch: list[list[_Entry]]) -> None:
        self.stats.overlapped += self._in_flight > 0
        self._in_flight += 1
        outcomes = await self._judge([[gift for gift, _ in group] for group in batch])
        self._in_flight -= 1
        told = 0
        for group, judged in zip(batch, outcomes, strict=True):
            self._release(group, len(judged))
            told += len(judged)
            for (gift, tell), outcome in zip(group, judged, strict=False):
                try:
                    tell(outcome)
                except Exception:  # noqa: BLE001
                    # The task's top for what others gave us to call: one who fails must not silence all the others.
                    self.stats.not_told += 1
                    _log.exception("outcome_not_told", gift=gift.order.id.hex())
        self.stats.commits += 1
        self.stats.gifts += told
        self._adapt(sum(map(len, batch)), told)
        self._changed.set()

    def _release(self, group: list[_Entry], judged: int) -> None:
        """The partition is free again; what was not judged is the next of its gifts."""
        partition = group[0][0].partition
        queue = self._queues[partition]
        if judged < len(group):
            queue.extendleft(reversed(group[judged:]))
            self._waiting += len(group) - judged
            self.stats.not_judged += len(group) - judged
        self._busy.discard(partition)
        if queue:
            self._ready.append(partition)
            self._waiting_ready += len(queue)

    def _adapt(self, told_of: int, judged: int) -> None:
        # What the script has no time for travels twice: send what it lately managed, and a little more each time.
        if judged < told_of:
            self._gifts_now = min(max(judged, JUDGED_MIN), self._gifts_max)
        elif judged >= self._gifts_now:
            self._gifts_now = min(self._gifts_now + self._gifts_now // 8 + 1, self._gifts_max)

    async def _judge(self, groups: list[list[PreparedGift]]) -> Sequence[Sequence[GiftOutcome]]:
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + self._retry_s_max
        pause_s = 0.01
        while True:
            try:
                return await self._scripts.gift(groups)
            except LOST as exc:
                if self._stopping or loop.time() + pause_s > deadline_s:
                    _log.warning("commit_unknown", gifts=sum(map(len, groups)), error=str(exc))
                    return self._give_up(groups)
                self.stats.retries += 1
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, 0.2)
            except RedisError as exc:
                # Full, or its disk is: it says so for every commit, and its sentence says all.
                _log.warning("commit_refused", gifts=sum(map(len, groups)), error=f"{type(exc).__name__}: {exc}")
                return self._give_up(groups)
            except Exception:  # noqa: BLE001
                # The task's top: an answer that should not exist must not silence every later gift.
                _log.exception("commit_failed", gifts=sum(map(len, groups)))
                return self._give_up(groups)

    def _give_up(self, groups: list[list[PreparedGift]]) -> list[list[GiftOutcome]]:
        self.stats.unknown += sum(map(len, groups))
        return [[_UNKNOWN] * len(group) for group in groups]
