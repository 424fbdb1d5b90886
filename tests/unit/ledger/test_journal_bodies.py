"""Bodies of journal records: what the scripts copy, what the script of reversals puts at the end, and old ones."""

import struct

import pytest

from ledger.errors import InvariantBroken
from ledger.live.journal import (
    decode_entry,
    encode_body,
    encode_reversal,
    gift_body,
    held_body,
    paid_body,
    settled_body,
    undone_body,
)
from ledger.model import Cause, CreditBody, GiftFields, Partition, RefundKind, ReversalBody, ViewerId
from tests.integration.ledger.orders import gift_order

REVERSAL = ReversalBody(b"r" * 16, ViewerId("ann"), b"p" * 16, 70, RefundKind.CHARGEBACK, 40)
CREDIT = CreditBody(b"c" * 16, ViewerId("ann"), 100, Cause.PURCHASE, "p")
_AFTER = struct.Struct(">ddd16s")


def _entry(*afters: int, bodies: bytes) -> dict[bytes, bytes]:
    packed = b"".join(_AFTER.pack(wallet, 0, 0, bytes(16)) for wallet in afters)
    return {b"t": b"5", b"d": packed, b"r": bytes((0x90 + len(afters),)) + bodies}


@pytest.mark.parametrize(("taken", "packed"), [(40, b"\x28"), (0, b"\x00"), (300, b"\xcd\x01\x2c")])
def test_reversal_is_read_with_what_was_taken(taken: int, packed: bytes) -> None:
    """The body without its last value, and then that value as the script packs it."""
    body = ReversalBody(REVERSAL.id, REVERSAL.viewer, REVERSAL.purchase, 700, REVERSAL.cause, taken)
    (record,) = decode_entry(Partition(0), b"1-9", _entry(-20, bodies=encode_reversal(body) + packed))
    assert (record.body, record.seq, record.wallet_after, record.combo) == (body, 9, -20, None)


def test_bodies_of_all_kinds_in_one_entry() -> None:
    """Records from before there were reversals are read as ever, also beside one."""
    bodies = encode_body(CREDIT) + encode_body(REVERSAL)
    first, second = decode_entry(Partition(0), b"1-2", _entry(100, 60, bodies=bodies))
    assert (first.body, second.body) == (CREDIT, REVERSAL)


def test_gift_that_may_be_undone_is_held_settled_or_undone() -> None:
    """The scripts put other heads before the body of the gift and, where it is held, the time behind it."""
    gift = gift_body(gift_order("ann", 7_000, creator="cora"))
    plain = encode_body(gift)
    assert plain[:5] == b"\xdc\x00\x12\xa1g"
    heads = (b"\xdc\x00\x13\xa1d", b"\xdc\x00\x12\xa1s", b"\xdc\x00\x12\xa1u")
    bodies = b"".join(head + plain[5:] + tail for head, tail in zip(heads, (b"\xcd\x27\x10", b"", b""), strict=True))
    records = decode_entry(Partition(0), b"1-3", _entry(1, 1, 8_001, bodies=bodies))
    assert [record.body for record in records] == [held_body(gift, 10_000), settled_body(gift), undone_body(gift)]
    assert all(paid_body(body) == gift for body in (held_body(gift, 5), settled_body(gift), undone_body(gift)))
    for record in records:
        assert isinstance(record.body, GiftFields)
        assert (record.body.viewer, record.body.creator, record.body.coins) == ("ann", "cora", 7_000)


def test_reversal_without_its_last_value() -> None:
    """An entry that the script did not finish is no record."""
    with pytest.raises(InvariantBroken, match="I4"):
        decode_entry(Partition(0), b"1-1", _entry(0, bodies=encode_reversal(REVERSAL)))
