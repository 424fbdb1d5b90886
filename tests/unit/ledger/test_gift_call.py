"""The answer of the money script is read as it was meant, or not at all."""

import struct

import msgspec
import pytest

from ledger.errors import InvariantBroken
from ledger.gift_call import PreparedGift, _columns, _single, read_answer
from ledger.model import ComboTotals, CreatorId, GiftAccepted, GiftOrder, GiftRefused, Partition, Refusal, ViewerId

COMBO = b"c" * 16


def gifts(count: int) -> list[PreparedGift]:
    """Gifts of 5 coins each."""
    order = GiftOrder(bytes(16), 0, ViewerId("ann"), CreatorId("cora"), b"", "room:demo", "rose", 5, 1, 5, 250, 250)
    return [PreparedGift(order, Partition(0), 0, bytes(24), b"") for _ in range(count)]


def after(wallet: int, count: int = 0, coins: int = 0, combo_id: bytes = bytes(16)) -> bytes:
    """One accepted gift, as the script packs it."""
    return struct.pack(">ddd16s", wallet, count, coins, combo_id)


def test_answer_with_every_kind_of_outcome() -> None:
    """Accepted ones carry the seqs up to the last; the others stand at their places; the rest was not judged."""
    packed = after(95) + after(90, 2, 10, COMBO)
    (outcomes,) = read_answer([gifts(5)], [[3, 1_000, 8, 4, packed, [2, 2, 95, 0, 4, 1, 90, 5]]])
    assert outcomes == [
        GiftAccepted(5, 95, 3, 7, 1_000, None, replay=False),
        GiftRefused(Refusal.INSUFFICIENT_COINS, 95),
        GiftAccepted(5, 90, 3, 8, 1_000, ComboTotals(COMBO, 2, 10), replay=False),
        GiftAccepted(5, 90, 0, 0, 0, None, replay=True),
    ]


def test_group_that_was_not_begun_has_no_outcome() -> None:
    """The script's time was up before it."""
    assert read_answer([gifts(2)], [[0, 0, 0, 0, b"", []]]) == [[]]


@pytest.mark.parametrize(
    "reply",
    [[1, 1, 1, 2, after(1), []], [1, 1, 3, 3, after(1) * 3, []], [1, 1, 1, 1, after(1), [1, 2, 0, 0]]],
    ids=["one too few", "more than were told", "one too many"],
)
def test_answer_that_does_not_fit_its_gifts_is_refused(reply: list[object]) -> None:
    """An outcome given to the wrong gift would be a lie about money."""
    with pytest.raises(InvariantBroken):
        read_answer([gifts(2)], [reply])


@pytest.mark.parametrize("combo_key", ["", "room:demo|rose"])
def test_group_of_one_is_told_as_any_group_is(combo_key: str) -> None:
    """The short way for a single gift makes the same columns as the long one."""
    order = GiftOrder(
        b"i" * 16, 9, ViewerId("ann"), CreatorId("cora"), b"", "room:demo", "rose", 5, 3, 15, 750, 750, combo_key, 5_000
    )
    gift = PreparedGift(order, Partition(0), 4, b"i" * 16 + b"digest..", b"body")
    assert msgspec.msgpack.encode(_single(gift, 7)) == msgspec.msgpack.encode(_columns([gift], [4], [7]))
