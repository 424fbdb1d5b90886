"""Accounts at a time, against sums that the test makes of what it wrote."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import pytest

from ledger.accounts import AccountKind
from ledger.books.books import Books
from ledger.books.postgres import Pool, open_pool
from ledger.books.volumes import Volume, make_volumes, read_volumes
from ledger.config import LedgerConfig
from ledger.errors import LedgerUnavailable, NotFound
from ledger.ids import new_id
from ledger.lots.account_history import AccountEntry, AccountHistory, AmbiguousAccount
from ledger.model import Body, Cause, CreatorId, CreditBody, GiftBody, JournalRecord, Partition, ViewerId

T0 = 1_790_000_000_000
AFTER_ALL = T0 + 10_000


class Line(NamedTuple):
    """A record in short: coins are positive when they come in, and a gift for `cora` when negative."""

    partition: int
    at: int
    viewer: str
    coins: int


# In the order of the books, which had partition 1 late: its first gift is older than what stands before it.
LINES = [
    Line(0, 0, "ann", 100),
    Line(0, 5, "ann", -7),
    Line(0, 5, "ann", -2),
    Line(0, 20, "ann", -11),
    Line(0, 30, "ann", 50),
    Line(1, 1, "bob", 40),
    Line(1, 4, "bob", -9),
    Line(1, 25, "bob", -1),
    Line(0, 40, "ann", -30),
]
TIMES = sorted({line.at + step for line in LINES for step in (-1, 0, 1)})


@pytest.fixture
async def history(pool: Pool, config: LedgerConfig) -> AccountHistory:
    """The lines are in the books."""
    books = Books(pool, [Partition(0), Partition(1)], config)
    await books.load_positions()
    wallets: dict[str, int] = {}
    seqs = {0: 0, 1: 0}
    for line in LINES:
        seqs[line.partition] += 1
        wallets[line.viewer] = wallets.get(line.viewer, 0) + line.coins
        record = JournalRecord(
            *(Partition(line.partition), 1, seqs[line.partition], T0 + line.at, wallets[line.viewer], None, body(line))
        )
        await books.write([record])
    return AccountHistory(pool, config)


def body(line: Line) -> Body:
    """A grant or a gift of which half goes to `cora`."""
    coins = abs(line.coins)
    if line.coins > 0:
        return CreditBody(new_id(T0), ViewerId(line.viewer), coins, Cause.GRANT, "why")
    half = coins * 50
    ids = (new_id(T0), ViewerId(line.viewer), CreatorId("cora"))
    return GiftBody(*ids, "room:demo", "rose", coins, 1, coins, half, half, "", 0, b"")


def moved(kind: AccountKind, owner: str) -> list[tuple[int, int]]:
    """Time and amount of everything that moves an account, in the order of the books."""
    if kind is AccountKind.WALLET:
        return [(line.at, line.coins) for line in LINES if line.viewer == owner]
    if kind is AccountKind.PENDING:
        return [(line.at, -line.coins * 50) for line in LINES if line.coins < 0]
    return [(line.at, -line.coins) for line in LINES if line.coins < 0 and line.partition == 0]


@pytest.mark.parametrize(
    ("kind", "owner", "partition"),
    [
        (AccountKind.WALLET, "ann", None),
        (AccountKind.WALLET, "bob", None),
        (AccountKind.PENDING, "cora", None),
        (AccountKind.SPENT, "", 0),
    ],
)
async def test_balance_and_entries_at_every_time(
    history: AccountHistory, kind: AccountKind, owner: str, partition: int | None
) -> None:
    """At each moment, and the one before and after: the sum of what had happened, and a line for each of it."""
    for at in TIMES:
        happened = [(when, amount) for when, amount in moved(kind, owner) if when <= at]
        found = await history.at(kind, owner, T0 + at, partition=partition, limit=100)
        assert found.balance == sum(amount for _, amount in happened), at
        assert [(entry.at_ms - T0, entry.amount) for entry in reversed(found.entries)] == happened
    sums = itertools.accumulate(amount for _, amount in moved(kind, owner))
    whole = await history.at(kind, owner, AFTER_ALL, partition=partition, limit=100)
    assert [entry.balance_after for entry in reversed(whole.entries)] == list(sums)


async def test_pages_are_the_whole(history: AccountHistory) -> None:
    """Page after page, each entry comes once and in order, within what had happened by then."""
    pages, after = list[AccountEntry](), None
    while found := (await history.at(AccountKind.WALLET, "ann", T0 + 30, after=after, limit=2)).entries:
        assert len(found) <= 2
        pages += found
        after = found[-1].number
    assert [entry.number for entry in pages] == [5, 4, 3, 2, 1]
    assert _causes(pages) == ["grant", "gift", "gift", "gift", "grant"]


def _causes(entries: Sequence[AccountEntry]) -> list[str]:
    return [entry.cause for entry in entries]


async def test_entries_say_when_they_were_recorded(history: AccountHistory, pool: Pool, config: LedgerConfig) -> None:
    """Beside the time at which it took effect each entry has that at which the books got it, in their own order; so has
    one of a later volume, and none has it where that was not kept yet."""
    pending = await history.at(AccountKind.PENDING, "cora", AFTER_ALL, limit=100)
    recorded = [entry.recorded_at_ms or 0 for entry in reversed(pending.entries)]
    event = [entry.at_ms for entry in reversed(pending.entries)]
    now_ms = await pool.fetchval("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint + 1")
    assert event != sorted(event)
    assert recorded == sorted(recorded)
    assert all(now_ms - 60_000 < ms <= now_ms for ms in recorded)
    (volume,) = await make_volumes_of(pool, config)
    books = Books(pool, [Partition(0)], config)
    seq = (await books.load_positions())[Partition(0)].seq
    await pool.execute("UPDATE positions SET seq = $1 WHERE partition = 0", volume.first_seq - 1)
    await books.load_positions()
    late = JournalRecord(Partition(0), 1, volume.first_seq, T0 + 50, 101, None, body(Line(0, 50, "ann", 1)))
    await books.write([late])
    await pool.execute("UPDATE journal_records SET recorded_at = NULL WHERE partition = 0 AND seq = $1", seq)
    newest, before, *_ = (await history.at(AccountKind.WALLET, "ann", AFTER_ALL, limit=100)).entries
    assert newest.at_ms == T0 + 50
    assert newest.recorded_at_ms is not None and newest.recorded_at_ms >= recorded[-1]
    assert (before.at_ms, before.recorded_at_ms) == (T0 + 40, None)


async def make_volumes_of(pool: Pool, config: LedgerConfig) -> list[Volume]:
    """The volume behind the first one."""
    async with pool.acquire() as connection:
        (first,) = await read_volumes(connection)
        return await make_volumes(connection, first.end_seq, config.volume_records)


async def test_account_that_nobody_has(history: AccountHistory) -> None:
    """A name, a unit or a partition that the books do not know is not found; several are to be told apart."""
    for kind, owner, more in (
        (AccountKind.WALLET, "eve", {}),
        (AccountKind.WALLET, "ann", {"unit": "diamonds"}),
        (AccountKind.WALLET, "ann", {"partition": 1}),
        (AccountKind.PAID_OUT, "cora", {}),
    ):
        with pytest.raises(NotFound):
            await history.at(kind, owner, AFTER_ALL, limit=1, **more)
    with pytest.raises(AmbiguousAccount, match="name the partition"):
        await history.at(AccountKind.SPENT, "", AFTER_ALL, limit=1)


async def test_list_is_bounded(pool: Pool, history: AccountHistory, config: LedgerConfig) -> None:
    """No answer has more than `list_rows_max` entries."""
    bounded = AccountHistory(pool, msgspec.structs.replace(config, list_rows_max=3))
    assert len((await bounded.at(AccountKind.WALLET, "ann", AFTER_ALL, limit=1_000)).entries) == 3


async def test_books_that_are_away(config: LedgerConfig) -> None:
    """Nobody can say then."""
    away = await open_pool(msgspec.structs.replace(config, database_url="postgresql://giftwire@/x?host=/nowhere"))
    with pytest.raises(LedgerUnavailable):
        await AccountHistory(away, config).at(AccountKind.WALLET, "ann", 0, limit=1)
    await away.close()
