"""The audit that never ends: the worker looks through everything round after round, at a small bounded cost.

It checks I1, I2, I3, I4, I9 and I10 as `audit` does. What it finds is logged as critical at once, and counted until a
whole round has found nothing. It repairs nothing and stops nobody.
"""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Final

import structlog
from msgspec import Struct
from redis.asyncio import Redis

from ledger.audits.pacing import Pacer
from ledger.audits.rolling_books import Place
from ledger.audits.rolling_round import SEALS_TURNS, Round
from ledger.books.postgres import Pool, open_pool
from ledger.config import LedgerConfig
from ledger.invariants import Invariant
from ledger.live.keys import Keys
from ledger.live.redis_client import connect

CHECKED: Final = (Invariant.I1, Invariant.I2, Invariant.I3, Invariant.I4, Invariant.I9, Invariant.I10)
NAMED_MAX: Final = 20
"""So many violations of an invariant are logged in a round; the others are only counted."""
_BY_INDEX: Final = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}
"""A page is a thousand rows among millions: each is looked up. A planner that reads a whole table for a page would
make a round quadratic."""
_log = structlog.get_logger()


class RollingAuditStats(Struct):
    """What the duty did since the start.

    Attributes:
        rounds: whole rounds.
        since_ms: when the last whole round ended; the start while there was none.
        checked: entries, records, wallets and stripes that were looked at.
        slices, busy_ms: how often it worked, and for how long in all.
        violations_I1 and so on: contradictions in the last whole round, or in the present one where there are more.
    """

    rounds: int = 0
    since_ms: int = 0
    checked: int = 0
    slices: int = 0
    busy_ms: int = 0
    violations_I1: int = 0  # noqa: N815 - the invariants' own numbers
    violations_I2: int = 0  # noqa: N815
    violations_I3: int = 0  # noqa: N815
    violations_I4: int = 0  # noqa: N815
    violations_I9: int = 0  # noqa: N815
    violations_I10: int = 0  # noqa: N815


class RollingAudit:
    """One task; `run` is the worker's duty.

    Args:
        redis: may be shared, it never blocks.
    """

    def __init__(self, pool: Pool, redis: Redis, config: LedgerConfig) -> None:
        self.stats = RollingAuditStats(since_ms=_now_ms())
        self._pool = pool
        self._redis = redis
        self._config = config
        self._keys = Keys(config.partitions)
        self._pacer = Pacer(max(1, config.audit_share_permille) / 1000)
        self._place = Place()
        self._turn = random.randrange(SEALS_TURNS)  # noqa: S311 - any turn will do
        self._last: Counter[Invariant] = Counter()
        self._present: Counter[Invariant] = Counter()

    async def run(self) -> None:
        """Round after round until cancelled.

        Raises:
            LedgerUnavailable, redis.RedisError, OSError: a server does not answer; begin again after a while.
        """
        while True:
            if self._config.audit_share_permille:
                await self.round()
            await asyncio.sleep(self._config.audit_pause_ms / 1000)

    async def round(self) -> dict[Invariant, int]:
        """Look at everything once; how many contradictions of each invariant there were.

        Raises:
            LedgerUnavailable, redis.RedisError, OSError: a server does not answer.
        """
        self._present = Counter()
        parts = (self._pool, self._redis, self._keys, self._config, self._pacer)
        one = Round(*parts, self._violate, self._count, self._place, self._turn)
        self._turn += 1
        await one.run()
        self._place = one.place
        self._last = self._present
        self.stats.rounds += 1
        self.stats.since_ms = _now_ms()
        self._tell()
        return dict(self._last)

    def _violate(self, invariant: Invariant, words: str) -> None:
        self._present[invariant] += 1
        if self._present[invariant] <= NAMED_MAX:
            _log.critical("audit_violation", invariant=invariant.value, error=words)
        self._tell()

    def _count(self, things: int) -> None:
        self.stats.checked += things
        self.stats.slices, self.stats.busy_ms = self._pacer.slices, round(self._pacer.busy_s * 1000)

    def _tell(self) -> None:
        for invariant in CHECKED:
            found = max(self._last[invariant], self._present[invariant])
            setattr(self.stats, f"violations_{invariant.value}", found)


@contextlib.asynccontextmanager
async def open_rolling_audit(config: LedgerConfig) -> AsyncIterator[RollingAudit]:
    """A rolling audit with connections of its own that end with the block."""
    pool, redis = await open_pool(config, _BY_INDEX), connect(config)
    try:
        yield RollingAudit(pool, redis, config)
    finally:
        await redis.aclose()
        await pool.close()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
