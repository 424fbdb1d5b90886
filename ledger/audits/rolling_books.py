"""Looks through the books piece by piece: a page of entries, of records, of balances at a time, each in one statement.

Entries and records are only ever added, so pages that were read at different times fit each other, and one statement
sees one moment of what does change. What a page cannot know alone (sums that must be zero, as many entries as records)
is added up over the pages for what lies at or before a position.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from ledger.audits.books_audit import DEBT_MAKERS, MOVED, OWING, STATEMENT_S_MAX, UNIQUE, VOLUMES, BookCheck
from ledger.books.postgres import Connection
from ledger.books.seals import FORM, RECORD_HASH
from ledger.model import Partition
from ledger.record_kinds import UNSPLIT

_NAME: Final = "coalesce(kind || ' of ' || coalesce(nullif(owner, ''), 'the platform'), 'account ' || account_id)"

# Parameters: 1 account and 2 number of the entry before the page, 3 balance and 4 seq after it, 5 rows.
_ENTRIES: Final = f"""
WITH page AS MATERIALIZED (
    SELECT e.*, a.kind, a.owner, a.unit, r.seq AS record, r.kind AS cause, r.viewer, r.creator, r.creator_diamonds,
        r.wallet_after, r.moved, l.creator_diamonds AS less,
        lag(account_id, 1, $1::bigint) OVER w = account_id AS follows,
        lag(number, 1, $2::bigint) OVER w AS number_before,
        lag(balance_after, 1, $3::bigint) OVER w AS balance_before,
        lag(e.seq, 1, $4::bigint) OVER w AS seq_before
    FROM (
        SELECT * FROM entries WHERE (account_id, number) > ($1, $2) ORDER BY account_id, number LIMIT $5
    ) e
    LEFT JOIN accounts a ON a.id = e.account_id
    LEFT JOIN (SELECT *, {MOVED} AS moved FROM journal_records) r ON r.partition = e.partition AND r.seq = e.seq
    LEFT JOIN gift_discounts l ON e.amount < 0 AND a.kind = 'pending' AND l.partition = e.partition AND l.seq = e.seq
    WINDOW w AS (ORDER BY account_id, number)
), entry AS (
    SELECT *, format('%s, entry %s (record %s/%s)', {_NAME}, number, partition, seq) AS name,
        CASE WHEN follows THEN number_before ELSE 0 END AS after_number,
        CASE WHEN follows THEN balance_before ELSE 0 END AS after_balance
    FROM page
), found (invariant, words) AS (
    SELECT 'I1', format('%s: it is %s and leaves %s, after entry %s that left %s',
        name, amount, balance_after, after_number, after_balance)
    FROM entry WHERE number <> after_number + 1 OR balance_after <> after_balance + amount
    UNION ALL SELECT 'I1', name || ': it has no account' FROM entry WHERE kind IS NULL
    UNION ALL SELECT 'I2', format('%s: it leaves %s', name, balance_after)
    FROM entry WHERE balance_after < 0 AND kind NOT IN ({OWING})
        AND NOT (kind IN ('wallet', 'available') AND (amount > 0 OR coalesce(cause, '') IN ({DEBT_MAKERS})))
    UNION ALL SELECT 'I9', name || ': the record is not there' FROM entry WHERE record IS NULL
    UNION ALL SELECT 'I9', name || ': the entry before is of the same or a later record'
    FROM entry WHERE kind = 'wallet' AND follows AND seq <= seq_before
    UNION ALL SELECT 'I9', format('%s: the record moves %s of %s and leaves %s, the entry moves %s and leaves %s',
        name, moved, viewer, wallet_after, amount, balance_after)
    FROM entry WHERE kind = 'wallet' AND record IS NOT NULL
        AND (viewer, moved, wallet_after) IS DISTINCT FROM (owner, amount, balance_after)
    UNION ALL SELECT 'I9', format('%s: the record earns %s for %s, the entry moves %s',
        name, CASE WHEN amount > 0 THEN creator_diamonds ELSE -coalesce(less, 0) END, creator, amount)
    FROM entry WHERE kind = 'pending' AND partition >= 0 AND record IS NOT NULL
        AND (creator, CASE WHEN amount > 0 THEN creator_diamonds ELSE -less END) IS DISTINCT FROM (owner, amount)
)
SELECT invariant, words, 0::bigint AS account, 0::bigint AS number, 0::bigint AS balance, 0::bigint AS seq, 0 AS rows
FROM found
UNION ALL (
    SELECT NULL, NULL, account_id, number, balance_after, seq, (SELECT count(*) FROM page) FROM page
    ORDER BY account_id DESC, number DESC LIMIT 1
)
"""  # noqa: S608 - texts of ours

# Parameters: 1 partition, 2 the record before those that are looked at, 3 the last of them.
_FAULTS: Final = f"""
WITH page AS MATERIALIZED (
    SELECT seq, kind, coins, creator_diamonds, commission_diamonds, plan,
        lag(seq, 1, $2::bigint) OVER (ORDER BY seq) AS seq_before
    FROM journal_records WHERE partition = $1 AND seq > $2 AND seq <= $3
)
SELECT 'I9' AS invariant, format('books, partition %s: record %s follows %s', $1, seq, seq_before) AS words
FROM page WHERE seq <> seq_before + 1
UNION ALL SELECT 'I9', format('books, partition %s: records %s to %s are not there', $1, coalesce(max(seq), $2) + 1, $3)
FROM page HAVING coalesce(max(seq), $2) < $3
UNION ALL SELECT 'I1', format('record %s/%s: %s coins became %s and %s diamonds%s',
    $1, seq, coins, creator_diamonds, commission_diamonds, ' by ' || plan)
FROM page r WHERE {UNSPLIT}
"""  # noqa: S608 - texts of ours
_NEXT: Final = "SELECT min(seq) FROM journal_records WHERE partition = $1 AND seq > $2 AND seq <= $3"
_BALANCES: Final = f"""
SELECT account_id, format('%s: the balance is %s after %s entries, the last entry leaves %s and is number %s',
    {_NAME}, b.balance, b.number, coalesce(e.balance_after, 0), coalesce(e.number, 0)) AS words,
    (b.balance, b.number) = (coalesce(e.balance_after, 0), coalesce(e.number, 0)) AS ok
FROM (SELECT * FROM balances WHERE account_id > $1 ORDER BY account_id LIMIT $2) b
LEFT JOIN accounts a ON a.id = b.account_id
LEFT JOIN LATERAL (
    SELECT l.number, l.balance_after FROM entries l WHERE l.account_id = b.account_id ORDER BY l.number DESC LIMIT 1
) e ON true
ORDER BY account_id
"""  # noqa: S608
_WALLETS: Final = """
SELECT id, owner, partition FROM accounts WHERE id > $1 AND kind = 'wallet' ORDER BY id LIMIT $2
"""
_WALLETS_AT: Final = """
SELECT a.owner, a.partition, w.seq, w.coins, coalesce(e.balance_after, 0) AS booked, e.number, e.seq AS record
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS w (id, seq, coins)
JOIN accounts a ON a.id = w.id
LEFT JOIN LATERAL (
    SELECT number, seq, balance_after FROM entries WHERE account_id = w.id AND entries.seq <= w.seq
    ORDER BY number DESC LIMIT 1
) e ON true
WHERE coalesce(e.balance_after, 0) <> w.coins
"""
_STRANGERS: Final = """
SELECT w.owner FROM unnest($1::text[]) AS w (owner)
WHERE NOT EXISTS (
    SELECT 1 FROM accounts a WHERE a.owner = w.owner AND kind = 'wallet' AND unit = 'coins' AND a.partition = $2
)
"""
_POSITIONS: Final = "SELECT partition, seq FROM positions"
# Parameters: 1 partition, 2 the last record that was looked at, 3 its seal's hash, 4 records, 5 the last that counts.
# At least one seal, however many records it covers.
_SEALS: Final = f"""
SELECT s.seq, s.hash, format('books, partition %s: records %s to %s are not those that were sealed at %s', s.partition,
    s.from_seq + 1, s.seq, s.made_at) AS words,
    s.form = {FORM} AND s.hash = sha256(s.before || coalesce(c.hashes, ''::bytea)) AS ok
FROM (
    SELECT *, lag(hash, 1, $3::bytea) OVER w AS before, lag(seq, 1, $2::bigint) OVER w AS from_seq FROM seals
    WHERE partition = $1 AND seq > $2 AND seq <= $5 AND seq <= greatest(
        $2 + $4, (SELECT min(seq) FROM seals WHERE partition = $1 AND seq > $2)
    ) WINDOW w AS (ORDER BY seq)
) s
LEFT JOIN LATERAL (
    SELECT string_agg({RECORD_HASH}, ''::bytea ORDER BY r.seq) AS hashes FROM journal_records r
    WHERE r.partition = s.partition AND r.seq > s.from_seq AND r.seq <= s.seq
) c ON true ORDER BY s.seq
"""  # noqa: S608 - texts of ours
_ANY_PLAN: Final = """
SELECT set_config(name, 'on', true) FROM unnest(ARRAY['enable_seqscan', 'enable_hashjoin', 'enable_mergejoin']) AS name
"""
# The days and the positions of one moment: gifts of a creator up to those are what the days have counted.
_DAYS: Final = """
SELECT creator, sum(earned)::bigint AS earned, sum(gifts)::bigint AS gifts FROM creator_days
WHERE creator IN (SELECT DISTINCT creator FROM creator_days WHERE creator > $1 ORDER BY creator LIMIT $2)
GROUP BY creator ORDER BY creator
"""
_HAS_DAYS: Final = "SELECT EXISTS (SELECT 1 FROM creator_days WHERE creator = $1)"


class Place(Struct, frozen=True):
    """The last entry that was looked at, which the next one may follow."""

    account: int = 0
    number: int = 0
    balance: int = 0
    seq: int = 0


class Found(Struct, frozen=True):
    """A contradiction: the number of the invariant, and a sentence that names account and record."""

    invariant: str
    words: str


class Sealed(Struct, frozen=True):
    """The last seal that was looked at: up to which record, and its hash."""

    seq: int = 0
    hash: bytes = b""


async def read_positions(connection: Connection) -> dict[Partition, int]:
    """The last record of each partition that the books have, their own included."""
    return {Partition(row["partition"]): row["seq"] for row in await connection.fetch(_POSITIONS)}


async def read_entries(connection: Connection, after: Place, rows: int) -> tuple[list[Found], int, Place | None]:
    """Check the next entries in the order of account and number, each with its record.

    Returns:
        What was found, how many were looked at, and the last of them; None behind the last.
    """
    place = (after.account, after.number, after.balance, after.seq)
    page = await connection.fetch(_ENTRIES, *place, rows)
    found = [Found(row["invariant"], row["words"]) for row in page if row["words"] is not None]
    for row in page:
        if row["words"] is None:
            return found, row["rows"], Place(row["account"], row["number"], row["balance"], row["seq"])
    return found, 0, None


async def name_faults(connection: Connection, partition: Partition, after: int, until: int) -> list[Found]:
    """What is wrong with the records after one and up to another: gaps, an end that is missing, coins that became
    something else."""
    return [Found(*row) for row in await connection.fetch(_FAULTS, partition, after, until)]


async def next_record(connection: Connection, partition: Partition, after: int, until: int) -> int | None:
    """The first record after one and up to another; None when there is none."""
    found: int | None = await connection.fetchval(_NEXT, partition, after, until)
    return found


async def read_seals(
    connection: Connection, partition: Partition, after: Sealed, until: int, records: int
) -> tuple[list[Found], Sealed | None]:
    """Work out the next seals of a partition again: what is wrong, and the last of them; None behind the last."""
    rows = await connection.fetch(_SEALS, partition, after.seq, after.hash, records, until)
    found = [Found("I9", row["words"]) for row in rows if not row["ok"]]
    return found, Sealed(rows[-1]["seq"], rows[-1]["hash"]) if rows else None


async def run_whole(connection: Connection, check: BookCheck) -> tuple[list[Found], int]:
    """Run a check that looks at what comes seldom, by any plan; the connection is in a snapshot.

    Returns:
        What was found, and how much was looked at.
    """
    await connection.execute(_ANY_PLAN)
    counted = await connection.fetchval(check.counted, timeout=STATEMENT_S_MAX) if check.counted else 0
    rows = await connection.fetch(check.violations, timeout=STATEMENT_S_MAX)
    return [Found(check.invariant.value, words) for (words,) in rows], counted


async def read_balances(connection: Connection, after: int, rows: int) -> tuple[list[Found], int, int]:
    """Check the next balances of the accounts that several writers share.

    Returns:
        What was found, how many were looked at, and the last account.
    """
    page = await connection.fetch(_BALANCES, after, rows)
    found = [Found("I1", row["words"]) for row in page if not row["ok"]]
    return found, len(page), page[-1]["account_id"] if page else after


async def read_wallets(connection: Connection, after: int, rows: int) -> list[tuple[int, str, Partition]]:
    """The next wallets that the books know: account, viewer, partition."""
    return [
        (row["id"], row["owner"], Partition(row["partition"])) for row in await connection.fetch(_WALLETS, after, rows)
    ]


async def differing_wallets(
    connection: Connection, accounts: Sequence[int], seqs: Sequence[int], coins: Sequence[int]
) -> list[Found]:
    """Which of these wallets did not hold so many coins after record `seqs` of their partition, as the books have it.

    The books must have those records.
    """
    rows = await connection.fetch(_WALLETS_AT, accounts, seqs, coins)
    return [
        Found(
            "I9",
            f"partition {row['partition']}, record {row['seq']}: wallet of {row['owner']} holds {row['coins']},"
            f" the books say {row['booked']}; its last entry is {row['number']} (record {row['record']})",
        )
        for row in rows
    ]


async def unknown_wallets(connection: Connection, viewers: Sequence[str], partition: Partition) -> list[str]:
    """Viewers for whom the books have no wallet in this partition."""
    return [row["owner"] for row in await connection.fetch(_STRANGERS, viewers, partition)]


async def read_days(connection: Connection, after: str, creators: int) -> list[tuple[str, int, int]]:
    """What the days of the next creators add up to: creator, diamonds, gifts."""
    rows = await connection.fetch(_DAYS, after, creators)
    return [(row["creator"], row["earned"], row["gifts"]) for row in rows]


async def has_days(connection: Connection, creator: str) -> bool:
    """Whether a creator has any day at all."""
    return bool(await connection.fetchval(_HAS_DAYS, creator))


async def read_shape(connection: Connection) -> list[Found]:
    """Tables that do not keep ids unique, and volumes that are not there."""
    return [
        Found(invariant, words)
        for invariant, query in (("I3", UNIQUE), ("I9", VOLUMES))
        for (words,) in await connection.fetch(query)
    ]
