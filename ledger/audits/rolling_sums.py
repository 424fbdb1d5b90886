"""Adds the books up, each row read once and joined with little: entries as they lie in their tables, records by number.

Whether every entry follows the one before it, and whether entries and records say the same, is told by hashes that
cancel each other. An entry stands for the account as it was before it and as it is after it. Of all entries of an
account everything in between cancels, and its beginning and end are left. The entry of a wallet or of earnings also
stands for the record that it must come from, and the record for the entry; whose they are is left out, since an entry
on the wrong account makes that one contradict the live ledger, or the creator's days. What an account is, is read
before and kept in a byte for each. So a pass costs no look-up, and nothing else is kept but sums. Where something does
not cancel, `rolling_books` names it.

Hashes are compared within one server and one round, and never stored.
"""

import functools
from collections.abc import Collection, Sequence
from typing import Final

from msgspec import Struct

from ledger.accounts import COINS, DIAMONDS, MAY_OWE, AccountKind
from ledger.audits.books_audit import DEBT_MAKERS, MOVED
from ledger.books.postgres import Connection
from ledger.model import Partition
from ledger.record_kinds import EARNING, RESIDUE, UNSPLIT

Key = tuple[int, str]
"""A partition, with a unit or a kind of account."""
CODES_BYTES_MAX: Final = 1 << 23
"""Accounts with an id beyond it are looked up for each of their entries."""
LOOK_UP: Final = 255
"""The code of an account whose code is larger than a byte."""
WALLET: Final = f"{AccountKind.WALLET} {COINS}"
PENDING: Final = f"{AccountKind.PENDING} {DIAMONDS}"
_MAY_COME_TO_OWE: Final = (AccountKind.WALLET, AccountKind.AVAILABLE)
BLOCKS_ROWS: Final = 100
"""About so many entries are in a block of a table."""
_HASH_OF_ENTRY: Final = (
    "CASE e.code WHEN 1 THEN hashint8extended(e.seq, hashint8extended(e.amount, e.balance_after))"
    " WHEN 2 THEN hashint8extended(e.seq, e.amount) END"
)
_HASH_OF_WALLET: Final = (
    "CASE WHEN r.moved <> 0 THEN hashint8extended(r.seq, hashint8extended(r.moved, r.wallet_after)) END"
)
_HASH_OF_EARNED: Final = (
    f"CASE WHEN r.kind IN {EARNING} AND r.creator_diamonds <> 0 THEN hashint8extended(r.seq, r.creator_diamonds) END"
)
_HASH_OF_LESS: Final = "CASE WHEN l.creator_diamonds <> 0 THEN hashint8extended(r.seq, -l.creator_diamonds) END"
# What follows from the entry alone, and the record only where something owes: that its record is there follows from its
# number, since the records have no gap.
_BAD: Final = f"""
CASE WHEN e.code = 0 OR e.seq < 1 THEN true
    WHEN e.balance_after >= 0 OR e.code = ANY ($7::int[]) OR e.code = ANY ($8::int[]) AND e.amount > 0 THEN false
    WHEN e.code = ANY ($8::int[]) THEN NOT EXISTS (
        SELECT 1 FROM journal_records r WHERE r.partition = e.partition AND r.seq = e.seq AND r.kind IN ({DEBT_MAKERS})
    )
    ELSE true END
"""  # noqa: S608 - texts of ours
# Parameters: 1 and 2 from which block on and up to which, 3 the last record that counts of partitions -1, 0, 1 …,
# 4 codes of accounts by their ids, 5 the last of those, 6 what codes mean, 7 codes that may owe, 8 those that may after
# some records.
_ENTRIES: Final = f"""
SELECT e.code, e.partition, count(*), sum(e.amount)::bigint,
    bit_xor(hashint8extended(e.account_id, hashint8extended(e.number, e.balance_after))
        # hashint8extended(e.account_id, hashint8extended(e.number - 1, e.balance_after - e.amount))),
    coalesce(bit_xor({_HASH_OF_ENTRY}), 0), count(*) FILTER (WHERE {_BAD})
FROM (
    SELECT *, coalesce(
        nullif(CASE WHEN account_id BETWEEN 0 AND $5::bigint THEN get_byte($4::bytea, account_id::int) END, {LOOK_UP}),
        (SELECT array_position($6::text[], a.kind || ' ' || a.unit) FROM accounts a WHERE a.id = account_id), 0
    ) AS code
    FROM %s
    WHERE ctid >= $1 AND ctid < $2 AND seq <= coalesce(($3::bigint[])[partition + 2], 9223372036854775807) OFFSET 0
) e GROUP BY e.code, e.partition
"""  # noqa: S608 - texts of ours
# Parameters: 1 the account before, 2 accounts, 3 the last record that counts of partitions -1, 0, 1 …
_ENDS: Final = """
SELECT a.id, a.kind || ' ' || a.unit,
    hashint8extended(a.id, hashint8extended(coalesce(e.number, 0), coalesce(e.balance_after, 0)))
    # hashint8extended(a.id, hashint8extended(0, 0))
FROM (SELECT id, kind, unit FROM accounts WHERE id > $1 ORDER BY id LIMIT $2) a
LEFT JOIN LATERAL (
    SELECT number, balance_after FROM entries
    WHERE account_id = a.id AND seq <= coalesce(($3::bigint[])[partition + 2], 9223372036854775807)
    ORDER BY number DESC LIMIT 1
) e ON true ORDER BY a.id
"""
_TABLES: Final = """
SELECT t.relid::regclass::text, pg_relation_filenode(t.relid)::bigint,
    pg_relation_size(t.relid) / current_setting('block_size')::bigint
FROM pg_partition_tree('entries') t WHERE t.isleaf ORDER BY 1
"""
_RECORDS: Final = f"""
SELECT r.kind, r.creator, r.agency, count(*), max(r.seq), count(*) FILTER (WHERE r.moved <> 0),
    sum(r.coins)::bigint, coalesce(sum(r.taken_coins), 0)::bigint, sum(greatest(r.moved, 0))::bigint,
    sum(r.creator_diamonds)::bigint, sum(r.commission_diamonds)::bigint, sum(r.agency_diamonds)::bigint,
    coalesce(sum(l.creator_diamonds), 0)::bigint, coalesce(sum(l.agency_diamonds), 0)::bigint,
    count(*) FILTER (WHERE r.kind IN {EARNING} AND r.creator_diamonds <> 0),
    count(*) FILTER (WHERE l.creator_diamonds <> 0),
    sum({RESIDUE})::bigint, count(*) FILTER (WHERE {UNSPLIT}),
    coalesce(bit_xor({_HASH_OF_WALLET}), 0),
    coalesce(bit_xor({_HASH_OF_EARNED}), 0) # coalesce(bit_xor({_HASH_OF_LESS}), 0)
FROM (SELECT *, {MOVED} AS moved FROM journal_records WHERE partition = $1 AND seq > $2 AND seq <= $3) r
LEFT JOIN gift_discounts l ON l.partition = $1 AND l.seq = r.seq
GROUP BY r.kind, r.creator, r.agency
"""  # noqa: S608 - texts of ours


class Codes:
    """What each account is, in a byte: so that an entry's account need not be looked up.

    Attributes:
        chain: what the entries of all these accounts must leave of their hashes.
        labels: kind and unit by code, counted from 1.
        bytes: the codes by account, as far as there is room.
    """

    def __init__(self) -> None:
        self.chain = 0
        self.labels = [WALLET, PENDING]
        self.bytes = bytearray(1)
        self._codes = {label: code for code, label in enumerate(self.labels, 1)}

    def add(self, account: int, label: str, hash_: int) -> None:
        """One more account; they come in the order of their ids."""
        self.chain ^= hash_
        code = self._codes.get(label)
        if code is None:
            self.labels.append(label)
            code = self._codes[label] = len(self.labels)
        if account < CODES_BYTES_MAX:
            self.bytes.extend(bytes(account + 1 - len(self.bytes)))
            self.bytes[account] = min(code, LOOK_UP)

    @functools.cached_property
    def parameters(self) -> tuple[bytes, int, list[str], list[int], list[int]]:
        """As PostgreSQL is told of them with each page; no more come."""
        return bytes(self.bytes), len(self.bytes) - 1, self.labels, self.of(MAY_OWE), self.of(_MAY_COME_TO_OWE)

    def of(self, kinds: Collection[str]) -> list[int]:
        """The codes of these kinds of account."""
        return [code for code, label in enumerate(self.labels, 1) if label.partition(" ")[0] in kinds]


class EntrySums(Struct):
    """What entries add up to, by partition.

    Attributes:
        rows: how many entries.
        amounts: by unit.
        counts, hashes: by kind of account.
        residues: what those of the residue moved, by partition.
        chain: what is left of the accounts' hashes.
        bad: entries that contradict an invariant by themselves.
    """

    rows: int = 0
    amounts: dict[Key, int] = {}
    counts: dict[Key, int] = {}
    hashes: dict[Key, int] = {}
    residues: dict[int, int] = {}
    chain: int = 0
    bad: int = 0


class RecordSums(Struct):
    """What records of a partition add up to.

    Attributes:
        rows: how many.
        coins_in, spent, reversed, held, charged, earned, commission: what they moved; the commission with the residue.
        residue: what paid gifts left.
        moving: how many moved a wallet.
        earning: how many entries of earnings they make.
        unsplit: gifts whose diamonds are not those of their coins, or not those of their terms.
        wallets, earnings: hashes of the entries that they must have.
        creators: by creator what gifts are worth of paid coins, how many there were, and what they were worth less.
        agencies: the same of what agencies were given, by agency as a payee.
    """

    rows: int = 0
    coins_in: int = 0
    spent: int = 0
    reversed: int = 0
    held: int = 0
    charged: int = 0
    earned: int = 0
    commission: int = 0
    residue: int = 0
    moving: int = 0
    earning: int = 0
    unsplit: int = 0
    wallets: int = 0
    earnings: int = 0
    creators: dict[str, tuple[int, int, int]] = {}
    agencies: dict[str, tuple[int, int, int]] = {}


class Table(Struct, frozen=True):
    """A table of entries: its name, the file that it is in, and how many blocks it has."""

    name: str
    file: int
    blocks: int


async def entry_tables(connection: Connection) -> list[Table]:
    """The tables that hold the entries. What is committed later lies behind these blocks, or belongs to later records
    than those of this moment."""
    return [Table(*row) for row in await connection.fetch(_TABLES)]


async def add_entries(
    connection: Connection,
    total: EntrySums,
    table: Table,
    blocks: tuple[int, int],
    until: Sequence[int],
    codes: Codes,
) -> int:
    """Add the entries in these blocks of a table; how many there were.

    Args:
        blocks: from the first up to, and without, the second.
        until: of the partitions -1, 0, 1 and so on the last record whose entries count.
    """
    first, end = blocks
    rows = 0
    for code, partition, count, amount, chain, found, bad in await connection.fetch(
        _ENTRIES % table.name, (first, 0), (end, 0), until, *codes.parameters
    ):
        kind, _, unit = codes.labels[code - 1].partition(" ") if code else ("", "", "")
        rows += count
        total.chain ^= chain
        total.bad += bad
        for of, key, more in ((total.amounts, (partition, unit), amount), (total.counts, (partition, kind), count)):
            of[key] = of.get(key, 0) + more
        total.hashes[partition, kind] = total.hashes.get((partition, kind), 0) ^ found
        if kind == AccountKind.RESIDUE:
            total.residues[partition] = total.residues.get(partition, 0) + amount
    total.rows += rows
    return rows


async def add_accounts(connection: Connection, codes: Codes, after: int, rows: int, until: Sequence[int]) -> int:
    """Add the next accounts, and what their entries must leave of their hashes; the last of them, 0 behind the last."""
    found = await connection.fetch(_ENDS, after, rows, until)
    for account, label, hash_ in found:
        codes.add(account, label, hash_)
    return found[-1][0] if found else 0


async def add_records(connection: Connection, partition: Partition, after: int, until: int) -> RecordSums:
    """What the records after one and up to another add up to."""
    sums = RecordSums()
    for row in await connection.fetch(_RECORDS, partition, after, until):
        _add(sums, *row)
    return sums


def _add(
    sums: RecordSums,
    kind: str,
    creator: str | None,
    agency: str | None,
    rows: int,
    _last: int,
    moving: int,
    coins: int,
    taken: int,
    came: int,
    earned: int,
    commission: int,
    agency_diamonds: int | None,
    less: int,
    agency_less: int,
    earning: int,
    discounted: int,
    residue: int,
    unsplit: int,
    wallets: int,
    earnings: int,
) -> None:
    sums.rows += rows
    sums.moving += moving
    sums.unsplit += unsplit
    sums.wallets ^= wallets
    sums.earnings ^= earnings
    match kind:
        case "gift" | "gift_settled":
            sums.held -= coins if kind == "gift_settled" else 0
            sums.spent += coins
            sums.earned += earned
            sums.commission += commission
            sums.residue += residue
            sums.earning += earning + discounted
            _give(sums.creators, creator or "", earned, rows, less)
            if agency is not None:
                _give(sums.agencies, f"agency/{agency}", agency_diamonds or 0, rows, agency_less)
        case "hold" | "gift_held":
            sums.held += coins
        case "gift_undone":
            sums.held -= coins
        case "hold_ended":
            sums.held -= coins
            sums.charged += taken
        case _:
            sums.coins_in += came
            sums.reversed += taken


def _give(of: dict[str, tuple[int, int, int]], payee: str, diamonds: int, gifts: int, less: int) -> None:
    before = of.get(payee, (0, 0, 0))
    of[payee] = (before[0] + diamonds, before[1] + gifts, before[2] + less)
