"""Looks at the stored rooms and says whether I5 and I8 hold: every paid gift stands in its room's history exactly once,
and every combo ends once.

What was paid comes from outside, since only the ledger may read it. A history is bounded, so a gift is looked for only
as far back as the history reaches. It may run beside a working system: the order in which it reads makes that right.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Final

from msgspec import Struct
from redis.asyncio import Redis

from gateway.room.config import RoomConfig
from gateway.room.facts import GiftFact, text_of_id
from gateway.rooms.history_walk import HistoryOvertaken, HistoryWalk, Place, read_history, read_mark, told_gift
from gateway.rooms.room_keys import EVERY_META, room_of_meta

VIOLATIONS_MAX: Final = 100
"""So many violations of one invariant are named; the others are only counted."""
TITLES: Final = {
    "I5": "Every accepted gift appears in its room's history exactly once",
    "I8": "Every combo that starts ends, with one end event",
}


class PaidGift(Struct, frozen=True):
    """A gift in a room, or the taking back of one (`undone`), as the ledger holds it."""

    partition: int
    record: int
    id: bytes
    sender: str
    count: int
    coins: int
    undone: bool = False


Shown = dict[Place, tuple[bytes, str, int, int, bool]]
"""By journal record, what was told of a gift."""
PaidGifts = Callable[[str, Mapping[int, int]], AsyncIterator[PaidGift]]
"""Every gift paid in a room and every one taken back, of each partition at least from the given record on (0 for a
partition not given)."""


class RoomCheck(Struct):
    """What was found about one invariant: how much was looked at, and what contradicts it."""

    id: str
    title: str
    checked: int = 0
    found: int = 0
    violations: list[str] = []

    @property
    def ok(self) -> bool:
        """Whether nothing contradicts it."""
        return self.found == 0

    def violate(self, words: str) -> None:
        """Count a violation, and name it while there are few."""
        self.found += 1
        if len(self.violations) < VIOLATIONS_MAX:
            self.violations.append(words)


async def audit_rooms(
    redis: Redis,
    config: RoomConfig,
    paid: PaidGifts,
    relayed: Mapping[int, int],
    now_ms: int,
    rooms: Iterable[str] = (),
) -> list[RoomCheck]:
    """Check every stored room.

    Args:
        paid: asked once for each room, after its history was read.
        relayed: the last record of each partition that the rooms were told, read before this is called.
        now_ms: the server's time before this is called.
        rooms: rooms to check besides those that are stored.

    Raises:
        redis.RedisError, OSError: the server did not answer.
    """
    checks = {name: RoomCheck(name, title) for name, title in TITLES.items()}
    names = set(rooms)
    async for key in redis.scan_iter(match=EVERY_META, count=1000):
        names.add(room_of_meta(key))
    for room in sorted(names):
        walk, shown = await _walk(redis, room, config, now_ms - config.combo_late_ms_max)
        for invariant, words in walk.found:
            checks[invariant].violate(words)
        checks["I5"].checked += walk.gifts
        checks["I8"].checked += walk.combos
        await _check_paid(room, walk.reach(), shown, paid, relayed, checks["I5"])
    return list(checks.values())


async def _walk(redis: Redis, room: str, config: RoomConfig, late_ms: int) -> tuple[HistoryWalk, Shown]:
    """Walk through a history; what it told, by record."""
    while True:
        walk, shown = HistoryWalk(room), Shown()
        before = await read_mark(redis, room)
        try:
            async for facts in read_history(redis, room, config.history_page_entries):
                walk.add(facts)
                shown |= {(fact.partition, fact.record): content_of(fact) for _, fact in facts if told_gift(fact)}
        except HistoryOvertaken:
            continue
        walk.finish(before, await read_mark(redis, room), late_ms)
        return walk, shown


def content_of(fact: GiftFact) -> tuple[bytes, str, int, int, bool]:
    """What of a gift must be as it was paid."""
    return fact.id, fact.sender, fact.count, fact.coins, fact.undone


async def _check_paid(
    room: str,
    reach: Mapping[int, int],
    shown: Shown,
    paid: PaidGifts,
    relayed: Mapping[int, int],
    once: RoomCheck,
) -> None:
    """What was paid and relayed is there, and what is there was paid."""
    async for gift in paid(room, reach):
        found = shown.pop((gift.partition, gift.record), None)
        if found is None:
            if reach.get(gift.partition, 0) <= gift.record <= relayed.get(gift.partition, 0):
                once.violate(missing(room, gift.id, gift.sender, (gift.partition, gift.record), undone=gift.undone))
        elif found != (gift.id, gift.sender, gift.count, gift.coins, gift.undone):
            once.violate(altered(room, gift.id, gift.sender))
    for place, (gift_id, sender, *_) in shown.items():
        once.violate(unpaid(room, gift_id, sender, place))


def missing(room: str, gift_id: bytes, sender: str, place: Place, *, undone: bool = False) -> str:
    """How a gift is named that was paid, or taken back, and not told."""
    what = "the undoing of" if undone else "gift"
    return f"room {room}: {what} {text_of_id(gift_id)} of {sender} ({place[0]}/{place[1]}) is not in the history"


def altered(room: str, gift_id: bytes, sender: str) -> str:
    """How a gift is named that was told as another."""
    return f"room {room}: gift {text_of_id(gift_id)} of {sender} was told with other content"


def unpaid(room: str, gift_id: bytes, sender: str, place: Place) -> str:
    """How a gift is named that was told and not paid."""
    return f"room {room}: {text_of_id(gift_id)} of {sender} ({place[0]}/{place[1]}) was told and never paid"
