"""The accounts of the books: what kinds there are, in which unit, and who may owe.

A kind says which unit the account holds and which way money goes; a positive balance is what the owner may claim.
Sources (issuance, coins sold and granted, payout funds) stand at or below zero, so that all accounts sum to zero.
"""

import enum
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from ledger.books.postgres import Connection

COINS: Final = "coins"
DIAMONDS: Final = "diamonds"
BOOKS_PARTITION: Final = -1
"""The partition of accounts and records that no viewer's journal moves alone."""


class AccountKind(enum.StrEnum):
    """What an account is for."""

    # One a partition (the wallet: one a viewer; agency: one an agency), moved by the flusher alone.
    WALLET = "wallet"
    COINS_SOLD = "coins_sold"
    COINS_GRANTED = "coins_granted"
    COINS_REVERSED = "coins_reversed"
    """What refunds took from wallets."""
    COINS_HELD = "coins_held"
    """What open holds keep out of wallets."""
    COINS_CHARGED = "coins_charged"
    """What was taken of holds that were settled."""
    SPENT = "spent"
    ISSUANCE = "issuance"
    COMMISSION = "commission"
    RESIDUE = "residue"
    """What is left of gifts when creators' parts and the commission are rounded down."""
    DISCOUNT = "discount"
    """What gifts were worth less to creators and agencies, since their coins were not all paid for."""
    AGENCY = "agency"
    # One a creator (what can be paid out: also one an agency, under its name as a payee).
    PENDING = "pending"
    AVAILABLE = "available"
    PAYOUT_HOLD = "payout_hold"
    PAID_OUT = "paid_out"
    # One an agency.
    AGENCY_MATURED = "agency_matured"
    """What of an agency's diamonds became available: the other side of `agency`, of which nothing is ever taken."""
    # One in all (in each currency).
    COMMISSION_RETURNED = "commission_returned"
    """Commission of gifts whose coins were refunded; issuance of this partition is what they had issued."""
    RESIDUE_RETURNED = "residue_returned"
    """And their residue."""
    REDEEMED = "redeemed"
    PAYOUT_FUNDS = "payout_funds"


MAY_OWE: Final = frozenset(
    {
        AccountKind.COINS_SOLD,
        AccountKind.COINS_GRANTED,
        AccountKind.ISSUANCE,
        AccountKind.COMMISSION_RETURNED,
        AccountKind.RESIDUE_RETURNED,
        AccountKind.AGENCY_MATURED,
        AccountKind.PAYOUT_FUNDS,
    }
)
"""Kinds whose balance may be below zero: where units come from. A wallet and what a creator has available may be, too,
but only by a refund."""
_COIN_KINDS: Final = frozenset(
    {
        *(AccountKind.COINS_SOLD, AccountKind.COINS_GRANTED, AccountKind.COINS_REVERSED, AccountKind.COINS_HELD),
        *(AccountKind.COINS_CHARGED, AccountKind.SPENT),
    }
)


class AccountKey(NamedTuple):
    """Which account.

    Attributes:
        owner: the viewer or creator; empty for the platform's own.
        unit: `coins`, `diamonds` or an ISO 4217 code.
        partition: BOOKS_PARTITION when several writers move it.
    """

    kind: AccountKind
    owner: str
    unit: str
    partition: int


def wallet(viewer: str, partition: int) -> AccountKey:
    """A viewer's coins."""
    return AccountKey(AccountKind.WALLET, viewer, COINS, partition)


def platform(kind: AccountKind, partition: int) -> AccountKey:
    """An account of the platform that one partition's journal moves, or with BOOKS_PARTITION the books."""
    return AccountKey(kind, "", COINS if kind in _COIN_KINDS else DIAMONDS, partition)


def agency(name: str, partition: int) -> AccountKey:
    """What an agency was given of the gifts of one partition."""
    return AccountKey(AccountKind.AGENCY, name, DIAMONDS, partition)


def earnings(kind: AccountKind, payee: str) -> AccountKey:
    """Diamonds of a creator or agency: pending, available or on hold for a payout."""
    return AccountKey(kind, payee, DIAMONDS, BOOKS_PARTITION)


class Account:
    """An account as a writer holds it: its row's id, the number of its last entry and the balance after that.

    Mutable on purpose: the flusher moves some ten thousand a second.
    """

    __slots__ = ("balance", "id", "number")

    def __init__(self, account_id: int, number: int, balance: int) -> None:
        self.id = account_id
        self.number = number
        self.balance = balance


_FIND: Final = """
SELECT a.id, a.kind, a.owner, a.unit, a.partition, e.number, e.balance_after
FROM unnest($1::text[], $2::text[], $3::text[], $4::smallint[]) AS wanted (kind, owner, unit, partition)
JOIN accounts a USING (owner, kind, unit, partition)
LEFT JOIN LATERAL (
    SELECT number, balance_after FROM entries WHERE account_id = a.id ORDER BY number DESC LIMIT 1
) e ON true
"""
_MAKE: Final = """
INSERT INTO accounts (kind, owner, unit, partition)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::smallint[]) AS wanted (kind, owner, unit, partition)
ORDER BY 2, 1, 3, 4
ON CONFLICT DO NOTHING
"""
_MAKE_BALANCES: Final = """
INSERT INTO balances (account_id, may_owe)
SELECT id, kind = ANY ($2::text[]) FROM accounts WHERE id = ANY ($1::bigint[]) AND partition = -1 ORDER BY id
ON CONFLICT DO NOTHING
"""
_LOCK: Final = """
SELECT account_id, number, balance FROM balances WHERE account_id = ANY ($1::bigint[]) ORDER BY account_id FOR UPDATE
"""
_SAVE: Final = """
UPDATE balances SET number = moved.number, balance = moved.balance
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS moved (id, number, balance) WHERE account_id = moved.id
"""


async def open_accounts(connection: Connection, keys: Iterable[AccountKey]) -> dict[AccountKey, Account]:
    """Find these accounts with their last entries; make those that are missing.

    Outside of a transaction, so that an id that was seen stays true. What is read of an account of BOOKS_PARTITION
    may be stale until `lock_accounts`; that of a partition's own is true while its position is locked or unmoved.
    """
    wanted = list(dict.fromkeys(keys))
    found = await _find(connection, wanted)
    missing = [key for key in wanted if key not in found]
    if missing:
        await connection.execute(_MAKE, *_columns(missing))
        made = await _find(connection, missing)
        found.update(made)
        shared = [account.id for key, account in made.items() if key.partition == BOOKS_PARTITION]
        if shared:
            await connection.execute(_MAKE_BALANCES, shared, sorted(MAY_OWE))
    return found


async def lock_accounts(connection: Connection, accounts: Iterable[Account]) -> None:
    """Lock accounts of BOOKS_PARTITION until the transaction ends, in one order for all, and refresh them."""
    by_id = {account.id: account for account in accounts}
    for row in await connection.fetch(_LOCK, list(by_id)):
        account = by_id.pop(row["account_id"])
        account.number, account.balance = row["number"], row["balance"]
    if by_id:
        # Somebody made the account and fell before its balance: heal it, then go on.
        await connection.execute(_MAKE_BALANCES, list(by_id), sorted(MAY_OWE))
        await lock_accounts(connection, by_id.values())


async def save_balances(connection: Connection, accounts: Sequence[Account]) -> None:
    """Store number and balance of locked accounts.

    Raises:
        asyncpg.CheckViolationError: an account that may not owe would.
    """
    await connection.execute(
        _SAVE, [one.id for one in accounts], [one.number for one in accounts], [one.balance for one in accounts]
    )


async def _find(connection: Connection, keys: Sequence[AccountKey]) -> dict[AccountKey, Account]:
    rows = await connection.fetch(_FIND, *_columns(keys))
    return {
        AccountKey(AccountKind(row["kind"]), row["owner"], row["unit"], row["partition"]): Account(
            row["id"], row["number"] or 0, row["balance_after"] or 0
        )
        for row in rows
    }


def _columns(keys: Sequence[AccountKey]) -> tuple[list[str], list[str], list[str], list[int]]:
    return (
        [key.kind.value for key in keys],
        [key.owner for key in keys],
        [key.unit for key in keys],
        [key.partition for key in keys],
    )
