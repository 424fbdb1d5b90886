"""Coins that an operator gives: for a support case, a prize, or the demo. Each with its reason, and who gave them."""

from typing import Final

from msgspec import Struct

from ledger.books.postgres import Pool, transaction
from ledger.books.rows import refused_values, uuid_of
from ledger.config import LedgerConfig
from ledger.errors import IdConflict
from ledger.ids import format_id
from ledger.model import Cause, CreditAccepted, CreditRefused, ViewerId
from ledger.purchases.crediting import Crediting, worth_less

_ORDER: Final = """
INSERT INTO credits (id, cause, viewer, coins, reference, worth_bp, due_at) VALUES ($1, $2, $3, $4, $5, $6, now())
ON CONFLICT DO NOTHING RETURNING *
"""
_GIVEN: Final = "INSERT INTO grants (id, granted_by, worth_bp) VALUES ($1, $2, $3)"
_STORED: Final = """
SELECT credits.*, grants.worth_bp AS asked_worth_bp FROM credits LEFT JOIN grants USING (id) WHERE id = $1
"""


_COMPARED: Final = ("cause", "viewer", "coins", "reference", "asked_worth_bp")


class GrantOrder(Struct, frozen=True):
    """Coins to be given.

    Attributes:
        id: UUIDv7, 16 bytes; of all grants and purchases, one has it.
        coins: 1 to AMOUNT_MAX.
        reason: 1 to 500 characters, stored for ever.
        by: the operator; not compared when the id comes again.
        worth_bp: what one of the coins is worth to the creator that it is given to, in basis points of a paid coin;
            None for the deployment's `granted_worth_bp` of now. It stays with the coins for ever.
    """

    id: bytes
    viewer: ViewerId
    coins: int
    reason: str
    by: str
    worth_bp: int | None = None


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

    def __init__(self, pool: Pool, crediting: Crediting, config: LedgerConfig) -> None:
        self._pool = pool
        self._worth_bp = config.granted_worth_bp
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
                worth_bp = worth_less(self._worth_bp if order.worth_bp is None else order.worth_bp)
                values = (Cause.GRANT.value, order.viewer, order.coins, order.reason, worth_bp)
                fresh = await connection.fetchrow(_ORDER, grant_id, *values)
                if fresh is not None:
                    await connection.execute(_GIVEN, grant_id, order.by, order.worth_bp)
                row = await connection.fetchrow(_STORED, grant_id)
        asked = (Cause.GRANT, order.viewer, order.coins, order.reason, order.worth_bp)
        if row is None or tuple(row[name] for name in _COMPARED) != asked:
            raise IdConflict(f"grant {format_id(order.id)} was ordered with other content")
        outcome = await self._crediting.credit(row)
        if isinstance(outcome, CreditAccepted):
            return Granted(outcome.balance_coins, replay=fresh is None)
        return outcome
