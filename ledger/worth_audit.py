"""Looks whether every gift is worth what its coins are, for viewers who ever had coins that are worth less.

Their lots are walked through from the first movement on, and compared with what the flusher noted with each gift.
"""

from collections.abc import Iterable
from typing import Final

from ledger.commission import BASIS_POINTS
from ledger.ids import format_id
from ledger.invariants import Findings, Invariant
from ledger.lot_statements import read_lots
from ledger.lots import Lots
from ledger.open_lots import decode_lots, encode_lots, open_lots_of
from ledger.postgres import Connection

VIEWERS_READ: Final = 500
_VIEWERS: Final = """
SELECT DISTINCT viewer FROM credits WHERE worth_bp IS NOT NULL AND viewer > $1 ORDER BY viewer LIMIT $2
"""
# A gift that was held makes no entry in the wallet when it is paid, and is worth less by that record.
_NOTED: Final = """
SELECT r.id, l.coins, l.creator_diamonds, l.agency_diamonds
FROM accounts a JOIN entries e ON e.account_id = a.id
JOIN gift_discounts l ON l.partition = e.partition AND l.seq = e.seq
JOIN journal_records r ON r.partition = e.partition AND r.seq = e.seq
WHERE a.owner = $1 AND a.kind = 'wallet' AND a.unit = 'coins'
UNION ALL SELECT r.id, l.coins, l.creator_diamonds, l.agency_diamonds
FROM journal_records r JOIN gift_discounts l ON l.partition = r.partition AND l.seq = r.seq
WHERE r.viewer = $1 AND r.kind IN ('gift_settled', 'gift_undone')
"""
_OPEN: Final = "SELECT debt_coins, discounted, lots::text AS lots FROM open_lots WHERE viewer = $1"
_SHARED: Final = """
SELECT f.id, coalesce(sum(s.creator_diamonds), 0)::bigint AS creators
FROM refunds f LEFT JOIN refund_shares s ON s.refund = f.id
WHERE f.viewer = $1 AND f.state = 'settled' AND f.settled_by IS NULL GROUP BY f.id ORDER BY f.id
"""

Worths = dict[bytes, tuple[int, int, int]]
"""By gift: coins that are worth less, and by how many diamonds for creator and agency."""


async def check_worth(connection: Connection, findings: Findings) -> None:
    """Check every such viewer, on a connection that is in a snapshot. Costs a pass over the entries of each."""
    after = ""
    while rows := await connection.fetch(_VIEWERS, after, VIEWERS_READ):
        for row in rows:
            await _check_viewer(connection, row["viewer"], findings)
        after = rows[-1]["viewer"]


def worth_less(lots: Lots) -> Worths:
    """Which gifts are worth less, by all that the lots have paid for."""
    found: Worths = {}
    for lot in lots.all:
        for part, _ in lot.gift_parts():
            if part.held:
                continue
            creator, agency = part.less
            coins, creator_before, agency_before = found.get(part.gift.id, (0, 0, 0))
            if part.worth_bp < BASIS_POINTS:
                found[part.gift.id] = (coins + part.coins, creator_before + creator, agency_before + agency)
    return {gift: one for gift, one in found.items() if any(one[1:])}


async def _check_viewer(connection: Connection, viewer: str, findings: Findings) -> None:
    lots = await read_lots(connection, viewer)
    noted = {row["id"].bytes: tuple(row)[1:] for row in await connection.fetch(_NOTED, viewer)}
    expected = worth_less(lots)
    findings.count(Invariant.I9, len(noted) + 1)
    for gift in sorted(expected.keys() | noted.keys()):
        if expected.get(gift) != noted.get(gift):
            findings.violate(
                Invariant.I9,
                f"gift {format_id(gift)} of {viewer}: {_words(expected.get(gift))} by its lots,"
                f" {_words(noted.get(gift))} in the books",
            )
    await _check_refunds(connection, viewer, lots, findings)
    stored = await connection.fetchrow(_OPEN, viewer)
    if stored is None or not stored["discounted"]:
        held, walked = "no coins that are worth less", open_lots_of(lots)
        agreed = not walked.discounted
    else:
        held, walked = f"{stored['lots']} and a debt of {stored['debt_coins']}", open_lots_of(lots)
        kept = decode_lots(stored["lots"], stored["debt_coins"])
        agreed = (encode_lots(kept), kept.debt_coins) == (encode_lots(walked), walked.debt_coins)
    if not agreed:
        findings.violate(Invariant.I9, f"open lots of {viewer} are {held}, by the entries {encode_lots(walked)}")


async def _check_refunds(connection: Connection, viewer: str, lots: Lots, findings: Findings) -> None:
    """What creators are asked to give back is what they were given, to the diamond."""
    for row in await connection.fetch(_SHARED, viewer):
        given = sum(part.creator_diamonds for part in lots.returned.get(row["id"].bytes, ()))
        if row["creators"] != given:
            findings.violate(
                Invariant.I9,
                f"refund {row['id']} of {viewer}: creators were given {given} diamonds for its coins, its shares are of"
                f" {row['creators']}",
            )


def _words(less: Iterable[int] | None) -> str:
    if less is None:
        return "nothing less"
    coins, creator, agency = less
    return f"{coins} coins that are worth {creator} and {agency} diamonds less"
