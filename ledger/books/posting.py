"""Writes journal records of the books' own partition: earnings that mature, and payouts. Double entry, all or nothing.

The books' position is locked first, then the balances in the order of their ids, as the flusher does: so nobody waits
in a circle, and the records of this partition have one order.
"""

import contextlib
import datetime
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Final

from msgspec import Struct

from ledger.accounts import BOOKS_PARTITION, Account, AccountKey, lock_accounts, open_accounts, save_balances
from ledger.books.postgres import CONTRADICTED, Connection, Pool, connected
from ledger.books.rows import uuid_of
from ledger.errors import InvariantBroken

_LOCK: Final = "SELECT seq, epoch FROM positions WHERE partition = -1 FOR UPDATE"
_ADVANCE: Final = "UPDATE positions SET seq = $1, at = $2 WHERE partition = -1"
_RECORDS: Final = """
INSERT INTO journal_records (partition, epoch, at, seq, id, kind, creator, reference, creator_diamonds)
SELECT -1, $1, $2, * FROM unnest($3::bigint[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::bigint[])
"""
_ENTRIES: Final = """
INSERT INTO entries (partition, account_id, number, seq, amount, balance_after)
SELECT -1, * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
"""


class BookRecord(Struct, frozen=True):
    """A record that the books write themselves.

    Attributes:
        id: 16 bytes; with `kind` unique in this partition.
        kind: `matured`, or `payout_` and what became of it.
        reference: what the record is about, as text: a day, or a withdrawal's id.
        diamonds: how many it moves, for statements.
        movements: account and signed amount; they sum to zero in each unit.
    """

    id: bytes
    kind: str
    creator: str
    reference: str
    diamonds: int
    movements: Sequence[tuple[AccountKey, int]]


class Posting:
    """A transaction in which some accounts are locked and records are put together."""

    def __init__(self, connection: Connection, accounts: dict[AccountKey, Account], epoch: int, seq: int) -> None:
        self.connection = connection
        self._accounts = accounts
        self._epoch = epoch
        self._seq = seq
        self._records: list[tuple[int, BookRecord]] = []
        self._entries: list[tuple[int, int, int, int, int]] = []

    def balance(self, key: AccountKey) -> int:
        """What a locked account holds, with what was added here."""
        return self._accounts[key].balance

    def add(self, record: BookRecord) -> None:
        """Post one more record.

        Raises:
            InvariantBroken: it does not sum to zero in each unit (I1).
        """
        sums: defaultdict[str, int] = defaultdict(int)
        for key, amount in record.movements:
            sums[key.unit] += amount
        if any(sums.values()):
            raise InvariantBroken("I1", f"{record.kind} {record.reference} of {record.creator} sums to {dict(sums)}")
        self._seq += 1
        self._records.append((self._seq, record))
        for key, amount in record.movements:
            account = self._accounts[key]
            account.number += 1
            account.balance += amount
            self._entries.append((account.id, account.number, self._seq, amount, account.balance))

    async def store(self) -> None:
        """Write what was added, inside the transaction."""
        if not self._records:
            return
        now = datetime.datetime.now(datetime.UTC)
        records = [record for _, record in self._records]
        await self.connection.execute(
            _RECORDS,
            self._epoch,
            now,
            [seq for seq, _ in self._records],
            [uuid_of(record.id) for record in records],
            [record.kind for record in records],
            [record.creator for record in records],
            [record.reference for record in records],
            [record.diamonds for record in records],
        )
        await self.connection.execute(_ENTRIES, *map(list, zip(*self._entries, strict=True)))
        await save_balances(self.connection, list(self._accounts.values()))
        await self.connection.execute(_ADVANCE, self._seq, now)


@contextlib.asynccontextmanager
async def open_posting(pool: Pool, keys: Iterable[AccountKey]) -> AsyncIterator[Posting]:
    """A transaction with these accounts of BOOKS_PARTITION locked; it commits at the end of the block.

    Raises:
        InvariantBroken: the database refuses what was added: an account that may not owe would (I2), or a record
            stands already (I9).
        LedgerUnavailable: PostgreSQL was lost; whether it took effect is then not known.
    """
    wanted = set(keys)
    if any(key.partition != BOOKS_PARTITION for key in wanted):
        raise ValueError("only accounts of the books' own partition are posted to here")
    async with connected(pool) as connection:
        # Outside of the transaction: what is made here stays, whatever becomes of it.
        accounts = await open_accounts(connection, wanted)
        async with connection.transaction():
            position = await connection.fetchrow(_LOCK)
            if position is None:
                raise InvariantBroken("I9", "the books have no position of their own")
            await lock_accounts(connection, accounts.values())
            posting = Posting(connection, accounts, position["epoch"], position["seq"])
            yield posting
            try:
                await posting.store()
            except CONTRADICTED as exc:
                raise InvariantBroken("I9", f"PostgreSQL refuses records of the books: {exc}") from exc
