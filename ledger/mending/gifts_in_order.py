"""Gifts in the order in which their partition paid them, for those who follow along and check that each was shown.

Read from the books, a bounded piece at a time: records are found by partition and number, so the cost does not grow
with the books.
"""

import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Final, NamedTuple

from ledger.books.postgres import Pool, connected, open_pool
from ledger.config import LedgerConfig
from ledger.model import Partition
from ledger.record_kinds import GIFT_UNDONE, TOLD

_BY_INDEX: Final = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}
_POSITIONS: Final = "SELECT partition, seq FROM positions WHERE partition >= 0"
_GIFT: Final = f"r.partition, r.seq, r.place, uuid_send(r.id), r.viewer, r.count, r.coins, r.kind = '{GIFT_UNDONE}'"
_TOLD: Final = f"r.kind IN {TOLD}"
_BETWEEN: Final = f"""
SELECT {_GIFT} FROM unnest($1::smallint[], $2::bigint[], $3::bigint[]) AS span (partition, after, until)
JOIN journal_records r ON r.partition = span.partition AND r.seq > span.after AND r.seq <= span.until
WHERE {_TOLD}
"""  # noqa: S608 - column names of ours
_OF_RECORDS: Final = f"""
SELECT {_GIFT} FROM unnest($1::smallint[], $2::bigint[]) AS one (partition, seq)
JOIN journal_records r ON r.partition = one.partition AND r.seq = one.seq WHERE {_TOLD}
"""  # noqa: S608


class GiftInOrder(NamedTuple):
    """One gift of so many items, or its undoing, in record `seq` of its partition; `id` of 16 bytes."""

    partition: int
    seq: int
    place: str
    id: bytes
    viewer: str
    items: int
    coins: int
    undone: bool


class GiftsInOrder:
    """Reads them. Every method may raise `LedgerUnavailable`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def positions(self) -> dict[Partition, int]:
        """The last record of each partition that the books have."""
        async with connected(self._pool) as connection:
            return {Partition(row[0]): row[1] for row in await connection.fetch(_POSITIONS)}

    async def between(self, spans: Mapping[Partition, tuple[int, int]]) -> list[GiftInOrder]:
        """The gifts among the records after the first and up to the second number of each partition, in no order.

        As far as the books have them. Costs as many look-ups as there are records.
        """
        after, until = [span[0] for span in spans.values()], [span[1] for span in spans.values()]
        async with connected(self._pool) as connection:
            return [GiftInOrder(*row) for row in await connection.fetch(_BETWEEN, list(spans), after, until)]

    async def of_records(self, records: Iterable[tuple[int, int]]) -> dict[tuple[int, int], GiftInOrder]:
        """The gifts that stand in these records, each given by partition and number; a record of none is left out."""
        wanted = list(records)
        async with connected(self._pool) as connection:
            rows = await connection.fetch(_OF_RECORDS, [one[0] for one in wanted], [one[1] for one in wanted])
        return {(row[0], row[1]): GiftInOrder(*row) for row in rows}


@contextlib.asynccontextmanager
async def open_gifts_in_order(config: LedgerConfig) -> AsyncIterator[GiftsInOrder]:
    """They, with connections of their own that end with the block."""
    pool = await open_pool(config, _BY_INDEX)
    try:
        yield GiftsInOrder(pool)
    finally:
        await pool.close()
