"""What the audit asks PostgreSQL about refunds: SQL whose rows are sentences, each naming what contradicts."""

from typing import Final

from ledger.refunds.refund_states import CLAWED_BACK

TAKEN_TOO_MUCH: Final = """
SELECT format('purchase %s of %s: %s coins were bought, %s are counted as refunded, its refunds are of %s', p.id,
    p.viewer, p.coins + p.bonus_coins, p.refunded_coins, coalesce(r.coins, 0))
FROM purchases p LEFT JOIN (SELECT purchase, sum(coins) AS coins FROM refunds GROUP BY purchase) r ON r.purchase = p.id
WHERE p.refunded_coins <> coalesce(r.coins, 0) OR coalesce(r.coins, 0) > p.coins + p.bonus_coins ORDER BY p.id
"""
# From the journal's records alone, whatever the office's tables say.
REVERSED_TOO_MUCH: Final = """
SELECT format('purchase %s of %s: %s coins came in, reversals are of %s', b.reference, b.viewer, coalesce(p.coins, 0),
    b.coins)
FROM (
    SELECT reference, viewer, sum(coins) AS coins FROM journal_records WHERE kind IN ('refund', 'chargeback')
    GROUP BY reference, viewer
) b LEFT JOIN journal_records p ON p.id = b.reference::uuid AND p.viewer = b.viewer AND p.kind = 'purchase'
WHERE b.coins > coalesce(p.coins, 0) ORDER BY b.reference
"""
REFUNDS_OF_RECORDS: Final = """
SELECT format('record %s/%s reverses %s coins of purchase %s of %s and took %s: %s', r.partition, r.seq, r.coins,
    r.reference, r.viewer, r.taken_coins,
    CASE WHEN f.id IS NULL THEN 'there is no such refund' ELSE
        format('the refund is a %s of %s coins of %s, %s, and took %s', f.kind, f.coins, f.purchase, f.state,
            coalesce(f.taken_coins::text, 'nothing yet')) END)
FROM journal_records r LEFT JOIN refunds f ON f.id = r.id
WHERE r.kind IN ('refund', 'chargeback') AND (
    (f.viewer, f.kind, f.coins, f.purchase::text) IS DISTINCT FROM (r.viewer, r.kind, r.coins, r.reference)
    OR f.state = 'voided' OR (f.taken_coins, f.balance_coins) IS DISTINCT FROM (r.taken_coins, r.wallet_after)
        AND f.state <> 'owed'
) ORDER BY r.partition, r.seq
"""
RECORDS_OF_REFUNDS: Final = """
SELECT format('refund %s of purchase %s is settled, and its reversal is not in the books', f.id, f.purchase)
FROM refunds f LEFT JOIN journal_records r ON r.id = f.id AND r.viewer = f.viewer AND r.kind = f.kind
WHERE f.state = 'settled' AND r.seq IS NULL ORDER BY f.id
"""
SHARES: Final = f"""
SELECT format('refund %s: it says %s coins of gifts, %s diamonds of creators, %s of commission; shares say %s, %s, %s;'
    ' records of the books %s and %s; of it residue: %s and %s', f.id, f.returned_coins, f.creator_diamonds,
    f.commission_diamonds, s.coins, s.taken, s.commission, b.creators, b.commission, s.residue, b.residue)
FROM refunds f
CROSS JOIN LATERAL (
    SELECT coalesce(sum(coins), 0) AS coins, coalesce(sum(from_pending + from_available), 0) AS taken,
        coalesce(sum(commission_diamonds), 0) AS commission, coalesce(sum(residue_diamonds), 0) AS residue,
        coalesce(sum(creator_diamonds - from_pending - from_available), 0) AS borne
    FROM refund_shares WHERE refund = f.id
) s
LEFT JOIN (
    SELECT r.reference, -sum(e.amount) FILTER (WHERE a.kind IN ('pending', 'available')) AS creators,
        -sum(e.amount) FILTER (WHERE a.kind IN ('commission_returned', 'residue_returned')) AS commission,
        -sum(e.amount) FILTER (WHERE a.kind = 'residue_returned') AS residue
    FROM journal_records r JOIN entries e ON e.partition = r.partition AND e.seq = r.seq
    JOIN accounts a ON a.id = e.account_id WHERE r.partition = -1 AND r.kind = '{CLAWED_BACK}' GROUP BY r.reference
) b ON b.reference = f.id::text
WHERE f.state = 'settled' AND (f.returned_coins, f.creator_diamonds, f.commission_diamonds, f.borne_diamonds)
    IS DISTINCT FROM (s.coins, s.taken, s.commission, s.borne)
    OR (coalesce(b.creators, 0), coalesce(b.commission, 0), coalesce(b.residue, 0))
        <> (s.taken, s.commission, s.residue) ORDER BY f.id
"""  # noqa: S608 - words of ours
REINSTATED: Final = """
SELECT format('refund %s of %s took %s coins and %s diamonds of creators, %s of commission; it is reinstated with %s,'
    ' %s and %s, by a grant of %s coins of %s and records of %s and %s; of it residue: %s and %s',
    coalesce(f.id::text, b.reference), f.viewer,
    coalesce(f.taken_coins, f.coins), f.creator_diamonds, f.commission_diamonds, t.coins, t.creator_diamonds,
    t.commission_diamonds, c.coins, c.viewer, b.creators, b.commission, s.residue, b.residue)
FROM (SELECT * FROM reinstatements WHERE done_at IS NOT NULL) t
JOIN refunds f ON f.id = t.refund LEFT JOIN credits c ON c.id = t.grant_id
CROSS JOIN LATERAL (
    SELECT coalesce(sum(residue_diamonds), 0) AS residue FROM refund_shares WHERE refund = f.id
) s
FULL JOIN (
    SELECT r.reference, sum(e.amount) FILTER (WHERE a.kind = 'available') AS creators,
        sum(e.amount) FILTER (WHERE a.kind IN ('commission_returned', 'residue_returned')) AS commission,
        sum(e.amount) FILTER (WHERE a.kind = 'residue_returned') AS residue
    FROM journal_records r JOIN entries e ON e.partition = r.partition AND e.seq = r.seq
    JOIN accounts a ON a.id = e.account_id WHERE r.partition = -1 AND r.kind = 'reinstated' GROUP BY r.reference
) b ON b.reference = f.id::text
WHERE (t.coins, t.creator_diamonds, t.commission_diamonds) IS DISTINCT FROM
        (coalesce(f.taken_coins, f.coins), coalesce(f.creator_diamonds, 0), coalesce(f.commission_diamonds, 0))
    OR coalesce(c.coins, 0) <> t.coins OR c.viewer <> f.viewer
    OR (coalesce(b.creators, 0), coalesce(b.commission, 0), coalesce(b.residue, 0))
        <> (t.creator_diamonds, t.commission_diamonds, s.residue)
ORDER BY 1
"""
DAYS_TAKEN: Final = """
SELECT format('creator %s, %s: %s diamonds are counted as taken back, refunds took %s', creator, day,
    coalesce(d.taken_back, 0), coalesce(s.taken, 0))
FROM (SELECT creator, day, taken_back FROM creator_days WHERE taken_back > 0) d
FULL JOIN (
    SELECT creator, day, sum(from_pending) AS taken FROM refund_shares WHERE from_pending > 0 GROUP BY creator, day
) s USING (creator, day)
WHERE coalesce(d.taken_back, 0) <> coalesce(s.taken, 0) ORDER BY creator, day
"""
