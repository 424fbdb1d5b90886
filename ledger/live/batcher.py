"""Group commit: gifts that arrive while commits are in flight go out together in the next one.

An idle batcher sends at once, so a lone gift waits for nothing; a busy one pays one round trip, one script call and
one fsync for many. Under load two commits are in flight, so that Valkey works on one while the answers of the other
are told and the next is made. They never share a partition: so gifts of a viewer are judged in the order of arrival,
also when a commit whose answer was lost is told again.

No gift waits longer than `batch_wait_ms_max` for its commit: then it is refused, and has cost nothing. While gifts come
faster than they are judged the batcher is full before that, so that most are refused as they come, when they are cheap.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import structlog
from msgspec import Struct
from redis.exceptions import OutOfMemoryError, RedisError

from ledger.config import LedgerConfig
from ledger.live.redis_client import LOST
from ledger.live.scripts import PreparedGift, Scripts
from ledger.live.taking_in import LOOKS, TakingIn
from ledger.model import Bound, BoundReached, GiftOutcome, GiftRefused, Partition, Refusal

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

Told = Callable[[GiftOutcome], None]
"""Is told the outcome, once, from the event loop. It must not raise and must not block."""
_Entry = tuple[PreparedGift, Told, float]
"""With the time, by the monotonic clock, at which it was handed in."""


class BatcherStats(Struct):
    """Counts since the start, for metrics.

    Attributes:
        gifts: whose outcome was told after a commit.
        overlapped: commits begun while another was in flight.
        not_judged: gifts that a commit left for the next one.
        not_told: outcomes whose hearer failed; the gift is what it is all the same.
        windows_opened: gifts that may be undone for a while.
        windows_left_out: gifts that were to be, and were paid at once: too many were open, or a refund waited.
        overloaded: refused as they came, since as many waited as may.
        late: refused since they had waited as long as they may.
        full: refused since the server has no memory left.
    """

    commits: int = 0
    gifts: int = 0
    overlapped: int = 0
    not_judged: int = 0
    not_told: int = 0
    overloaded: int = 0
    late: int = 0
    full: int = 0
    retries: int = 0
    unknown: int = 0
    windows_opened: int = 0
    windows_left_out: int = 0


class Batcher:
    """Collects gifts and commits them in batches. `start` and `stop` own its tasks.

    Args:
        scripts: where the commits go.
        config: `batch_gifts_max` bounds one commit, `batch_waiting_max` all that wait, `batch_wait_ms_max` how long,
            `retry_ms_max` the time for which a commit whose answer was lost is told again (with the same ids, so that
            nothing is paid twice).
        clock_s: a monotonic clock.

    Attributes:
        in_flight: commits that were sent and not answered yet.
        taking_in: how many gifts may wait now.
        timed: is told once a commit how long (in s) the first of its gifts had waited for it, and how long it took. It
            must not raise and must not block.
    """

    def __init__(self, scripts: Scripts, config: LedgerConfig, clock_s: Callable[[], float] = time.monotonic) -> None:
        self.stats = BatcherStats()
        self.timed: Callable[[float, float], None] = lambda waited_s, took_s: None
        self._scripts = scripts
        self._gifts_max = config.batch_gifts_max
        self._gifts_now = config.batch_gifts_max
        self._groups_good = max(config.partitions // PARTITIONS_PART, 1)
        self._clock_s = clock_s
        self._wait_s_max = config.batch_wait_ms_max / 1000
        self._late = GiftRefused(Refusal.OVERLOADED, bound=BoundReached(Bound.WAIT_MS, config.batch_wait_ms_max))
        self.taking_in = TakingIn(config.batch_waiting_max, self._wait_s_max, config.batch_gifts_max)
        self._retry_s_max = config.retry_ms_max / 1000
        self._queues: list[deque[_Entry]] = [deque() for _ in range(config.partitions)]
        self._ready: deque[Partition] = deque()
        """Partitions whose gifts wait and that are in no commit; each once, in the order in which they are served."""
        self._busy: set[Partition] = set()
        self._waiting = 0
        self._waiting_ready = 0
        self.in_flight = 0
        self._changed = asyncio.Event()
        self._stopping = False
        self._lanes: list[asyncio.Task[None]] = []
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to commit."""
        self._lanes = [asyncio.create_task(self._lane(), name=f"ledger-batcher-{n}") for n in range(COMMITS_MAX)]
        self._looking = asyncio.create_task(self._look(), name="ledger-batcher-look")

    async def stop(self) -> None:
        """Commit what waits, tell everyone, and end. Gifts that come after are refused as overloaded."""
        self._stopping = True
        self._changed.set()
        await asyncio.gather(*self._lanes)
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    @property
    def waiting(self) -> int:
        """How many gifts wait for a commit."""
        return self._waiting

    @property
    def bound(self) -> BoundReached | None:
        """What a gift that is refused since the batcher is `full` is told; None of one that stops."""
        return None if self._stopping else BoundReached(Bound.WAITING, self.taking_in.bound)

    @property
    def full(self) -> bool:
        """Whether a gift that comes now is refused; asked by those who would first have to prepare it."""
        return self._waiting >= self.taking_in.bound or self._stopping

    def turn_away(self) -> None:
        """Count a gift that was not even prepared, since the batcher is `full`."""
        self.stats.overloaded += 1

    def submit(self, gift: PreparedGift, told: Told) -> None:
        """Queue a gift; `told` hears its outcome. When the batcher is `full` it hears OVERLOADED at once."""
        if self.full:
            self.turn_away()
            told(GiftRefused(Refusal.OVERLOADED, bound=self.bound))
            return
        queue = self._queues[gift.partition]
        if gift.partition not in self._busy:
            self._waiting_ready += 1
            if not queue:
                self._ready.append(gift.partition)
        queue.append((gift, told, self._clock_s()))
        self._waiting += 1
        self._changed.set()

    async def _lane(self) -> None:
        while True:
            if self._ready and (not self.in_flight or self._waiting_ready >= COMMIT_GIFTS_GOOD):
                await self._commit(self._take())
            elif self._stopping and not self._waiting and not self.in_flight:
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
        self.stats.overlapped += self.in_flight > 0
        self.in_flight += 1
        began_s = self._clock_s()
        outcomes = await self._judge([[gift for gift, _, _ in group] for group in batch])
        self.in_flight -= 1
        self.timed(began_s - min(group[0][2] for group in batch), self._clock_s() - began_s)
        told = 0
        for group, judged in zip(batch, outcomes, strict=True):
            self._release(group, len(judged))
            told += len(judged)
            for entry, outcome in zip(group, judged, strict=False):
                self._tell(entry, outcome)
        self.stats.commits += 1
        self.stats.gifts += told
        self._adapt(sum(map(len, batch)), told)
        self._changed.set()

    def _tell(self, entry: _Entry, outcome: GiftOutcome) -> None:
        try:
            entry[1](outcome)
        except Exception:  # noqa: BLE001
            # The task's top for what others gave us to call: one who fails must not silence all the others.
            self.stats.not_told += 1
            _log.exception("outcome_not_told", gift=entry[0].order.id.hex())

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

    # Who waits too long, and how many are taken in.

    async def _look(self) -> None:
        """Refuse what waits too long, also while all commits hang, and learn how fast gifts are judged."""
        while True:
            await asyncio.sleep(self._wait_s_max / LOOKS)
            now_s = self._clock_s()
            self._refuse_late(now_s - self._wait_s_max)
            self.taking_in.look(now_s, self._waiting, self.stats.gifts)

    def _refuse_late(self, before_s: float) -> None:
        """Refuse what waits and was handed in before this time. None of it was in a commit that judged it."""
        for partition, queue in enumerate(self._queues):
            late = []
            while queue and queue[0][2] < before_s:
                late.append(queue.popleft())
            if not late:
                continue
            self._waiting -= len(late)
            if partition not in self._busy:
                self._waiting_ready -= len(late)
                if not queue:
                    self._ready.remove(Partition(partition))
            self.stats.late += len(late)
            for entry in late:
                self._tell(entry, self._late)

    async def _judge(self, groups: list[list[PreparedGift]]) -> Sequence[Sequence[GiftOutcome]]:
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + self._retry_s_max
        pause_s, told_before = 0.01, False
        while True:
            try:
                return await self._scripts.gift(groups)
            except LOST as exc:
                told_before = True
                if self._stopping or loop.time() + pause_s > deadline_s:
                    _log.warning("commit_unknown", gifts=sum(map(len, groups)), error=str(exc))
                    return self._give_up(groups)
                self.stats.retries += 1
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, 0.2)
            except RedisError as exc:
                # Full, or its disk is: it says so for every commit, and its sentence says all.
                _log.warning("commit_refused", gifts=sum(map(len, groups)), error=f"{type(exc).__name__}: {exc}")
                if isinstance(exc, OutOfMemoryError) and not told_before:
                    # The script's first write was refused, so nothing was done.
                    self.stats.full += sum(map(len, groups))
                    full = GiftRefused(Refusal.OVERLOADED, bound=await self._scripts.memory_bound())
                    return [[full] * len(group) for group in groups]
                return self._give_up(groups)
            except Exception:  # noqa: BLE001
                # The task's top: an answer that should not exist must not silence every later gift.
                _log.exception("commit_failed", gifts=sum(map(len, groups)))
                return self._give_up(groups)

    def _give_up(self, groups: list[list[PreparedGift]]) -> list[list[GiftOutcome]]:
        self.stats.unknown += sum(map(len, groups))
        return [[_UNKNOWN] * len(group) for group in groups]
