"""Every gift that was paid at a place, and which were undone, for those who check that it was also shown.

Read from the books and, for what they do not have yet, from the journal. The journal is read first, and an entry leaves
it only after the books have it: so nothing that was paid before the question is missing from the answer, also while
gifts are being paid. The books have no index of places, since no other question needs one and every gift would pay
for it: one pass sorts them into a table of this connection alone.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any, Final

from msgspec import Struct
from redis.exceptions import RedisError

from ledger.books.postgres import LOST, Connection, connected, open_pool
from ledger.config import LedgerConfig
from ledger.errors import LedgerUnavailable
from ledger.live.journal import Position, decode_entry
from ledger.model import GiftBody, GiftUndoneBody, HeldGiftBody, Partition
from ledger.service import Ledger

_ENTRIES_READ: Final = 64
_SORT_S_MAX: Final = 3600.0
"""A pass over large books takes longer than any other statement may."""
_SHOWN: Final = "kind IN ('gift', 'gift_held', 'gift_undone')"
_SNAPSHOT: Final = f"""
CREATE TEMP TABLE paid ON COMMIT PRESERVE ROWS AS
    SELECT place, partition, seq, id, viewer, count, coins, kind = 'gift_undone' AS undone FROM journal_records
    WHERE {_SHOWN};
CREATE INDEX ON paid (place);
CREATE TEMP TABLE paid_until ON COMMIT PRESERVE ROWS AS SELECT partition, epoch, seq FROM positions;
ANALYZE paid;
"""  # noqa: S608 - texts of ours
_AT_PLACE: Final = f"""
SELECT partition, seq, id, viewer, count, coins, undone FROM paid WHERE place = $1
UNION ALL
SELECT r.partition, r.seq, r.id, r.viewer, r.count, r.coins, r.kind = 'gift_undone'
FROM positions p LEFT JOIN paid_until u USING (partition)
JOIN journal_records r ON r.partition = p.partition AND r.seq > coalesce(u.seq, 0)
WHERE r.place = $1 AND r.{_SHOWN}
"""  # noqa: S608 - texts of ours
_UNTIL: Final = "SELECT partition, epoch, seq FROM paid_until"


class PaidGift(Struct, frozen=True):
    """One gift, or that it was undone; `seq` is of its record in the journal of `partition`."""

    partition: Partition
    seq: int
    id: bytes
    viewer: str
    count: int
    coins: int
    undone: bool


class PaidGifts:
    """The gifts of all places. Costs a pass over the books, and a table as large as their gifts."""

    def __init__(self, connection: Connection, ledger: Ledger) -> None:
        self._connection = connection
        self._ledger = ledger
        self._read: dict[Partition, Position] = {}
        self._tail: defaultdict[str, list[PaidGift]] = defaultdict(list)

    async def sort(self) -> None:
        """Make the tables; to be awaited once before the first question."""
        async with self._connection.transaction(isolation="repeatable_read"):
            await self._connection.execute(_SNAPSHOT, timeout=_SORT_S_MAX)
            for row in await self._connection.fetch(_UNTIL):
                self._read[Partition(row["partition"])] = Position(row["epoch"], row["seq"])

    async def at(self, place: str) -> list[PaidGift]:
        """Every gift that was paid at a place before this was called, in no order; some that were paid meanwhile.

        Raises:
            LedgerUnavailable: a server does not answer.
        """
        await asyncio.gather(*(self._read_on(partition) for partition, _ in self._ledger.keys.all()))
        found = {
            (row["partition"], row["seq"]): PaidGift(
                Partition(row["partition"]),
                row["seq"],
                row["id"].bytes,
                row["viewer"],
                row["count"],
                row["coins"],
                row["undone"],
            )
            for row in await self._connection.fetch(_AT_PLACE, place)
        }
        return [*found.values(), *(gift for gift in self._tail[place] if (gift.partition, gift.seq) not in found)]

    async def _read_on(self, partition: Partition) -> None:
        journal: Any = self._ledger.keys.of(partition).journal
        position = self._read.get(partition, Position())
        entries: Any = [None]
        while entries:
            entries = await self._ledger.redis.xrange(journal, min=f"({position}", count=_ENTRIES_READ)
            for stream_id, fields in entries:
                position = self._read[partition] = Position.parse(stream_id)
                for record in decode_entry(partition, stream_id, fields):
                    body = record.body
                    if isinstance(body, GiftBody | HeldGiftBody | GiftUndoneBody):
                        about = (body.id, body.viewer, body.count, body.coins, isinstance(body, GiftUndoneBody))
                        gift = PaidGift(partition, record.seq, *about)
                        self._tail[body.place].append(gift)


@contextlib.asynccontextmanager
async def open_paid_gifts(ledger: Ledger, config: LedgerConfig) -> AsyncIterator[PaidGifts]:
    """The gifts of all places, on a connection that ends with the block.

    Raises:
        LedgerUnavailable: a server does not answer.
    """
    pool = await open_pool(config)
    try:
        async with connected(pool) as connection:
            gifts = PaidGifts(connection, ledger)
            await gifts.sort()
            yield gifts
    except (RedisError, *LOST) as exc:
        raise LedgerUnavailable(f"a server does not answer: {exc}") from exc
    finally:
        await pool.close()
