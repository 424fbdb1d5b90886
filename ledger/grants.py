"""Coins that an operator gives: for a support case, a prize, or the demo. Each with its reason, and who gave them."""

from typing import Final

from msgspec import Struct

from ledger.crediting import Crediting
from ledger.errors import IdConflict
from ledger.ids import format_id
from ledger.model import Cause, CreditAccepted, CreditRefused, ViewerId
from ledger.postgres import Pool, transaction
from ledger.rows import refused_values, uuid_of

_ORDER: Final = """
INSERT INTO credits (id, cause, viewer, coins, reference, due_at) VALUES ($1, $2, $3, $4, $5, now())
ON CONFLICT DO NOTHING RETURNING *
"""
_STORED: Final = "SELECT * FROM credits WHERE id = $1"


class GrantOrder(Struct, frozen=True):
    """Coins to be given.

    Attributes:
        id: UUIDv7, 16 bytes; of all grants and purchases, one has it.
        coins: 1 to AMOUNT_MAX.
        reason: 1 to 500 characters, stored for ever.
        by: the operator; not compared when the id comes again.
    """

    id: bytes
    viewer: ViewerId
    coins: int
    reason: str
    by: str


class Granted(Struct, frozen=True):
    """The coins are in the wallet and on disk.

    Attributes:
        balance_coins: the wallet right after them.
        replay: an earlier call had ordered this grant.
    """

    balance_coins: int
    replay: bool


class Grants:
    """Gives coins, each grant once."""

    def __init__(self, pool: Pool, crediting: Crediting) -> None:
        self._pool = pool
        self._crediting = crediting

    async def grant(self, order: GrantOrder) -> Granted | CreditRefused:
        """Give the coins; the same id again is answered as the first time.

        Returns:
            `CreditRefused(UNKNOWN)` when Valkey did not answer: the grant is ordered, and follows by itself.
            `CreditRefused(AMOUNT_OVERFLOW)`, then and for ever, when the wallet cannot hold them.

        Raises:
            IdConflict: the id is that of a purchase, or of a grant of other coins, viewer or reason.
            ValueRefused: a value is outside of its bounds.
            LedgerUnavailable: PostgreSQL did not answer; the same id again tells what became of it.
        """
        grant_id = uuid_of(order.id)
        with refused_values():
            async with transaction(self._pool) as connection:
                fresh = await connection.fetchrow(
                    _ORDER, grant_id, Cause.GRANT.value, order.viewer, order.coins, order.reason
                )
                if fresh is not None:
                    await connection.execute("INSERT INTO grants (id, granted_by) VALUES ($1, $2)", grant_id, order.by)
                row = fresh or await connection.fetchrow(_STORED, grant_id)
        asked = (Cause.GRANT, order.viewer, order.coins, order.reason)
        if row is None or (row["cause"], row["viewer"], row["coins"], row["reference"]) != asked:
            raise IdConflict(f"grant {format_id(order.id)} was ordered with other content")
        outcome = await self._crediting.credit(row)
        if isinstance(outcome, CreditAccepted):
            return Granted(outcome.balance_coins, replay=fresh is None)
        return outcome
