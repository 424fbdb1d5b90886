"""What the audit asks PostgreSQL: each check is one query that counts and one that names what contradicts it.

Everything is computed from rows of one snapshot. Each violation is a sentence that names account and record.
"""

from typing import Final, NamedTuple

from ledger.accounts import MAY_OWE
from ledger.audits.hold_audit import CHARGED_COINS, ENDS, GIFT_ENDS, GIFTS_TWICE, HELD_COINS
from ledger.audits.refund_audit import (
    DAYS_TAKEN,
    RECORDS_OF_REFUNDS,
    REFUNDS_OF_RECORDS,
    REINSTATED,
    REVERSED_TOO_MUCH,
    SHARES,
    TAKEN_TOO_MUCH,
)
from ledger.books.postgres import Connection
from ledger.books.seals import FORM, RECORD_HASH
from ledger.invariants import VIOLATIONS_MAX, Findings, Invariant
from ledger.model import RefundKind
from ledger.payouts.payout_states import HOLDING, PayoutState
from ledger.record_kinds import EARNING, RESIDUE, UNSPLIT
from ledger.refunds.refund_states import CLAWED_BACK

STATEMENT_S_MAX: Final = 3_600.0
"""An audit of very large books may take long; it reads only."""


class BookCheck(NamedTuple):
    """A check.

    Attributes:
        counted: SQL whose one value is how much there is to look at; empty when another check counts it.
        violations: SQL whose rows are sentences.
        about: what is looked at, in a few words.
        seldom: it looks at what comes seldom beside gifts, so the audit that never ends can run it whole.
        quick: SQL whose one value says whether there may be any violation, where naming them costs much more.
    """

    invariant: Invariant
    counted: str
    violations: str
    about: str
    seldom: bool = False
    quick: str = ""


_ACCOUNT: Final = "a.kind || ' of ' || coalesce(nullif(a.owner, ''), 'the platform') || ' (' || a.unit || ')'"
OWING: Final = ", ".join(f"'{kind.value}'" for kind in sorted(MAY_OWE))
_HOLDING: Final = ", ".join(f"'{state.value}'" for state in sorted(HOLDING))
_REVERSALS: Final = ", ".join(f"'{kind.value}'" for kind in RefundKind)
DEBT_MAKERS: Final = f"{_REVERSALS}, '{CLAWED_BACK}'"
"""Kinds of records that may bring a wallet, or what a creator has available, below zero; as SQL."""
_RECORD: Final = "r.partition || '/' || r.seq"
MOVED: Final = (
    f"CASE WHEN kind IN ('gift', 'gift_held', 'hold') THEN -coins WHEN kind IN ({_REVERSALS}) THEN -taken_coins"
    " WHEN kind = 'hold_ended' THEN coins - taken_coins WHEN kind = 'gift_settled' THEN 0 ELSE coins END"
)
"""What a journal record moves in its viewer's wallet, from columns of `journal_records`."""

# Entries of one batch of a partition: those up to, and including, one of the platform's. Each batch sums to zero.
_BATCHES: Final = """
WITH sums AS (
    SELECT e.partition, a.unit, e.seq, sum(e.amount) AS amount, bool_or(a.owner = '') OR e.partition = -1 AS closes
    FROM entries e JOIN accounts a ON a.id = e.account_id GROUP BY e.partition, a.unit, e.seq
), running AS (
    SELECT *, sum(amount) OVER w AS total, lead(seq) OVER w IS NULL AS is_last
    FROM sums WINDOW w AS (PARTITION BY partition, unit ORDER BY seq)
), batches AS (
    SELECT *, total - coalesce(lag(total) OVER w, 0) AS excess, coalesce(lag(seq) OVER w, 0) + 1 AS from_seq
    FROM running WHERE closes OR is_last WINDOW w AS (PARTITION BY partition, unit ORDER BY seq)
)
SELECT format('books, partition %s, records %s to %s: entries sum to %s %s', partition, from_seq, seq, excess, unit)
FROM batches WHERE excess <> 0 ORDER BY partition, seq
"""
_CHAINS: Final = f"""
SELECT format('%s: entry %s (record %s/%s) is %s and leaves %s, after entry %s that left %s',
    {_ACCOUNT}, e.number, e.partition, e.seq, e.amount, e.balance_after, e.number_before, e.before)
FROM (
    SELECT *, lag(number, 1, 0::bigint) OVER w AS number_before, lag(balance_after, 1, 0::bigint) OVER w AS before
    FROM entries WINDOW w AS (PARTITION BY account_id ORDER BY number)
) e JOIN accounts a ON a.id = e.account_id
WHERE e.number <> e.number_before + 1 OR e.balance_after <> e.before + e.amount ORDER BY a.id, e.number
"""  # noqa: S608 - texts of ours
# Every entry stands for its account before it and after it: all between the first and last of an account cancels, and
# there are as many as the last one's number says. So nothing is sorted, which is most of the cost of naming.
_MAY_BE_CHAINS: Final = """
SELECT (e.entries, e.hash) IS DISTINCT FROM (a.entries, a.hash) FROM (
    SELECT count(*) AS entries, bit_xor(hashint8extended(account_id, hashint8extended(number, balance_after))
        # hashint8extended(account_id, hashint8extended(number - 1, balance_after - amount))) AS hash
    FROM entries
) e, (
    SELECT sum(number) AS entries, bit_xor(hashint8extended(account_id, hashint8extended(number, balance_after))
        # hashint8extended(account_id, hashint8extended(0, 0))) AS hash
    FROM (SELECT account_id, max(number) AS number FROM entries GROUP BY account_id) last
    JOIN entries USING (account_id, number)
) a
"""
_LAST: Final = "SELECT number, balance_after FROM entries WHERE account_id = a.id ORDER BY number DESC LIMIT 1"
_BALANCES: Final = f"""
SELECT format('%s: the balance is %s after %s entries, the last entry says %s after %s',
    {_ACCOUNT}, b.balance, b.number, coalesce(e.balance_after, 0), coalesce(e.number, 0))
FROM accounts a LEFT JOIN balances b ON b.account_id = a.id LEFT JOIN LATERAL ({_LAST}) e ON true
WHERE a.partition = -1
    AND (coalesce(b.balance, 0), coalesce(b.number, 0)) <> (coalesce(e.balance_after, 0), coalesce(e.number, 0))
"""  # noqa: S608
_NO_ACCOUNT: Final = """
SELECT format('entry %s of account %s (record %s/%s) has no account', number, account_id, partition, seq)
FROM entries e WHERE NOT EXISTS (SELECT 1 FROM accounts a WHERE a.id = e.account_id)
"""
_DAYS: Final = f"""
SELECT format('creator %s: days say %s diamonds by %s gifts and a discount of %s, records say %s by %s and %s', creator,
    coalesce(d.earned, 0), coalesce(d.gifts, 0), coalesce(d.less, 0), coalesce(r.earned, 0), coalesce(r.gifts, 0),
    coalesce(r.less, 0))
FROM (
    SELECT creator, sum(earned) AS earned, sum(gifts) AS gifts, sum(discounted) AS less FROM creator_days
    GROUP BY creator
) d
FULL JOIN (
    SELECT r.creator, sum(r.creator_diamonds - coalesce(l.creator_diamonds, 0)) AS earned, count(*) AS gifts,
        coalesce(sum(l.creator_diamonds), 0) AS less
    FROM journal_records r LEFT JOIN gift_discounts l USING (partition, seq)
    WHERE r.kind IN {EARNING} GROUP BY r.creator
    UNION ALL
    SELECT 'agency/' || r.agency, sum(r.agency_diamonds - coalesce(l.agency_diamonds, 0)), count(*),
        coalesce(sum(l.agency_diamonds), 0)
    FROM journal_records r LEFT JOIN gift_discounts l USING (partition, seq)
    WHERE r.agency IS NOT NULL AND r.kind IN {EARNING} GROUP BY r.agency
) r USING (creator)
WHERE (d.earned, d.gifts, d.less) IS DISTINCT FROM (r.earned, r.gifts, r.less)
"""  # noqa: S608 - texts of ours
_UNRIPE: Final = """
SELECT format('pending of %s: %s diamonds, and %s were earned, have not matured and were not taken back', owner,
    a.balance, d.unripe)
FROM (
    SELECT owner, b.balance FROM accounts JOIN balances b ON b.account_id = id WHERE kind = 'pending'
    UNION ALL SELECT 'agency/' || owner, sum(amount) FROM accounts JOIN entries ON account_id = id
    WHERE kind IN ('agency', 'agency_matured') GROUP BY owner
) a
FULL JOIN (
    SELECT creator AS owner, sum(earned - matured - taken_back) AS unripe FROM creator_days GROUP BY creator
) d USING (owner)
WHERE coalesce(a.balance, 0) <> coalesce(d.unripe, 0)
"""
_BELOW_ZERO: Final = f"""
SELECT format('%s: entry %s (record %s/%s) leaves %s', {_ACCOUNT}, e.number, e.partition, e.seq, e.balance_after)
FROM entries e JOIN accounts a ON a.id = e.account_id
LEFT JOIN journal_records r ON r.partition = e.partition AND r.seq = e.seq
WHERE e.balance_after < 0 AND a.kind NOT IN ({OWING})
    AND NOT (a.kind IN ('wallet', 'available') AND (e.amount > 0 OR coalesce(r.kind, '') IN ({DEBT_MAKERS})))
ORDER BY a.id, e.number
"""  # noqa: S608
_IDS: Final = """
SELECT format('%s %s of %s has %s records: %s', kind, id, coalesce(viewer, creator), count(*),
    string_agg(partition || '/' || seq, ', ' ORDER BY seq))
FROM journal_records GROUP BY id, kind, viewer, creator HAVING count(*) > 1
"""
UNIQUE: Final = """
SELECT format('%s has no valid unique index of ids', t.relid::regclass) FROM pg_partition_tree('journal_records') t
WHERE t.isleaf AND NOT EXISTS (
    SELECT 1 FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE i.indrelid = t.relid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND a.attname = 'id'
)
"""
VOLUMES: Final = """
SELECT format('volume %s: %s (records %s to %s of every partition) is not in the books', number, name, first_seq,
    end_seq - 1)
FROM volumes CROSS JOIN LATERAL (VALUES ('journal_records_v' || number), ('entries_v' || number)) AS t (name)
WHERE NOT EXISTS (SELECT 1 FROM pg_inherits WHERE inhrelid = to_regclass(name)) ORDER BY number, name
"""
"""What somebody has detached."""
_GAPS: Final = """
SELECT format('books, partition %s: record %s follows %s', partition, seq, before)
FROM (SELECT partition, seq, lag(seq, 1, 0::bigint) OVER (PARTITION BY partition ORDER BY seq) AS before
    FROM journal_records) r
WHERE seq <> before + 1 ORDER BY partition, seq
"""
_POSITIONS: Final = """
SELECT format('books, partition %s: the position is %s, and the last of %s records is %s',
    partition, p.seq, coalesce(r.records, 0), coalesce(r.seq, 0))
FROM (SELECT partition, count(*) AS records, max(seq) AS seq FROM journal_records GROUP BY partition) r
FULL JOIN positions p USING (partition)
WHERE (coalesce(r.records, 0), coalesce(r.seq, 0)) <> (coalesce(p.seq, 0), coalesce(p.seq, 0))
"""
_WALLET_ENTRIES: Final = f"""
SELECT format('wallet of %s, record %s: the record moves %s and leaves %s, the entry %s and %s', r.viewer, {_RECORD},
    r.moved, r.wallet_after, coalesce(e.amount::text, 'nothing'), coalesce(e.balance_after::text, 'nothing'))
FROM (SELECT *, {MOVED} AS moved FROM journal_records) r
LEFT JOIN (
    SELECT e.*, a.owner FROM entries e JOIN accounts a ON a.id = e.account_id WHERE a.kind = 'wallet'
) e ON e.partition = r.partition AND e.seq = r.seq AND e.owner = r.viewer
WHERE r.partition >= 0 AND (e.amount, e.balance_after) IS DISTINCT FROM (r.moved, r.wallet_after)
    AND (r.moved <> 0 OR e.amount IS NOT NULL)
ORDER BY r.partition, r.seq
"""  # noqa: S608
_EARNINGS_ENTRIES: Final = f"""
SELECT format('pending of %s, record %s: the record earns %s less %s, the entries %s less %s', r.creator, {_RECORD},
    r.creator_diamonds, coalesce(l.creator_diamonds, 0), coalesce(e.amount, 0), coalesce(e.less, 0))
FROM journal_records r
LEFT JOIN (
    SELECT e.partition, e.seq, a.owner, sum(e.amount) FILTER (WHERE e.amount > 0) AS amount,
        -sum(e.amount) FILTER (WHERE e.amount < 0) AS less
    FROM entries e JOIN accounts a ON a.id = e.account_id WHERE a.kind = 'pending' AND e.partition >= 0
    GROUP BY e.partition, e.seq, a.owner
) e ON e.partition = r.partition AND e.seq = r.seq AND e.owner = r.creator
LEFT JOIN gift_discounts l ON l.partition = r.partition AND l.seq = r.seq
WHERE r.kind IN {EARNING}
    AND (coalesce(e.amount, 0), coalesce(e.less, 0)) <> (r.creator_diamonds, coalesce(l.creator_diamonds, 0))
ORDER BY r.partition, r.seq
"""  # noqa: S608
_NO_RECORD: Final = f"""
SELECT format('%s: entry %s belongs to record %s/%s, which is not there', {_ACCOUNT}, e.number, e.partition, e.seq)
FROM entries e JOIN accounts a ON a.id = e.account_id
LEFT JOIN journal_records r ON r.partition = e.partition AND r.seq = e.seq WHERE r.seq IS NULL ORDER BY a.id, e.number
"""  # noqa: S608
_SPLITS: Final = f"""
SELECT format('record %s: %s coins became %s and %s diamonds%s', {_RECORD}, coins, creator_diamonds,
    commission_diamonds, ' by ' || plan)
FROM journal_records r WHERE {UNSPLIT}
"""  # noqa: S608
_AGENCIES: Final = f"""
SELECT format('agency %s, partition %s: the account holds %s diamonds, gifts gave it %s', owner, partition,
    coalesce(a.diamonds, 0), coalesce(r.diamonds, 0))
FROM (
    SELECT owner, partition, sum(amount) AS diamonds FROM entries e JOIN accounts a USING (partition)
    WHERE a.id = e.account_id AND kind = 'agency' GROUP BY owner, partition
) a
FULL JOIN (
    SELECT r.agency AS owner, partition, sum(r.agency_diamonds - coalesce(l.agency_diamonds, 0)) AS diamonds
    FROM journal_records r LEFT JOIN gift_discounts l USING (partition, seq)
    WHERE r.agency IS NOT NULL AND r.kind IN {EARNING} GROUP BY r.agency, partition
) r USING (owner, partition)
WHERE coalesce(a.diamonds, 0) <> coalesce(r.diamonds, 0) ORDER BY owner, partition
"""  # noqa: S608 - texts of ours
_RESIDUES: Final = f"""
SELECT format('residue, partition %s: the account holds %s diamonds, gifts left %s', partition,
    coalesce(a.diamonds, 0), coalesce(r.diamonds, 0))
FROM (
    SELECT partition, sum(amount) AS diamonds FROM entries e JOIN accounts a USING (partition)
    WHERE a.id = e.account_id AND kind = 'residue' GROUP BY partition
) a
FULL JOIN (
    SELECT partition, sum({RESIDUE}) AS diamonds FROM journal_records r
    WHERE r.plan LIKE '%:%' AND r.kind IN {EARNING} GROUP BY partition
) r USING (partition)
WHERE coalesce(a.diamonds, 0) <> coalesce(r.diamonds, 0) ORDER BY partition
"""  # noqa: S608 - texts of ours
_DISCOUNTS: Final = """
SELECT format('discount, partition %s: the account holds %s diamonds, gifts are worth %s less', partition,
    coalesce(a.diamonds, 0), coalesce(l.diamonds, 0))
FROM (
    SELECT partition, sum(amount) AS diamonds FROM entries e JOIN accounts a USING (partition)
    WHERE a.id = e.account_id AND kind = 'discount' GROUP BY partition
) a
FULL JOIN (
    SELECT partition, sum(creator_diamonds + agency_diamonds) AS diamonds FROM gift_discounts GROUP BY partition
) l USING (partition)
WHERE coalesce(a.diamonds, 0) <> coalesce(l.diamonds, 0) ORDER BY partition
"""
_DISCOUNTED_GIFTS: Final = f"""
SELECT format('record %s: %s of its %s coins are worth %s and %s diamonds less', l.partition || '/' || l.seq, l.coins,
    coalesce(r.coins::text, 'unknown'), l.creator_diamonds, l.agency_diamonds)
FROM gift_discounts l LEFT JOIN journal_records r
    ON r.partition = l.partition AND r.seq = l.seq AND r.kind IN {EARNING} AND r.creator = l.creator
WHERE r.seq IS NULL OR l.coins > r.coins OR l.creator_diamonds > r.creator_diamonds
    OR l.agency_diamonds > coalesce(r.agency_diamonds, 0)
    OR NOT EXISTS (SELECT 1 FROM credits c WHERE c.viewer = r.viewer AND c.worth_bp IS NOT NULL)
ORDER BY l.partition, l.seq
"""  # noqa: S608 - texts of ours
_SEALS: Final = f"""
SELECT format('books, partition %s: records %s to %s are not those that were sealed at %s', s.partition, s.from_seq + 1,
    s.seq, s.made_at)
FROM (
    SELECT *, lag(hash, 1, ''::bytea) OVER w AS before, lag(seq, 1, 0::bigint) OVER w AS from_seq
    FROM seals WINDOW w AS (PARTITION BY partition ORDER BY number)
) s
LEFT JOIN LATERAL (
    SELECT string_agg({RECORD_HASH}, ''::bytea ORDER BY r.seq) AS hashes FROM journal_records r
    WHERE r.partition = s.partition AND r.seq > s.from_seq AND r.seq <= s.seq
) c ON true
WHERE s.form <> {FORM} OR s.hash <> sha256(s.before || coalesce(c.hashes, ''::bytea)) ORDER BY s.partition, s.number
"""  # noqa: S608
_HOLDS: Final = f"""
SELECT format('payout hold of %s: %s diamonds, and withdrawals on their way hold %s', owner,
    coalesce(a.balance, 0), coalesce(w.diamonds, 0))
FROM (SELECT owner, b.balance FROM accounts JOIN balances b ON b.account_id = id WHERE kind = 'payout_hold') a
FULL JOIN (
    SELECT payee AS owner, sum(diamonds) AS diamonds FROM withdrawals WHERE state IN ({_HOLDING}) GROUP BY payee
) w USING (owner)
WHERE coalesce(a.balance, 0) <> coalesce(w.diamonds, 0)
"""  # noqa: S608
_PAID: Final = f"""
SELECT format('paid out to %s: %s %s in the books, %s by withdrawals', owner, coalesce(a.balance, 0), unit,
    coalesce(w.amount, 0))
FROM (SELECT owner, unit, b.balance FROM accounts JOIN balances b ON b.account_id = id WHERE kind = 'paid_out') a
FULL JOIN (
    SELECT payee AS owner, currency AS unit, sum(amount_minor) AS amount FROM withdrawals
    WHERE state = '{PayoutState.PAID.value}' GROUP BY payee, currency
) w USING (owner, unit)
WHERE coalesce(a.balance, 0) <> coalesce(w.amount, 0)
"""  # noqa: S608
_REDEEMED: Final = f"""
SELECT format('redeemed: %s diamonds in the books, %s by paid withdrawals', a.balance, w.diamonds)
FROM (SELECT coalesce(sum(b.balance), 0) AS balance FROM accounts JOIN balances b ON b.account_id = id
    WHERE kind = 'redeemed') a,
    (SELECT coalesce(sum(diamonds), 0) AS diamonds FROM withdrawals WHERE state = '{PayoutState.PAID.value}') w
WHERE a.balance <> w.diamonds
"""  # noqa: S608
_STEPS: Final = """
SELECT format('withdrawal %s of %s is %s, and its steps end at %s', w.id, w.payee, w.state, coalesce(s.to_state, '-'))
FROM withdrawals w LEFT JOIN LATERAL (
    SELECT to_state FROM withdrawal_steps WHERE withdrawal = w.id ORDER BY number DESC LIMIT 1
) s ON true WHERE s.to_state IS DISTINCT FROM w.state
UNION ALL
SELECT format('withdrawal %s: step %s leads from %s, and the one before to %s', withdrawal, number,
    coalesce(from_state, '-'), coalesce(before, '-'))
FROM (SELECT *, lag(to_state) OVER w AS before, lag(number, 1, 0::smallint) OVER w AS number_before
    FROM withdrawal_steps WINDOW w AS (PARTITION BY withdrawal ORDER BY number)) s
WHERE from_state IS DISTINCT FROM before OR number <> number_before + 1
"""

CHECKS: Final = (
    BookCheck(Invariant.I1, "SELECT count(*) FROM entries", _BATCHES, "sums of batches"),
    BookCheck(Invariant.I1, "", _CHAINS, "balances after entries", quick=_MAY_BE_CHAINS),
    BookCheck(Invariant.I1, "", _BALANCES, "shared balances"),
    BookCheck(Invariant.I1, "", _NO_ACCOUNT, "accounts of entries"),
    BookCheck(Invariant.I1, "", _SPLITS, "splits of gifts"),
    BookCheck(Invariant.I1, "SELECT count(*) FROM creator_days", _DAYS, "days of creators"),
    BookCheck(Invariant.I1, "SELECT count(*) FROM refunds", TAKEN_TOO_MUCH, "refunds of purchases", seldom=True),
    BookCheck(Invariant.I1, "", REVERSED_TOO_MUCH, "reversals of purchases", seldom=True),
    BookCheck(Invariant.I1, "SELECT count(*) FROM refund_shares", SHARES, "shares of refunds", seldom=True),
    BookCheck(Invariant.I1, "", DAYS_TAKEN, "days of refunds", seldom=True),
    BookCheck(Invariant.I1, "", REINSTATED, "refunds that came back", seldom=True),
    BookCheck(Invariant.I1, "", HELD_COINS, "held coins", seldom=True),
    BookCheck(Invariant.I1, "", CHARGED_COINS, "charged coins", seldom=True),
    BookCheck(Invariant.I3, "", ENDS, "ends of holds", seldom=True),
    BookCheck(Invariant.I3, "", GIFT_ENDS, "ends of gifts", seldom=True),
    BookCheck(Invariant.I3, "", GIFTS_TWICE, "gifts that were held and paid", seldom=True),
    BookCheck(Invariant.I2, "SELECT count(*) FROM accounts", _BELOW_ZERO, "debts"),
    BookCheck(Invariant.I3, "SELECT count(*) FROM journal_records", _IDS, "ids"),
    BookCheck(Invariant.I3, "", UNIQUE, "indexes of ids"),
    BookCheck(Invariant.I9, "SELECT count(*) FROM volumes", VOLUMES, "volumes"),
    BookCheck(Invariant.I9, "SELECT count(*) FROM journal_records", _GAPS, "gaps between records"),
    BookCheck(Invariant.I9, "", _POSITIONS, "positions"),
    BookCheck(Invariant.I9, "", _WALLET_ENTRIES, "wallets by records"),
    BookCheck(Invariant.I9, "", _EARNINGS_ENTRIES, "earnings by records"),
    BookCheck(Invariant.I9, "", _AGENCIES, "parts of agencies"),
    BookCheck(Invariant.I1, "", _RESIDUES, "residues of gifts"),
    BookCheck(Invariant.I1, "SELECT count(*) FROM gift_discounts", _DISCOUNTS, "discounts"),
    BookCheck(Invariant.I9, "", _DISCOUNTED_GIFTS, "gifts that are worth less"),
    BookCheck(Invariant.I9, "", _SEALS, "sealed records"),
    BookCheck(Invariant.I9, "", _NO_RECORD, "records of entries"),
    BookCheck(Invariant.I9, "", REFUNDS_OF_RECORDS, "refunds of records", seldom=True),
    BookCheck(Invariant.I9, "", RECORDS_OF_REFUNDS, "records of refunds", seldom=True),
    BookCheck(Invariant.I10, "SELECT count(*) FROM withdrawals", _HOLDS, "payout holds", seldom=True),
    BookCheck(Invariant.I10, "", _PAID, "payouts", seldom=True),
    BookCheck(Invariant.I10, "", _REDEEMED, "redeemed diamonds", seldom=True),
    BookCheck(Invariant.I10, "", _STEPS, "steps of withdrawals", seldom=True),
    BookCheck(Invariant.I10, "", _UNRIPE, "earnings that mature", seldom=True),
)
_UNITS: Final = """
SELECT unit, kind, sum(amount)::bigint AS amount FROM entries JOIN accounts ON id = account_id
GROUP BY unit, kind ORDER BY unit, kind
"""


async def run_check(connection: Connection, check: BookCheck, findings: Findings) -> None:
    """Run one of CHECKS; all of them on one connection that is in a snapshot. What it finds is streamed."""
    if check.counted:
        findings.count(check.invariant, await connection.fetchval(check.counted, timeout=STATEMENT_S_MAX))
    if check.quick and not await connection.fetchval(check.quick, timeout=STATEMENT_S_MAX):
        return
    async for (sentence,) in connection.cursor(check.violations, prefetch=VIOLATIONS_MAX, timeout=STATEMENT_S_MAX):
        findings.violate(check.invariant, sentence)


async def unit_totals(connection: Connection) -> dict[str, dict[str, int]]:
    """For each unit what all accounts of a kind hold together, and `sum` over all kinds."""
    units: dict[str, dict[str, int]] = {}
    for row in await connection.fetch(_UNITS, timeout=STATEMENT_S_MAX):
        kinds = units.setdefault(row["unit"], {"sum": 0})
        kinds[row["kind"]] = row["amount"]
        kinds["sum"] += row["amount"]
    return units
