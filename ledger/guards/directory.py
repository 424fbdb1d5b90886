"""Who earns where: creators, and the places in which gifts are given to them.

A gateway asks this when it first meets a place and keeps the answer for a while; nothing here is asked for each gift.
A place is text such as `room:demo`, and its settings are bytes: the ledger stores both and reads neither.
"""

from typing import Final

import asyncpg
from asyncpg.exceptions import ForeignKeyViolationError
from msgspec import Struct

from ledger.books.postgres import Pool, connected
from ledger.books.rows import bounded, refused_values
from ledger.books.terms import PlanTerms, Terms
from ledger.config import LedgerConfig
from ledger.errors import NotFound
from ledger.guards.plans import read_terms
from ledger.model import CreatorId

_PUT_CREATOR: Final = """
WITH made AS (INSERT INTO agencies (agency, name) SELECT $6::text, $6 WHERE $6 IS NOT NULL ON CONFLICT DO NOTHING)
INSERT INTO creators (creator, name, country, plan, commission_bp, agency) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (creator) DO UPDATE SET name = excluded.name, country = excluded.country, plan = excluded.plan,
    commission_bp = excluded.commission_bp, agency = excluded.agency, changed_at = now()
"""
_WITH_TERMS: Final = """
creators LEFT JOIN LATERAL (
    SELECT version, terms::text AS terms FROM commission_plans WHERE plan = creators.plan ORDER BY version DESC LIMIT 1
) newest ON true
"""
_CREATORS: Final = f"SELECT creators.*, version, terms FROM {_WITH_TERMS}"  # noqa: S608 - texts of ours
_PUT_PLACE: Final = """
INSERT INTO places (place, creator, title, settings) VALUES ($1, $2, coalesce($3, ''), coalesce($4, ''::bytea))
ON CONFLICT (place) DO UPDATE SET creator = excluded.creator, title = coalesce($3, places.title),
    settings = coalesce($4, places.settings), changed_at = now()
"""
_PLACES: Final = f"""
SELECT place, creator, name, plan, commission_bp, agency, version, terms, title, settings
FROM places JOIN ({_CREATORS}) c USING (creator)
"""  # noqa: S608


class Creator(Struct, frozen=True):
    """Somebody who earns.

    Attributes:
        name: 1 to 100 characters.
        country: ISO 3166-1 alpha-2 code.
        terms: what counts for gifts to this creator, with the name of its plan, such as `standard`, and its agency.
    """

    id: CreatorId
    name: str
    country: str | None
    terms: Terms


class Place(Struct, frozen=True):
    """Where gifts are given, and to whom.

    Attributes:
        terms: the creator's.
        title: up to 200 characters.
        settings: up to 64 KiB of the caller's own.
    """

    place: str
    creator: CreatorId
    creator_name: str
    terms: Terms
    title: str
    settings: bytes


class Directory:
    """Creators and places in PostgreSQL. Every method may raise `LedgerUnavailable`."""

    def __init__(self, pool: Pool, config: LedgerConfig) -> None:
        self._pool = pool
        self._commission_bp = config.commission_bp
        self._rows_max = config.list_rows_max

    async def put_creator(
        self,
        creator: str,
        *,
        name: str,
        country: str | None = None,
        plan: str = "standard",
        commission_bp: int | None = None,
        agency: str | None = None,
    ) -> Creator:
        """Make a creator, or replace all that is known of one. Gifts given before keep the split they had.

        An agency that nobody has heard of is made.

        Raises:
            ValueRefused: see the bounds of `Creator`; an id is 1 to 64 letters, digits and `_.:@-`.
        """
        with refused_values():
            async with connected(self._pool) as connection:
                await connection.execute(_PUT_CREATOR, creator, name, country, plan, commission_bp, agency)
        stored = await self.creator(creator)
        if stored is None:
            raise NotFound(f"no creator {creator}")
        return stored

    async def creator(self, creator: str) -> Creator | None:
        """One creator."""
        async with connected(self._pool) as connection:
            row = await connection.fetchrow(f"{_CREATORS} WHERE creator = $1", creator)
        return None if row is None else self._creator(row)

    async def creators(self, *, after: str | None = None, limit: int = 100) -> list[Creator]:
        """Creators in the order of their ids, from the one behind `after` on."""
        async with connected(self._pool) as connection:
            rows = await connection.fetch(
                f"{_CREATORS} WHERE creator > $1 ORDER BY creator LIMIT $2",
                after or "",
                bounded(limit, self._rows_max),
            )
        return [self._creator(row) for row in rows]

    async def put_place(
        self, place: str, *, creator: str, title: str | None = None, settings: bytes | None = None
    ) -> Place:
        """Make a place, or give it to this creator. Title and settings that are None stay as they are.

        Raises:
            NotFound: there is no such creator.
            ValueRefused: see the bounds of `Place`; a place is a lower-case word, a colon and a name.
        """
        with refused_values():
            async with connected(self._pool) as connection:
                try:
                    await connection.execute(_PUT_PLACE, place, creator, title, settings)
                except ForeignKeyViolationError as exc:
                    raise NotFound(f"no creator {creator}") from exc
        stored = await self.place(place)
        if stored is None:
            raise NotFound(f"no place {place}")
        return stored

    async def place(self, place: str) -> Place | None:
        """One place, with its creator as known now."""
        async with connected(self._pool) as connection:
            row = await connection.fetchrow(f"{_PLACES} WHERE place = $1", place)
        return None if row is None else self._place(row)

    async def places(self, *, prefix: str = "", after: str | None = None, limit: int = 100) -> list[Place]:
        """Places that begin with `prefix` (such as `room:`), in the order of their names, from behind `after` on."""
        async with connected(self._pool) as connection:
            rows = await connection.fetch(
                f"{_PLACES} WHERE starts_with(place, $1) AND place >= $1 AND place > $2 ORDER BY place LIMIT $3",
                prefix,
                after or "",
                bounded(limit, self._rows_max),
            )
        return [self._place(row) for row in rows]

    def _place(self, row: asyncpg.Record) -> Place:
        return Place(
            place=row["place"],
            creator=CreatorId(row["creator"]),
            creator_name=row["name"],
            terms=self._terms(row),
            title=row["title"],
            settings=row["settings"],
        )

    def _creator(self, row: asyncpg.Record) -> Creator:
        return Creator(CreatorId(row["creator"]), row["name"], row["country"], self._terms(row))

    def _terms(self, row: asyncpg.Record) -> Terms:
        return Terms(
            plan=row["plan"],
            version=row["version"] or 0,
            agency=row["agency"] or "",
            deployment_bp=self._commission_bp,
            own_bp=row["commission_bp"],
            of_plan=PlanTerms() if row["terms"] is None else read_terms(row["terms"]),
        )
