"""Any account as it was at any time: what it held, and the entries up to then. Knows nothing of who asks.

Entries are never changed, so the past can be read like the present. The time of an entry is that of its record: when
it took effect, not when the books came to have it. An account that several partitions move (a creator's) may have taken
a later record first: its balance at a time is the sum of what had happened by then, whatever the order in the books.
"""

import datetime
from typing import Final

import asyncpg
from msgspec import Struct

from ledger.accounts import BOOKS_PARTITION, AccountKind
from ledger.books.postgres import Connection, Pool, snapshot
from ledger.books.rows import bounded, ms_of
from ledger.config import LedgerConfig
from ledger.errors import NotFound
from ledger.record_kinds import CAUSE

_ACCOUNTS: Final = """
SELECT id, unit, partition FROM accounts
WHERE owner = $1 AND kind = $2 AND ($3::text IS NULL OR unit = $3) AND ($4::smallint IS NULL OR partition = $4)
ORDER BY unit, partition LIMIT 2
"""
# One writer: its records' times never go back, so the newest entry that is old enough is the last of all those.
_BALANCE_OF_ONE_WRITER: Final = """
SELECT e.balance_after FROM entries e JOIN journal_records r ON r.partition = e.partition AND r.seq = e.seq
WHERE e.account_id = $1 AND r.at < $2 ORDER BY e.number DESC LIMIT 1
"""
_BALANCE_OF_MANY: Final = """
SELECT sum(e.amount)::bigint FROM entries e JOIN journal_records r ON r.partition = e.partition AND r.seq = e.seq
WHERE e.account_id = $1 AND r.at < $2
"""
_ENTRIES: Final = f"""
SELECT e.number, e.amount, e.balance_after, r.id, r.at, r.recorded_at, {CAUSE} AS kind
FROM entries e JOIN accounts a ON a.id = e.account_id
JOIN journal_records r ON r.partition = e.partition AND r.seq = e.seq
WHERE e.account_id = $1 AND r.at < $2 AND e.number < $3 ORDER BY e.number DESC LIMIT $4
"""  # noqa: S608 - texts of ours
_AFTER_ALL: Final = 2**63 - 1
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
AT_MS_MAX: Final = 4_102_444_800_000
"""The year 2100: later times are no different."""


class AmbiguousAccount(NotFound):
    """Several accounts fit; say the unit or the partition."""


class AccountEntry(Struct, frozen=True):
    """One movement.

    Attributes:
        number: 1, 2, 3 … over the life of the account, in the order of the books; the cursor of a list.
        id: of the gift, grant, purchase or step that moved it. The platform's accounts of a partition have one entry
            for each batch, with the id of the batch's last record.
        at_ms, recorded_at_ms: when it took effect, and when the books came to have it; None where nobody knows, of
            records from before that was kept.
        amount: signed; `balance_after` is what the account held right after it in the books.
    """

    number: int
    id: bytes
    at_ms: int
    recorded_at_ms: int | None
    cause: str
    amount: int
    balance_after: int


class AccountAt(Struct, frozen=True):
    """An account at the end of a millisecond.

    Attributes:
        partition: whose journal moves it; -1 when the books or several do.
        balance: the sum of everything that had happened by then.
        entries: newest first.
    """

    kind: AccountKind
    owner: str
    unit: str
    partition: int
    at_ms: int
    balance: int
    entries: list[AccountEntry]


class AccountHistory:
    """Reads the books. Its method may raise `LedgerUnavailable`.

    Args:
        config: `list_rows_max` bounds one answer; a greater `limit` is cut to it.
    """

    def __init__(self, pool: Pool, config: LedgerConfig) -> None:
        self._pool = pool
        self._config = config

    async def at(
        self,
        kind: AccountKind,
        owner: str,
        at_ms: int,
        *,
        unit: str | None = None,
        partition: int | None = None,
        after: int | None = None,
        limit: int,
    ) -> AccountAt:
        """What an account held at a time, and its entries up to then. Costs a read of the entries since that time; for
        an account that several partitions move, of all its entries.

        Args:
            owner: empty for the platform's own accounts.
            at_ms: what happened in this millisecond has happened.
            unit, partition: needed only where the owner has several accounts of the kind.
            after: the `number` of the last entry of the page before.

        Raises:
            NotFound: the books know no such account.
            AmbiguousAccount: see there.
        """
        until = _EPOCH + datetime.timedelta(milliseconds=min(at_ms, AT_MS_MAX) + 1)
        async with snapshot(self._pool) as connection:
            account = await _find(connection, kind, owner, unit, partition)
            of_many = account["partition"] == BOOKS_PARTITION
            balance = await connection.fetchval(
                _BALANCE_OF_MANY if of_many else _BALANCE_OF_ONE_WRITER, account["id"], until
            )
            before = _AFTER_ALL if after is None else after
            rows = await connection.fetch(
                _ENTRIES, account["id"], until, before, bounded(limit, self._config.list_rows_max)
            )
        entries = list(map(_entry, rows))
        return AccountAt(kind, owner, account["unit"], account["partition"], at_ms, balance or 0, entries)


def _entry(row: asyncpg.Record) -> AccountEntry:
    recorded_at_ms = None if row["recorded_at"] is None else ms_of(row["recorded_at"])
    moved = (row["kind"], row["amount"], row["balance_after"])
    return AccountEntry(row["number"], row["id"].bytes, ms_of(row["at"]), recorded_at_ms, *moved)


async def _find(
    connection: Connection, kind: AccountKind, owner: str, unit: str | None, partition: int | None
) -> asyncpg.Record:
    found = await connection.fetch(_ACCOUNTS, owner, kind.value, unit, partition)
    name = f"{kind.value} of {owner or 'the platform'}"
    if not found:
        raise NotFound(f"the books have no account {name}")
    if len(found) > 1:
        one, other = found
        what = "unit" if one["unit"] != other["unit"] else "partition"
        raise AmbiguousAccount(f"there are several accounts {name}: name the {what}")
    return found[0]
