"""Refunds and charge-backs: ordered here or told by a rail, taken from the wallet once, settled in the books once.

A row is stored before anything is taken, whatever has become of its purchase: a refund of a purchase that is not
credited waits for it. What dies in between is finished by the duty, or by the same id told again. One that contradicts
the books is set apart (`refund_apart`) and holds up no other.
"""

import asyncio
import datetime
import uuid
from typing import Final

import asyncpg
from msgspec import Struct

from ledger.books.postgres import Pool, connected, transaction
from ledger.books.rows import bounded, refused_values, uuid_of
from ledger.config import LedgerConfig
from ledger.errors import InvariantBroken, NotFound
from ledger.ids import format_id
from ledger.model import RefundKind
from ledger.refunds.claw_back import ClawBack
from ledger.refunds.refund_apart import count_set_apart, set_apart, settle_by_hand, take_up
from ledger.refunds.refund_rows import SELECT_REFUNDS, read_refund, store_refund
from ledger.refunds.refund_states import Refund, RefundMoney, RefundOrder, RefundRefused, RefundState
from ledger.refunds.reinstating import Reinstating
from ledger.refunds.reversing import Reversing
from ledger.service import Ledger

__all__ = [
    "Refund",
    "RefundKind",
    "RefundMoney",
    "RefundOrder",
    "RefundRefused",
    "RefundState",
    "RefundStats",
    "Refunds",
]

_OPEN: Final = """
SELECT r.* FROM refunds r JOIN credits c ON c.id = r.purchase
WHERE r.state IN ('owed', 'taken') AND r.set_apart_at IS NULL AND c.credited_at IS NOT NULL
    AND (r.made_at, r.id) > ($1, $2)
ORDER BY r.made_at, r.id LIMIT $3
"""
_OWED_OF: Final = """
SELECT r.* FROM refunds r JOIN credits c ON c.id = r.purchase
WHERE r.purchase = $1 AND r.state = 'owed' AND r.set_apart_at IS NULL AND c.credited_at IS NOT NULL
ORDER BY r.made_at, r.id
"""
_LIST: Final = f"""
{SELECT_REFUNDS} WHERE ($1::uuid IS NULL OR r.purchase = $1) AND r.id < $2 ORDER BY r.id DESC LIMIT $3
"""
_ONE: Final = f"{SELECT_REFUNDS} WHERE r.id = $1"
_BEFORE_ALL: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class RefundStats(Struct):
    """What the duty did since the start.

    Attributes:
        waiting: refunds of credited purchases that are not settled after the last round.
        set_apart: refunds that contradict the books and wait for an operator, after the last round.
        reinstated: refunds for which everything came back.
        reinstating: those for which it is to come back and has not, after the last round.
    """

    rounds: int = 0
    taken: int = 0
    settled: int = 0
    waiting: int = 0
    set_apart: int = 0
    reinstated: int = 0
    reinstating: int = 0


class Refunds:
    """Refunds of all purchases. Every method may raise `LedgerUnavailable`: then the same call again is safe."""

    def __init__(self, pool: Pool, ledger: Ledger, config: LedgerConfig) -> None:
        self.stats = RefundStats()
        self._pool = pool
        self._config = config
        self._reversing = Reversing(pool, ledger, config)
        self._claw_back = ClawBack(pool, config)
        self._reinstating = Reinstating(pool, config)

    async def refund(self, order: RefundOrder) -> Refund | RefundRefused:
        """Order a refund and take its coins if they can be taken now; the same id again answers as it stands.

        Raises:
            NotFound: there is no such purchase.
            IdConflict: the id was used with other content.
            ValueRefused: a value is outside of its bounds.
        """
        with refused_values():
            async with transaction(self._pool) as connection:
                row = await store_refund(connection, order)
        if isinstance(row, RefundRefused):
            return row
        await self.take_owed(order.purchase)
        found = await self.get(order.id)
        if found is None:
            raise NotFound(f"no refund {format_id(order.id)}")
        return found

    async def get(self, refund_id: bytes) -> Refund | None:
        """One refund."""
        async with connected(self._pool) as connection:
            row = await connection.fetchrow(_ONE, uuid_of(refund_id))
        return None if row is None else read_refund(row)

    async def refunds(
        self, *, purchase: bytes | None = None, after: bytes | None = None, limit: int = 100
    ) -> list[Refund]:
        """Refunds of all purchases or of one, greatest id first, from the one behind `after` on."""
        last = uuid.UUID(int=2**128 - 1) if after is None else uuid_of(after)
        of = None if purchase is None else uuid_of(purchase)
        async with connected(self._pool) as connection:
            rows = await connection.fetch(_LIST, of, last, bounded(limit, self._config.list_rows_max))
        return [read_refund(row) for row in rows]

    async def take_owed(self, purchase: bytes) -> None:
        """Take the coins of refunds of a purchase that were owed until it was credited."""
        async with connected(self._pool) as connection:
            rows = await connection.fetch(_OWED_OF, uuid_of(purchase))
        for row in rows:
            try:
                if not await self._reversing.take(row):
                    return
            except InvariantBroken as exc:
                await set_apart(self._pool, row, exc)

    async def retry(self, refund_id: bytes) -> Refund:
        """Carry a refund on that was set apart, as far as it goes now; it may be set apart again.

        Raises:
            NotFound: there is no such refund.
        """
        row = await take_up(self._pool, uuid_of(refund_id))
        await self.take_owed(row["purchase"].bytes)
        row = await self._row(refund_id)
        if row["state"] == RefundState.TAKEN and row["set_apart_at"] is None:
            await self._carry_on(row)
        return read_refund(await self._row(refund_id))

    async def settle_by_hand(self, refund_id: bytes, *, by: str, note: str) -> Refund:
        """Mark a refund that is set apart as settled: creators give nothing back for it.

        Raises:
            NotFound: there is no such refund.
            WrongState: it is not set apart, or what the wallet gave is not in the books.
        """
        await settle_by_hand(self._pool, uuid_of(refund_id), by, note)
        return read_refund(await self._row(refund_id))

    async def reinstate(self, refund_id: bytes, *, by: str, reason: str) -> Refund:
        """Let what was taken for a refund come back, once it is through; again answers as it stands.

        Raises:
            NotFound: there is no such refund.
            ValueRefused: a value is outside of its bounds.
        """
        await self._reinstating.order(refund_id, by=by, reason=reason)
        await self._reinstate()
        return read_refund(await self._row(refund_id))

    async def settle(self) -> int:
        """Carry every refund of a credited purchase as far as it goes, oldest first. One that the books contradict is
        set apart.

        Returns:
            How many were settled.
        """
        stats = self.stats
        settled, waiting, after = stats.settled, 0, (_BEFORE_ALL, uuid.UUID(int=0))
        while rows := await self._open(after):
            for row in rows:
                waiting += not await self._carry_on(row)
            after = (rows[-1]["made_at"], rows[-1]["id"])
        stats.rounds += 1
        stats.waiting, stats.set_apart = waiting, await count_set_apart(self._pool)
        await self._reinstate()
        stats.reinstating = await self._reinstating.waiting()
        return stats.settled - settled

    async def run(self) -> None:
        """The worker's duty: settle, again and again until cancelled.

        Raises:
            LedgerUnavailable: PostgreSQL does not answer; begin again after a while.
        """
        while True:
            await self.settle()
            await asyncio.sleep(self._config.credit_retry_ms / 1000)

    async def _carry_on(self, row: asyncpg.Record) -> bool:
        """Whether there is nothing left to wait for: it is settled, or set apart."""
        try:
            return await self._carry(row)
        except InvariantBroken as exc:
            await set_apart(self._pool, row, exc)
            return True

    async def _carry(self, row: asyncpg.Record) -> bool:
        if row["state"] == RefundState.OWED or not await self._claw_back.settle(row):
            if not await self._reversing.take(row):
                return False
            self.stats.taken += row["state"] == RefundState.OWED
            if not await self._claw_back.settle(row):
                return False
        self.stats.settled += 1
        return True

    async def _reinstate(self) -> None:
        done = await self._reinstating.settle()
        self.stats.reinstated += done

    async def _row(self, refund_id: bytes) -> asyncpg.Record:
        async with connected(self._pool) as connection:
            row = await connection.fetchrow(_ONE, uuid_of(refund_id))
        if row is None:
            raise NotFound(f"no refund {format_id(refund_id)}")
        return row

    async def _open(self, after: tuple[datetime.datetime, uuid.UUID]) -> list[asyncpg.Record]:
        async with connected(self._pool) as connection:
            return await connection.fetch(_OPEN, *after, self._config.settle_rows_max)
