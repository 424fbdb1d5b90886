"""What a viewer and a creator may read of their own money: entries, a single gift, a creator's days.

Read from the books in PostgreSQL, newest first. A gift that was accepted a moment ago is looked up in the journal as
well, so that an answer is never behind what the sender was told. Knows nothing of who may ask.
"""

import datetime
import enum
import uuid
from typing import Any, Final

import asyncpg
from msgspec import Struct
from redis.exceptions import RedisError

from ledger.accounts import COINS, DIAMONDS, AccountKind
from ledger.books.copy_rows import RECORD_COLUMNS, read_record
from ledger.books.postgres import Pool, connected
from ledger.config import LedgerConfig
from ledger.errors import LedgerUnavailable
from ledger.ids import id_time_ms
from ledger.live.journal import Position, decode_entry
from ledger.live.keys import PartitionKeys
from ledger.model import (
    ComboTotals,
    CreatorId,
    GiftBody,
    GiftFields,
    GiftUndoneBody,
    HeldGiftBody,
    JournalRecord,
    Partition,
    ViewerId,
)
from ledger.record_kinds import CAUSE, GIFT_KINDS
from ledger.service import Ledger

_ENTRIES: Final = f"""
SELECT e.number, e.amount, e.balance_after, r.id, r.at, r.item, r.place, r.creator,
    {CAUSE} AS kind
FROM accounts a
JOIN entries e ON e.account_id = a.id
JOIN journal_records r ON r.partition = e.partition AND r.seq = e.seq
WHERE a.owner = $1 AND a.kind = $2 AND a.unit = $3 AND e.number < $4
ORDER BY e.number DESC LIMIT $5
"""  # noqa: S608 - texts of ours
_GIFT: Final = f"""
SELECT {", ".join(RECORD_COLUMNS)} FROM journal_records WHERE id = $1 AND viewer = $2 AND kind = ANY ($3::text[])
"""  # noqa: S608 - names of ours
_DAYS: Final = "SELECT day, earned, gifts, discounted FROM creator_days WHERE creator = $1 ORDER BY day DESC LIMIT $2"
_POSITION: Final = "SELECT epoch, seq FROM positions WHERE partition = $1"
_ENTRIES_READ: Final = 64
"""Journal entries in one read of a search."""
_AFTER_ALL: Final = 2**63 - 1
CREATOR_ACCOUNTS: Final = (AccountKind.PENDING, AccountKind.AVAILABLE, AccountKind.PAYOUT_HOLD)


class WalletEntry(Struct, frozen=True):
    """One movement of a wallet.

    Attributes:
        number: 1, 2, 3 … over the life of the wallet; the cursor of a list.
        id: of the gift, grant or purchase.
        cause: `gift`, `grant`, `purchase` and so on.
        coins: what was moved, negative when spent; `balance_coins` is the wallet right after.
        item, place, creator: of a gift.
    """

    number: int
    id: bytes
    at_ms: int
    cause: str
    coins: int
    balance_coins: int
    item: str | None
    place: str | None
    creator: CreatorId | None


class CreatorEntry(Struct, frozen=True):
    """One movement of one of a creator's accounts; like `WalletEntry`. It does not tell who sent a gift.

    A gift whose coins were not all paid for has a second entry right behind the first, of the cause `discount`.
    """

    number: int
    id: bytes
    at_ms: int
    cause: str
    diamonds: int
    balance_diamonds: int
    item: str | None
    place: str | None


class CreatorDayRow(Struct, frozen=True):
    """What gifts earned on a day (UTC), and how much more it would have been of coins that were all paid for."""

    day: datetime.date
    earned_diamonds: int
    gifts: int
    discounted_diamonds: int


class GiftState(enum.StrEnum):
    """What has become of an accepted gift."""

    HELD = "held"
    """The viewer may undo it, until its time is over."""
    SETTLED = "settled"
    UNDONE = "undone"


class GiftRow(Struct, frozen=True):
    """An accepted gift, as it was when it was accepted, and what has become of it.

    Attributes:
        epoch, seq: of its record in the journal of `partition`.
        balance_coins: the wallet right after it.
        combo: running totals right after it, when it belonged to one.
        details: how it was to be shown, as the gateway wrote it.
        undo_until_ms: of one that is held: from then on it can only be settled, also where it still says held; else 0.
    """

    id: bytes
    viewer: ViewerId
    creator: CreatorId
    place: str
    item: str
    unit_coins: int
    count: int
    coins: int
    creator_diamonds: int
    commission_diamonds: int
    balance_coins: int
    at_ms: int
    partition: Partition
    epoch: int
    seq: int
    combo: ComboTotals | None
    details: bytes
    state: GiftState = GiftState.SETTLED
    undo_until_ms: int = 0


class Statements:
    """Reads the books. Every method may raise `LedgerUnavailable`.

    Args:
        pool: to the books.
        ledger: the live ledger; only its journal and remembered ids are read.
        config: `list_rows_max` bounds one answer; a greater `limit` is cut to it.
    """

    def __init__(self, pool: Pool, ledger: Ledger, config: LedgerConfig) -> None:
        self._pool = pool
        self._ledger = ledger
        self._config = config

    async def wallet_entries(self, viewer: str, *, after: int | None, limit: int) -> list[WalletEntry]:
        """Movements of a wallet that are in the books, newest first.

        Args:
            after: the `number` of the last entry of the page before; None for the first page.
        """
        return [
            WalletEntry(
                row["number"],
                row["id"].bytes,
                _ms(row["at"]),
                row["kind"],
                row["amount"],
                row["balance_after"],
                row["item"],
                row["place"],
                row["creator"],
            )
            for row in await self._entries(viewer, AccountKind.WALLET, COINS, after, limit)
        ]

    async def creator_entries(
        self, creator: str, *, after: int | None, limit: int, account: AccountKind = AccountKind.PENDING
    ) -> list[CreatorEntry]:
        """Movements of one account of a creator, newest first.

        Args:
            account: one of CREATOR_ACCOUNTS.
            after: as for `wallet_entries`.

        Raises:
            ValueError: a creator has no such account.
        """
        if account not in CREATOR_ACCOUNTS:
            raise ValueError(f"creators have no {account} account")
        return [
            CreatorEntry(
                row["number"],
                row["id"].bytes,
                _ms(row["at"]),
                row["kind"],
                row["amount"],
                row["balance_after"],
                row["item"],
                row["place"],
            )
            for row in await self._entries(creator, account, DIAMONDS, after, limit)
        ]

    async def creator_days(self, creator: str, *, days: int) -> list[CreatorDayRow]:
        """The latest days on which a creator had gifts, newest first."""
        async with connected(self._pool) as connection:
            rows = await connection.fetch(_DAYS, creator, self._bounded(days))
        return [CreatorDayRow(row["day"], row["earned"], row["gifts"], row["discounted"]) for row in rows]

    async def gift(self, viewer: str, gift_id: bytes) -> GiftRow | None:
        """An accepted gift of this viewer, for ever; None when no such gift was accepted."""
        found = await self._stored(viewer, gift_id)
        # One that the books have as held may have ended since.
        if _is_open(found) or (not found and await self._may_be_unflushed(viewer, gift_id)):
            found += await self._in_journal(viewer, gift_id)
            if _is_open(found) or not found:
                # It may have been flushed, and trimmed from the journal, between the first look and the search.
                found = await self._stored(viewer, gift_id) or found
        return _gift_row(found) if found else None

    async def _entries(
        self, owner: str, kind: AccountKind, unit: str, after: int | None, limit: int
    ) -> list[asyncpg.Record]:
        before = _AFTER_ALL if after is None else after
        async with connected(self._pool) as connection:
            return await connection.fetch(_ENTRIES, owner, kind.value, unit, before, self._bounded(limit))

    def _bounded(self, limit: int) -> int:
        return max(0, min(limit, self._config.list_rows_max))

    async def _stored(self, viewer: str, gift_id: bytes) -> list[JournalRecord]:
        async with connected(self._pool) as connection:
            rows = await connection.fetch(_GIFT, uuid.UUID(bytes=gift_id), viewer, GIFT_KINDS)
        return [read_record(row) for row in rows]

    async def _may_be_unflushed(self, viewer: str, gift_id: bytes) -> bool:
        """Whether the id is remembered as paid, or may have been and was forgotten: it is old, or no id of its time is
        remembered, as after the server's clock ran ahead."""
        bucket_ms, window_ms = self._config.id_bucket_ms, self._config.id_window_ms
        bucket = id_time_ms(gift_id) // bucket_ms
        pipeline = self._ledger.redis.pipeline(transaction=False)
        pipeline.time()
        ids = self._keys_of(viewer).ids(bucket)
        pipeline.hexists(ids, gift_id + viewer.encode())
        pipeline.exists(ids)
        try:
            (seconds, micros), remembered, others = await pipeline.execute()
        except (RedisError, OSError) as exc:
            raise LedgerUnavailable(f"Redis does not answer: {exc}") from exc
        now_ms = seconds * 1000 + micros // 1000
        return bool(remembered) or not others or now_ms > bucket * bucket_ms + window_ms

    async def _in_journal(self, viewer: str, gift_id: bytes) -> list[JournalRecord]:
        """Search the records that the books do not have yet; bounded by `journal_records_max`."""
        partition = self._ledger.keys.partition_of(viewer)
        async with connected(self._pool) as connection:
            row = await connection.fetchrow(_POSITION, partition)
        position = Position() if row is None else Position(row["epoch"], row["seq"])
        journal: Any = self._keys_of(viewer).journal
        entries: Any
        found: list[JournalRecord] = []
        while True:
            try:
                entries = await self._ledger.redis.xrange(journal, min=f"({position}", count=_ENTRIES_READ)
            except (RedisError, OSError) as exc:
                raise LedgerUnavailable(f"Redis does not answer: {exc}") from exc
            for stream_id, fields in entries:
                position = Position.parse(stream_id)
                for record in decode_entry(partition, stream_id, fields):
                    body = record.body
                    if isinstance(body, GiftFields) and body.id == gift_id and body.viewer == viewer:
                        found.append(record)
            if len(entries) < _ENTRIES_READ or (found and not _is_open(found)):
                return found

    def _keys_of(self, viewer: str) -> PartitionKeys:
        return self._ledger.keys.of(self._ledger.keys.partition_of(viewer))


def _is_open(records: list[JournalRecord]) -> bool:
    """Whether a gift was held, and these records do not say how it ended."""
    return bool(records) and all(isinstance(record.body, HeldGiftBody) for record in records)


def _gift_row(records: list[JournalRecord]) -> GiftRow:
    """From all records of one gift: the one that accepted it, and how it ended."""
    accepted = [record for record in records if isinstance(record.body, GiftBody | HeldGiftBody)]
    record = accepted[0] if accepted else records[0]
    body = record.body
    if not isinstance(body, GiftFields):
        raise TypeError("a credit is not a gift")
    held = isinstance(body, HeldGiftBody) and _is_open(records)
    undone = any(isinstance(one.body, GiftUndoneBody) for one in records)
    return GiftRow(
        id=body.id,
        viewer=body.viewer,
        creator=body.creator,
        place=body.place,
        item=body.item,
        unit_coins=body.unit_coins,
        count=body.count,
        coins=body.coins,
        creator_diamonds=body.creator_diamonds,
        commission_diamonds=body.commission_diamonds,
        balance_coins=record.wallet_after,
        at_ms=record.at_ms,
        partition=record.partition,
        epoch=record.epoch,
        seq=record.seq,
        combo=record.combo,
        details=body.details,
        state=GiftState.HELD if held else GiftState.UNDONE if undone else GiftState.SETTLED,
        undo_until_ms=record.at_ms + body.undo_ms if isinstance(body, HeldGiftBody) and held else 0,
    )


def _ms(moment: datetime.datetime) -> int:
    return round(moment.timestamp() * 1000)
