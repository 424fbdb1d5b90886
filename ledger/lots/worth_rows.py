"""What the flusher reads and writes about coins that are worth less: values of credits, open lots, discounts of gifts.

Read outside of the flusher's transaction, like the accounts that only it moves: true while its positions stand.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from ledger.books.postgres import Connection
from ledger.books.rows import uuid_of
from ledger.lots.lot_statements import read_movements
from ledger.lots.open_lots import OpenLots, Worth, decode_lots, encode_lots

_ANY_OPEN: Final = "SELECT EXISTS (SELECT 1 FROM open_lots WHERE discounted)"
_WORTHS: Final = """
SELECT c.id, c.worth_bp, coalesce(p.bonus_coins, 0) AS bonus_coins
FROM credits c LEFT JOIN purchases p USING (id) WHERE c.id = ANY ($1::uuid[]) AND c.worth_bp IS NOT NULL
"""
_OPEN: Final = (
    "SELECT viewer, debt_coins, lots::text AS lots FROM open_lots WHERE discounted AND viewer = ANY ($1::text[])"
)
_CHECKPOINT: Final = "SELECT seq, debt_coins, lots::text AS lots FROM open_lots WHERE viewer = $1"
_STORE_OPEN: Final = """
INSERT INTO open_lots (viewer, seq, debt_coins, discounted, lots)
SELECT viewer, seq, debt_coins, discounted, lots::jsonb
FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::boolean[], $5::text[])
    AS lots (viewer, seq, debt_coins, discounted, lots) ORDER BY viewer
ON CONFLICT (viewer) DO UPDATE SET seq = excluded.seq, debt_coins = excluded.debt_coins,
    discounted = excluded.discounted, lots = excluded.lots
"""
_STORE_DISCOUNTS: Final = """
INSERT INTO gift_discounts (partition, seq, creator, coins, creator_diamonds, agency_diamonds)
SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])
"""


class Discount(NamedTuple):
    """A row of `gift_discounts`, in the order of its columns here."""

    partition: int
    seq: int
    creator: str
    coins: int
    creator_diamonds: int
    agency_diamonds: int


async def any_open(connection: Connection) -> bool:
    """Whether any viewer has coins left that are worth less."""
    return bool(await connection.fetchval(_ANY_OPEN))


async def read_worths(connection: Connection, credit_ids: Sequence[bytes]) -> dict[bytes, Worth]:
    """Those of these credits whose coins are worth less."""
    rows = await connection.fetch(_WORTHS, [uuid_of(one) for one in credit_ids])
    return {row["id"].bytes: Worth(row["bonus_coins"], row["worth_bp"]) for row in rows}


async def read_open(connection: Connection, viewers: Sequence[str]) -> dict[str, OpenLots]:
    """The open lots of those of these viewers who have coins left that are worth less."""
    rows = await connection.fetch(_OPEN, viewers)
    return {row["viewer"]: decode_lots(row["lots"], row["debt_coins"]) for row in rows}


async def walk_open(connection: Connection, viewer: str, until_seq: int) -> OpenLots:
    """The open lots of a viewer after record `until_seq` of its partition, from where they were last noted on.

    Costs a pass over that viewer's entries since then.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        noted = await connection.fetchrow(_CHECKPOINT, viewer)
        lots = OpenLots() if noted is None else decode_lots(noted["lots"], noted["debt_coins"])
        after_seq = 0 if noted is None else noted["seq"]
        async for movement in read_movements(connection, viewer, after_seq, until_seq):
            lots.add(movement)
    return lots


async def store_open(connection: Connection, lots_of: Mapping[str, OpenLots], seqs: Mapping[str, int]) -> None:
    """Note the open lots of these viewers, each after a record of its partition."""
    viewers = list(lots_of)
    await connection.execute(
        _STORE_OPEN,
        viewers,
        [seqs[viewer] for viewer in viewers],
        [lots.debt_coins for lots in lots_of.values()],
        [lots.discounted for lots in lots_of.values()],
        [encode_lots(lots) for lots in lots_of.values()],
    )


async def store_discounts(connection: Connection, discounts: Iterable[Discount]) -> None:
    """Note by how much gifts are worth less."""
    await connection.execute(_STORE_DISCOUNTS, *map(list, zip(*discounts, strict=True)))
