"""Looks at the stored rooms and says whether I5 and I8 hold: every gift that was paid, and every one that was taken
back, stands in its room's history exactly once, and every combo ends once.

What was paid comes from outside, since only the ledger may read it. A history is bounded, so a gift is looked for only
as far back as the history reaches. It may run beside a working system: the order in which it reads makes that right.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, Final

from msgspec import Struct
from redis.asyncio import Redis

from gateway.room.config import RoomConfig
from gateway.room.facts import ComboState, GiftFact, decode_batch, decode_fact, numbered, text_of_id
from gateway.room_keys import EVERY_META, keys_of, room_of_meta

VIOLATIONS_MAX: Final = 100
"""So many violations of one invariant are named; the others are only counted."""


class PaidGift(Struct, frozen=True):
    """A gift in a room, or the taking back of one (`undone`), as the ledger holds it."""

    partition: int
    record: int
    id: bytes
    sender: str
    count: int
    coins: int
    undone: bool = False


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


class _Stored(Struct):
    """A room as it is stored."""

    facts: list[tuple[int, GiftFact]]
    told: dict[int, int]
    open_before: dict[bytes, GiftFact]
    open_after: dict[bytes, GiftFact]


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
    once = RoomCheck("I5", "Every accepted gift appears in its room's history exactly once")
    ends = RoomCheck("I8", "Every combo that starts ends, with one end event")
    names = set(rooms)
    async for key in redis.scan_iter(match=EVERY_META, count=1000):
        names.add(room_of_meta(key))
    for room in sorted(names):
        stored = await _read(redis, room, config.history_page_entries)
        _check_order(room, stored, once)
        await _check_paid(room, stored, paid, relayed, once)
        _check_ends(room, stored, now_ms - config.combo_late_ms_max, ends)
    return [once, ends]


async def _read(redis: Redis, room: str, page_entries: int) -> _Stored:
    keys = keys_of(room)
    before = await _open_ends(redis, room)
    facts: list[tuple[int, GiftFact]] = []
    start = "-"
    while True:
        page: Any = await redis.xrange(keys.history, min=start, count=page_entries)
        facts += numbered(decode_batch(fields[b"b"]) for _, fields in page)
        if len(page) < page_entries:
            break
        start = f"({page[-1][0].decode()}"
    meta: Any = await redis.hgetall(keys.meta)
    told = {int(field[1:]): int(value) for field, value in meta.items() if field.startswith(b"p")}
    return _Stored(facts, told, before, await _open_ends(redis, room))


async def _open_ends(redis: Redis, room: str) -> dict[bytes, GiftFact]:
    stored: Any = await redis.hvals(keys_of(room).combos)
    return {bytes(value[:16]): decode_fact(value[16:]) for value in stored}


def _check_order(room: str, stored: _Stored, once: RoomCheck) -> None:
    """The seq has no hole, no record of a partition comes twice or after a later one, and what is taken back was told
    before as a gift that can be."""
    last_seq = stored.facts[0][0] - 1 if stored.facts else 0
    whole = last_seq == 0
    last_of: dict[int, int] = {}
    held: set[tuple[str, bytes]] = set()
    for seq, fact in stored.facts:
        if seq != last_seq + 1:
            once.violate(f"room {room}: seq {seq} follows {last_seq}")
        last_seq = seq
        if fact.ends_combo or fact.test:
            continue
        once.checked += 1
        last = last_of.get(fact.partition, 0)
        if fact.record <= last:
            once.violate(f"room {room}, seq {seq}: record {fact.partition}/{fact.record} after {fact.partition}/{last}")
        last_of[fact.partition] = fact.record
        if fact.undo_until_ms:
            held.add((fact.sender, fact.id))
        elif fact.undone and whole and (fact.sender, fact.id) not in held:
            once.violate(f"room {room}, seq {seq}: {text_of_id(fact.id)} of {fact.sender} was undone and never told")


async def _check_paid(room: str, stored: _Stored, paid: PaidGifts, relayed: Mapping[int, int], once: RoomCheck) -> None:
    """What was paid and relayed is there, and what is there was paid."""
    shown = {
        (fact.partition, fact.record): (fact.id, fact.sender, fact.count, fact.coins, fact.undone)
        for _, fact in stored.facts
        if not fact.ends_combo and not fact.test
    }
    reach = _reach(stored)
    async for gift in paid(room, reach):
        place = (gift.partition, gift.record)
        found = shown.pop(place, None)
        if found is None:
            if reach.get(gift.partition, 0) <= gift.record <= relayed.get(gift.partition, 0):
                what = "the undoing of" if gift.undone else "gift"
                once.violate(f"room {room}: {what} {text_of_id(gift.id)} of {gift.sender} is not in the history")
        elif found != (gift.id, gift.sender, gift.count, gift.coins, gift.undone):
            once.violate(f"room {room}: gift {text_of_id(gift.id)} of {gift.sender} was told with other content")
    for (partition, record), (gift_id, sender, *_) in shown.items():
        once.violate(f"room {room}: {text_of_id(gift_id)} of {sender} ({partition}/{record}) was told and never paid")


def _reach(stored: _Stored) -> dict[int, int]:
    """The first record of each partition from which on the history must be complete."""
    if not stored.facts or stored.facts[0][0] == 1:
        return {} if stored.facts else {partition: told + 1 for partition, told in stored.told.items()}
    reach: dict[int, int] = {}
    for _, fact in stored.facts:
        if not fact.ends_combo and not fact.test:
            reach.setdefault(fact.partition, fact.record)
    return {partition: told + 1 for partition, told in stored.told.items()} | reach


def _check_ends(room: str, stored: _Stored, late_ms: int, ends: RoomCheck) -> None:
    """No combo is open long after its deadline, ends twice, goes on after its end, or vanishes without one."""
    ended: set[bytes] = set()
    last: dict[bytes, GiftFact] = {}
    for seq, fact in stored.facts:
        if fact.combo is None:
            continue
        if fact.combo.id in ended:
            ends.violate(f"room {room}, seq {seq}: combo {text_of_id(fact.combo.id)} had already ended")
        if fact.combo.state == ComboState.END:
            ended.add(fact.combo.id)
        last[fact.combo.id] = fact
    open_ends = stored.open_before | stored.open_after
    ends.checked += len(last.keys() | open_ends.keys())
    for combo_id, end in stored.open_after.items():
        if end.at_ms < late_ms:
            ends.violate(f"room {room}: combo {text_of_id(combo_id)} of {end.sender} is open since {end.at_ms}")
    for combo_id, fact in last.items():
        if combo_id not in ended and combo_id not in open_ends and fact.at_ms < late_ms:
            ends.violate(f"room {room}: combo {text_of_id(combo_id)} of {fact.sender} has no end")
