"""Gifts that may be undone, as others use them: a viewer undoes one, and what nobody undid in time is settled.

The live ledger judges and remembers; the books are asked where it may have forgotten, as in `holds`.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from ledger.books.postgres import Pool, connected
from ledger.books.rows import ms_of, uuid_of
from ledger.config import LedgerConfig
from ledger.model import GiftUndone, Partition, UndoOutcome, UndoRefusal, UndoRefused, ViewerId
from ledger.record_kinds import GIFT_HELD, GIFT_KINDS, GIFT_UNDONE
from ledger.service import Ledger

_RECORDS: Final = """
SELECT kind, coins, wallet_after, at FROM journal_records WHERE id = $1 AND viewer = $2 AND kind = ANY ($3::text[])
"""
SETTLED_AT_ONCE: Final = 200
"""Gifts of a partition that one call settles."""


class UndoStats(Struct):
    """What the duty did since the start, and how many gifts of its partitions are open now."""

    rounds: int = 0
    settled: int = 0
    open: int = 0


class Undos:
    """Undoes gifts, and settles them."""

    def __init__(self, pool: Pool, ledger: Ledger, config: LedgerConfig) -> None:
        self.stats = UndoStats()
        self._pool = pool
        self._ledger = ledger
        self._config = config

    async def undo(self, gift_id: bytes, viewer: ViewerId) -> UndoOutcome:
        """Undo a gift of this viewer; one that was undone answers so for ever.

        Args:
            gift_id: 16 bytes.

        Returns:
            `UndoRefused(UNKNOWN)` when the live ledger did not answer, or has lost what the books have: the same order
            again tells.

        Raises:
            LedgerUnavailable: PostgreSQL does not answer, and the live ledger alone cannot say. Nothing was undone.
        """
        outcome = await self._ledger.undo(gift_id, viewer)
        if isinstance(outcome, GiftUndone) or outcome.refusal is UndoRefusal.UNKNOWN:
            return outcome
        async with connected(self._pool) as connection:
            rows = await connection.fetch(_RECORDS, uuid_of(gift_id), viewer, GIFT_KINDS)
        found = {row["kind"]: row for row in rows}
        if GIFT_UNDONE in found:
            row = found[GIFT_UNDONE]
            return GiftUndone(row["coins"], row["wallet_after"], ms_of(row["at"]), replay=True)
        if outcome.refusal is UndoRefusal.SETTLED or not found:
            return outcome
        # A gift that was held and has no end, and the live ledger does not know it: it was lost, and comes back.
        return UndoRefused(UndoRefusal.UNKNOWN if found.keys() == {GIFT_HELD} else UndoRefusal.SETTLED)

    async def run(self, partitions: Sequence[Partition]) -> None:
        """The duty: settle gifts of these partitions when their time to be undone is over, until cancelled.

        Two workers on one partition do no harm: the live ledger ends each gift once.

        Raises:
            LedgerUnavailable: the live ledger does not answer.
        """
        try:
            while True:
                self.stats.settled += await self.settle_due(partitions)
                self.stats.open = await self._ledger.open_gifts(partitions)
                self.stats.rounds += 1
                await asyncio.sleep(self._config.gifts_settled_ms / 1000)
        finally:
            self.stats.open = 0

    async def settle_due(self, partitions: Sequence[Partition]) -> int:
        """Settle every gift of these partitions whose time to be undone is over; how many this call settled.

        Raises:
            LedgerUnavailable: the live ledger does not answer; not known how many were settled.
        """
        settled = 0
        for partition in partitions:
            some = SETTLED_AT_ONCE
            while some == SETTLED_AT_ONCE:
                some = await self._ledger.settle_gifts(partition, SETTLED_AT_ONCE)
                settled += some
        return settled
