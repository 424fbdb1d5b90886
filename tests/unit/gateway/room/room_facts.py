"""Facts as short as a line of a table."""

import msgspec

from gateway.room.facts import ComboFact, ComboState, GiftFact, RoomBatch

START, UPDATE, END = ComboState.START, ComboState.UPDATE, ComboState.END


def gift(
    sender: str = "ann",
    coins: int = 1,
    *,
    item: str = "rose",
    count: int = 1,
    record: int = 1,
    partition: int = 0,
    anonymous: bool = False,
    combo: tuple[int, int, int, ComboState] | None = None,
    message: str | None = None,
    test: bool = False,
    undo_until_ms: int = 0,
) -> GiftFact:
    """A gift of `count` items for `coins` in all; `combo` is (number, count, coins, state)."""
    return GiftFact(
        partition,
        record,
        record.to_bytes(16, "big"),
        sender,
        sender.title(),
        3,
        anonymous,
        "cora",
        item,
        coins // count,
        count,
        coins,
        1_000 + record,
        None if combo is None else ComboFact(combo[0].to_bytes(16, "big"), *combo[1:]),
        message,
        test,
        undo_until_ms,
    )


def undone(fact: GiftFact, record: int) -> GiftFact:
    """The taking back of a gift, by the journal's record `record`."""
    at_ms = 1_000 + record
    return msgspec.structs.replace(fact, record=record, at_ms=at_ms, message=None, undo_until_ms=0, undone=True)


def batch(first_seq: int, *facts: GiftFact, epoch: int = 1) -> RoomBatch:
    """Facts of the room `demo`."""
    return RoomBatch("demo", epoch, first_seq, list(facts))
