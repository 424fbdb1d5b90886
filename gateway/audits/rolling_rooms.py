"""Walks through the rooms round after round, at a small bounded cost: whether each history says of itself that it is
whole and tells each gift once (I5), that what it tells was paid, and that each combo ends once (I8).

That every gift paid was told is seen by `rolling_told`, as it is paid. What was lost from a history later leaves a hole
here, and the books say which gifts it had.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

import structlog
from msgspec import Struct
from redis.asyncio import Redis

from gateway.audits.room_audit import altered, content_of, missing, unpaid
from gateway.room.config import RoomConfig
from gateway.room.facts import GiftFact, room_of
from gateway.rooms.history_walk import HistoryOvertaken, HistoryWalk, Place, read_history, read_mark, told_gift
from gateway.rooms.room_keys import EVERY_META, room_of_meta
from ledger.audits.pacing import Pacer
from ledger.mending.gifts_in_order import GiftsInOrder
from ledger.model import Partition

NAMED_MAX: Final = 20
"""So many violations of an invariant are logged in a round; the others are only counted."""
HISTORY_ENTRIES: Final = 8
HISTORY_FACTS: Final = 500
"""So many facts of a history, or up to twice as many, are looked at in one go: the relay shares this loop."""
LOST_RECORDS_MAX: Final = 10_000
"""So many records are looked through for the gifts that a hole in a history had."""
_KEYS_SCANNED: Final = 1_000
_log = structlog.get_logger()


class RollingRoomsStats(Struct):
    """What the duty did since the start.

    Attributes:
        rounds: whole rounds.
        since_ms: when the last whole round ended; the start while there was none.
        rooms, gifts, combos: that were looked at.
        overtaken: rooms that went on too fast to be read; they are looked at in the next round.
        violations_I5, violations_I8: contradictions in the last whole round, or in the present one if there are more.
    """

    rounds: int = 0
    since_ms: int = 0
    rooms: int = 0
    gifts: int = 0
    combos: int = 0
    overtaken: int = 0
    slices: int = 0
    busy_ms: int = 0
    violations_I5: int = 0  # noqa: N815 - the invariants' own numbers
    violations_I8: int = 0  # noqa: N815


class RollingRooms:
    """One task; `run` is the worker's duty.

    Args:
        redis: may be shared, it never blocks.
    """

    def __init__(self, gifts: GiftsInOrder, redis: Redis, config: RoomConfig) -> None:
        self.stats = RollingRoomsStats(since_ms=_now_ms())
        self._gifts = gifts
        self._redis = redis
        self._config = config
        # Half of what following the gifts may take: nothing waits for the end of a round.
        self._pacer = Pacer(max(1, config.audit_share_permille) / 2_000)
        self._last: Counter[str] = Counter()
        self._present: Counter[str] = Counter()

    async def run(self) -> None:
        """Round after round until cancelled.

        Raises:
            LedgerUnavailable, redis.RedisError, OSError: a server does not answer; begin again after a while.
        """
        while True:
            if self._config.audit_share_permille:
                await self.round()
            await asyncio.sleep(self._config.audit_pause_ms / 1_000)

    async def round(self) -> dict[str, int]:
        """Look at every stored room once; how many contradictions of each invariant there were.

        Raises:
            LedgerUnavailable, redis.RedisError, OSError: a server does not answer.
        """
        self._present = Counter()
        async for rooms in self._stored_rooms():
            for room in rooms:
                await self._look(room)
                self.stats.rooms += 1
        self._last = self._present
        self.stats.rounds += 1
        self.stats.since_ms = _now_ms()
        self._tell()
        return dict(self._last)

    async def _stored_rooms(self) -> AsyncIterator[list[str]]:
        cursor, begun = 0, False
        while cursor or not begun:
            begun = True
            keys: Any
            async with self._pacer.slice():
                cursor, keys = await self._redis.scan(cursor, match=EVERY_META, count=_KEYS_SCANNED)
            yield [room_of_meta(key) for key in keys]

    async def _look(self, room: str) -> None:
        async with self._pacer.slice():
            booked = await self._gifts.positions()
            seconds, micros = await self._redis.time()
            late_ms = seconds * 1_000 + micros // 1_000 - self._config.combo_late_ms_max
            before = await read_mark(self._redis, room)
        walk, shown = HistoryWalk(room), set[Place]()
        # Without a rest in between: a busy room would pass by meanwhile. Other tasks have their turn at each page.
        async with self._pacer.slice(bounded=False):
            try:
                async for facts in read_history(self._redis, room, HISTORY_ENTRIES, HISTORY_FACTS):
                    walk.add(facts)
                    told = [fact for _, fact in facts if told_gift(fact)]
                    shown.update((fact.partition, fact.record) for fact in told)
                    await self._check_paid(room, told, booked)
            except HistoryOvertaken:
                self.stats.overtaken += 1
                return
            walk.finish(before, await read_mark(self._redis, room), late_ms)
            for invariant, words in walk.found:
                self._violate(invariant, words)
            await self._name_lost(room, walk.lost(), shown)
        self.stats.gifts += walk.gifts
        self.stats.combos += walk.combos
        self.stats.slices, self.stats.busy_ms = self._pacer.slices, round(self._pacer.busy_s * 1_000)

    async def _check_paid(self, room: str, told: Sequence[GiftFact], booked: Mapping[Partition, int]) -> None:
        """What was told was paid, as far as the books can know it."""
        known = [fact for fact in told if fact.record <= booked.get(Partition(fact.partition), 0)]
        paid = await self._gifts.of_records([(fact.partition, fact.record) for fact in known])
        for fact in known:
            place = (fact.partition, fact.record)
            gift = paid.get(place)
            if gift is None or room_of(gift.place) != room:
                self._violate("I5", unpaid(room, fact.id, fact.sender, place))
            elif gift[3:] != content_of(fact):
                self._violate("I5", altered(room, fact.id, fact.sender))

    async def _name_lost(self, room: str, lost: Mapping[int, tuple[int, int]], shown: set[Place]) -> None:
        """Name the gifts that a hole in the history had; the hole itself has been counted."""
        spans = {
            Partition(partition): (after, min(before - 1, after + LOST_RECORDS_MAX // len(lost)))
            for partition, (after, before) in lost.items()
        }
        for gift in await self._gifts.between(spans) if spans else []:
            place = (gift.partition, gift.seq)
            if room_of(gift.place) == room and place not in shown:
                self._violate("I5", missing(room, gift.id, gift.viewer, place, undone=gift.undone))

    def _violate(self, invariant: str, words: str) -> None:
        self._present[invariant] += 1
        if self._present[invariant] <= NAMED_MAX:
            _log.critical("audit_violation", invariant=invariant, error=words)
        self._tell()

    def _tell(self) -> None:
        self.stats.violations_I5 = max(self._last["I5"], self._present["I5"])
        self.stats.violations_I8 = max(self._last["I8"], self._present["I8"])


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
