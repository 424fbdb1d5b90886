"""What is told to a room, in the form in which it is stored and published, and how that becomes events of the protocol.

A fact is a paid gift, the end of a combo (count and coins 0), or the taking back of a gift that was told. Facts of a
room are numbered by `seq` without holes; a batch carries facts that follow each other. Fields go by place, so new ones
stand at the end with a default.
"""

import enum
from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import UNSET, Struct

from gateway.wire.messages import Combo, GiftEvent, Sender, UndoneEvent

ROOM_PLACE: Final = "room:"
"""How the ledger's name of a room begins."""


class ComboState(enum.IntEnum):
    """Where a combo stands after a fact."""

    START = 0
    UPDATE = 1
    END = 2


class GiftDetails(Struct, frozen=True, array_like=True):
    """How a gift is to be shown; travels through the ledger as bytes."""

    name: str
    level: int
    anonymous: bool
    message: str | None = None


class ComboFact(Struct, frozen=True, array_like=True, gc=False):
    """A combo after a fact: running totals. Its id is that of its first gift; `state` is a `ComboState`."""

    id: bytes
    count: int
    coins: int
    state: int


class GiftFact(Struct, frozen=True, array_like=True, gc=False):
    """A gift, the end of a combo, or the taking back of a gift.

    Attributes:
        partition, record: the journal record; of an end, the record of the combo's last gift.
        id: the gift's id, 16 bytes; empty for an end and for a test.
        sender: who sent it, also when `anonymous` hides it.
        count, coins: of the gift, also of one that is taken back.
        at_ms: when it was paid or taken back; of an end, when the combo ran out.
        test: asked for by the creator; never paid.
        undo_until_ms: until when it can be taken back; 0 for a gift that cannot. Never of a gift in a combo.
        undone: this is no gift: the one with this id, told before, was taken back.
    """

    partition: int
    record: int
    id: bytes
    sender: str
    name: str
    level: int
    anonymous: bool
    to: str
    gift: str
    price_coins: int
    count: int
    coins: int
    at_ms: int
    combo: ComboFact | None = None
    message: str | None = None
    test: bool = False
    undo_until_ms: int = 0
    undone: bool = False

    @property
    def ends_combo(self) -> bool:
        """Whether this is no gift but the end of a combo."""
        return self.combo is not None and self.combo.state == ComboState.END


class RoomBatch(Struct, frozen=True, array_like=True):
    """Facts of a room that follow each other: the first has `first_seq`."""

    room: str
    epoch: int
    first_seq: int
    facts: list[GiftFact]

    @property
    def last_seq(self) -> int:
        """The seq of the last fact; a batch is never empty."""
        return self.first_seq + len(self.facts) - 1

    def after(self, seq: int) -> "RoomBatch | None":
        """The part after `seq`; None when there is none."""
        if seq < self.first_seq:
            return self
        if seq >= self.last_seq:
            return None
        return RoomBatch(self.room, self.epoch, seq + 1, self.facts[seq + 1 - self.first_seq :])


class WalletChange(Struct, frozen=True, array_like=True, gc=False):
    """A viewer's wallet after record `record` of its partition."""

    viewer: str
    record: int
    balance_coins: int


_encoder = msgspec.msgpack.Encoder()
_details_decoder = msgspec.msgpack.Decoder(GiftDetails)
_fact_decoder = msgspec.msgpack.Decoder(GiftFact)
_batch_decoder = msgspec.msgpack.Decoder(RoomBatch)
_wallets_decoder = msgspec.msgpack.Decoder(list[WalletChange])

_STATES: Final = ("start", "update", "end")


def encode_details(details: GiftDetails) -> bytes:
    """The bytes that a gift order carries."""
    return _encoder.encode(details)


def decode_details(packed: bytes) -> GiftDetails:
    """What `encode_details` made.

    Raises:
        msgspec.DecodeError: something else.
    """
    return _details_decoder.decode(packed)


def encode_fact(fact: GiftFact) -> bytes:
    """A fact as it stands inside a batch."""
    return _encoder.encode(fact)


def decode_fact(packed: bytes) -> GiftFact:
    """What `encode_fact` made.

    Raises:
        msgspec.DecodeError: something else.
    """
    return _fact_decoder.decode(packed)


def encode_batch(batch: RoomBatch) -> bytes:
    """A batch as it is stored and published."""
    return _encoder.encode(batch)


def decode_batch(packed: bytes) -> RoomBatch:
    """What `encode_batch`, or the script that tells a room, made.

    Raises:
        msgspec.DecodeError: something else.
    """
    return _batch_decoder.decode(packed)


def encode_wallets(changes: list[WalletChange]) -> bytes:
    """Wallet changes as they are published."""
    return _encoder.encode(changes)


def decode_wallets(packed: bytes) -> list[WalletChange]:
    """What `encode_wallets` made.

    Raises:
        msgspec.DecodeError: something else.
    """
    return _wallets_decoder.decode(packed)


def room_of(place: str) -> str | None:
    """The room that a place of the ledger is; None when it is no room."""
    return place[len(ROOM_PLACE) :] if place.startswith(ROOM_PLACE) else None


def end_of(fact: GiftFact, ended_ms: int) -> GiftFact:
    """The end of the combo that `fact` belongs to, should no further gift come.

    Raises:
        ValueError: the fact belongs to no combo.
    """
    combo = fact.combo
    if combo is None:
        raise ValueError("a gift outside any combo ends none")
    return GiftFact(
        fact.partition,
        fact.record,
        b"",
        fact.sender,
        fact.name,
        fact.level,
        fact.anonymous,
        fact.to,
        fact.gift,
        fact.price_coins,
        0,
        0,
        ended_ms,
        ComboFact(combo.id, combo.count, combo.coins, ComboState.END),
    )


def complete_events(batch: RoomBatch) -> list[GiftEvent | UndoneEvent]:
    """One event for each fact, as overlays, the creator and the history are given them."""
    return [complete_event(seq, fact) for seq, fact in enumerate(batch.facts, batch.first_seq)]


def complete_event(seq: int, fact: GiftFact) -> GiftEvent | UndoneEvent:
    """The event of one fact: a gift with its id, the end of a combo with count 0 and coins 0, or what was undone."""
    if fact.undone:
        return undone_event(seq, fact)
    return GiftEvent(
        seq,
        sender_of(fact),
        fact.to,
        fact.gift,
        fact.price_coins,
        fact.count,
        fact.coins,
        fact.at_ms,
        UNSET if fact.combo is None else combo_of(fact.combo, fact.combo.state),
        text_of_id(fact.id) if fact.id else UNSET,
        UNSET if fact.message is None else fact.message,
        UNSET,
        True if fact.test else UNSET,
        fact.undo_until_ms or UNSET,
    )


def undone_event(seq: int, fact: GiftFact) -> UndoneEvent:
    """The event of a gift that was taken back: the same for everybody."""
    return UndoneEvent(
        seq,
        text_of_id(fact.id),
        sender_of(fact),
        fact.to,
        fact.gift,
        fact.price_coins,
        fact.count,
        fact.coins,
        fact.at_ms,
    )


def sender_of(fact: GiftFact) -> Sender | None:
    """Who sent it, as others may know."""
    return None if fact.anonymous else Sender(fact.sender, fact.name, fact.level)


def combo_of(combo: ComboFact, state: int) -> Combo:
    """A combo as the protocol shows it."""
    return Combo(text_of_id(combo.id), combo.count, combo.coins, _STATES[state])


def text_of_id(id_bytes: bytes) -> str:
    """The text form of a UUID. By slices: six times as fast as `uuid.UUID`, and it is needed for every gift."""
    digits = id_bytes.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def numbered(batches: Iterable[RoomBatch]) -> list[tuple[int, GiftFact]]:
    """The facts of several batches with their seq, in order."""
    return [(seq, fact) for batch in batches for seq, fact in enumerate(batch.facts, batch.first_seq)]
