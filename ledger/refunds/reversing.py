"""The one way by which refunded coins leave a wallet: the row first, then the wallet in Valkey, then a note on the row.

As in `crediting`: a crash leaves a row that is owed, and the next round finds it. Coins never leave twice for one id:
Valkey remembers the id until long after its record was flushed, and the record is looked for in the books first.
"""

from typing import Final

import asyncpg
from msgspec import Struct

from ledger.books.postgres import Pool, connected, snapshot
from ledger.config import LedgerConfig
from ledger.errors import InvariantBroken, LedgerUnavailable
from ledger.lots.lot_statements import read_lots
from ledger.model import AMOUNT_MAX, RefundKind, Refusal, ReversalOrder, ReversalWaits, Reversed, ViewerId
from ledger.refunds.refund_states import ViewerPolicy
from ledger.service import Ledger

_FLUSHED: Final = "SELECT wallet_after, taken_coins FROM journal_records WHERE id = $1 AND viewer = $2 AND kind = $3"
_CAME_IN: Final = "SELECT EXISTS (SELECT FROM journal_records WHERE id = $1 AND viewer = $2 AND kind = 'purchase')"
_TAKEN: Final = """
UPDATE refunds SET state = 'taken', taken_coins = $2, balance_coins = $3, changed_at = now()
WHERE id = $1 AND state IN ('owed', 'taken')
"""
_BOOKED: Final = "SELECT seq FROM positions WHERE partition = $1"


class _Bounds(Struct, frozen=True):
    """The most coins to take, what the wallet keeps, and up to which record that is true of more than payments."""

    most: int
    keep: int
    came_seq: int | None = None


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
            Whether they are taken now. If not, Valkey did not answer, the books are too far behind to know what is left
            of the purchase, its coins were lost and are to come in again, or the viewer may undo gifts still: the row
            stays owed.

        Raises:
            LedgerUnavailable: PostgreSQL did not answer. The coins may be taken; the next call notes it.
            InvariantBroken: Valkey knows the id with other content (I3).
        """
        try:
            asked_ms = await self._ledger.now_ms()
            came_seq = await self._ledger.came_seq(self._ledger.keys.partition_of(row["viewer"]))
        except LedgerUnavailable:
            return False
        async with connected(self._pool) as connection:
            flushed = await connection.fetchrow(_FLUSHED, row["id"], row["viewer"], row["kind"])
            came_in = await connection.fetchval(_CAME_IN, row["purchase"], row["viewer"])
        if flushed is not None:
            return await self._note(row, flushed["taken_coins"], flushed["wallet_after"])
        if not came_in and not await self._knows_purchase(row):
            return False
        bounds = await self._bounds(row, came_seq)
        if bounds is None:
            return False
        until_ms = asked_ms + self._config.credit_ids_kept_ms // 2
        outcome = await self._ledger.reverse(
            _order(row), most=bounds.most, keep=bounds.keep, until_ms=until_ms, came_seq=bounds.came_seq
        )
        if isinstance(outcome, Reversed):
            return await self._note(row, outcome.taken_coins, outcome.balance_coins)
        if isinstance(outcome, ReversalWaits):
            return False
        if outcome.refusal is Refusal.ID_CONFLICT:
            raise InvariantBroken("I3", f"{row['kind']} {row['id']} was carried out with other content")
        return False

    async def _knows_purchase(self, row: asyncpg.Record) -> bool:
        """Whether Valkey has the coins that are refunded: what a failover lost comes in again first (`crediting`)."""
        try:
            return await self._ledger.knows_credit(row["purchase"].bytes, row["viewer"])
        except LedgerUnavailable:
            return False

    async def _bounds(self, row: asyncpg.Record, came_seq: int) -> _Bounds | None:
        match self._policies[RefundKind(row["kind"])]:
            case ViewerPolicy.DEBT:
                return _Bounds(row["coins"], -AMOUNT_MAX)
            case ViewerPolicy.FLOOR:
                return _Bounds(row["coins"], 0)
            case ViewerPolicy.ABSORB:
                return await self._what_is_left(row, came_seq)

    async def _what_is_left(self, row: asyncpg.Record, came_seq: int) -> _Bounds | None:
        """None when the books cannot say yet.

        What the books do not have yet may only be payments: older coins paid them first, so the wallet above what came
        later tells what is left. Any other record that they lack is waited for, and one that comes in behind this look
        makes it void, for all viewers of the partition alike. So `came_seq` was read first, then the books are.
        """
        purchase, partition = row["purchase"].bytes, self._ledger.keys.partition_of(row["viewer"])
        async with snapshot(self._pool) as connection:
            booked_seq = await connection.fetchval(_BOOKED, partition)
            lots = await read_lots(connection, row["viewer"])
        mine = lots.of(purchase)
        if not mine or came_seq > (booked_seq or 0):
            return None
        most = min(row["coins"], sum(lot.left for lot in mine))
        return _Bounds(most, lots.left_behind(purchase), came_seq)

    async def _note(self, row: asyncpg.Record, taken_coins: int, balance_coins: int) -> bool:
        async with connected(self._pool) as connection:
            await connection.execute(_TAKEN, row["id"], taken_coins, balance_coins)
        return True


def _order(row: asyncpg.Record) -> ReversalOrder:
    return ReversalOrder(
        row["id"].bytes, ViewerId(row["viewer"]), row["purchase"].bytes, row["coins"], RefundKind(row["kind"])
    )
