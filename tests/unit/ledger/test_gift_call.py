"""The answer of the money script is read as it was meant, or not at all."""

import ast
import re
import struct

import msgspec
import pytest

from ledger.errors import InvariantBroken
from ledger.live.gift_call import PreparedGift, _columns, _single, read_answer
from ledger.model import (
    CapPassed,
    ComboTotals,
    CreatorId,
    GiftAccepted,
    GiftOrder,
    GiftRefused,
    Limit,
    Partition,
    Refusal,
    ViewerId,
)

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
    (outcomes,) = read_answer([gifts(5)], [[3, 1_000, 8, 4, packed, [2, 2, 95, 0, 0, 4, 1, 90, 5, 0]]])
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
    [[1, 1, 1, 2, after(1), []], [1, 1, 3, 3, after(1) * 3, []], [1, 1, 1, 1, after(1), [1, 2, 0, 0, 0]]],
    ids=["one too few", "more than were told", "one too many"],
)
def test_answer_that_does_not_fit_its_gifts_is_refused(reply: list[object]) -> None:
    """An outcome given to the wrong gift would be a lie about money."""
    with pytest.raises(InvariantBroken):
        read_answer([gifts(2)], [reply])


GUARDS = """
# status first second   | refusal         limit        coins spent resets_at_ms  retry reason
  8      0     b"Ask us" | frozen          -            -     -     -             -     Ask us
  9      0     0         | own_gift        -            -     -     -             -     -
  10     0     0         | barred          -            -     -     -             -     -
  11     50    0         | limit_exceeded  gift         50    0     -             -     -
  12     60    8         | limit_exceeded  day          60    8     1795564800000 -     -
  13     70    9         | limit_exceeded  week         70    9     1795996800000 -     -
  14     80    10        | limit_exceeded  month        80    10    1796083200000 -     -
  15     0     0         | limit_exceeded  creator_day  0     0     1795564800000 -     -
  16     250   0         | rate_limited    -            -     -     -             250   -
"""


@pytest.mark.parametrize("line", GUARDS.strip().splitlines()[1:])
def test_answer_of_the_guards(line: str) -> None:
    """Each status is the refusal of its line, with what it tells; 1,795,478,400,000 is Tuesday, 24 November 2026."""
    left, right = line.split("|")
    status, first, second = (ast.literal_eval(part) for part in re.findall(r'b"[^"]*"|\S+', left))
    refusal, limit, coins, spent, resets, retry, reason = re.split(r"\s+", right.strip(), maxsplit=6)
    (outcomes,) = read_answer([gifts(1)], [[1, 1_795_478_400_000, 8, 1, b"", [1, status, 95, first, second]]])
    assert outcomes == [
        GiftRefused(
            Refusal(refusal),
            95,
            cap=None if limit == "-" else CapPassed(Limit(limit), int(coins), int(spent), number(resets)),
            retry_after_ms=number(retry),
            reason="" if reason == "-" else reason,
        )
    ]


def number(text: str) -> int | None:
    """A number of the table."""
    return None if text == "-" else int(text)


@pytest.mark.parametrize("undo_ms", [0, 10_000])
@pytest.mark.parametrize("day_max", [None, 0, 70])
@pytest.mark.parametrize(("barred", "viewer"), [(False, "ann"), (True, "ann"), (True, "cora")])
@pytest.mark.parametrize("combo_key", ["", "room:demo|rose"])
def test_group_of_one_is_told_as_any_group_is(
    combo_key: str, barred: bool, viewer: str, day_max: int | None, undo_ms: int
) -> None:
    """The short way for a single gift makes the same columns as the long one."""
    order = GiftOrder(
        b"i" * 16,
        9,
        ViewerId(viewer),
        CreatorId("cora"),
        b"",
        "room:demo",
        "rose",
        5,
        3,
        15,
        750,
        750,
        combo_key,
        5_000,
    )
    order = msgspec.structs.replace(order, barred=barred, creator_day_coins_max=day_max, undo_ms=undo_ms)
    gift = PreparedGift(order, Partition(0), 4, b"i" * 16 + b"digest..", b"body")
    assert msgspec.msgpack.encode(_single(gift, 7)) == msgspec.msgpack.encode(_columns([gift], [4], [7], undo_ms > 0))
