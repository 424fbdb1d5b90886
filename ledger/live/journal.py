"""The journal of a partition: how its records are packed, and how they are read back in order.

One stream entry holds the records of one script call. Its id is `epoch-seq` of the last of them, chosen by us: so a
position in the journal means the same in Redis, in PostgreSQL and after a restore.
"""

import asyncio
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from ledger.errors import InvariantBroken
from ledger.ids import digest_of
from ledger.live.keys import Keys
from ledger.model import (
    Body,
    ComboTotals,
    GiftBody,
    GiftFields,
    GiftOrder,
    GiftSettledBody,
    GiftUndoneBody,
    HeldGiftBody,
    HoldEnd,
    HoldEndBody,
    JournalRecord,
    Partition,
    ReversalBody,
    ViewerId,
)

DECODED_AT_ONCE: Final = 200
"""Records that a read decodes before it lets others go on."""
_AFTER: Final = struct.Struct(">ddd16s")
_NO_ID: Final = bytes(16)
_GIFT_FIELDS: Final = len(GiftFields.__struct_fields__)
_bodies_decoder = msgspec.msgpack.Decoder(list[Body])
_body_encoder = msgspec.msgpack.Encoder()


class Position(msgspec.Struct, frozen=True, order=True):
    """Everything up to and including `seq` of `epoch` is known; (0, 0) is before the first record."""

    epoch: int = 0
    seq: int = 0

    @classmethod
    def parse(cls, stream_id: bytes) -> "Position":
        """From a stream entry's id."""
        epoch, _, seq = stream_id.partition(b"-")
        return cls(int(epoch), int(seq))

    def __str__(self) -> str:
        return f"{self.epoch}-{self.seq}"


class Batch(msgspec.Struct, frozen=True):
    """What one read found.

    Attributes:
        records: in the order of `seq` inside each partition.
        positions: where each partition stands after them.
        caught_up_to_ms: when not None, every record of these partitions that was committed before this time has been
            returned by now (server clock).
    """

    records: list[JournalRecord]
    positions: Mapping[Partition, Position]
    caught_up_to_ms: int | None


def gift_body(order: GiftOrder) -> GiftBody:
    """The part of a gift's record that its order fixes."""
    return GiftBody(
        order.id,
        order.viewer,
        order.creator,
        order.place,
        order.item,
        order.unit_coins,
        order.count,
        order.coins,
        order.creator_diamonds,
        order.commission_diamonds,
        order.combo_key,
        order.combo_window_ms,
        order.details,
        order.plan,
        order.agency,
        order.agency_diamonds,
        digest_of(order.content),
    )


def held_body(body: GiftFields, undo_ms: int) -> HeldGiftBody:
    """The record of a gift that may be undone for so long."""
    return HeldGiftBody(*_fields(body), undo_ms=undo_ms)


def paid_body(body: GiftFields) -> GiftBody:
    """The record that a gift would have if it had been paid at once."""
    return GiftBody(*_fields(body))


def settled_body(body: GiftFields) -> GiftSettledBody:
    """The record of a gift that was held and is paid."""
    return GiftSettledBody(*_fields(body))


def undone_body(body: GiftFields) -> GiftUndoneBody:
    """The record of a gift that was held and was undone."""
    return GiftUndoneBody(*_fields(body))


def _fields(body: GiftFields) -> tuple[Any, ...]:
    return msgspec.structs.astuple(body)[:_GIFT_FIELDS]


def encode_body(body: Body) -> bytes:
    """The caller's part of a record, as the script copies it into the journal."""
    return _body_encoder.encode(body)


def encode_reversal(body: ReversalBody) -> bytes:
    """As `encode_body`, without the last value: the script puts there what it took."""
    return _body_encoder.encode(msgspec.structs.replace(body, taken_coins=0))[:-1]


def encode_hold_end(hold_id: bytes, viewer: ViewerId) -> bytes:
    """As `encode_body`, up to the coins: the script writes those, the word of HOLD_ENDS and what it took."""
    body = HoldEndBody(hold_id, viewer, 0, HoldEnd.VOIDED, 0)
    return _body_encoder.encode(body)[: -2 - len(HOLD_ENDS[HoldEnd.VOIDED])]


HOLD_ENDS: Final = {end: _body_encoder.encode(end) for end in HoldEnd}
"""How a hold ended, as the script writes it into the record; in the order of the script's numbers, from 1."""


def decode_entry(partition: Partition, stream_id: bytes, fields: Mapping[bytes, bytes]) -> list[JournalRecord]:
    """The records of one stream entry.

    Raises:
        InvariantBroken: the entry does not hold what the scripts write.
    """
    try:
        last = Position.parse(stream_id)
        at_ms, after = int(fields[b"t"]), fields[b"d"]
        bodies = _bodies_decoder.decode(fields[b"r"])
        afters = list(_AFTER.iter_unpack(after))
    except (KeyError, ValueError, struct.error, msgspec.DecodeError) as exc:
        raise InvariantBroken("I4", f"journal entry {stream_id!r} of partition {partition}: {exc}") from exc
    if len(afters) != len(bodies):
        raise InvariantBroken("I4", f"journal entry {stream_id!r} of partition {partition} is cut")
    first_seq = last.seq - len(bodies) + 1
    return [
        JournalRecord(
            partition,
            last.epoch,
            first_seq + index,
            at_ms,
            int(wallet),
            None if combo_id == _NO_ID else ComboTotals(combo_id, int(count), int(coins)),
            body,
        )
        for index, (body, (wallet, count, coins, combo_id)) in enumerate(zip(bodies, afters, strict=True))
    ]


def _after_seq(records: list[JournalRecord], seq: int) -> list[JournalRecord]:
    """The part of an entry that is new to a reader whose position lies inside of it; at least the last record."""
    if records[0].seq > seq:
        return records
    return [record for record in records[:-1] if record.seq > seq] + records[-1:]


class JournalReader:
    """Reads several partitions of one server in order, each from its own position.

    Args:
        positions: where to begin, also in the midst of an entry; a partition that is missing begins at its first
            record.
    """

    def __init__(
        self, redis: Redis, keys: Keys, partitions: Sequence[Partition], positions: Mapping[Partition, Position]
    ) -> None:
        self._redis = redis
        self._partition_of = {keys.of(partition).journal: partition for partition in partitions}
        self._positions = {partition: positions.get(partition, Position()) for partition in partitions}

    @property
    def positions(self) -> dict[Partition, Position]:
        """Where each partition stands, as a copy."""
        return dict(self._positions)

    async def read(self, *, block_ms: int | None, entries_max: int = 64) -> Batch:
        """The next records.

        Args:
            block_ms: how long to wait for the first record; None to answer at once. A read that waited in vain says
                nothing about how far it caught up: ask again without waiting.
            entries_max: bound of journal entries for each partition in this read.

        Raises:
            InvariantBroken: an entry is damaged, or a record is missing between two others (I9).
            redis.RedisError, OSError: the server did not answer; nothing has moved.
        """
        streams: dict[Any, Any] = {key: str(self._positions[p]) for key, p in self._partition_of.items()}
        asked_ms = None
        if block_ms is None:
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.time()
            pipeline.xread(streams, count=entries_max)
            (seconds, micros), reply = await pipeline.execute()
            asked_ms = seconds * 1000 + micros // 1000
        else:
            reply = await self._redis.xread(streams, count=entries_max, block=block_ms)
        records: list[JournalRecord] = []
        caught_up, pause_at = True, DECODED_AT_ONCE
        moved = dict(self._positions)
        for key, entries in reply or ():
            partition = self._partition_of[key]
            caught_up = caught_up and len(entries) < entries_max
            for stream_id, fields in entries:
                if len(records) >= pause_at:
                    # Others share the loop: two thousand records decode in 2 ms.
                    await asyncio.sleep(0)
                    pause_at = len(records) + DECODED_AT_ONCE
                found = _after_seq(decode_entry(partition, stream_id, fields), moved[partition].seq)
                self._check_order(partition, moved[partition], found[0])
                moved[partition] = Position(found[-1].epoch, found[-1].seq)
                records += found
        self._positions = moved
        return Batch(records, dict(moved), asked_ms if caught_up else None)

    @staticmethod
    def _check_order(partition: Partition, before: Position, first: JournalRecord) -> None:
        if first.seq != before.seq + 1:
            raise InvariantBroken(
                "I9", f"partition {partition}: record {first.seq} follows {before.seq}; those between are gone"
            )
