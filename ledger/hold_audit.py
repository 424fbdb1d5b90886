"""What the audits ask PostgreSQL about holds, from the journal's records alone."""

from typing import Final

from ledger.live_holds import hold_name
from ledger.postgres import Connection

# A hold and its end lie in one partition, since they are of one viewer.
_OPEN_AT: Final = """
SELECT h.id, h.viewer, h.coins FROM journal_records h
WHERE h.partition = $1 AND h.kind = 'hold' AND h.seq <= $2 AND NOT EXISTS (
    SELECT 1 FROM journal_records e
    WHERE e.id = h.id AND e.viewer = h.viewer AND e.kind = 'hold_ended' AND e.partition = h.partition AND e.seq <= $2
)
"""
HELD_COINS: Final = """
SELECT format('books, partition %s: the account of held coins says %s, open holds are of %s', partition,
    coalesce(a.coins, 0), coalesce(h.coins, 0))
FROM (
    SELECT e.partition, sum(e.amount) AS coins FROM entries e JOIN accounts a ON a.id = e.account_id
    WHERE a.kind = 'coins_held' GROUP BY e.partition
) a
FULL JOIN (
    SELECT partition, sum(CASE kind WHEN 'hold' THEN coins ELSE -coins END) AS coins FROM journal_records
    WHERE kind IN ('hold', 'hold_ended') GROUP BY partition
) h USING (partition)
WHERE coalesce(a.coins, 0) <> coalesce(h.coins, 0) ORDER BY partition
"""
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


async def open_holds(connection: Connection, partition: int, seq: int) -> dict[str, int]:
    """Coins of the holds that are open after a record of this partition, which the books have; by `hold_name`."""
    rows = await connection.fetch(_OPEN_AT, partition, seq)
    return {hold_name(row["id"].bytes, row["viewer"]): row["coins"] for row in rows}
