"""Walks through a room's history from its first fact to its last and says what contradicts itself there: seqs with a
hole, a record twice or out of order, a combo without an end or with two. Memory is that of the combos in the history.

The open combos are read before the history and again after it: one that ends meanwhile is in either.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from redis.asyncio import Redis

from gateway.room.facts import GiftFact, RoomBatch, decode_batch, decode_fact, numbered, text_of_id
from gateway.rooms.room_keys import keys_of

Place = tuple[int, int]
"""Of a journal record: partition and number."""
_COMBO_ID_BYTES: Final = 16


class RoomMark(Struct, frozen=True):
    """How far a room is, at one moment.

    Attributes:
        seq: of the last fact told.
        told: the last journal record told of each partition.
        open_ends: by the id of each open combo the end that will be told.
    """

    seq: int
    told: dict[int, int]
    open_ends: dict[bytes, GiftFact]


async def read_mark(redis: Redis, room: str) -> RoomMark:
    """How far a room is now; nothing for a room that was never told anything."""
    keys = keys_of(room)
    pipeline = redis.pipeline(transaction=True)
    pipeline.hgetall(keys.meta)
    pipeline.hvals(keys.combos)
    meta, ends = await pipeline.execute()
    told = {int(field[1:]): int(value) for field, value in meta.items() if field.startswith(b"p")}
    open_ends = {bytes(value[:_COMBO_ID_BYTES]): decode_fact(value[_COMBO_ID_BYTES:]) for value in ends}
    return RoomMark(int(meta.get(b"seq", 0)), told, open_ends)


class HistoryOvertaken(Exception):
    """The room went on so fast that the history lost what was to be read next. Read it anew."""


async def read_history(
    redis: Redis, room: str, page_entries: int, facts_wanted: int = 0
) -> AsyncIterator[list[tuple[int, GiftFact]]]:
    """The facts of a room with their seq, oldest first, in pages.

    Args:
        page_entries: entries of the first page.
        facts_wanted: as long as there are not so many facts in a page, the next has twice as many entries.

    Raises:
        HistoryOvertaken: see there.
    """
    start, count, entries, last_seq = "-", page_entries, page_entries, 0
    while entries == count:
        page = await _page(redis, room, start, count)
        entries = len(page)
        if page:
            facts = numbered(batch for _, batch in page)
            if entries == count and len(facts) < facts_wanted:
                count = entries = 2 * count
            if last_seq and facts[0][0] != last_seq + 1:
                oldest = await _page(redis, room, "-", 1)
                if oldest and oldest[0][1].first_seq > last_seq:
                    raise HistoryOvertaken(room)
            yield facts
            start, last_seq = f"({page[-1][0]}", facts[-1][0]


async def _page(redis: Redis, room: str, start: str, entries: int) -> list[tuple[str, RoomBatch]]:
    page: Any = await redis.xrange(keys_of(room).history, min=start, count=entries)
    return [(stream_id.decode(), decode_batch(fields[b"b"])) for stream_id, fields in page]


class HistoryWalk:
    """One walk: `add` the facts in their order, then `finish`.

    Attributes:
        gifts, combos: how many were looked at.
        found: what contradicts: number of an invariant, and words.
    """

    def __init__(self, room: str) -> None:
        self.gifts = 0
        self.combos = 0
        self.found: list[tuple[str, str]] = []
        self._room = room
        self._first_seq = 0
        self._seq = 0
        self._first: dict[int, int] = {}
        self._last: dict[int, int] = {}
        self._told: dict[int, int] = {}
        self._can_be_undone: set[tuple[str, bytes]] = set()
        self._ended: set[bytes] = set()
        self._combos: dict[bytes, GiftFact] = {}
        self._before: dict[int, int] | None = None
        self._after: dict[int, int] = {}

    def add(self, facts: Sequence[tuple[int, GiftFact]]) -> None:
        """Look at the next facts."""
        for seq, fact in facts:
            if not self._first_seq:
                self._first_seq, self._seq = seq, seq - 1
            if seq != self._seq + 1:
                self._say("I5", f"room {self._room}: seq {seq} follows {self._seq}")
                self._note_lost()
            self._seq = seq
            if told_gift(fact):
                self._add_gift(seq, fact)
            if fact.combo is not None:
                self._add_combo(seq, fact, fact.combo.id)

    def finish(self, before: RoomMark, after: RoomMark, late_ms: int) -> None:
        """Say what only the whole shows.

        Args:
            before: read before the history, and `after` it.
            late_ms: a combo whose time was over before this must have its end.
        """
        self._told = after.told
        if self._seq < before.seq:
            self._say("I5", f"room {self._room}: the history ends at seq {self._seq}, it was told {before.seq}")
            self._note_lost()
        open_ends = before.open_ends | after.open_ends
        self.combos = len(self._combos.keys() | open_ends.keys())
        for combo_id, end in after.open_ends.items():
            if end.at_ms < late_ms:
                self._say_combo(combo_id, end, f"is open since {end.at_ms}")
        for combo_id, fact in self._combos.items():
            if combo_id not in self._ended and combo_id not in open_ends and fact.at_ms < late_ms:
                self._say_combo(combo_id, fact, "has no end")

    def reach(self) -> Mapping[int, int]:
        """The first record of each partition from which on the history must be complete; 0 for one not given."""
        return reach_of(self._first_seq, self._first, self._told)

    def lost(self) -> dict[int, tuple[int, int]]:
        """Between which records of each partition the first hole may lie: after the first, before the second."""
        before = self._before
        if before is None:
            return {}
        return {
            partition: (before.get(partition, 0), self._after.get(partition, told + 1))
            for partition, told in self._told.items()
            if partition in before or self._first_seq == 1
        }

    def _add_gift(self, seq: int, fact: GiftFact) -> None:
        self.gifts += 1
        partition, last = fact.partition, self._last.get(fact.partition, 0)
        self._first.setdefault(partition, fact.record)
        if fact.record <= last:
            self._say(
                "I5",
                f"room {self._room}, seq {seq}: gift {text_of_id(fact.id)} of {fact.sender}: record"
                f" {partition}/{fact.record} after {partition}/{last}",
            )
        self._last[partition] = fact.record
        if fact.undo_until_ms:
            self._can_be_undone.add((fact.sender, fact.id))
        elif fact.undone and self._first_seq == 1 and (fact.sender, fact.id) not in self._can_be_undone:
            words = f"{text_of_id(fact.id)} of {fact.sender} was undone and never told"
            self._say("I5", f"room {self._room}, seq {seq}: {words}")
        if self._before is not None:
            self._after.setdefault(partition, fact.record)

    def _add_combo(self, seq: int, fact: GiftFact, combo_id: bytes) -> None:
        if combo_id in self._ended:
            self._say("I8", f"room {self._room}, seq {seq}: combo {text_of_id(combo_id)} had already ended")
        if fact.ends_combo:
            self._ended.add(combo_id)
        self._combos[combo_id] = fact

    def _note_lost(self) -> None:
        if self._before is None:
            self._before = dict(self._last)

    def _say(self, invariant: str, words: str) -> None:
        self.found.append((invariant, words))

    def _say_combo(self, combo_id: bytes, fact: GiftFact, what: str) -> None:
        self._say("I8", f"room {self._room}: combo {text_of_id(combo_id)} of {fact.sender} {what}")


def told_gift(fact: GiftFact) -> bool:
    """Whether a fact tells a journal record: no end of a combo, and no test."""
    return not fact.ends_combo and not fact.test


def reach_of(first_seq: int, first: Mapping[int, int], told: Mapping[int, int]) -> Mapping[int, int]:
    """The first record of each partition from which on a history must be complete; 0 for one not given.

    Args:
        first_seq: of the oldest fact; 0 where there is none.
        first: the oldest record of each partition.
        told: the last one that the room was told.
    """
    if first_seq == 1:
        return {}
    return {partition: record + 1 for partition, record in told.items()} | dict(first)
