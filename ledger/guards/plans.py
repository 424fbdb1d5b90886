"""Commission plans in PostgreSQL, version after version."""

import asyncpg
import msgspec
from msgspec import Struct

from ledger.books.postgres import Pool, connected
from ledger.books.rows import bounded, ms_of, refused_values
from ledger.books.terms import PlanTerms
from ledger.config import LedgerConfig
from ledger.errors import NotFound, ValueRefused

_COLUMNS = "plan, version, terms::text AS terms, made_by, made_at"
_LATEST = f"SELECT {_COLUMNS} FROM commission_plans WHERE plan = $1 ORDER BY version DESC LIMIT 1"  # noqa: S608
_VERSION = f"SELECT {_COLUMNS} FROM commission_plans WHERE plan = $1 AND version = $2"  # noqa: S608
_ALL = f"""
SELECT DISTINCT ON (plan) {_COLUMNS} FROM commission_plans WHERE plan > $1 ORDER BY plan, version DESC LIMIT $2
"""  # noqa: S608
_ADD = "INSERT INTO commission_plans (plan, version, terms, made_by) VALUES ($1, $2, $3, $4)"
# Seldom written: two who write at once wait for each other here, so that versions have no gap.
_LOCK = "LOCK TABLE commission_plans IN SHARE ROW EXCLUSIVE MODE"


class Plan(Struct, frozen=True):
    """One version of a plan."""

    plan: str
    version: int
    terms: PlanTerms
    made_by: str
    made_ms: int


class Plans:
    """Every method may raise `LedgerUnavailable`."""

    def __init__(self, pool: Pool, config: LedgerConfig) -> None:
        self._pool = pool
        self._rows_max = config.list_rows_max

    async def put(self, plan: str, terms: PlanTerms, by: str) -> Plan:
        """Add a version, which counts for gifts from now on. Terms that the newest version has already add none.

        Raises:
            ValueRefused: the name or a bound of `PlanTerms`, or an event that ends before it begins.
        """
        for event in terms.events:
            if event.until_ms <= event.from_ms:
                raise ValueRefused("events", "an event ends before it begins")
        with refused_values():
            async with connected(self._pool) as connection, connection.transaction():
                await connection.execute(_LOCK)
                row = await connection.fetchrow(_LATEST, plan)
                latest = None if row is None else _plan(row)
                if latest is not None and latest.terms == terms:
                    return latest
                version = 1 if latest is None else latest.version + 1
                await connection.execute(_ADD, plan, version, msgspec.json.encode(terms).decode(), by)
        stored = await self.plan(plan, version)
        if stored is None:
            raise NotFound(f"no version {version} of plan {plan}")
        return stored

    async def plan(self, plan: str, version: int | None = None) -> Plan | None:
        """A version of a plan, the newest when none is named."""
        async with connected(self._pool) as connection:
            if version is None:
                row = await connection.fetchrow(_LATEST, plan)
            else:
                row = await connection.fetchrow(_VERSION, plan, version)
        return None if row is None else _plan(row)

    async def plans(self, *, after: str | None = None, limit: int = 100) -> list[Plan]:
        """The newest version of each plan, by name, from the one behind `after` on."""
        async with connected(self._pool) as connection:
            rows = await connection.fetch(_ALL, after or "", bounded(limit, self._rows_max))
        return [_plan(row) for row in rows]


def read_terms(stored: str) -> PlanTerms:
    """Terms as a row holds them."""
    return msgspec.json.decode(stored, type=PlanTerms)


def _plan(row: asyncpg.Record) -> Plan:
    return Plan(row["plan"], row["version"], read_terms(row["terms"]), row["made_by"], ms_of(row["made_at"]))
