"""Reads one partition of the live ledger for the audit, while gifts go on.

A hash is walked through in pieces, each together with the seq at that moment. So the value of a wallet is known at some
seq, and the journal's records carry it to any later one: nothing is locked and nothing has to stand still. The order of
the reads is part of that; see `read_live`.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from msgspec import Struct
from redis.asyncio import Redis

from ledger.audits.live_holds import LiveHolds, read_holds
from ledger.config import LedgerConfig
from ledger.ids import id_time_ms
from ledger.live.journal import Position, decode_entry
from ledger.live.keys import PartitionKeys, Total
from ledger.model import (
    CreditBody,
    GiftBody,
    GiftUndoneBody,
    HeldGiftBody,
    HoldBody,
    HoldEndBody,
    JournalRecord,
    Partition,
    ReversalBody,
)

_FIELDS_READ: Final = 1_000
_ENTRIES_READ: Final = 256


class Seen(NamedTuple):
    """A balance, and the last record that is in it."""

    amount: int
    seq: int


class LiveTotals(Struct, frozen=True):
    """The totals of a partition at one moment."""

    epoch: int
    seq: int
    coins_in: int
    spent: int
    reversed: int
    held: int
    charged: int
    earned: int
    commission: int
    flushed: int


class LivePartition(Struct, frozen=True):
    """What one partition of the live ledger holds.

    Attributes:
        first_seq: the seq when the reading began: a wallet that was not seen did not exist then.
        totals: at the moment up to which everything else is carried.
        wallets, stripes: as they were seen, each at its own seq between `first_seq` and `totals.seq`.
        holds: the open holds, as they were between `first_seq` and `totals.seq`.
        records: what the journal holds up to `totals.seq`, without a gap; `trimmed_seq` is the record before them.
        relayed_seq: the last record that the rooms were told; None when none ever was.
        damaged: fields that hold no amount.
        holes: records that are missing inside the journal.
        forgotten: records whose id is not remembered although it should be.
        ids: how many ids were looked up.
    """

    partition: Partition
    first_seq: int
    totals: LiveTotals
    wallets: dict[str, Seen]
    stripes: dict[str, Seen]
    holds: LiveHolds
    records: list[JournalRecord]
    trimmed_seq: int
    relayed_seq: int | None
    damaged: list[str]
    holes: list[str]
    forgotten: list[JournalRecord]
    ids: int


async def read_live(redis: Redis, keys: PartitionKeys, partition: Partition, config: LedgerConfig) -> LivePartition:
    """Read a partition: balances first, then the totals, then the journal up to those totals.

    In this order every record between the first and the last read is in the journal, or was trimmed from it, and then
    it is in PostgreSQL for whoever looks there afterwards.

    Raises:
        InvariantBroken: a journal entry is damaged (I4).
        redis.RedisError, OSError: the server did not answer.
    """
    damaged: list[str] = []
    first = await read_totals(redis, keys, damaged)
    wallets = await _scan(redis, keys, keys.wallets, "wallet", damaged)
    stripes = await _scan(redis, keys, keys.earnings, "stripe", damaged)
    holds = await read_holds(redis, keys)
    totals = await read_totals(redis, keys, damaged)
    records, trimmed_seq, holes = await _read_journal(redis, keys, partition, totals.seq)
    relay: Any = keys.relay
    told: Any = await redis.get(relay)
    forgotten, ids = await find_forgotten(redis, keys, records, config)
    return LivePartition(
        partition=partition,
        first_seq=first.seq,
        totals=totals,
        wallets=wallets,
        stripes=stripes,
        holds=holds,
        records=records,
        trimmed_seq=trimmed_seq,
        relayed_seq=None if told is None else Position.parse(told).seq,
        damaged=damaged,
        holes=holes,
        forgotten=forgotten,
        ids=ids,
    )


async def read_seq(redis: Redis, keys: PartitionKeys) -> int:
    """The last record of a partition."""
    totals: Any = keys.totals
    return int(await redis.hget(totals, Total.SEQ) or 0)


async def read_totals(redis: Redis, keys: PartitionKeys, damaged: list[str]) -> LiveTotals:
    """The totals as they are now; a field that holds no amount is named in `damaged`."""
    name: Any = keys.totals
    fields = (
        *(Total.EPOCH, Total.SEQ, Total.COINS_IN, Total.SPENT, Total.REVERSED, Total.HELD, Total.CHARGED),
        *(Total.EARNED, Total.COMMISSION, Total.FLUSHED),
    )
    values: Any = await redis.hmget(name, list(fields))
    return LiveTotals(*(_amount(value or b"0", field, damaged) for value, field in zip(values, fields, strict=True)))


async def scan_page(
    redis: Redis, keys: PartitionKeys, key: bytes, kind: str, cursor: int, damaged: list[str], fields_read: int
) -> tuple[int, dict[str, Seen]]:
    """The next balances of a hash of this partition, all of one moment; about `fields_read` of them.

    Returns:
        The cursor of the next page, 0 behind the last; and the balances by owner.
    """
    pipeline = redis.pipeline(transaction=True)
    name: Any = key
    totals: Any = keys.totals
    pipeline.hscan(name, cursor, count=fields_read)
    pipeline.hget(totals, Total.SEQ)
    (cursor, fields), seq = await pipeline.execute()
    seen: dict[str, Seen] = {}
    for field, value in fields.items():
        owner = field.decode(errors="backslashreplace")
        seen[owner] = Seen(_amount(value, f"{kind} of {owner}", damaged), int(seq or 0))
    return cursor, seen


async def read_balances_at(
    redis: Redis, keys: PartitionKeys, key: bytes, kind: str, owners: Sequence[str], damaged: list[str]
) -> tuple[int, list[int]]:
    """What these owners hold in a hash of this partition, all at one record; 0 for one that is not there.

    Returns:
        That record's seq, and the amounts in the order of the owners.
    """
    pipeline = redis.pipeline(transaction=True)
    name: Any = key
    totals: Any = keys.totals
    pipeline.hmget(name, list(owners))
    pipeline.hget(totals, Total.SEQ)
    values, seq = await pipeline.execute()
    amounts = [
        _amount(value or b"0", f"{kind} of {owner}", damaged) for owner, value in zip(owners, values, strict=True)
    ]
    return int(seq or 0), amounts


async def _scan(redis: Redis, keys: PartitionKeys, key: bytes, kind: str, damaged: list[str]) -> dict[str, Seen]:
    seen: dict[str, Seen] = {}
    cursor = 0
    while True:
        cursor, page = await scan_page(redis, keys, key, kind, cursor, damaged, _FIELDS_READ)
        seen |= page
        if cursor == 0:
            return seen


def _amount(value: bytes, what: str, damaged: list[str]) -> int:
    try:
        return int(value)
    except ValueError:
        damaged.append(f"{what} holds {value!r}")
        return 0


async def _read_journal(
    redis: Redis, keys: PartitionKeys, partition: Partition, last_seq: int
) -> tuple[list[JournalRecord], int, list[str]]:
    name: Any = keys.journal
    records: list[JournalRecord] = []
    gaps: list[tuple[int, int]] = []
    start, entries = "-", _ENTRIES_READ
    while entries == _ENTRIES_READ:
        page: Any = await redis.xrange(name, min=start, count=_ENTRIES_READ)
        entries = len(page)
        for stream_id, fields in page:
            start = f"({stream_id.decode()}"
            found = decode_entry(partition, stream_id, fields)
            if found[0].seq > last_seq:
                entries = 0
                break
            if records and found[0].seq != records[-1].seq + 1:
                gaps.append((records[-1].seq, found[0].seq))
                records = []
            records += found
    trimmed_seq = records[0].seq - 1 if records else last_seq
    holes = await real_holes(redis, keys, gaps)
    if records and records[-1].seq < last_seq:
        # What is before a missing end would only hide that.
        holes += await missing_end(redis, keys, records[-1].seq, last_seq)
        records, trimmed_seq = [], last_seq
    return records, trimmed_seq, holes


async def real_holes(redis: Redis, keys: PartitionKeys, gaps: list[tuple[int, int]]) -> list[str]:
    """Trimming takes from the front: a gap is a hole when something before it is still there."""
    first_seq = await _first_kept(redis, keys) if gaps else None
    if first_seq is None:
        return []
    return [f"record {after} follows {before}" for before, after in gaps if first_seq <= before]


async def missing_end(redis: Redis, keys: PartitionKeys, read_seq: int, last_seq: int) -> list[str]:
    """Of a journal whose pages ended at record `read_seq`, before the last: say so unless it was trimmed meanwhile."""
    first_seq = await _first_kept(redis, keys)
    if first_seq is None or first_seq > read_seq:
        return []
    return [f"the journal ends at record {read_seq}, the totals say {last_seq}"]


async def _first_kept(redis: Redis, keys: PartitionKeys) -> int | None:
    """The last record of the journal's first entry; None when the journal is empty."""
    name: Any = keys.journal
    page: Any = await redis.xrange(name, count=1)
    return Position.parse(page[0][0]).seq if page else None


async def find_forgotten(
    redis: Redis, keys: PartitionKeys, records: list[JournalRecord], config: LedgerConfig
) -> tuple[list[JournalRecord], int]:
    """Gifts, credits, reversals and holds of the journal whose id is not remembered, nor refused for that."""
    by_key: defaultdict[bytes, list[tuple[bytes, JournalRecord]]] = defaultdict(list)
    (seconds, _), totals = await redis.time(), await read_totals(redis, keys, [])
    # The clock may pass the expiry while we look: a bucket that is about to go is left alone.
    life_ms = config.id_window_ms + 2 * config.id_bucket_ms
    alive_ms = seconds * 1000 + config.id_bucket_ms - life_ms
    for record in records:
        body = record.body
        bucket = id_time_ms(body.id) // config.id_bucket_ms
        if isinstance(body, GiftBody | HeldGiftBody) and bucket * config.id_bucket_ms > alive_ms:
            by_key[keys.ids(bucket)].append((body.id + body.viewer.encode(), record))
        elif isinstance(body, GiftUndoneBody) and record.seq > totals.flushed:
            by_key[keys.undone_gifts].append((body.id + body.viewer.encode(), record))
        elif isinstance(body, CreditBody) and record.seq > totals.flushed:
            by_key[keys.credits].append((body.id, record))
        elif isinstance(body, ReversalBody) and record.seq > totals.flushed:
            by_key[keys.reversals].append((body.id, record))
        elif isinstance(body, HoldBody) and record.seq > totals.flushed:
            by_key[keys.holds].append((body.id + body.viewer.encode(), record))
        elif isinstance(body, HoldEndBody) and record.seq > totals.flushed:
            by_key[keys.ended_holds].append((body.id + body.viewer.encode(), record))
    ids = sum(map(len, by_key.values()))
    # A hold that ends moves from one hash to the other: looked for in this order it is found in either.
    ended = await _missing(redis, keys.holds, by_key.pop(keys.holds, []))
    by_key[keys.ended_holds] += ended
    gone = await _gone_buckets(redis, keys, life_ms, config.id_bucket_ms)
    forgotten = [
        record for key, wanted in by_key.items() if key not in gone for _, record in await _missing(redis, key, wanted)
    ]
    return forgotten, ids


async def _gone_buckets(redis: Redis, keys: PartitionKeys, life_ms: int, bucket_ms: int) -> set[bytes]:
    """Those that the server forgot before their time, when its clock ran ahead; ids of their time are refused."""
    totals: Any = keys.totals
    stored = (await redis.hget(totals, Total.ID_BUCKETS) or b"").split()
    names: list[Any] = [keys.ids((int(expiry) - life_ms) // bucket_ms) for expiry in stored]
    pipeline = redis.pipeline(transaction=True)
    for name in names:
        pipeline.exists(name)
    return {name for name, exists in zip(names, await pipeline.execute(), strict=True) if not exists}


async def _missing(
    redis: Redis, key: bytes, wanted: list[tuple[bytes, JournalRecord]]
) -> list[tuple[bytes, JournalRecord]]:
    """Those whose field is not in the hash."""
    missing = []
    for start in range(0, len(wanted), _FIELDS_READ):
        part = wanted[start : start + _FIELDS_READ]
        name: Any = key
        values: Any = await redis.hmget(name, [field for field, _ in part])
        missing += [one for one, value in zip(part, values, strict=True) if value is None]
    return missing
