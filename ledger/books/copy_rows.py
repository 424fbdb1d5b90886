"""Rows of the books in PostgreSQL's binary COPY format, packed by hand, and the way back from rows to records.

Hot path: one gift is one record and two entries, and asyncpg's own `copy_records_to_table` spends several times as long
on them as `struct` does (`giftwire bench books` measures the whole).
The format: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
"""

import functools
import struct
import uuid
from typing import Final

import asyncpg
from msgspec import structs

from ledger.ids import format_id
from ledger.live.journal import held_body, settled_body, undone_body
from ledger.model import (
    Body,
    Cause,
    ComboTotals,
    CreatorId,
    CreditBody,
    GiftBody,
    GiftFields,
    GiftSettledBody,
    GiftUndoneBody,
    HeldGiftBody,
    HoldBody,
    HoldEnd,
    HoldEndBody,
    JournalRecord,
    Partition,
    RefundKind,
    ReversalBody,
    ViewerId,
)
from ledger.record_kinds import GIFT_HELD, GIFT_KINDS, GIFT_SETTLED, GIFT_UNDONE, HOLD, HOLD_ENDED, REVERSALS, kind_of

HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER: Final = b"\xff\xff"
ENTRY_COLUMNS: Final = ("account_id", "number", "partition", "seq", "amount", "balance_after")
RECORD_COLUMNS: Final = (
    *("partition", "seq", "epoch", "at", "coins", "wallet_after", "creator_diamonds", "commission_diamonds", "id"),
    *("kind", "unit_coins", "count", "combo_window_ms", "combo_count", "combo_coins", "combo_id"),
    *("viewer", "creator", "place", "item", "combo_key", "reference", "details"),
    *("plan", "agency", "agency_diamonds", "digest", "taken_coins"),
)

_EPOCH_2000_MS: Final = 946_684_800_000
_TEXTS_CACHED_MAX: Final = 1 << 16
_FIELDS: Final = len(RECORD_COLUMNS)
# The number of fields, then each field as its length and its value; letters as in RECORD_COLUMNS' order.
_ENTRY: Final = struct.Struct(">h" + "iq" + "iq" + "ih" + "iq" + "iq" + "iq")
_FIRST: Final = struct.Struct(">h" + "ih" + "iq" + "ii" + "iq" + "iq" + "iq" + "iq" + "iq" + "i16s")
_GIFT: Final = struct.Struct(">i4s" + "iq" + "ii" + "ii")
_COUNTED: Final = struct.Struct(">" + "iq" + "ii" + "ii")
_COMBO: Final = struct.Struct(">ii" + "iq" + "i16s")
_LENGTH: Final = struct.Struct(">i")
_AMOUNT: Final = struct.Struct(">iq")
_NULL: Final = _LENGTH.pack(-1)
_NO_TERMS: Final = _NULL * 3


def pack_entry(account_id: int, number: int, partition: int, seq: int, amount: int, balance_after: int) -> bytes:
    """One row of `entries`."""
    return _ENTRY.pack(6, 8, account_id, 8, number, 2, partition, 8, seq, 8, amount, 8, balance_after)


def pack_gift(record: JournalRecord, body: GiftBody) -> bytes:
    """One row of `journal_records` for a gift that was paid at once."""
    return _pack_gift(record, body, _GIFT.pack(4, b"gift", 8, body.unit_coins, 4, body.count, 4, body.combo_window_ms))


def pack_held_gift(record: JournalRecord, body: HeldGiftBody | GiftSettledBody | GiftUndoneBody) -> bytes:
    """One row of `journal_records` for a gift that may be undone, or for its end. Such a gift is in no combo: where the
    window of one would stand is the time for which it may be undone."""
    window_ms = body.undo_ms if type(body) is HeldGiftBody else 0
    return _pack_gift(
        record, body, _pack_text(kind_of(body)) + _COUNTED.pack(8, body.unit_coins, 4, body.count, 4, window_ms)
    )


def _pack_gift(record: JournalRecord, body: GiftFields, kind_and_counts: bytes) -> bytes:
    combo = record.combo
    return b"".join(
        (
            _pack_first(record, body.id, body.coins, body.creator_diamonds, body.commission_diamonds),
            kind_and_counts,
            _NULL * 3 if combo is None else _COMBO.pack(4, combo.count, 8, combo.coins, 16, combo.id),
            _pack_text(body.viewer),
            _pack_text(body.creator),
            _pack_text(body.place),
            _pack_text(body.item),
            _pack_text(body.combo_key),
            _NULL,
            _LENGTH.pack(len(body.details)),
            body.details,
            _pack_terms(body) if body.plan or body.agency_diamonds else _NO_TERMS,
            _LENGTH.pack(len(body.digest)) + body.digest if body.digest else _NULL,
            _NULL,
        )
    )


def pack_credit(record: JournalRecord, body: CreditBody) -> bytes:
    """One row of `journal_records` for a grant or a purchase."""
    first = _pack_first(record, body.id, body.coins, 0, 0)
    texts = _pack_text(body.viewer) + _NULL * 4 + _pack_text.__wrapped__(body.reference) + _NULL + _NO_TERMS + _NULL * 2
    return first + _pack_text(body.cause) + _NULL * 6 + texts


def pack_reversal(record: JournalRecord, body: ReversalBody) -> bytes:
    """One row of `journal_records` for a refund or charge-back; its reference is the purchase."""
    first = _pack_first(record, body.id, body.coins, 0, 0)
    texts = _pack_text(body.viewer) + _NULL * 4 + _pack_text.__wrapped__(format_id(body.purchase)) + _NULL
    return first + _pack_text(body.cause) + _NULL * 6 + texts + _NO_TERMS + _NULL + _AMOUNT.pack(8, body.taken_coins)


def pack_hold(record: JournalRecord, body: HoldBody) -> bytes:
    """One row of `journal_records` for a hold; its details are how long it lasts."""
    first = _pack_first(record, body.id, body.coins, 0, 0) + _pack_text(HOLD) + _NULL * 6
    texts = _pack_text(body.viewer) + _NULL * 4 + _pack_text.__wrapped__(body.reference)
    return first + texts + _AMOUNT.pack(8, body.lasts_ms) + _NO_TERMS + _NULL * 2


def pack_hold_end(record: JournalRecord, body: HoldEndBody) -> bytes:
    """One row of `journal_records` for the end of a hold; its reference is how it ended."""
    first = _pack_first(record, body.id, body.coins, 0, 0) + _pack_text(HOLD_ENDED) + _NULL * 6
    texts = _pack_text(body.viewer) + _NULL * 4 + _pack_text(body.end) + _NULL
    return first + texts + _NO_TERMS + _NULL + _AMOUNT.pack(8, body.taken_coins)


def read_record(row: asyncpg.Record) -> JournalRecord:
    """A record as it came out of the journal, from a row with all RECORD_COLUMNS."""
    combo = None
    if row["combo_id"] is not None:
        combo = ComboTotals(row["combo_id"].bytes, row["combo_count"], row["combo_coins"])
    return JournalRecord(
        partition=Partition(row["partition"]),
        epoch=row["epoch"],
        seq=row["seq"],
        at_ms=round(row["at"].timestamp() * 1000),
        wallet_after=row["wallet_after"],
        combo=combo,
        body=_read_body(row),
    )


def _read_body(row: asyncpg.Record) -> Body:
    viewer = ViewerId(row["viewer"])
    if row["kind"] in REVERSALS:
        purchase, kind = uuid.UUID(row["reference"]).bytes, RefundKind(row["kind"])
        return ReversalBody(row["id"].bytes, viewer, purchase, row["coins"], kind, row["taken_coins"])
    if row["kind"] == HOLD:
        lasts_ms = int.from_bytes(row["details"], "big")
        return HoldBody(row["id"].bytes, viewer, row["coins"], lasts_ms, row["reference"])
    if row["kind"] == HOLD_ENDED:
        return HoldEndBody(row["id"].bytes, viewer, row["coins"], HoldEnd(row["reference"]), row["taken_coins"])
    if row["kind"] not in GIFT_KINDS:
        return CreditBody(row["id"].bytes, viewer, row["coins"], Cause(row["kind"]), row["reference"])
    gift = GiftBody(
        id=row["id"].bytes,
        viewer=viewer,
        creator=CreatorId(row["creator"]),
        place=row["place"],
        item=row["item"],
        unit_coins=row["unit_coins"],
        count=row["count"],
        coins=row["coins"],
        creator_diamonds=row["creator_diamonds"],
        commission_diamonds=row["commission_diamonds"],
        combo_key=row["combo_key"],
        combo_window_ms=row["combo_window_ms"],
        details=row["details"],
        plan=row["plan"] or "",
        agency=row["agency"] or "",
        agency_diamonds=row["agency_diamonds"] or 0,
        digest=row["digest"] or b"",
    )
    if row["kind"] == GIFT_HELD:
        # Where the window of a combo stands in others.
        return held_body(structs.replace(gift, combo_window_ms=0), row["combo_window_ms"])
    if row["kind"] == GIFT_SETTLED:
        return settled_body(gift)
    if row["kind"] == GIFT_UNDONE:
        return undone_body(gift)
    return gift


def _pack_terms(body: GiftFields) -> bytes:
    plan = _pack_text(body.plan) if body.plan else _NULL
    if not body.agency_diamonds:
        return plan + _NULL * 2
    return plan + _pack_text(body.agency) + _AMOUNT.pack(8, body.agency_diamonds)


def _pack_first(record: JournalRecord, id_bytes: bytes, coins: int, creator: int, commission: int) -> bytes:
    at_us = (record.at_ms - _EPOCH_2000_MS) * 1000
    return _FIRST.pack(
        *(_FIELDS, 2, record.partition, 8, record.seq, 4, record.epoch, 8, at_us, 8, coins),
        *(8, record.wallet_after, 8, creator, 8, commission, 16, id_bytes),
    )


@functools.lru_cache(_TEXTS_CACHED_MAX)
def _pack_text(text: str) -> bytes:
    encoded = text.encode()
    return _LENGTH.pack(len(encoded)) + encoded
