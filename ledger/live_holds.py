"""Reads the open holds of one partition for the audits: all of them at one moment, and whether they fit each other.

There are at most `partition_holds_max`, so one read of everything is short, and nothing has to be carried.
"""

from collections import Counter
from typing import Any

from msgspec import Struct
from redis.asyncio import Redis

from ledger.errors import InvariantBroken
from ledger.hold_call import OpenHold, read_open_hold
from ledger.ids import format_id
from ledger.keys import PartitionKeys, Total


class LiveHolds(Struct, frozen=True):
    """The open holds of a partition at record `seq`.

    Attributes:
        coins: of each, by `hold_name`.
        loose: what does not fit: a hold without its deadline, counts or a total that are not those of the holds.
    """

    seq: int
    coins: dict[str, int]
    loose: list[str]


def hold_name(hold_id: bytes, viewer: str) -> str:
    """A hold in words, and which one it is."""
    return f"{format_id(hold_id)} of {viewer}"


async def read_holds(redis: Redis, keys: PartitionKeys) -> LiveHolds:
    """The open holds as they are now.

    Raises:
        redis.RedisError, OSError: the server did not answer.
    """
    pipeline: Any = redis.pipeline(transaction=True)
    pipeline.hgetall(keys.holds)
    pipeline.zrange(keys.hold_deadlines, 0, -1, withscores=True)
    pipeline.hgetall(keys.hold_counts)
    pipeline.hmget(keys.totals, [Total.SEQ, Total.HELD])
    stored, deadlines, counts, (seq, held) = await pipeline.execute()
    holds, loose = _open(stored)
    loose += _deadlines(holds, dict(deadlines))
    counted = {viewer.decode(errors="backslashreplace"): int(count) for viewer, count in counts.items()}
    of_viewers = Counter(str(hold.viewer) for hold in holds.values())
    for viewer in sorted(counted.keys() | of_viewers.keys()):
        if counted.get(viewer, 0) != of_viewers[viewer]:
            loose.append(f"{viewer} has {of_viewers[viewer]} open holds, {counted.get(viewer, 0)} are counted")
    coins = {hold_name(hold.id, hold.viewer): hold.coins for hold in holds.values()}
    if sum(coins.values()) != int(held or 0):
        loose.append(f"open holds are of {sum(coins.values())} coins, held is {int(held or 0)}")
    return LiveHolds(int(seq or 0), coins, loose)


def _open(stored: dict[bytes, bytes]) -> tuple[dict[bytes, OpenHold], list[str]]:
    holds, damaged = {}, []
    for field, value in stored.items():
        try:
            holds[field] = read_open_hold(field, value)
        except InvariantBroken as exc:
            damaged.append(str(exc))
    return holds, damaged


def _deadlines(holds: dict[bytes, OpenHold], deadlines: dict[bytes, float]) -> list[str]:
    loose = [
        f"hold {hold_name(hold.id, hold.viewer)} expires at {hold.expires_ms}, its deadline is {deadlines.get(field)}"
        for field, hold in holds.items()
        if deadlines.get(field) != hold.expires_ms
    ]
    return loose + [f"there is a deadline of {field!r}, and no such hold" for field in deadlines.keys() - holds.keys()]
