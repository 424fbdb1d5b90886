"""Brings records that the books have back into the live ledger: what one call of `lua/replay.lua` takes and answers.

Each call is whole or not at all and names the record that it begins with, so it may be killed or told twice anywhere.
Must not know why records are missing, nor which partitions may be written: that is `ledger/mending/repair.py`.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from ledger.audits.partition_audit import sum_of, wallet_moved
from ledger.config import LedgerConfig
from ledger.errors import InvariantBroken, LedgerError
from ledger.ids import digest_of, id_time_ms
from ledger.live.gift_call import bucket_life_ms
from ledger.live.hold_call import OpenHold, end_number, hold_field, pack_open_hold
from ledger.live.journal import encode_body, encode_reversal, paid_body
from ledger.live.keys import Keys, PartitionKeys, Total
from ledger.live.scripts import Ask, Script
from ledger.live.undo_call import OpenGift, gift_field, pack_open_gift, pack_undone
from ledger.model import (
    CAME,
    CreditBody,
    GiftBody,
    GiftSettledBody,
    GiftUndone,
    GiftUndoneBody,
    HeldGiftBody,
    HoldBody,
    HoldEndBody,
    JournalRecord,
    Partition,
    ReversalBody,
)

RECORDS_REPLAYED_MAX: Final = 500
"""Records of one call; each makes up to four words, and Lua's stack holds 8,000."""
_AFTER: Final = struct.Struct(">ddd16s")
_COMBO: Final = struct.Struct(">16sddd")
_AMOUNT: Final = struct.Struct(">d")
_NO_ID: Final = bytes(16)
_DONE, _OTHER_RECORD, _OPEN, _OTHER_WALLET = range(4)
_encoder = msgspec.msgpack.Encoder()

Entry = tuple[bytes, bytes, bytes, bytes]
"""A journal entry as the scripts write it: id, then the values of t, d and r."""


class NotFenced(LedgerError):
    """The partition takes orders, so nothing may be brought back under them."""


class Replay:
    """Calls `lua/replay.lua`.

    Args:
        ask: sends one command.
    """

    def __init__(self, ask: Ask, keys: Keys, config: LedgerConfig) -> None:
        self._ask = ask
        self._keys = keys
        self._config = config
        self._script = Script("replay", parts=("ids",))

    async def bring_back(self, records: Sequence[JournalRecord], now_ms: int) -> None:
        """Bring back records of one partition, in order, as the next ones that it has.

        Args:
            records: at most RECORDS_REPLAYED_MAX, without a gap.
            now_ms: the server's clock; ids that nobody may use any more are left out.

        Raises:
            NotFenced: the partition takes orders.
            InvariantBroken: it ends elsewhere than right before the first of them, or a wallet is not what the books
                say that it was then (I9). Nothing was brought back.
            redis.RedisError, OSError: not known whether it was done; the partition's seq tells.
        """
        partition = records[0].partition
        names, words = replay_words(self._keys.of(partition), records, self._config, now_ms)
        status, seq, viewer, coins = await self._script.call(self._ask, names, words)
        first = f"record {records[0].seq} of partition {partition}"
        if status == _OPEN:
            raise NotFenced(f"{first}: the partition takes orders")
        if status == _OTHER_RECORD:
            raise InvariantBroken("I9", f"{first} would follow {seq}")
        if status == _OTHER_WALLET:
            raise InvariantBroken(
                "I9", f"{first}: {viewer.decode()} holds {coins} coins in the live ledger, and other by the books"
            )


def replay_words(
    keys: PartitionKeys, records: Sequence[JournalRecord], config: LedgerConfig, now_ms: int
) -> tuple[list[bytes], list[bytes]]:
    """Keys and arguments of a call, as its header says."""
    before, after = _wallets(records)
    sums = sum_of(records)
    totals = (
        *(Total.COINS_IN.value, sums.coins_in, Total.SPENT.value, sums.spent),
        *((Total.REVERSED.value, sums.reversed) if sums.reversed else ()),
        *((Total.HELD.value, sums.held) if sums.held else ()),
        *((Total.HELD_GIFTS.value, sums.held_gifts) if sums.held_gifts else ()),
        *((Total.CHARGED.value, sums.charged) if sums.charged else ()),
        *(Total.EARNED.value, sums.earned, Total.COMMISSION.value, sums.commission),
    )
    since_ms = now_ms - 2 * config.credit_ids_kept_ms
    combos, credit_ids, reversal_ids = (
        _combos(records),
        _credit_ids(records, since_ms),
        _reversal_ids(records, since_ms),
    )
    entries = [word for entry in journal_entries(records) for word in entry]
    buckets = _gift_ids(records, config, now_ms)
    life_ms = bucket_life_ms(config)
    # Also of ids that are left out, since they are over by a clock that may run ahead.
    begun = _gift_ids(records, config, records[-1].at_ms)
    head = (
        records[0].seq,
        records[-1].seq,
        records[-1].at_ms,
        (list(before), list(before.values()), list(after.values())),
        (list(sums.stripes), list(sums.stripes.values())),
        totals,
        [bucket * config.id_bucket_ms + life_ms for bucket in buckets],
        [len(words) for words in (combos, credit_ids, reversal_ids, entries, *buckets.values())],
        _holds(records, since_ms),
        max((record.seq for record in records if isinstance(record.body, CAME)), default=0),
        _gifts(records, since_ms),
        [bucket * config.id_bucket_ms + life_ms for bucket in begun],
    )
    names = [keys.wallets, keys.earnings, keys.totals, keys.combos, keys.credits, keys.reversals, keys.journal]
    names += [keys.holds, keys.hold_deadlines, keys.hold_counts, keys.ended_holds]
    names += [keys.open_gifts, keys.undo_deadlines, keys.undo_counts, keys.undone_gifts]
    names += [keys.ids(bucket) for bucket in buckets]
    ids = [word for words in buckets.values() for word in words]
    return names, [_encoder.encode(head), *combos, *credit_ids, *reversal_ids, *entries, *ids]


def journal_entries(records: Sequence[JournalRecord]) -> list[Entry]:
    """The records as journal entries: those of one commit, as far as it can be told, in one."""
    groups: list[list[JournalRecord]] = []
    for record in records:
        if groups and (groups[-1][-1].epoch, groups[-1][-1].at_ms) == (record.epoch, record.at_ms):
            groups[-1].append(record)
        else:
            groups.append([record])
    return [_entry(group) for group in groups]


def lives_in(records: Iterable[JournalRecord], keys: Keys) -> bool:
    """Whether every record is where this number of partitions puts its viewer."""
    return all(keys.partition_of(record.body.viewer) == record.partition for record in records)


def next_slice(
    waiting: dict[Partition, list[JournalRecord]], whole: set[Partition]
) -> dict[Partition, list[JournalRecord]]:
    """Take from each partition what is not newer than anything unknown of the others, so that rooms hear it in order.

    Args:
        waiting: the next records of each partition, in order; what is taken leaves it.
        whole: partitions of which nothing follows after what waits.
    """
    ends = [records[-1].at_ms for partition, records in waiting.items() if records and partition not in whole]
    until_ms = min(ends, default=None)
    taken: dict[Partition, list[JournalRecord]] = {}
    for partition, records in waiting.items():
        part = [record for record in records if until_ms is None or record.at_ms <= until_ms]
        if part:
            taken[partition], waiting[partition] = part, records[len(part) :]
    return taken


def _entry(records: Sequence[JournalRecord]) -> Entry:
    last = records[-1]
    afters = b"".join(
        _AFTER.pack(record.wallet_after, 0, 0, _NO_ID)
        if record.combo is None
        else _AFTER.pack(record.wallet_after, record.combo.count, record.combo.coins, record.combo.id)
        for record in records
    )
    bodies = b"\xdd%b%b" % (len(records).to_bytes(4), b"".join(encode_body(record.body) for record in records))
    return f"{last.epoch}-{last.seq}".encode(), str(last.at_ms).encode(), afters, bodies


def _wallets(records: Sequence[JournalRecord]) -> tuple[dict[str, int], dict[str, int]]:
    """What each viewer held before the first of its records, and holds after the last."""
    before: dict[str, int] = {}
    after: dict[str, int] = {}
    for record in records:
        moved = wallet_moved(record)
        if moved is None:
            continue
        viewer, amount = moved
        held = after.get(viewer)
        if held is None:
            before[viewer] = record.wallet_after - amount
        elif held + amount != record.wallet_after:
            raise InvariantBroken(
                "I9", f"the books' record {record.seq} of partition {record.partition} does not add up"
            )
        after[viewer] = record.wallet_after
    return before, after


def _combos(records: Sequence[JournalRecord]) -> list[bytes]:
    last: dict[bytes, bytes] = {}
    for record in records:
        body, combo = record.body, record.combo
        if isinstance(body, GiftBody) and combo is not None:
            deadline_ms = record.at_ms + body.combo_window_ms
            field = f"{body.viewer}\0{body.combo_key}".encode()
            last[field] = _COMBO.pack(combo.id, combo.count, combo.coins, deadline_ms)
    return [word for pair in last.items() for word in pair]


def _credit_ids(records: Sequence[JournalRecord], since_ms: int) -> list[bytes]:
    # Who credits looks into the books first, so an older id needs no second memory.
    words: list[bytes] = []
    for record in records:
        body = record.body
        if isinstance(body, CreditBody) and record.at_ms >= since_ms:
            words += (body.id, digest_of(encode_body(body)) + _AMOUNT.pack(record.wallet_after))
    return words


def _reversal_ids(records: Sequence[JournalRecord], since_ms: int) -> list[bytes]:
    words: list[bytes] = []
    for record in records:
        body = record.body
        if isinstance(body, ReversalBody) and record.at_ms >= since_ms:
            taken = _AMOUNT.pack(record.wallet_after) + _AMOUNT.pack(body.taken_coins)
            words += (body.id, digest_of(encode_reversal(body)) + taken)
    return words


def _holds(records: Sequence[JournalRecord], since_ms: int) -> list[tuple[object, ...]]:
    """What the records did to holds, in order, as the script's header says. Caps count them again after a repair."""
    steps: list[tuple[object, ...]] = []
    for record in records:
        body = record.body
        if isinstance(body, HoldBody):
            expires_ms, digest = record.at_ms + body.lasts_ms, digest_of(encode_body(body))
            times = (record.at_ms, expires_ms)
            hold = OpenHold(body.id, body.viewer, body.coins, record.wallet_after, *times, True, digest, body.reference)
            steps.append(
                (_text(hold_field(body.id, body.viewer)), body.viewer, _text(pack_open_hold(hold)), expires_ms)
            )
        elif isinstance(body, HoldEndBody):
            kept = record.at_ms >= since_ms
            after = (end_number(body.end), body.taken_coins, record.wallet_after, record.at_ms)
            steps.append((_text(hold_field(body.id, body.viewer)), body.viewer, kept, *after))
    return steps


def _gifts(records: Sequence[JournalRecord], since_ms: int) -> list[tuple[object, ...]]:
    """What the records did to gifts that may be undone, in order, as the script's header says; all counted by caps."""
    steps: list[tuple[object, ...]] = []
    for record in records:
        body = record.body
        if not isinstance(body, HeldGiftBody | GiftSettledBody | GiftUndoneBody):
            continue
        field = _text(gift_field(body.id, body.viewer))
        if isinstance(body, HeldGiftBody):
            until_ms = record.at_ms + body.undo_ms
            gift = OpenGift(paid_body(body), record.at_ms, until_ms, by_caps=True, by_creators_cap=True)
            steps.append((field, body.viewer, _text(pack_open_gift(gift)), until_ms))
        elif isinstance(body, GiftUndoneBody) and record.at_ms >= since_ms:
            undone = GiftUndone(body.coins, record.wallet_after, record.at_ms, replay=False)
            steps.append((field, body.viewer, _text(pack_undone(undone))))
        else:
            steps.append((field, body.viewer))
    return steps


def _text(content: bytes) -> msgspec.Raw:
    """As a MessagePack string: Lua's decoder does not know its type for bytes."""
    return msgspec.Raw(b"\xda" + len(content).to_bytes(2) + content)


def _gift_ids(records: Sequence[JournalRecord], config: LedgerConfig, now_ms: int) -> dict[int, list[bytes]]:
    """By time bucket: field and value of each gift id that the live ledger would still know."""
    buckets: dict[int, list[bytes]] = {}
    for record in records:
        body = record.body
        bucket = id_time_ms(body.id) // config.id_bucket_ms
        if isinstance(body, GiftBody | HeldGiftBody) and bucket * config.id_bucket_ms + bucket_life_ms(config) > now_ms:
            # A record of older code has no digest. Zeros are no content's: the id is refused rather than paid again.
            value = body.digest.ljust(8, b"\0") + _AMOUNT.pack(body.coins)
            buckets.setdefault(bucket, []).extend((body.id + body.viewer.encode(), value))
    return buckets
