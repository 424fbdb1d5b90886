"""Facts: their bytes, and what the protocol makes of them."""

import uuid

import msgspec
import pytest
from msgspec import UNSET

from gateway.room.facts import (
    GiftDetails,
    WalletChange,
    complete_events,
    decode_batch,
    decode_details,
    decode_fact,
    decode_wallets,
    encode_batch,
    encode_details,
    encode_fact,
    encode_wallets,
    end_of,
    room_of,
    text_of_id,
)
from gateway.wire.messages import Combo, GiftEvent, Sender, UndoneEvent
from tests.unit.gateway.room.room_facts import START, UPDATE, batch, gift, undone


def test_bytes_of_every_form() -> None:
    """What is encoded comes back equal."""
    details = GiftDetails("Ann", 3, anonymous=True, message="hi")
    assert decode_details(encode_details(details)) == details
    fact = gift(combo=(7, 2, 2, UPDATE), message="hi")
    assert decode_fact(encode_fact(fact)) == fact
    back = undone(gift(undo_until_ms=2**53 - 1), 2)
    assert decode_fact(encode_fact(back)) == back
    whole = batch(5, fact, gift("bob", 2**53 - 1))
    assert decode_batch(encode_batch(whole)) == whole
    wallets = [WalletChange("ann", 9, 2**53 - 1)]
    assert decode_wallets(encode_wallets(wallets)) == wallets


def test_batch_after_a_seq() -> None:
    """The part after a seq begins right behind it; nothing is left after the last."""
    whole = batch(5, gift(record=1), gift(record=2), gift(record=3))
    assert whole.after(4) is whole
    assert whole.after(5) == batch(6, gift(record=2), gift(record=3))
    assert whole.after(6) == batch(7, gift(record=3))
    assert whole.after(7) is None


def test_complete_event_of_a_gift() -> None:
    """A gift is shown whole, with its id."""
    [event] = complete_events(batch(5, gift("ann", 6, count=2, record=9, combo=(4, 3, 8, START), message="hi")))
    assert isinstance(event, GiftEvent)
    assert (event.seq, event.sender, event.to, event.gift) == (5, Sender("ann", "Ann", 3), "cora", "rose")
    assert (event.price_coins, event.count, event.coins, event.at_ms) == (3, 2, 6, 1_009)
    assert event.combo == Combo(str(uuid.UUID(int=4)), 3, 8, "start")
    assert (event.id, event.message, event.merged, event.test) == (str(uuid.UUID(int=9)), "hi", UNSET, UNSET)


def test_complete_event_of_an_end() -> None:
    """The end of a combo moves no value, has no id and says the totals."""
    last = gift("ann", 6, record=9, combo=(4, 3, 8, UPDATE), message="hi")
    [event] = complete_events(batch(6, end_of(last, 7_000)))
    assert isinstance(event, GiftEvent)
    assert (event.count, event.coins, event.at_ms, event.id, event.message) == (0, 0, 7_000, UNSET, UNSET)
    assert event.combo == Combo(str(uuid.UUID(int=4)), 3, 8, "end")
    assert (event.sender, event.price_coins) == (Sender("ann", "Ann", 3), 6)


def test_fact_of_an_older_version() -> None:
    """What stands in histories since before gifts could be undone is read as such a gift."""
    fact = gift("ann", message="hi")
    fields = msgspec.msgpack.decode(encode_fact(fact))
    assert decode_fact(msgspec.msgpack.encode(fields[:16])) == fact


def test_complete_event_of_a_gift_that_can_be_undone() -> None:
    """It says until when."""
    [event] = complete_events(batch(5, gift(record=9, undo_until_ms=7_000)))
    assert isinstance(event, GiftEvent)
    assert (event.id, event.undo_until_ms) == (str(uuid.UUID(int=9)), 7_000)
    [other] = complete_events(batch(5, gift()))
    assert isinstance(other, GiftEvent) and other.undo_until_ms is UNSET


def test_complete_event_of_what_was_undone() -> None:
    """It names the gift and says all that was told of it, at the time when it was taken back."""
    fact = gift("ann", 6, count=2, record=9, undo_until_ms=7_000)
    [event] = complete_events(batch(6, undone(fact, 12)))
    assert event == UndoneEvent(6, str(uuid.UUID(int=9)), Sender("ann", "Ann", 3), "cora", "rose", 3, 2, 6, 1_012)
    [hidden] = complete_events(batch(6, undone(gift("ann", anonymous=True), 12)))
    assert hidden.sender is None


def test_end_of_a_gift_outside_any_combo() -> None:
    """Such a gift ends nothing."""
    with pytest.raises(ValueError, match="outside any combo"):
        end_of(gift(), 7_000)


def test_complete_event_hides_the_anonymous() -> None:
    """The sender of an anonymous gift is null, also in the end of its combo."""
    fact = gift("ann", anonymous=True, combo=(4, 1, 1, START))
    events = complete_events(batch(1, fact, end_of(fact, 7_000)))
    assert [event.sender for event in events] == [None, None]


def test_text_of_id_is_the_uuid() -> None:
    """The quick way gives what the standard library gives."""
    some = uuid.uuid4()
    assert text_of_id(some.bytes) == str(some)


@pytest.mark.parametrize(("place", "room"), [("room:demo", "demo"), ("video:demo", None), ("room:a:b", "a:b")])
def test_room_of_a_place(place: str, room: str | None) -> None:
    """Only a room's place is a room."""
    assert room_of(place) == room
