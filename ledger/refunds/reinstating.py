"""What was taken for a refund comes back, once: the money never went, or came back to us. New records, and no edits.

The viewer is granted what the wallet had given, and each creator what was taken of its earnings, at once available. One
transaction posts the creators' records, orders the grant and marks it done; the coins follow as those of every grant.
"""

import hashlib
import uuid
from typing import Final

import asyncpg

from ledger.accounts import BOOKS_PARTITION, AccountKey, AccountKind, earnings, platform
from ledger.books.postgres import Connection, Pool, connected, transaction
from ledger.books.posting import BookRecord, open_posting
from ledger.books.rows import refused_values, uuid_of
from ledger.config import LedgerConfig
from ledger.errors import NotFound
from ledger.ids import format_id
from ledger.model import Cause
from ledger.refunds.refund_rows import id_of_no_time

REINSTATED: Final = "reinstated"
"""The kind of the books' record by which a creator is given back what was taken."""
_ORDER: Final = """
INSERT INTO reinstatements (refund, reason, asked_by) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING refund
"""
_OPEN: Final = """
SELECT t.refund, t.asked_by, t.reason, r.viewer, r.state, coalesce(r.taken_coins, r.coins) AS coins
FROM reinstatements t JOIN refunds r ON r.id = t.refund
WHERE t.done_at IS NULL AND r.state IN ('settled', 'voided') AND t.refund > $1 ORDER BY t.refund LIMIT $2
"""
_WAITING: Final = "SELECT count(*) FROM reinstatements WHERE done_at IS NULL"
_LOCK: Final = "SELECT done_at FROM reinstatements WHERE refund = $1 FOR UPDATE"
_SHARES: Final = """
SELECT creator, sum(from_pending + from_available)::bigint AS diamonds, sum(commission_diamonds)::bigint AS commission,
    sum(residue_diamonds)::bigint AS residue
FROM refund_shares WHERE refund = $1 GROUP BY creator ORDER BY creator
"""
_CREDIT: Final = """
INSERT INTO credits (id, cause, viewer, coins, reference, due_at) VALUES ($1, $2, $3, $4, $5, now())
"""
_GRANT: Final = "INSERT INTO grants (id, granted_by) VALUES ($1, $2)"
_DONE: Final = """
UPDATE reinstatements SET done_at = now(), coins = $2, creator_diamonds = $3, commission_diamonds = $4, grant_id = $5
WHERE refund = $1
"""


async def order_reinstatement(connection: Connection, refund: uuid.UUID, *, by: str, reason: str) -> bool:
    """Let what was taken for a refund come back, inside the caller's transaction; whether this is the first time."""
    return await connection.fetchval(_ORDER, refund, reason, by) is not None


class Reinstating:
    """Carries reinstatements out."""

    def __init__(self, pool: Pool, config: LedgerConfig) -> None:
        self._pool = pool
        self._config = config

    async def order(self, refund_id: bytes, *, by: str, reason: str) -> None:
        """Let what was taken for a refund come back; again changes nothing.

        Raises:
            NotFound: there is no such refund.
            ValueRefused: a value is outside of its bounds.
        """
        with refused_values():
            async with transaction(self._pool) as connection:
                if not await connection.fetchval("SELECT 1 FROM refunds WHERE id = $1 FOR SHARE", uuid_of(refund_id)):
                    raise NotFound(f"no refund {format_id(refund_id)}")
                await order_reinstatement(connection, uuid_of(refund_id), by=by, reason=reason)

    async def settle(self) -> int:
        """Carry out all whose refunds are through, each once; those of others wait for that. How many were done.

        Raises:
            LedgerUnavailable: PostgreSQL did not answer; the same call again is safe.
        """
        done, last = 0, uuid.UUID(int=0)
        while rows := await self._open(last):
            for row in rows:
                done += await self._carry_out(row)
            last = rows[-1]["refund"]
        return done

    async def waiting(self) -> int:
        """How many are not done."""
        async with connected(self._pool) as connection:
            return int(await connection.fetchval(_WAITING))

    async def _open(self, last: uuid.UUID) -> list[asyncpg.Record]:
        async with connected(self._pool) as connection:
            return await connection.fetch(_OPEN, last, self._config.settle_rows_max)

    async def _carry_out(self, row: asyncpg.Record) -> bool:
        # Shares are written once, before a refund is settled.
        async with connected(self._pool) as connection:
            shares = await connection.fetch(_SHARES, row["refund"])
        async with open_posting(self._pool, _accounts(shares)) as posting:
            connection = posting.connection
            if await connection.fetchval(_LOCK, row["refund"]) is not None:
                return False
            for share in shares:
                if share["diamonds"] or share["commission"]:
                    posting.add(_record(row["refund"], share))
            grant_id = await _grant(connection, row) if row["coins"] else None
            diamonds, commission = (sum(share[name] for share in shares) for name in ("diamonds", "commission"))
            await connection.execute(_DONE, row["refund"], row["coins"], diamonds, commission, grant_id)
        return True


def _accounts(shares: list[asyncpg.Record]) -> list[AccountKey]:
    return [
        platform(AccountKind.ISSUANCE, BOOKS_PARTITION),
        platform(AccountKind.COMMISSION_RETURNED, BOOKS_PARTITION),
        platform(AccountKind.RESIDUE_RETURNED, BOOKS_PARTITION),
        *(earnings(AccountKind.AVAILABLE, share["creator"]) for share in shares),
    ]


def _record(refund: uuid.UUID, share: asyncpg.Record) -> BookRecord:
    creator, diamonds = share["creator"], share["diamonds"]
    commission, residue = share["commission"], share["residue"]
    movements = [
        (platform(AccountKind.ISSUANCE, BOOKS_PARTITION), -diamonds - commission),
        (platform(AccountKind.COMMISSION_RETURNED, BOOKS_PARTITION), commission - residue),
        (platform(AccountKind.RESIDUE_RETURNED, BOOKS_PARTITION), residue),
        (earnings(AccountKind.AVAILABLE, creator), diamonds),
    ]
    moved = [(key, amount) for key, amount in movements if amount]
    content = refund.bytes + creator.encode()
    record_id = hashlib.blake2b(content, digest_size=16, person=b"giftwire back").digest()
    return BookRecord(record_id, REINSTATED, creator, format_id(refund.bytes), diamonds, moved)


async def _grant(connection: Connection, row: asyncpg.Record) -> uuid.UUID:
    grant_id = uuid_of(id_of_no_time(row["refund"].bytes, b"giftwire back"))
    await connection.execute(_CREDIT, grant_id, Cause.GRANT.value, row["viewer"], row["coins"], row["reason"])
    await connection.execute(_GRANT, grant_id, row["asked_by"])
    return grant_id
