"""The one way by which coins come in: a row in PostgreSQL first, then the wallet in Valkey, then a note on the row.

A crash leaves a row that is owed; `settle` finds it. Coins never come twice for one id: Valkey remembers the id until
`credit_ids_kept_ms` after its record was flushed. So the record is looked for in the books first, and Valkey credits an
id that it does not know only within half of that time from then: who was held up longer has to look again.

Nor are noted coins lost with a Valkey that lost them: until their record is in the books, `settle` asks for them again.
"""

import datetime
import uuid
from typing import Final

import asyncpg
import structlog
from msgspec import Struct

from ledger.books.postgres import Pool, connected
from ledger.commission import BASIS_POINTS
from ledger.config import LedgerConfig
from ledger.errors import InvariantBroken, LedgerUnavailable
from ledger.model import Cause, CreditAccepted, CreditOrder, CreditOutcome, CreditRefused, Refusal, ViewerId
from ledger.service import Ledger

_log = structlog.get_logger()
_FLUSHED: Final = "SELECT wallet_after FROM journal_records WHERE id = $1 AND viewer = $2 AND kind = $3"
# One statement, so that a purchase is credited in the same moment as its coins are. Coins that came in count, also when
# another read of the wallet has found it too full meanwhile.
_CREDITED: Final = """
WITH noted AS (
    UPDATE credits SET credited_at = now(), balance_coins = $2, refusal = NULL
    WHERE id = $1 AND credited_at IS NULL RETURNING id
)
UPDATE purchases SET state = 'credited', changed_at = now() FROM noted WHERE purchases.id = noted.id
"""
_REFUSED: Final = "UPDATE credits SET refusal = $2 WHERE id = $1 AND credited_at IS NULL AND cause = 'grant'"
_OWED: Final = """
SELECT * FROM credits
WHERE due_at IS NOT NULL AND credited_at IS NULL AND refusal IS NULL AND (due_at, id) > ($1, $2)
ORDER BY due_at, id LIMIT $3
"""
# A little is read again: a note of that moment may have been on its way.
_NOTED: Final = """
SELECT c.*, EXISTS (
    SELECT FROM journal_records r WHERE r.id = c.id AND r.viewer = c.viewer AND r.kind = c.cause
) AS booked
FROM credits c WHERE credited_at IS NOT NULL AND (credited_at, id) > ($1, $2) ORDER BY credited_at, id LIMIT $3
"""
_NEW_BALANCE: Final = "UPDATE credits SET balance_coins = $2 WHERE id = $1 AND credited_at IS NOT NULL"
NOTED_BEFORE: Final = datetime.timedelta(days=1)
"""So far back a worker that starts looks for credits that are noted and not in the books."""
_NOTED_AGAIN: Final = datetime.timedelta(seconds=10)
_NO_ROW: Final = uuid.UUID(int=0)
_BEFORE_ALL: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def worth_less(worth_bp: int) -> int | None:
    """What a coin is worth as `credits` keeps it: None for as much as a paid one, so that nobody has to look."""
    return worth_bp if worth_bp < BASIS_POINTS else None


class SettleStats(Struct):
    """What the duty did since the start.

    Attributes:
        credited: rows whose coins were owed and came in, or had come in unnoted.
        owed: rows that are still owed after the last round.
        again: those that had been noted as credited, were lost with their Valkey, and came in again.
        unusable: events of rails that no purchase could use and nobody has put aside, after the last round.
    """

    rounds: int = 0
    credited: int = 0
    owed: int = 0
    again: int = 0
    unusable: int = 0


class Crediting:
    """Carries owed rows of `credits` into wallets."""

    def __init__(self, pool: Pool, ledger: Ledger, config: LedgerConfig) -> None:
        self.stats = SettleStats()
        self._pool = pool
        self._ledger = ledger
        self._config = config
        self._booked_until: datetime.datetime | None = None
        """What was noted until then is in the books."""

    async def credit(self, row: asyncpg.Record) -> CreditOutcome:
        """Bring the coins of one row into the wallet.

        Args:
            row: of `credits`, and due.

        Returns:
            `CreditRefused(UNKNOWN)` when Valkey did not answer in time: the row stays owed. An overflow ends a grant
            for good; a purchase stays owed.

        Raises:
            LedgerUnavailable: PostgreSQL did not answer. The coins may be in; `settle` or the next call notes it.
            InvariantBroken: Valkey knows the id with other content (I3).
        """
        if row["balance_coins"] is not None:
            return CreditAccepted(row["balance_coins"], replay=True)
        if row["refusal"] is not None:
            return CreditRefused(Refusal(row["refusal"]))
        return await self._carry(row)

    async def _carry(self, row: asyncpg.Record) -> CreditOutcome:
        try:
            asked_ms = await self._ledger.now_ms()
        except LedgerUnavailable:
            return CreditRefused(Refusal.UNKNOWN)
        flushed = await self._flushed(row)
        if flushed is not None:
            await self._note(row["id"], flushed)
            return CreditAccepted(flushed, replay=True)
        outcome = await self._ledger.credit(_order(row), until_ms=asked_ms + self._config.credit_ids_kept_ms // 2)
        match outcome:
            case CreditAccepted():
                await self._note(row["id"], outcome.balance_coins)
            case CreditRefused(refusal=Refusal.AMOUNT_OVERFLOW):
                async with connected(self._pool) as connection:
                    await connection.execute(_REFUSED, row["id"], Refusal.AMOUNT_OVERFLOW.value)
            case CreditRefused(refusal=Refusal.ID_CONFLICT):
                raise InvariantBroken("I3", f"{row['cause']} {row['id']} was credited with other content")
        return outcome

    async def settle(self) -> int:
        """Credit every row that is owed, oldest first, then what was noted and is lost.

        Returns:
            How many came in. Rows that Valkey did not answer for stay owed, for the next round.
        """
        credited = owed = 0
        after = (_BEFORE_ALL, uuid.UUID(int=0))
        while rows := await self._owed(after):
            for row in rows:
                outcome = await self.credit(row)
                if isinstance(outcome, CreditAccepted):
                    credited += 1
                    continue
                owed += 1
                if outcome.refusal is Refusal.UNKNOWN:
                    # Valkey is away: each further row would wait as long for nothing.
                    return self._counted(credited, owed)
            after = (rows[-1]["due_at"], rows[-1]["id"])
        await self._look_again()
        return self._counted(credited, owed)

    def _counted(self, credited: int, owed: int) -> int:
        self.stats.rounds += 1
        self.stats.credited += credited
        self.stats.owed = owed
        return credited

    async def _look_again(self) -> None:
        """Bring in what is noted as credited, and neither in the books nor known to Valkey: that lost it.

        A few that the books do not have yet are asked for in vain: Valkey knows their ids.
        """
        since = self._booked_until or datetime.datetime.now(datetime.UTC) - NOTED_BEFORE
        after = (since - _NOTED_AGAIN, _NO_ROW)
        while rows := await self._noted(after):
            for row in rows:
                if row["booked"]:
                    continue
                outcome = await self._carry(row)
                if isinstance(outcome, CreditAccepted) and not outcome.replay:
                    self.stats.again += 1
                    async with connected(self._pool) as connection:
                        await connection.execute(_NEW_BALANCE, row["id"], outcome.balance_coins)
                    _log.warning("credit_was_lost", credit=str(row["id"]), viewer=row["viewer"], coins=row["coins"])
                elif outcome == CreditRefused(Refusal.UNKNOWN):
                    return
            if not all(row["booked"] for row in rows):
                # The next round begins here: those of this one may be lost as well.
                return
            after = (rows[-1]["credited_at"], rows[-1]["id"])
            self._booked_until = after[0]

    async def _noted(self, after: tuple[datetime.datetime, uuid.UUID]) -> list[asyncpg.Record]:
        async with connected(self._pool) as connection:
            return await connection.fetch(_NOTED, *after, self._config.settle_rows_max)

    async def _owed(self, after: tuple[datetime.datetime, uuid.UUID]) -> list[asyncpg.Record]:
        async with connected(self._pool) as connection:
            return await connection.fetch(_OWED, *after, self._config.settle_rows_max)

    async def _flushed(self, row: asyncpg.Record) -> int | None:
        """The wallet after this credit, when its record is in the books already."""
        async with connected(self._pool) as connection:
            wallet_after: int | None = await connection.fetchval(_FLUSHED, row["id"], row["viewer"], row["cause"])
        return wallet_after

    async def _note(self, credit_id: uuid.UUID, balance_coins: int) -> None:
        async with connected(self._pool) as connection:
            await connection.execute(_CREDITED, credit_id, balance_coins)


def _order(row: asyncpg.Record) -> CreditOrder:
    return CreditOrder(row["id"].bytes, ViewerId(row["viewer"]), row["coins"], Cause(row["cause"]), row["reference"])
