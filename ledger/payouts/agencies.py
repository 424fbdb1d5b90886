"""The agencies that look after creators: who they are, and what they were given. `payouts` pays them."""

from typing import Final

import asyncpg
from msgspec import Struct

from ledger.books.postgres import Pool, connected
from ledger.books.rows import bounded, refused_values
from ledger.config import LedgerConfig
from ledger.errors import NotFound

_PUT: Final = """
INSERT INTO agencies (agency, name, country) VALUES ($1, $2, $3)
ON CONFLICT (agency) DO UPDATE SET name = excluded.name, country = excluded.country, changed_at = now()
"""
_AGENCIES: Final = """
SELECT agency, coalesce(a.name, agency) AS name, a.country, coalesce(g.diamonds, 0)::bigint AS diamonds
FROM agencies a FULL JOIN (
    SELECT owner AS agency, sum(last.balance_after) AS diamonds FROM accounts JOIN LATERAL (
        SELECT balance_after FROM entries WHERE account_id = accounts.id ORDER BY number DESC LIMIT 1
    ) last ON true WHERE kind = 'agency' GROUP BY owner
) g USING (agency)
"""
_CREATORS: Final = """
SELECT creator FROM creators WHERE agency = $1 AND creator > $2 ORDER BY creator LIMIT $3
"""


class Agency(Struct, frozen=True):
    """An agency.

    Attributes:
        name: 1 to 100 characters.
        country: ISO 3166-1 alpha-2 code.
        diamonds: what it was given of all gifts in the books, ever.
    """

    agency: str
    name: str
    country: str | None
    diamonds: int


class Agencies:
    """Every method may raise `LedgerUnavailable`."""

    def __init__(self, pool: Pool, config: LedgerConfig) -> None:
        self._pool = pool
        self._rows_max = config.list_rows_max

    async def put(self, agency: str, *, name: str, country: str | None = None) -> Agency:
        """Make an agency, or replace what is known of one. A creator that names one makes it, too.

        Raises:
            ValueRefused: see the bounds of `Agency`; an id is 1 to 64 letters, digits and `_.:@-`.
        """
        with refused_values():
            async with connected(self._pool) as connection:
                await connection.execute(_PUT, agency, name, country)
        stored = await self.agency(agency)
        if stored is None:
            raise NotFound(f"no agency {agency}")
        return stored

    async def agency(self, agency: str) -> Agency | None:
        """One agency."""
        async with connected(self._pool) as connection:
            row = await connection.fetchrow(f"{_AGENCIES} WHERE agency = $1", agency)
        return None if row is None else _agency(row)

    async def agencies(self, *, after: str | None = None, limit: int = 100) -> list[Agency]:
        """Agencies by id, from the one behind `after` on."""
        async with connected(self._pool) as connection:
            rows = await connection.fetch(
                f"{_AGENCIES} WHERE agency > $1 ORDER BY agency LIMIT $2", after or "", bounded(limit, self._rows_max)
            )
        return [_agency(row) for row in rows]

    async def creators(self, agency: str, *, after: str | None = None, limit: int = 100) -> list[str]:
        """The creators that an agency looks after now, by id, from the one behind `after` on."""
        async with connected(self._pool) as connection:
            rows = await connection.fetch(_CREATORS, agency, after or "", bounded(limit, self._rows_max))
        return [row["creator"] for row in rows]


def _agency(row: asyncpg.Record) -> Agency:
    return Agency(row["agency"], row["name"], row["country"], row["diamonds"])
