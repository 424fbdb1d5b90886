"""Follows the books and sees of every gift, soon after it was paid, that its room was told it: I5, all the time.

A gift is looked for from the end of its room's history backwards, so it costs about what has happened there since. How
far that is, is noted beside the rooms: the next worker goes on there, also with what was paid while there was none.
Who asks in which order makes it right beside a running system: first how far the rooms were told, then what was paid,
then what stands in the histories.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import structlog
from msgspec import Struct
from redis.asyncio import Redis

from gateway.audits.room_audit import altered, content_of, missing
from gateway.room.config import RoomConfig
from gateway.room.facts import decode_batch, room_of
from gateway.rooms.history_walk import Place, reach_of, read_mark, told_gift
from gateway.rooms.room_keys import LOOKED_AT, keys_of
from ledger.audits.pacing import Pacer
from ledger.live.journal import Position
from ledger.mending.gifts_in_order import GiftInOrder, GiftsInOrder
from ledger.model import Partition

NAMED_MAX: Final = 20
"""So many violations are logged; the others are only counted."""
BACK_RECORDS: Final = 10_000
"""Where nothing was noted yet it begins so many records of each partition before the last."""
BEHIND_RECORDS_MAX: Final = 1_000_000
"""If more wait, all partitions together, it passes over to the newest: long before that, histories have lost theirs."""
_ENTRIES_FIRST: Final = 4
_ROOMS_AT_ONCE: Final = 50
_REACHES_MAX: Final = 1_000
_log = structlog.get_logger()

RelayPositions = Callable[[], Awaitable[Mapping[Partition, Position]]]


class RollingToldStats(Struct):
    """What the duty did since the start.

    Attributes:
        gifts: looked for in the history of their room.
        out_of_reach: those that were paid so long ago that the history may have lost them.
        passed_over: records that were not looked at, since too many waited.
        behind: records that wait to be looked at.
        violations_I5: gifts that were not told, or told as others. What is missing stays so: counted until the end.
    """

    gifts: int = 0
    out_of_reach: int = 0
    passed_over: int = 0
    behind: int = 0
    slices: int = 0
    busy_ms: int = 0
    violations_I5: int = 0  # noqa: N815 - the invariant's own number


class _Search:
    """A walk through the history of a room, from its end backwards, until every wanted gift was met.

    Attributes:
        first_seq, first: the oldest fact that was met, and the oldest record of each partition.
        end, count: which entries are next.
        at_start: there are no more.
    """

    def __init__(self, room: str, wanted: dict[Place, GiftInOrder]) -> None:
        self.room = room
        self.wanted = wanted
        self.first_seq = 0
        self.first: dict[int, int] = {}
        self.end = "+"
        self.count = _ENTRIES_FIRST
        self.at_start = False

    def take(self, page: Sequence[tuple[bytes, Mapping[bytes, bytes]]], entries_max: int) -> list[GiftInOrder]:
        """Look at the next entries; the gifts that were met with another content than they were paid with."""
        found = []
        for stream_id, fields in page:
            self.end = f"({stream_id.decode()}"
            batch = decode_batch(fields[b"b"])
            self.first_seq = batch.first_seq
            for fact in reversed(batch.facts):
                if told_gift(fact):
                    self.first[fact.partition] = fact.record
                    gift = self.wanted.pop((fact.partition, fact.record), None)
                    if gift is not None and content_of(fact) != gift[3:]:
                        found.append(gift)
        self.at_start = len(page) < self.count
        self.count = min(2 * self.count, entries_max)
        return found


class RollingTold:
    """One task; `run` is the worker's duty.

    Args:
        redis: may be shared, it never blocks.
        relayed: how far the rooms were told of each partition.
    """

    def __init__(self, gifts: GiftsInOrder, redis: Redis, relayed: RelayPositions, config: RoomConfig) -> None:
        self.stats = RollingToldStats()
        self._gifts = gifts
        self._redis = redis
        self._relayed = relayed
        self._config = config
        self._pacer = Pacer(max(1, config.audit_share_permille) / 1_000)
        self._reaches: dict[str, Mapping[int, int]] = {}

    async def run(self) -> None:
        """Follow until cancelled.

        Raises:
            LedgerUnavailable, redis.RedisError, OSError: a server does not answer; begin again after a while.
        """
        while True:
            if not (self._config.audit_share_permille and await self.step()):
                await asyncio.sleep(self._config.audit_pause_ms / 1_000)

    async def step(self) -> bool:
        """Look at the next records of every partition; false when there are none.

        Raises:
            LedgerUnavailable, redis.RedisError, OSError: a server does not answer.
        """
        async with self._pacer.slice():
            told = {partition: position.seq for partition, position in (await self._relayed()).items()}
            booked = await self._gifts.positions()
            ends = {partition: min(seq, told.get(partition, 0)) for partition, seq in booked.items()}
            spans = self._spans(await self._noted(ends), ends)
            if not spans:
                return False
            by_room: defaultdict[str, dict[Place, GiftInOrder]] = defaultdict(dict)
            for gift in await self._gifts.between(spans):
                room = room_of(gift.place)
                if room is not None:
                    by_room[room][gift.partition, gift.seq] = gift
        await self._look([_Search(room, wanted) for room, wanted in by_room.items()])
        await self._note({partition: until for partition, (_, until) in spans.items()})
        return True

    def _spans(self, after: Mapping[Partition, int], ends: Mapping[Partition, int]) -> dict[Partition, tuple[int, int]]:
        """Which records are next, of each partition: those after the first number, up to the second."""
        waiting = {partition: end - after[partition] for partition, end in ends.items() if end > after[partition]}
        each = max(1, self._config.audit_records // max(1, len(waiting)))
        self.stats.behind = sum(waiting.values())
        spans = {partition: (after[partition], after[partition] + min(n, each)) for partition, n in waiting.items()}
        if self.stats.behind > BEHIND_RECORDS_MAX:
            spans = {
                partition: (max(after[partition], ends[partition] - each), ends[partition]) for partition in waiting
            }
            passed_over = sum(spans[partition][0] - after[partition] for partition in spans)
            self.stats.passed_over += passed_over
            _log.warning("gifts_not_looked_for", records=passed_over, error="too many wait for the audit")
        return spans

    async def _noted(self, ends: Mapping[Partition, int]) -> dict[Partition, int]:
        """Up to which record of each partition everything was looked at."""
        key: Any = LOOKED_AT
        noted: Any = await self._redis.hgetall(key)
        return {
            partition: min(end, int(noted.get(b"%d" % partition, max(0, end - BACK_RECORDS))))
            for partition, end in ends.items()
        }

    async def _note(self, untils: Mapping[Partition, int]) -> None:
        key: Any = LOOKED_AT
        await self._redis.hset(key, mapping={str(partition): str(seq) for partition, seq in untils.items()})

    async def _look(self, searches: list[_Search]) -> None:
        """Look for gifts in the histories of their rooms, many rooms in a round trip."""
        for search in searches:
            self.stats.gifts += len(search.wanted)
            self._leave_out(search.wanted, self._reaches.get(search.room, {}))
        pending = [search for search in searches if search.wanted]
        while pending:
            some, pending = pending[:_ROOMS_AT_ONCE], pending[_ROOMS_AT_ONCE:]
            async with self._pacer.slice():
                pipeline = self._redis.pipeline(transaction=False)
                for search in some:
                    pipeline.xrevrange(keys_of(search.room).history, max=search.end, count=search.count)
                for search, page in zip(some, await pipeline.execute(), strict=True):
                    for gift in search.take(page, self._config.history_page_entries):
                        self._violate(altered(search.room, gift.id, gift.viewer))
                for search in some:
                    if search.wanted and search.at_start:
                        await self._judge(search)
            pending += [search for search in some if search.wanted and not search.at_start]
            self.stats.slices, self.stats.busy_ms = self._pacer.slices, round(self._pacer.busy_s * 1_000)

    async def _judge(self, search: _Search) -> None:
        """What was not found in a whole history is missing, or older than it reaches."""
        reach = reach_of(search.first_seq, search.first, (await read_mark(self._redis, search.room)).told)
        self._remember(search.room, reach)
        self._leave_out(search.wanted, reach)
        for place, gift in search.wanted.items():
            self._violate(missing(search.room, gift.id, gift.viewer, place, undone=gift.undone))

    def _leave_out(self, wanted: dict[Place, GiftInOrder], reach: Mapping[int, int]) -> None:
        """Drop what the history may have lost by now."""
        lost = [place for place in wanted if place[1] < reach.get(place[0], 0)]
        for place in lost:
            del wanted[place]
        self.stats.out_of_reach += len(lost)

    def _remember(self, room: str, reach: Mapping[int, int]) -> None:
        """It only rises: older gifts need not be looked for in vain."""
        self._reaches.pop(room, None)
        self._reaches[room] = reach
        if len(self._reaches) > _REACHES_MAX:
            del self._reaches[next(iter(self._reaches))]

    def _violate(self, words: str) -> None:
        self.stats.violations_I5 += 1
        if self.stats.violations_I5 <= NAMED_MAX:
            _log.critical("audit_violation", invariant="I5", error=words)
