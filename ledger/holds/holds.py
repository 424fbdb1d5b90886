"""Holds as others may use them: coins are put aside, and each hold ends once: settled, voided or expired.

The live ledger judges and remembers; the books are asked first where it may have forgotten, as in `crediting`. What is
written is the live ledger's alone, so nothing is owed here: an order whose outcome is not known is told again.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import asyncpg
from msgspec import Struct

from ledger.books.copy_rows import RECORD_COLUMNS, read_record
from ledger.books.postgres import Pool, connected, snapshot
from ledger.books.rows import bounded, ms_of, uuid_of
from ledger.config import LedgerConfig
from ledger.errors import LedgerUnavailable
from ledger.live.hold_call import EndedHold, OpenHold, hold_body
from ledger.model import (
    EndOutcome,
    EndRefusal,
    EndRefused,
    GiftRefused,
    Held,
    HoldBody,
    HoldEnd,
    HoldEndBody,
    HoldEnded,
    HoldOrder,
    HoldOutcome,
    JournalRecord,
    Partition,
    Refusal,
    ViewerId,
)
from ledger.service import Ledger

_RECORDS: Final = f"""
SELECT {", ".join(RECORD_COLUMNS)} FROM journal_records
WHERE id = $1 AND viewer = $2 AND kind IN ('hold', 'hold_ended')
"""  # noqa: S608 - column names of ours
_OF_VIEWER: Final = """
SELECT h.seq, h.id, h.viewer, h.coins, h.reference, h.at, h.details, e.reference AS end, e.taken_coins, e.at AS ended_at
FROM journal_records h
LEFT JOIN journal_records e ON e.id = h.id AND e.viewer = h.viewer AND e.kind = 'hold_ended'
WHERE h.viewer = $1 AND h.kind = 'hold' AND h.seq < $2 ORDER BY h.seq DESC LIMIT $3
"""
_AFTER_ALL: Final = 2**63 - 1
EXPIRED_AT_ONCE: Final = 100
"""Holds of a partition that are asked for at a time."""


class Hold(Struct, frozen=True):
    """A hold as it stands.

    Attributes:
        end: None while it is open, and so are `taken_coins` and `ended_ms`.
    """

    id: bytes
    viewer: ViewerId
    coins: int
    reference: str
    begun_ms: int
    expires_ms: int
    end: HoldEnd | None = None
    taken_coins: int | None = None
    ended_ms: int | None = None


class HoldStats(Struct):
    """What the duty did since the start, and how many holds of its partitions are open now."""

    rounds: int = 0
    expired: int = 0
    open: int = 0


class Holds:
    """Begins, ends and finds holds. Every method may raise `LedgerUnavailable` when PostgreSQL does not answer."""

    def __init__(self, pool: Pool, ledger: Ledger, config: LedgerConfig) -> None:
        self.stats = HoldStats()
        self._pool = pool
        self._ledger = ledger
        self._config = config

    async def begin(self, order: HoldOrder) -> HoldOutcome:
        """Put coins aside; the same id of this viewer again is answered as the first time, also after it has ended.

        Returns:
            `GiftRefused(UNKNOWN)` when the live ledger did not answer: the same order again tells.
        """
        try:
            asked_ms = await self._ledger.now_ms()
        except LedgerUnavailable:
            return GiftRefused(Refusal.UNKNOWN)
        begun, _ = await self._booked(order.id, order.viewer)
        if begun is not None:
            if begun.body != hold_body(order):
                return GiftRefused(Refusal.ID_CONFLICT)
            return Held(begun.wallet_after, begun.at_ms + order.lasts_ms, replay=True)
        return await self._ledger.hold(order, until_ms=asked_ms + self._config.credit_ids_kept_ms // 2)

    async def settle(self, hold_id: bytes, viewer: ViewerId, coins: int | None) -> EndOutcome:
        """Take so many coins of a hold, or all; the others go back. One that has ended answers how it did."""
        return await self._end(hold_id, viewer, HoldEnd.SETTLED, coins)

    async def void(self, hold_id: bytes, viewer: ViewerId) -> EndOutcome:
        """Let all coins of a hold go back. One that has ended answers how it did."""
        return await self._end(hold_id, viewer, HoldEnd.VOIDED, None)

    async def get(self, hold_id: bytes, viewer: ViewerId) -> Hold | None:
        """A hold, open or ended, for ever; None when there never was one."""
        # The live ledger first: what it has forgotten by now the books have.
        match await self._ledger.find_hold(hold_id, viewer):
            case OpenHold() as hold:
                return _of_live(hold, None)
            case EndedHold(hold=hold, ended=ended):
                return _of_live(hold, ended)
        begun, ended_record = await self._booked(hold_id, viewer)
        if begun is None or not isinstance(begun.body, HoldBody):
            return None
        return _of_records(begun, begun.body, ended_record)

    async def of_viewer(self, viewer: str, *, after: int | None, limit: int) -> list[tuple[int, Hold]]:
        """Holds of a viewer that the books have, newest first, each with its number: the cursor of the list.

        Args:
            after: the number of the last one of the page before.
        """
        before = _AFTER_ALL if after is None else after
        rows_max = bounded(limit, self._config.list_rows_max)
        async with connected(self._pool) as connection:
            return [_of_row(row) for row in await connection.fetch(_OF_VIEWER, viewer, before, rows_max)]

    async def run(self, partitions: Sequence[Partition]) -> None:
        """The duty: let holds of these partitions expire when their time is over, until cancelled.

        Two workers on one partition do no harm: the live ledger ends each hold once.

        Raises:
            LedgerUnavailable: the live ledger does not answer.
        """
        try:
            while True:
                self.stats.expired += await self.expire(partitions)
                self.stats.open = await self._ledger.open_holds(partitions)
                self.stats.rounds += 1
                await asyncio.sleep(self._config.holds_expired_ms / 1000)
        finally:
            self.stats.open = 0

    async def expire(self, partitions: Sequence[Partition]) -> int:
        """Let every hold of these partitions expire whose time is over; how many this call ended."""
        expired = 0
        for partition in partitions:
            ended = EXPIRED_AT_ONCE
            while ended == EXPIRED_AT_ONCE:
                ended = await self._expire_some(partition)
                expired += ended
        return expired

    async def _expire_some(self, partition: Partition) -> int:
        ended = 0
        for hold_id, viewer in await self._ledger.due_holds(partition, EXPIRED_AT_ONCE):
            outcome = await self._ledger.end_hold(hold_id, viewer, HoldEnd.EXPIRED)
            if outcome == EndRefused(EndRefusal.UNKNOWN):
                raise LedgerUnavailable("it is not known whether a hold expired; the next round asks again")
            ended += isinstance(outcome, HoldEnded) and not outcome.replay
        return ended

    async def _end(self, hold_id: bytes, viewer: ViewerId, end: HoldEnd, coins: int | None) -> EndOutcome:
        outcome = await self._ledger.end_hold(hold_id, viewer, end, taken_coins=coins)
        if outcome != EndRefused(EndRefusal.NO_SUCH_HOLD):
            return outcome
        begun, ended = await self._booked(hold_id, viewer)
        if ended is None or not isinstance(ended.body, HoldEndBody):
            # The live ledger does not know what has begun and not ended: it was lost, and comes back.
            return outcome if begun is None else EndRefused(EndRefusal.UNKNOWN)
        body = ended.body
        return HoldEnded(body.end, body.coins, body.taken_coins, ended.wallet_after, ended.at_ms, replay=True)

    async def _booked(self, hold_id: bytes, viewer: ViewerId) -> tuple[JournalRecord | None, JournalRecord | None]:
        """The records of a hold and of its end, as far as the books have them."""
        async with snapshot(self._pool) as connection:
            rows = await connection.fetch(_RECORDS, uuid_of(hold_id), viewer)
        records = [read_record(row) for row in rows]
        begun = next((record for record in records if isinstance(record.body, HoldBody)), None)
        ended = next((record for record in records if isinstance(record.body, HoldEndBody)), None)
        return begun, ended


def is_as_asked(ended: HoldEnded, end: HoldEnd, coins: int | None) -> bool:
    """Whether a hold ended as somebody asks for: of a settlement so many coins, of a void that all came back."""
    if end is HoldEnd.SETTLED:
        return ended.end is HoldEnd.SETTLED and ended.taken_coins == (ended.coins if coins is None else coins)
    return ended.end is not HoldEnd.SETTLED


def _of_live(hold: OpenHold, ended: HoldEnded | None) -> Hold:
    about = (hold.id, hold.viewer, hold.coins, hold.reference, hold.begun_ms, hold.expires_ms)
    return Hold(*about) if ended is None else Hold(*about, ended.end, ended.taken_coins, ended.at_ms)


def _of_records(begun: JournalRecord, body: HoldBody, ended: JournalRecord | None) -> Hold:
    about = (body.id, body.viewer, body.coins, body.reference, begun.at_ms, begun.at_ms + body.lasts_ms)
    if ended is None or not isinstance(ended.body, HoldEndBody):
        return Hold(*about)
    return Hold(*about, ended.body.end, ended.body.taken_coins, ended.at_ms)


def _of_row(row: asyncpg.Record) -> tuple[int, Hold]:
    begun_ms, lasts_ms = ms_of(row["at"]), int.from_bytes(row["details"], "big")
    about = (row["id"].bytes, ViewerId(row["viewer"]), row["coins"], row["reference"], begun_ms, begun_ms + lasts_ms)
    if row["end"] is None:
        return row["seq"], Hold(*about)
    return row["seq"], Hold(*about, HoldEnd(row["end"]), row["taken_coins"], ms_of(row["ended_at"]))
