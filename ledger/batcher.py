"""Group commit: gifts that arrive while a commit is in flight go out together in the next one.

An idle batcher sends at once, so a lone gift waits for nothing; a busy one pays one round trip, one script call and
one fsync for many. One commit is in flight at a time, which also keeps a viewer's gifts in the order of arrival.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final

import structlog
from msgspec import Struct

from ledger.config import LedgerConfig
from ledger.model import GiftOutcome, GiftRefused, Refusal
from ledger.redis_client import LOST
from ledger.scripts import PreparedGift, Scripts

_log = structlog.get_logger()
_UNKNOWN: Final = GiftRefused(Refusal.UNKNOWN)
_OVERLOADED: Final = GiftRefused(Refusal.OVERLOADED)

Told = Callable[[GiftOutcome], None]
"""Is told the outcome, once, from the event loop. It must not raise and must not block."""


class BatcherStats(Struct):
    """Counts since the start, for metrics."""

    commits: int = 0
    gifts: int = 0
    not_judged: int = 0
    overloaded: int = 0
    retries: int = 0
    unknown: int = 0


class Batcher:
    """Collects gifts and commits them in batches. `start` and `stop` own its one task.

    Args:
        scripts: where the commits go.
        config: `batch_gifts_max` bounds one commit, `batch_waiting_max` all that wait, `retry_ms_max` the time for
            which a commit whose answer was lost is told again (with the same ids, so that nothing is paid twice).
    """

    def __init__(self, scripts: Scripts, config: LedgerConfig) -> None:
        self.stats = BatcherStats()
        self._scripts = scripts
        self._gifts_max = config.batch_gifts_max
        self._waiting_max = config.batch_waiting_max
        self._retry_s_max = config.retry_ms_max / 1000
        self._waiting: deque[tuple[PreparedGift, Told]] = deque()
        self._arrived = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to commit."""
        self._task = asyncio.create_task(self._run(), name="ledger-batcher")

    async def stop(self) -> None:
        """Commit what waits, tell everyone, and end. Gifts that come after are refused as overloaded."""
        self._stopping = True
        self._arrived.set()
        if self._task is not None:
            await self._task

    @property
    def waiting(self) -> int:
        """How many gifts wait for a commit."""
        return len(self._waiting)

    def submit(self, gift: PreparedGift, told: Told) -> None:
        """Queue a gift; `told` hears its outcome. At the bound of the queue it hears OVERLOADED at once."""
        if len(self._waiting) >= self._waiting_max or self._stopping:
            self.stats.overloaded += 1
            told(_OVERLOADED)
            return
        self._waiting.append((gift, told))
        self._arrived.set()

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            while self._waiting:
                batch = list(islice(self._waiting, self._gifts_max))
                for _ in batch:
                    self._waiting.popleft()
                await self._commit(batch)
            if self._stopping:
                return
            self._arrived.clear()

    async def _commit(self, batch: list[tuple[PreparedGift, Told]]) -> None:
        outcomes = await self._judge([gift for gift, _ in batch])
        self.stats.commits += 1
        self.stats.gifts += len(batch)
        again = []
        for entry, outcome in zip(batch, outcomes, strict=True):
            if outcome is None:
                again.append(entry)
            else:
                entry[1](outcome)
        if again:
            self.stats.not_judged += len(again)
            self._waiting.extendleft(reversed(again))

    async def _judge(self, gifts: list[PreparedGift]) -> list[GiftOutcome | None]:
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + self._retry_s_max
        pause_s = 0.01
        while True:
            try:
                return await self._scripts.gift(gifts)
            except LOST as exc:
                if self._stopping or loop.time() + pause_s > deadline_s:
                    self.stats.unknown += len(gifts)
                    _log.warning("commit_unknown", gifts=len(gifts), error=str(exc))
                    return [_UNKNOWN] * len(gifts)
                self.stats.retries += 1
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, 0.2)
            except Exception:  # noqa: BLE001
                # The task's top: an answer that should not exist must not silence every later gift.
                self.stats.unknown += len(gifts)
                _log.exception("commit_failed", gifts=len(gifts))
                return [_UNKNOWN] * len(gifts)
