"""What the audits ask PostgreSQL about held coins, of holds and of gifts that may be undone, from the records alone."""

from typing import Final

from ledger.audits.live_holds import gift_name, hold_name
from ledger.books.postgres import Connection
from ledger.record_kinds import OVER

# A hold and its end lie in one partition, since they are of one viewer.
_OPEN_AT: Final = """
SELECT h.id, h.viewer, h.coins FROM journal_records h
WHERE h.partition = $1 AND h.kind = 'hold' AND h.seq <= $2 AND NOT EXISTS (
    SELECT 1 FROM journal_records e
    WHERE e.id = h.id AND e.viewer = h.viewer AND e.kind = 'hold_ended' AND e.partition = h.partition AND e.seq <= $2
)
"""
_OPEN_GIFTS_AT: Final = f"""
SELECT h.id, h.viewer, h.coins FROM journal_records h
WHERE h.partition = $1 AND h.kind = 'gift_held' AND h.seq <= $2 AND NOT EXISTS (
    SELECT 1 FROM journal_records e
    WHERE e.id = h.id AND e.viewer = h.viewer AND e.kind IN {OVER} AND e.partition = h.partition AND e.seq <= $2
)
"""  # noqa: S608 - texts of ours
HELD_COINS: Final = f"""
SELECT format('books, partition %s: the account of held coins says %s, open holds are of %s', partition,
    coalesce(a.coins, 0), coalesce(h.coins, 0))
FROM (
    SELECT e.partition, sum(e.amount) AS coins FROM entries e JOIN accounts a ON a.id = e.account_id
    WHERE a.kind = 'coins_held' GROUP BY e.partition
) a
FULL JOIN (
    SELECT partition, sum(coins) AS coins FROM (
        SELECT partition, CASE kind WHEN 'hold' THEN coins ELSE -coins END AS coins FROM journal_records
        WHERE kind IN ('hold', 'hold_ended')
        UNION ALL SELECT partition, coins FROM journal_records WHERE kind = 'gift_held'
        UNION ALL SELECT partition, -coins FROM journal_records WHERE kind IN {OVER}
    ) moved GROUP BY partition
) h USING (partition)
WHERE coalesce(a.coins, 0) <> coalesce(h.coins, 0) ORDER BY partition
"""  # noqa: S608 - texts of ours
CHARGED_COINS: Final = """
SELECT format('books, partition %s: the account of charged coins says %s, holds were charged %s', partition,
    coalesce(a.coins, 0), coalesce(h.coins, 0))
FROM (
    SELECT e.partition, sum(e.amount) AS coins FROM entries e JOIN accounts a ON a.id = e.account_id
    WHERE a.kind = 'coins_charged' GROUP BY e.partition
) a
FULL JOIN (
    SELECT partition, sum(taken_coins) AS coins FROM journal_records WHERE kind = 'hold_ended' GROUP BY partition
) h USING (partition)
WHERE coalesce(a.coins, 0) <> coalesce(h.coins, 0) ORDER BY partition
"""
# The unique index sees to it that a hold has one end.
ENDS: Final = """
SELECT format('record %s/%s ends hold %s of %s, of %s coins (%s, %s taken): %s', e.partition, e.seq, e.id, e.viewer,
    e.coins, e.reference, e.taken_coins,
    CASE WHEN h.id IS NULL THEN 'there is no such hold' ELSE
        format('record %s/%s holds %s', h.partition, h.seq, h.coins) END)
FROM journal_records e
LEFT JOIN journal_records h ON h.id = e.id AND h.viewer = e.viewer AND h.kind = 'hold'
WHERE e.kind = 'hold_ended' AND ((h.partition, h.coins) IS DISTINCT FROM (e.partition, e.coins) OR h.seq > e.seq
    OR (e.reference = 'settled') IS DISTINCT FROM (e.taken_coins > 0)
    OR e.taken_coins NOT BETWEEN 0 AND e.coins)
ORDER BY e.partition, e.seq
"""
_SAME: Final = (
    "partition, creator, place, item, unit_coins, count, coins, creator_diamonds, commission_diamonds, details, plan,"
    " agency, agency_diamonds, digest"
)
_H, _E = (", ".join(f"{one}.{column}" for column in _SAME.split(", ")) for one in "he")
GIFT_ENDS: Final = f"""
SELECT format('record %s/%s (%s) ends gift %s of %s: %s', e.partition, e.seq, e.kind, e.id, e.viewer,
    CASE WHEN h.id IS NULL THEN 'there is no such gift' WHEN o.id IS NOT NULL THEN
        format('record %s/%s ends it too', o.partition, o.seq) ELSE
        format('record %s/%s of %s coins is another', h.partition, h.seq, h.coins) END)
FROM journal_records e
LEFT JOIN journal_records h ON h.id = e.id AND h.viewer = e.viewer AND h.kind = 'gift_held'
LEFT JOIN journal_records o ON o.id = e.id AND o.viewer = e.viewer AND o.kind IN {OVER} AND o.kind <> e.kind
WHERE e.kind IN {OVER} AND (o.id IS NOT NULL OR h.seq > e.seq OR ({_H}) IS DISTINCT FROM ({_E})
    OR (e.kind = 'gift_settled') IS DISTINCT FROM (e.at >= h.at + h.combo_window_ms * interval '1 ms'))
ORDER BY e.partition, e.seq
"""  # noqa: S608 - texts of ours
"""Where the window of a combo stands in others, a held gift has the time for which it may be undone."""
GIFTS_TWICE: Final = """
SELECT format('gift %s of %s is held by record %s/%s and paid by record %s/%s', h.id, h.viewer, h.partition, h.seq,
    g.partition, g.seq)
FROM journal_records h JOIN journal_records g ON g.id = h.id AND g.viewer = h.viewer AND g.kind = 'gift'
WHERE h.kind = 'gift_held' ORDER BY h.partition, h.seq
"""


async def open_holds(connection: Connection, partition: int, seq: int) -> dict[str, int]:
    """Coins of the holds and gifts that are open after a record of this partition, which the books have; by their names
    of `live_holds`."""
    holds = await connection.fetch(_OPEN_AT, partition, seq)
    gifts = await connection.fetch(_OPEN_GIFTS_AT, partition, seq)
    coins = {hold_name(row["id"].bytes, row["viewer"]): row["coins"] for row in holds}
    return coins | {gift_name(row["id"].bytes, row["viewer"]): row["coins"] for row in gifts}
