"""Refunds that cannot be carried on because the books contradict them: set apart, so that the others go on.

Such a refund stays as it is until an operator has it tried again, or settles it by hand: then the platform bears what
its coins had paid for, and no creator gives anything back.
"""

import uuid
from typing import Final

import asyncpg
import structlog

from ledger.books.postgres import Connection, Pool, connected, transaction
from ledger.errors import InvariantBroken, NotFound, WrongState
from ledger.refunds.refund_states import RefundState

_log = structlog.get_logger()
WHY_CHARS_MAX: Final = 1_000
_SET_APART: Final = """
UPDATE refunds SET set_apart_at = now(), set_apart_why = $2, changed_at = now()
WHERE id = $1 AND state IN ('owed', 'taken') AND set_apart_at IS NULL
"""
_TAKE_UP: Final = """
UPDATE refunds SET set_apart_at = NULL, set_apart_why = NULL, changed_at = now() WHERE id = $1 RETURNING *
"""
_LOCK: Final = """
SELECT *, EXISTS (
    SELECT 1 FROM journal_records j WHERE j.id = r.id AND j.viewer = r.viewer AND j.kind = r.kind
) AS booked
FROM refunds r WHERE id = $1 FOR UPDATE
"""
_SETTLE: Final = """
UPDATE refunds SET state = 'settled', returned_coins = 0, creator_diamonds = 0, commission_diamonds = 0,
    borne_diamonds = 0, set_apart_at = NULL, set_apart_why = NULL, settled_by = $2, settled_note = $3,
    changed_at = now()
WHERE id = $1
"""
_COUNT: Final = "SELECT count(*) FROM refunds WHERE set_apart_at IS NOT NULL"


async def set_apart(pool: Pool, row: asyncpg.Record, why: InvariantBroken) -> None:
    """Leave this refund to an operator; it is logged as critical when it is new there."""
    words = str(why)[:WHY_CHARS_MAX]
    async with connected(pool) as connection:
        done = await connection.execute(_SET_APART, row["id"], words)
    if done != "UPDATE 0":
        _log.critical(
            "refund_set_apart",
            refund=str(row["id"]),
            purchase=str(row["purchase"]),
            viewer=row["viewer"],
            invariant=why.invariant,
            error=words,
        )


async def count_set_apart(pool: Pool) -> int:
    """How many refunds wait for an operator."""
    async with connected(pool) as connection:
        return int(await connection.fetchval(_COUNT))


async def take_up(pool: Pool, refund_id: uuid.UUID) -> asyncpg.Record:
    """Let a refund be carried on again.

    Raises:
        NotFound: there is no such refund.
    """
    async with connected(pool) as connection:
        row = await connection.fetchrow(_TAKE_UP, refund_id)
    if row is None:
        raise NotFound(f"no refund {refund_id}")
    return row


async def settle_by_hand(pool: Pool, refund_id: uuid.UUID, by: str, note: str) -> None:
    """Mark a refund that is set apart as settled, without anything from creators; the same again changes nothing.

    Raises:
        NotFound: there is no such refund.
        WrongState: it is not set apart, or the books do not have yet what the wallet gave.
    """
    async with transaction(pool) as connection:
        row = await _locked(connection, refund_id)
        if row["settled_by"] is not None:
            return
        if row["set_apart_at"] is None:
            raise WrongState(f"refund {refund_id} is {row['state']}, and not set apart")
        if row["state"] != RefundState.TAKEN or not row["booked"]:
            raise WrongState(f"refund {refund_id} is {row['state']}, and the books do not have its record")
        await connection.execute(_SETTLE, refund_id, by, note)
    _log.warning("refund_settled_by_hand", refund=str(refund_id), by=by, note=note)


async def _locked(connection: Connection, refund_id: uuid.UUID) -> asyncpg.Record:
    row = await connection.fetchrow(_LOCK, refund_id)
    if row is None:
        raise NotFound(f"no refund {refund_id}")
    return row
