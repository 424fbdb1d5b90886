"""Looks whether every gift is worth what its coins are, for viewers who ever had coins that are worth less.

Their movements are read some hundred viewers at a time, in one ordered stream. Each viewer's lots are walked through
from the first movement on, and each gift is compared with what the flusher noted of it as it comes by. Memory is that
of one viewer's lots and of what refunds took back.
"""

import datetime
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Final

import asyncpg

from ledger.books.postgres import Connection
from ledger.commission import BASIS_POINTS
from ledger.errors import InvariantBroken
from ledger.invariants import Findings, Invariant
from ledger.lots.lot_statements import movement_of
from ledger.lots.lots import Lots, Part
from ledger.lots.open_lots import decode_lots, encode_lots, open_lots_of
from ledger.record_kinds import OVER

VIEWERS_READ: Final = 500
ROWS_READ: Final = 1_000
_VIEWERS: Final = """
SELECT DISTINCT viewer FROM credits WHERE worth_bp IS NOT NULL AND viewer > $1 ORDER BY viewer LIMIT $2
"""
# What has no entry in the wallet, or not always, is found by the indexes of its kind: a reversal that took nothing, a
# hold of which nothing came back, a gift that was held when it is paid.
_APART: Final = ("kind IN ('refund', 'chargeback')", "kind = 'hold_ended'", f"kind IN {OVER}")
_MOVEMENTS: Final = f"""
SELECT r.viewer, r.seq, r.kind, r.id, r.at, r.coins, r.creator, r.place, r.creator_diamonds, r.agency_diamonds,
    r.plan, r.reference, r.taken_coins, p.bonus_coins, c.worth_bp, l.coins AS less_coins,
    l.creator_diamonds AS creator_less, l.agency_diamonds AS agency_less
FROM (
    SELECT r.* FROM accounts a
    JOIN entries e ON e.account_id = a.id JOIN journal_records r ON r.partition = e.partition AND r.seq = e.seq
    WHERE a.owner = ANY ($1) AND a.kind = 'wallet' AND a.unit = 'coins' AND r.kind NOT IN ('refund', 'chargeback',
        'hold_ended', 'gift_undone')
    {"".join(f"UNION ALL SELECT * FROM journal_records WHERE viewer = ANY ($1) AND {kinds} " for kinds in _APART)}
) r
LEFT JOIN purchases p ON r.kind = 'purchase' AND p.id = r.id
LEFT JOIN credits c ON r.kind IN ('purchase', 'grant') AND c.id = r.id
LEFT JOIN gift_discounts l ON l.partition = r.partition AND l.seq = r.seq
ORDER BY r.viewer, r.seq
"""  # noqa: S608 - texts of ours
_REFUNDED: Final = """
SELECT viewer, reference FROM journal_records WHERE viewer = ANY ($1) AND kind IN ('refund', 'chargeback')
"""
_OPEN: Final = """
SELECT viewer, debt_coins, lots::text AS lots FROM open_lots WHERE viewer = ANY ($1) AND discounted
"""
_SHARED: Final = """
SELECT f.viewer, f.id, coalesce(sum(s.creator_diamonds), 0)::bigint AS creators,
    coalesce(sum(s.residue_diamonds), 0)::bigint AS residue,
    coalesce(array_agg(s.creator || to_char(s.day, ' YYYY-MM-DD')) FILTER (WHERE s.commission_diamonds > 0), '{}')
        AS returning
FROM refunds f LEFT JOIN refund_shares s ON s.refund = f.id
WHERE f.viewer = ANY ($1) AND f.state = 'settled' AND f.settled_by IS NULL GROUP BY f.viewer, f.id ORDER BY f.id
"""

Less = tuple[int, int, int]
"""Coins of a gift that are worth less, and by how many diamonds for creator and agency."""
_NOTHING: Final = (0, 0, 0)
_FIRST_DAY: Final = datetime.date(1970, 1, 1)


async def check_worth(connection: Connection, findings: Findings) -> None:
    """Check every such viewer, on a connection that is in a snapshot. Costs a pass over the entries of each."""
    after = ""
    while rows := await connection.fetch(_VIEWERS, after, VIEWERS_READ):
        await _check_viewers(connection, [row["viewer"] for row in rows], findings)
        after = rows[-1]["viewer"]


def worth_less(paid: Iterable[Part]) -> Less:
    """How much less a gift is worth, by all its parts."""
    coins = creator = agency = 0
    for part in paid:
        if part.worth_bp < BASIS_POINTS:
            of_creator, of_agency = part.less
            coins, creator, agency = coins + part.coins, creator + of_creator, agency + of_agency
    return (coins, creator, agency) if creator or agency else _NOTHING


async def _check_viewers(connection: Connection, viewers: Sequence[str], findings: Findings) -> None:
    refunded: defaultdict[str, set[bytes]] = defaultdict(set)
    for row in await connection.fetch(_REFUNDED, viewers):
        refunded[row["viewer"]].add(uuid.UUID(row["reference"]).bytes)
    stored = {row["viewer"]: row for row in await connection.fetch(_OPEN, viewers)}
    shared: defaultdict[str, list[asyncpg.Record]] = defaultdict(list)
    for row in await connection.fetch(_SHARED, viewers):
        shared[row["viewer"]].append(row)
    left, walk = set(viewers), None
    async for row in connection.cursor(_MOVEMENTS, viewers, prefetch=ROWS_READ):
        viewer = row["viewer"]
        if walk is None or walk.viewer != viewer:
            if walk is not None:
                walk.finish(stored.get(walk.viewer), shared[walk.viewer])
            walk = _Walk(viewer, refunded[viewer], findings)
            left.discard(viewer)
        walk.take(row)
    without = [_Walk(viewer, (), findings) for viewer in sorted(left)]
    for last in [walk, *without] if walk is not None else without:
        last.finish(stored.get(last.viewer), shared[last.viewer])


class _Walk:
    """The movements of one viewer."""

    def __init__(self, viewer: str, refunded: Collection[bytes], findings: Findings) -> None:
        self.viewer = viewer
        self._lots = Lots(refunded)
        self._findings = findings
        self._broken = False
        findings.count(Invariant.I9, 1)

    def take(self, row: asyncpg.Record) -> None:
        """The next movement; what its gift is worth less by the lots is what is noted of it."""
        noted = (row["less_coins"], row["creator_less"], row["agency_less"])
        self._findings.count(Invariant.I9, noted[0] is not None)
        if self._broken:
            return
        try:
            self._lots.add(movement_of(row))
        except InvariantBroken as exc:
            # What follows would only repeat it.
            self._broken = True
            self._violate(f"lots of {self.viewer}: {exc}")
            return
        expected = worth_less(self._lots.paid)
        if expected != (_NOTHING if noted[0] is None else noted):
            self._violate(
                f"gift {row['id']} of {self.viewer}: {_words(expected)} by its lots,"
                f" {_words(_NOTHING if noted[0] is None else noted)} in the books"
            )

    def finish(self, stored: asyncpg.Record | None, refunds: Iterable[asyncpg.Record]) -> None:
        """There are no more; what refunds asked back, and what is left, is what is stored."""
        if self._broken:
            return
        self._check_refunds(refunds)
        walked = open_lots_of(self._lots)
        if stored is None:
            held, agreed = "no coins that are worth less", not walked.discounted
        else:
            held = f"{stored['lots']} and a debt of {stored['debt_coins']}"
            kept = decode_lots(stored["lots"], stored["debt_coins"])
            agreed = (encode_lots(kept), kept.debt_coins) == (encode_lots(walked), walked.debt_coins)
        if not agreed:
            self._violate(f"open lots of {self.viewer} are {held}, by the entries {encode_lots(walked)}")

    def _check_refunds(self, refunds: Iterable[asyncpg.Record]) -> None:
        """What creators are asked to give back is what they were given, to the diamond; and where the commission goes
        back, so does the residue."""
        for row in refunds:
            parts = self._lots.returned.get(row["id"].bytes, ())
            given = sum(part.creator_diamonds for part in parts)
            left = sum(part.residue_diamonds for part in parts if _share_of(part) in row["returning"])
            if row["residue"] != left:
                self._violate(
                    f"refund {row['id']} of {self.viewer}: its coins had left a residue of {left} diamonds, its shares"
                    f" give back {row['residue']}"
                )
            if row["creators"] != given:
                self._violate(
                    f"refund {row['id']} of {self.viewer}: creators were given {given} diamonds for its coins, its"
                    f" shares are of {row['creators']}"
                )

    def _violate(self, words: str) -> None:
        self._findings.violate(Invariant.I9, words)


def _share_of(part: Part) -> str:
    return f"{part.gift.creator} {_FIRST_DAY + datetime.timedelta(milliseconds=part.gift.at_ms)}"


def _words(less: Less) -> str:
    if less == _NOTHING:
        return "nothing less"
    coins, creator, agency = less
    return f"{coins} coins that are worth {creator} and {agency} diamonds less"
