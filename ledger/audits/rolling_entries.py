"""The entries of the books in a round of the rolling audit: added up as they lie, and walked through account by account
where that shows that something is wrong. A small part is walked through in each round all the same, the next one each
time: so an order of entries that no sum shows is seen after some rounds.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from ledger.accounts import BOOKS_PARTITION
from ledger.audits import rolling_books as books
from ledger.audits import rolling_sums as sums
from ledger.audits.pacing import Pacer
from ledger.books.postgres import Pool, connected
from ledger.config import LedgerConfig
from ledger.model import Partition

PAGE: Final = 5
"""Where the database adds up by itself a page is so many times `audit_rows`."""
CODES_A_BLOCK: Final = 5_000
"""A page of entries is of one block of their table for so many accounts, whose codes are sent with it."""
WALKED_SHARE: Final = 64
"""One of so many entries is walked through in a round that finds nothing."""


class EntryWalk:
    """What `Round` does with entries.

    Args:
        hear: takes what is found.
        count: hears how many things were looked at.

    Attributes:
        suspect: something does not cancel, so `name` should say what.
    """

    def __init__(
        self,
        pool: Pool,
        config: LedgerConfig,
        pacer: Pacer,
        hear: Callable[[list[books.Found]], None],
        count: Callable[[int], None],
    ) -> None:
        self.suspect = False
        self._pool = pool
        self._rows = config.audit_rows
        self._pacer = pacer
        self._hear = hear
        self._count = count

    async def add_up(self, until: Mapping[Partition, int]) -> sums.EntrySums:
        """What the entries of the records up to these add up to. The books have them."""
        last = [until.get(Partition(number), 0) for number in range(BOOKS_PARTITION, max(until) + 1)]
        codes = await self._accounts(last)
        total, tables, files = sums.EntrySums(), await self._tables(), None
        # Who writes a table anew (VACUUM FULL, another tablespace) moves entries to where they are missed or met twice.
        while files != {table.name: table.file for table in tables}:
            files = {table.name: table.file for table in tables}
            total = await self._pass(tables, last, codes)
            tables = [table for table in await self._tables() if table.name in files]
        strange = any(partition not in until for partition, _ in total.counts)
        self.suspect = total.chain != codes.chain or total.bad > 0 or strange
        return total

    async def name(self, place: books.Place, *, whole: bool) -> tuple[int, books.Place]:
        """Walk through entries from a place on, account by account, and say what is wrong.

        Args:
            whole: to the end, else a small part.

        Returns:
            How much was found, and where the next part begins.
        """
        named, looked_at, last = 0, 0, place
        part = await self._part()
        while whole or looked_at < part:
            async with self._pacer.slice(), connected(self._pool) as connection:
                found, rows, after = await books.read_entries(connection, last, self._rows)
            self._hear(found)
            named += len(found)
            looked_at += rows
            if after is None:
                return named, books.Place()
            last = after
        return named, last

    async def _accounts(self, until: Sequence[int]) -> sums.Codes:
        codes, account, more = sums.Codes(), 0, True
        while more:
            async with self._pacer.slice(), connected(self._pool) as connection:
                account = await sums.add_accounts(connection, codes, account, self._rows, until)
            more = account > 0
        return codes

    async def _pass(self, tables: Sequence[sums.Table], until: Sequence[int], codes: sums.Codes) -> sums.EntrySums:
        total = sums.EntrySums()
        # The codes are sent with each page: the more there are, the larger it is.
        step = max(1, PAGE * self._rows // sums.BLOCKS_ROWS, len(codes.bytes) // CODES_A_BLOCK)
        for table in tables:
            for first in range(0, table.blocks, step):
                blocks = (first, first + step)
                async with self._pacer.slice(), connected(self._pool) as connection:
                    self._count(await sums.add_entries(connection, total, table, blocks, until, codes))
        return total

    async def _tables(self) -> list[sums.Table]:
        async with connected(self._pool) as connection:
            return await sums.entry_tables(connection)

    async def _part(self) -> int:
        """So many entries are walked through in a round."""
        blocks = sum(table.blocks for table in await self._tables())
        return blocks * sums.BLOCKS_ROWS // WALKED_SHARE + 1
