"""Lets earnings mature: what a creator earned on a day can be withdrawn some days later.

Gifts are counted by creator and day (UTC), so a whole day matures at once: `maturing_days` after its end. With 0 days
everything matures in the next round. Agencies mature by the same rows, under their names as payees. A row remembers how
much of its day has matured, and the accounts are locked meanwhile: workers that do this at the same time move each
diamond once.
"""

import asyncio
import datetime
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import asyncpg
import structlog
from msgspec import Struct

from ledger.accounts import AccountKey, AccountKind, earnings
from ledger.books.postgres import Pool, connected
from ledger.books.posting import BookRecord, Posting, open_posting
from ledger.config import LedgerConfig
from ledger.errors import InvariantBroken
from ledger.ids import new_id
from ledger.payouts.payees import given_to, ripening

MATURED: Final = "matured"
_log = structlog.get_logger()
_RIPE_CREATORS: Final = """
SELECT DISTINCT creator FROM creator_days WHERE day <= $1 AND matured + taken_back < earned AND creator > $2
ORDER BY creator LIMIT $3
"""
_RIPE_DAYS: Final = """
SELECT creator, day, earned - matured - taken_back AS diamonds FROM creator_days
WHERE day <= $1 AND matured + taken_back < earned AND creator = ANY ($2::text[]) ORDER BY creator, day FOR UPDATE
"""
_RIPENED: Final = """
UPDATE creator_days SET matured = matured + moved.diamonds
FROM unnest($1::text[], $2::date[], $3::bigint[]) AS moved (creator, day, diamonds)
WHERE creator_days.creator = moved.creator AND creator_days.day = moved.day
"""


class MaturingStats(Struct):
    """What the duty did since the start."""

    rounds: int = 0
    records: int = 0
    diamonds: int = 0


class Maturing:
    """Moves what is ripe from pending to available."""

    def __init__(self, pool: Pool, config: LedgerConfig) -> None:
        self.stats = MaturingStats()
        self._pool = pool
        self._config = config

    async def run(self) -> None:
        """The worker's duty: a round every `maturing_interval_ms` until cancelled.

        Raises:
            LedgerUnavailable: PostgreSQL does not answer; begin again after a while.
            InvariantBroken: pending earnings are fewer than what was earned and has not matured.
        """
        while True:
            moved = await self.round(datetime.datetime.now(datetime.UTC).date())
            if moved:
                _log.info("earnings_matured", diamonds=moved)
            await asyncio.sleep(self._config.maturing_interval_ms / 1000)

    async def round(self, today: datetime.date) -> int:
        """Move everything that is ripe on this day (UTC), in transactions of some creators each.

        Returns:
            Diamonds that were moved.
        """
        last_day, after, moved = last_ripe_day(today, self._config.maturing_days), "", 0
        while creators := await self._ripe_creators(last_day, after):
            moved += await self._mature(creators, last_day)
            after = creators[-1]
        self.stats.rounds += 1
        return moved

    async def _ripe_creators(self, last_day: datetime.date, after: str) -> list[str]:
        async with connected(self._pool) as connection:
            rows = await connection.fetch(_RIPE_CREATORS, last_day, after, self._config.settle_rows_max)
        return [row["creator"] for row in rows]

    async def _mature(self, creators: Sequence[str], last_day: datetime.date) -> int:
        accounts = [ripening(one) for one in creators] + [earnings(AccountKind.AVAILABLE, one) for one in creators]
        async with open_posting(self._pool, accounts) as posting:
            days = await posting.connection.fetch(_RIPE_DAYS, last_day, list(creators))
            amounts: defaultdict[str, int] = defaultdict(int)
            for day in days:
                amounts[day["creator"]] += day["diamonds"]
            given = await given_to(posting.connection, amounts)
            for creator, diamonds in amounts.items():
                _post(posting, creator, diamonds, last_day, given.get(creator, 0))
            await _note(posting, days)
        self.stats.records += len(amounts)
        self.stats.diamonds += sum(amounts.values())
        return sum(amounts.values())


def last_ripe_day(today: datetime.date, maturing_days: int) -> datetime.date:
    """The last day whose earnings are ripe: its end lies `maturing_days` back; with 0 days, today."""
    return today if maturing_days == 0 else today - datetime.timedelta(days=maturing_days + 1)


def ripens_on(day: datetime.date, maturing_days: int) -> datetime.date:
    """The day (UTC) at whose start the earnings of a day become ripe."""
    return day if maturing_days == 0 else day + datetime.timedelta(days=maturing_days + 1)


def _post(posting: Posting, creator: str, diamonds: int, last_day: datetime.date, given: int) -> None:
    pending, available = ripening(creator), earnings(AccountKind.AVAILABLE, creator)
    unripe = posting.balance(pending) + given
    if unripe < diamonds:
        raise InvariantBroken("I10", f"{creator} has {unripe} diamonds pending, and {diamonds} are to mature")
    movements: list[tuple[AccountKey, int]] = [(pending, -diamonds), (available, diamonds)]
    now_ms = round(datetime.datetime.now(datetime.UTC).timestamp() * 1000)
    posting.add(BookRecord(new_id(now_ms), MATURED, creator, last_day.isoformat(), diamonds, movements))


async def _note(posting: Posting, days: Sequence[asyncpg.Record]) -> None:
    await posting.connection.execute(
        _RIPENED, [row["creator"] for row in days], [row["day"] for row in days], [row["diamonds"] for row in days]
    )
