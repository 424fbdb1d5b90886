"""What the books say about a viewer's lots: which are left, and which gifts the coins of a purchase or grant paid for.

The entries of the wallet are the whole truth; they are read in slices, in one snapshot, and walked through each time.
Time and memory are linear in that viewer's entries.
"""

import uuid
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

import asyncpg
from msgspec import Struct

from ledger.books.postgres import Connection, Pool, snapshot
from ledger.books.rows import ms_of, uuid_of
from ledger.books.terms import residue_of
from ledger.commission import BASIS_POINTS
from ledger.errors import NotFound
from ledger.ids import format_id
from ledger.lots.lots import (
    CoinsCame,
    CoinsHeld,
    CoinsReversed,
    GiftHeld,
    GiftPaid,
    GiftSettled,
    GiftTakenBack,
    HoldOver,
    Lot,
    LotKind,
    Lots,
    Movement,
)
from ledger.model import Cause, CreatorId, ViewerId
from ledger.record_kinds import HOLD_ENDED, OVER

SLICE_ROWS: Final = 1_000
"""So many entries are read at a time."""
_ENTRIES: Final = """
SELECT r.seq, r.kind, r.id, r.at, r.coins, r.creator, r.place, r.creator_diamonds, r.agency_diamonds, r.plan,
    p.bonus_coins, c.worth_bp
FROM accounts a
JOIN entries e ON e.account_id = a.id
JOIN journal_records r ON r.partition = e.partition AND r.seq = e.seq
LEFT JOIN purchases p ON r.kind = 'purchase' AND p.id = r.id
LEFT JOIN credits c ON r.kind IN ('purchase', 'grant') AND c.id = r.id
WHERE a.owner = $1 AND a.kind = 'wallet' AND a.unit = 'coins' AND r.seq > $2 AND r.seq <= $3
    AND r.kind NOT IN ('refund', 'chargeback', 'hold_ended', 'gift_undone')
ORDER BY e.number
"""
# Apart from the entries: a reversal that took nothing has none, nor has a hold of which nothing came back, nor a gift
# that was held when it is paid.
_OTHERS: Final = " UNION ALL ".join(
    f"""
SELECT seq, id, kind, at, reference, coins, taken_coins, creator, place, creator_diamonds, agency_diamonds,
    plan
FROM journal_records WHERE viewer = $1 AND kind {kinds} AND seq > $2 AND seq <= $3
"""  # noqa: S608 - texts of ours
    for kinds in ("IN ('refund', 'chargeback')", f"= '{HOLD_ENDED}'", f"IN {OVER}")
)
_OWNER: Final = "SELECT viewer FROM credits WHERE id = $1"
_AFTER_ALL: Final = 2**63 - 1


class LotRow(Struct, frozen=True):
    """A lot as it stands in the books; coins = left + spent + reversed.

    Attributes:
        id: of the purchase or grant.
        left_coins: not spent yet.
        spent_coins: paid for gifts, in a hold, or taken of one.
        reversed_coins: taken out of the wallet by refunds.
        returned_coins: those of the spent ones that were refunded since.
        worth_bp: what one of its coins is worth to creators, in basis points of a paid one.
    """

    id: bytes
    kind: LotKind
    at_ms: int
    coins: int
    left_coins: int
    spent_coins: int
    reversed_coins: int
    returned_coins: int
    worth_bp: int = BASIS_POINTS


class ViewerLots(Struct, frozen=True):
    """All lots of a viewer, in the order in which they are spent; without a debt they hold the wallet's coins."""

    viewer: ViewerId
    lots: list[LotRow]
    debt_coins: int


class PaidPart(Struct, frozen=True):
    """What the coins of one lot paid of a gift.

    Attributes:
        returned: those coins were refunded since.
        held: the viewer may undo the gift still.
    """

    gift: bytes
    creator: CreatorId
    place: str
    at_ms: int
    coins: int
    creator_diamonds: int
    commission_diamonds: int
    lot: LotKind
    returned: bool
    held: bool


class LotStatements:
    """Reads lots. Every method may raise `LedgerUnavailable`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def of_viewer(self, viewer: str) -> ViewerLots:
        """The lots of a viewer; none for a viewer never heard of."""
        async with snapshot(self._pool) as connection:
            lots = await read_lots(connection, viewer)
        return ViewerLots(ViewerId(viewer), [_row(lot) for lot in lots.all], lots.debt_coins)

    async def paid_by(self, credit_id: bytes) -> list[PaidPart]:
        """Parts of gifts that the coins of this purchase or grant paid for, in the order of the gifts.

        Raises:
            NotFound: there is no such purchase or grant.
        """
        async with snapshot(self._pool) as connection:
            viewer = await connection.fetchval(_OWNER, uuid_of(credit_id))
            if viewer is None:
                raise NotFound(f"no purchase or grant {format_id(credit_id)}")
            lots = await read_lots(connection, viewer)
        return _parts(lots, credit_id)


async def read_lots(connection: Connection, viewer: str, *, until_seq: int = _AFTER_ALL) -> Lots:
    """The lots of a viewer after record `until_seq` of its partition. The connection is in a transaction.

    Raises:
        InvariantBroken: the entries spend coins that never came.
    """
    lots = Lots()
    async for movement in read_movements(connection, viewer, 0, until_seq):
        lots.add(movement)
    return lots


async def read_movements(
    connection: Connection, viewer: str, after_seq: int, until_seq: int
) -> AsyncIterator[Movement]:
    """The movements of a wallet by the records after one and up to another, in order. In a transaction."""
    others = deque(await connection.fetch(f"{_OTHERS} ORDER BY seq", viewer, after_seq, until_seq))
    async for row in connection.cursor(_ENTRIES, viewer, after_seq, until_seq, prefetch=SLICE_ROWS):
        while others and others[0]["seq"] < row["seq"]:
            yield movement_of(others.popleft())
        yield movement_of(row)
    for row in others:
        yield movement_of(row)


def movement_of(row: asyncpg.Record) -> Movement:
    """What a journal record moved in its viewer's wallet; of a credit also `bonus_coins` and `worth_bp` are read."""
    kind, movement_id = row["kind"], row["id"].bytes
    match kind:
        case "gift":
            return _gift(row)
        case "gift_held":
            return GiftHeld(_gift(row))
        case "gift_settled":
            return GiftSettled(_gift(row))
        case "gift_undone":
            return GiftTakenBack(movement_id)
        case "hold":
            return CoinsHeld(movement_id, row["coins"], ms_of(row["at"]))
        case "hold_ended":
            return HoldOver(movement_id, row["taken_coins"])
        case "refund" | "chargeback":
            return CoinsReversed(movement_id, uuid.UUID(row["reference"]).bytes, row["coins"], row["taken_coins"])
        case _:
            worth_bp = BASIS_POINTS if row["worth_bp"] is None else row["worth_bp"]
            bonus = row["bonus_coins"] or 0
            return CoinsCame(movement_id, Cause(kind), row["coins"], bonus, ms_of(row["at"]), worth_bp)


def _gift(row: asyncpg.Record) -> GiftPaid:
    residue = residue_of(row["plan"], row["coins"]) if row["plan"] else 0
    parts = (row["coins"], row["creator_diamonds"], ms_of(row["at"]), row["agency_diamonds"] or 0, residue)
    return GiftPaid(row["id"].bytes, row["creator"], row["place"], *parts)


def _row(lot: Lot) -> LotRow:
    return LotRow(lot.id, lot.kind, lot.at_ms, lot.coins, lot.left, lot.spent, lot.reversed, lot.returned, lot.worth_bp)


def _parts(lots: Lots, credit_id: bytes) -> list[PaidPart]:
    found = [(lot.kind, part, returned) for lot in lots.of(credit_id) for part, returned in lot.gift_parts()]
    return [
        PaidPart(
            gift=part.gift.id,
            creator=CreatorId(part.gift.creator),
            place=part.gift.place,
            at_ms=part.gift.at_ms,
            coins=part.coins,
            creator_diamonds=part.creator_diamonds,
            commission_diamonds=part.commission_diamonds,
            lot=kind,
            returned=returned,
            held=part.held,
        )
        for kind, part, returned in found
    ]
