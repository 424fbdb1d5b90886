"""Counts again what viewers have spent, from the books: the live ledger counts alone, and a lost one begins at nought.

Every gift of the present day, week and month counts unless it was undone, and every hold without what came back of it;
also those from before a viewer or a creator had a cap: it is not known any more when counting began, and too early a
refusal does less harm than a cap that is passed.
"""

import datetime
from collections.abc import AsyncIterator, Iterable
from typing import Final

from ledger.books.postgres import Connection, Pool, snapshot
from ledger.books.rows import at_ms
from ledger.config import LedgerConfig
from ledger.guards.periods import begins_at_ms, period_number
from ledger.live.guard_state import pack_counts
from ledger.model import Limit, Partition
from ledger.service import Ledger

_PERIODS: Final = (Limit.DAY, Limit.WEEK, Limit.MONTH)
# A gift that was undone gave its coins back.
_COUNTED: Final = """
r.kind IN ('gift', 'gift_held') AND NOT (r.kind = 'gift_held' AND EXISTS (
    SELECT 1 FROM journal_records u WHERE u.id = r.id AND u.viewer = r.viewer AND u.kind = 'gift_undone'
))
"""
_SPENT: Final = f"""
SELECT viewer, coalesce(sum(coins) FILTER (WHERE at >= $2::timestamptz), 0)::bigint AS day,
    coalesce(sum(coins) FILTER (WHERE at >= $3::timestamptz), 0)::bigint AS week,
    coalesce(sum(coins) FILTER (WHERE at >= $4), 0)::bigint AS month
FROM (
    SELECT r.viewer, r.at, r.coins FROM journal_records r
    WHERE r.partition = $1 AND {_COUNTED} AND r.at >= least($3, $4::timestamptz)
    UNION ALL SELECT h.viewer, h.at, h.coins - coalesce(e.coins - e.taken_coins, 0) FROM journal_records h
    LEFT JOIN journal_records e ON e.id = h.id AND e.viewer = h.viewer AND e.kind = 'hold_ended'
    WHERE h.partition = $1 AND h.kind = 'hold' AND h.at >= least($3, $4::timestamptz)
) spent
WHERE ($5 OR viewer IN (SELECT viewer FROM guards WHERE version > 0))
GROUP BY viewer
"""  # noqa: S608 - texts of ours
# Whether a place has a cap stands in its settings, which are not ours to read; without any it has none.
_GIVEN: Final = f"""
SELECT r.viewer, r.creator, sum(r.coins)::bigint AS coins FROM journal_records r
WHERE r.partition = $1 AND {_COUNTED} AND r.at >= $2
    AND r.place IN (SELECT place FROM places WHERE settings <> '')
GROUP BY r.viewer, r.creator
"""  # noqa: S608 - texts of ours


async def recount(
    pool: Pool, ledger: Ledger, config: LedgerConfig, partitions: Iterable[Partition] | None = None
) -> int:
    """Set the counters of all whose spending is counted: of everybody where the operator has caps or a rate.

    Only while the live ledger takes no gifts and the books have all that it has; needs no started ledger. A gift that
    was refunded counts, as it did before. What viewers gave creators today is set for all places that have settings.

    Args:
        partitions: every one when None.

    Returns:
        How many viewers' counters were set.

    Raises:
        LedgerUnavailable: one of the two does not answer; to be done again.
    """
    counted = 0
    async with snapshot(pool) as connection:
        every = [partition for partition, _ in ledger.keys.all()]
        for partition in every if partitions is None else partitions:
            now_ms = await ledger.partition_now_ms(partition)
            async for batch in _batches(connection, partition, now_ms, config):
                await ledger.set_counts(partition, batch)
                counted += len(batch)
            day = period_number(Limit.CREATOR_DAY, now_ms)
            async for given in _given(connection, partition, now_ms, config):
                await ledger.set_given(partition, day, given)
    return counted


async def _batches(
    connection: Connection, partition: Partition, now_ms: int, config: LedgerConfig
) -> AsyncIterator[list[tuple[str, bytes]]]:
    begins: list[datetime.datetime] = [at_ms(begins_at_ms(limit, now_ms)) for limit in _PERIODS]
    numbers = [period_number(limit, now_ms) for limit in _PERIODS]
    batch: list[tuple[str, bytes]] = []
    async for row in connection.cursor(_SPENT, partition, *begins, config.counts_spending):
        coins = (row["day"], row["week"], row["month"])
        batch.append((row["viewer"], pack_counts(zip(numbers, coins, strict=True))))
        if len(batch) == config.settle_rows_max:
            yield batch
            batch = []
    if batch:
        yield batch


async def _given(
    connection: Connection, partition: Partition, now_ms: int, config: LedgerConfig
) -> AsyncIterator[list[tuple[str, str, int]]]:
    batch: list[tuple[str, str, int]] = []
    async for row in connection.cursor(_GIVEN, partition, at_ms(begins_at_ms(Limit.CREATOR_DAY, now_ms))):
        batch.append((row["viewer"], row["creator"], row["coins"]))
        if len(batch) == config.settle_rows_max:
            yield batch
            batch = []
    if batch:
        yield batch
