"""The one way by which refunded coins leave a wallet: the row first, then the wallet in Valkey, then a note on the row.

As in `crediting`: a crash leaves a row that is owed, and the next round finds it. Coins never leave twice for one id:
Valkey remembers the id until long after its record was flushed, and the record is looked for in the books first.
"""

from typing import Final

import asyncpg

from ledger.config import LedgerConfig
from ledger.errors import InvariantBroken, LedgerUnavailable
from ledger.lot_statements import read_lots
from ledger.model import AMOUNT_MAX, RefundKind, Refusal, ReversalOrder, Reversed, ViewerId
from ledger.postgres import Pool, connected, snapshot
from ledger.refund_states import ViewerPolicy
from ledger.service import Ledger

_FLUSHED: Final = "SELECT wallet_after, taken_coins FROM journal_records WHERE id = $1 AND viewer = $2 AND kind = $3"
_TAKEN: Final = """
UPDATE refunds SET state = 'taken', taken_coins = $2, balance_coins = $3, changed_at = now()
WHERE id = $1 AND state IN ('owed', 'taken')
"""
# Coins of other credits that are in the wallet, or may come any moment, and that the books do not have yet.
_ON_THE_WAY: Final = """
SELECT coalesce(sum(coins), 0)::bigint FROM credits c
WHERE viewer = $1 AND due_at IS NOT NULL AND refusal IS NULL AND NOT EXISTS (
    SELECT 1 FROM journal_records r WHERE r.id = c.id AND r.viewer = c.viewer AND r.kind = c.cause
)
"""


class Reversing:
    """Carries owed rows of `refunds` out of wallets."""

    def __init__(self, pool: Pool, ledger: Ledger, config: LedgerConfig) -> None:
        self._pool = pool
        self._ledger = ledger
        self._config = config
        self._policies = {
            RefundKind.REFUND: ViewerPolicy(config.refund_viewer),
            RefundKind.CHARGEBACK: ViewerPolicy(config.chargeback_viewer),
        }

    async def take(self, row: asyncpg.Record) -> bool:
        """Take the coins of one row from the wallet that they came into.

        Args:
            row: of `refunds`, not settled; its purchase is credited. One that is taken is looked for again: Valkey
                may have lost it before the books had it, and then gives it a second time, for the first.

        Returns:
            Whether they are taken now. If not, Valkey did not answer, or the books are too far behind to know what is
            left of the purchase: the row stays owed.

        Raises:
            LedgerUnavailable: PostgreSQL did not answer. The coins may be taken; the next call notes it.
            InvariantBroken: Valkey knows the id with other content (I3).
        """
        try:
            asked_ms = await self._ledger.now_ms()
        except LedgerUnavailable:
            return False
        async with connected(self._pool) as connection:
            flushed = await connection.fetchrow(_FLUSHED, row["id"], row["viewer"], row["kind"])
        if flushed is not None:
            return await self._note(row, flushed["taken_coins"], flushed["wallet_after"])
        bounds = await self._bounds(row)
        if bounds is None:
            return False
        most, keep = bounds
        until_ms = asked_ms + self._config.credit_ids_kept_ms // 2
        outcome = await self._ledger.reverse(_order(row), most=most, keep=keep, until_ms=until_ms)
        if isinstance(outcome, Reversed):
            return await self._note(row, outcome.taken_coins, outcome.balance_coins)
        if outcome.refusal is Refusal.ID_CONFLICT:
            raise InvariantBroken("I3", f"{row['kind']} {row['id']} was carried out with other content")
        return False

    async def _bounds(self, row: asyncpg.Record) -> tuple[int, int] | None:
        """The most coins to take, and what the wallet keeps; None when the books cannot say yet."""
        match self._policies[RefundKind(row["kind"])]:
            case ViewerPolicy.DEBT:
                return row["coins"], -AMOUNT_MAX
            case ViewerPolicy.FLOOR:
                return row["coins"], 0
            case ViewerPolicy.ABSORB:
                return await self._what_is_left(row)

    async def _what_is_left(self, row: asyncpg.Record) -> tuple[int, int] | None:
        # Gifts that the books do not have yet were paid by older coins first: the wallet above what came later tells
        # what is left. Where in doubt (a credit on its way), too little is taken rather than another purchase's coins.
        purchase = row["purchase"].bytes
        async with snapshot(self._pool) as connection:
            lots = await read_lots(connection, row["viewer"])
            on_the_way = await connection.fetchval(_ON_THE_WAY, row["viewer"])
        mine = lots.of(purchase)
        if not mine:
            return None
        return min(row["coins"], sum(lot.left for lot in mine)), lots.left_behind(purchase) + on_the_way

    async def _note(self, row: asyncpg.Record, taken_coins: int, balance_coins: int) -> bool:
        async with connected(self._pool) as connection:
            await connection.execute(_TAKEN, row["id"], taken_coins, balance_coins)
        return True


def _order(row: asyncpg.Record) -> ReversalOrder:
    return ReversalOrder(
        row["id"].bytes, ViewerId(row["viewer"]), row["purchase"].bytes, row["coins"], RefundKind(row["kind"])
    )
