"""Reads the open holds of one partition for the audits, and the gifts that may be undone: all of them at one moment,
and whether they fit each other.

There are at most `partition_holds_max` of each, so one read of everything is short, and nothing has to be carried.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec import Struct
from redis.asyncio import Redis

from ledger.errors import InvariantBroken
from ledger.ids import format_id
from ledger.live.hold_call import read_open_hold
from ledger.live.keys import PartitionKeys, Total
from ledger.live.undo_call import read_open_gift


class LiveHolds(Struct, frozen=True):
    """The open holds and gifts of a partition at record `seq`.

    Attributes:
        coins: of each, by `hold_name` and `gift_name`.
        loose: what does not fit: a hold without its deadline, counts or a total that are not those of the holds.
    """

    seq: int
    coins: dict[str, int]
    loose: list[str]


def hold_name(hold_id: bytes, viewer: str) -> str:
    """A hold in words, and which one it is."""
    return f"hold {format_id(hold_id)} of {viewer}"


def gift_name(gift_id: bytes, viewer: str) -> str:
    """A gift that may be undone in words, and which one it is."""
    return f"open gift {format_id(gift_id)} of {viewer}"


async def read_holds(redis: Redis, keys: PartitionKeys) -> LiveHolds:
    """The open holds as they are now.

    Raises:
        redis.RedisError, OSError: the server did not answer.
    """
    pipeline: Any = redis.pipeline(transaction=True)
    for held, deadlines, counts in (
        (keys.holds, keys.hold_deadlines, keys.hold_counts),
        (keys.open_gifts, keys.undo_deadlines, keys.undo_counts),
    ):
        pipeline.hgetall(held)
        pipeline.zrange(deadlines, 0, -1, withscores=True)
        pipeline.hgetall(counts)
    pipeline.hmget(keys.totals, [Total.SEQ, Total.HELD, Total.HELD_GIFTS])
    *found, (seq, held_coins, gift_coins) = await pipeline.execute()
    loose: list[str] = []
    holds, gifts = _open(found[0], _hold, loose), _open(found[3], _gift, loose)
    for what, open_, (deadlines_, counts_) in (("holds", holds, found[1:3]), ("gifts", gifts, found[4:6])):
        loose += _deadlines(what, open_, dict(deadlines_)) + _counts(what, open_, counts_)
    coins = {one.name: one.coins for one in (*holds.values(), *gifts.values())}
    of_gifts = sum(one.coins for one in gifts.values())
    if of_gifts != int(gift_coins or 0):
        loose.append(f"open gifts are of {of_gifts} coins, held for gifts is {int(gift_coins or 0)}")
    if sum(coins.values()) != int(held_coins or 0):
        loose.append(f"open holds are of {sum(coins.values())} coins, held is {int(held_coins or 0)}")
    return LiveHolds(int(seq or 0), coins, loose)


class _Open(NamedTuple):
    name: str
    viewer: str
    coins: int
    until_ms: int


def _hold(field: bytes, value: bytes) -> _Open:
    hold = read_open_hold(field, value)
    return _Open(hold_name(hold.id, hold.viewer), hold.viewer, hold.coins, hold.expires_ms)


def _gift(field: bytes, value: bytes) -> _Open:
    gift = read_open_gift(field, value)
    return _Open(gift_name(gift.body.id, gift.body.viewer), gift.body.viewer, gift.body.coins, gift.until_ms)


def _open(stored: dict[bytes, bytes], read: Callable[[bytes, bytes], _Open], damaged: list[str]) -> dict[bytes, _Open]:
    found = {}
    for field, value in stored.items():
        try:
            found[field] = read(field, value)
        except InvariantBroken as exc:
            damaged.append(str(exc))
    return found


def _deadlines(what: str, open_: dict[bytes, _Open], deadlines: dict[bytes, float]) -> list[str]:
    loose = [
        f"{one.name} expires at {one.until_ms}, its deadline is {deadlines.get(field)}"
        for field, one in open_.items()
        if deadlines.get(field) != one.until_ms
    ]
    strays = deadlines.keys() - open_.keys()
    return loose + [f"there is a deadline of {field!r}, and no such {what.removesuffix('s')}" for field in strays]


def _counts(what: str, open_: dict[bytes, _Open], counts: dict[bytes, bytes]) -> list[str]:
    counted = {viewer.decode(errors="backslashreplace"): int(count) for viewer, count in counts.items()}
    of_viewers = Counter(one.viewer for one in open_.values())
    return [
        f"{viewer} has {of_viewers[viewer]} open {what}, {counted.get(viewer, 0)} are counted"
        for viewer in sorted(counted.keys() | of_viewers.keys())
        if counted.get(viewer, 0) != of_viewers[viewer]
    ]
