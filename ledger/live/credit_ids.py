"""Lets ids of credits, refunds, ended holds and undone gifts leave Redis when PostgreSQL has had them for long enough.

Callers ask PostgreSQL before they credit, so an id that PostgreSQL has known for an hour needs no second memory. The
ids are walked through a few at a time; how long a record has been flushed is known from positions that were noted then,
so nothing is forgotten in the first hour after a start.
"""

import itertools
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from redis.asyncio import Redis

from ledger.books.postgres import Pool, connected
from ledger.config import LedgerConfig
from ledger.ids import ID_BYTES
from ledger.live.journal import Position
from ledger.live.keys import Keys
from ledger.model import Cause, Partition, RefundKind
from ledger.record_kinds import GIFT_UNDONE, HOLD_ENDED

_FLUSHED: Final = """
SELECT id, viewer FROM journal_records
WHERE id = ANY ($1::uuid[]) AND kind = ANY ($2::text[]) AND partition = $3 AND seq <= $4
"""
_CREDITS: Final = [cause.value for cause in Cause]
_REVERSALS: Final = [kind.value for kind in RefundKind]
_HASHES: Final = 4
"""Of each partition: ids of credits, of reversals, of holds that ended and of gifts that were undone."""


class CreditIds:
    """Forgets ids of some partitions, one partition after another.

    Args:
        config: `credit_ids_read` bounds one step, `credit_ids_kept_ms` says how long an id stays at least.
    """

    def __init__(
        self, pool: Pool, redis: Redis, keys: Keys, partitions: Sequence[Partition], config: LedgerConfig
    ) -> None:
        self._pool = pool
        self._redis = redis
        self._keys = keys
        hashes = [
            (partition, name, kinds)
            for partition in partitions
            for name, kinds in (
                (keys.of(partition).credits, _CREDITS),
                (keys.of(partition).reversals, _REVERSALS),
                (keys.of(partition).ended_holds, [HOLD_ENDED]),
                (keys.of(partition).undone_gifts, [GIFT_UNDONE]),
            )
        ]
        self._turns = itertools.cycle(hashes)
        self._turn = next(self._turns)
        self._cursor = 0
        self._kept_s = config.credit_ids_kept_ms / 1000
        self._read = config.credit_ids_read
        self._noted_s: float | None = None
        self._noted: Mapping[Partition, Position] = {}
        self._old: Mapping[Partition, Position] = {}

    async def forget_some(self, now_s: float, committed: Mapping[Partition, Position]) -> int:
        """Look at some ids of the hash whose turn it is, and forget those that were flushed long ago.

        Args:
            now_s: of a clock that never goes back.
            committed: what PostgreSQL holds now.

        Returns:
            How many ids went.

        Raises:
            LedgerUnavailable, redis.RedisError, OSError: a server did not answer; nothing needs to be put right.
        """
        if self._noted_s is None or now_s - self._noted_s >= self._kept_s:
            self._old, self._noted, self._noted_s = self._noted, dict(committed), now_s
        for _ in range(_HASHES):
            # A hash without any id, as most are most of the time, does not cost a turn.
            went = await self._forget_of_turn()
            if went is not None:
                return went
        return 0

    async def _forget_of_turn(self) -> int | None:
        """How many ids went; None when there was none to look at."""
        partition, key, kinds = self._turn
        old = self._old.get(partition)
        if old is None:
            return 0
        name: Any = key
        found: dict[bytes, bytes]
        self._cursor, found = await self._redis.hscan(name, self._cursor, count=self._read)  # type: ignore[assignment]
        if self._cursor == 0:
            self._turn = next(self._turns)
        if not found:
            return None
        # An id, and of a hold or a gift its viewer behind it.
        ids = [uuid.UUID(bytes=field[:ID_BYTES]) for field in found]
        async with connected(self._pool) as connection:
            rows = await connection.fetch(_FLUSHED, ids, kinds, partition, old.seq)
        known = {row["id"].bytes for row in rows} | {row["id"].bytes + row["viewer"].encode() for row in rows}
        flushed = [field for field in found if field in known]
        return int(await self._redis.hdel(name, *flushed)) if flushed else 0
