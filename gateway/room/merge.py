"""Gifts of one tick, added up for viewers. Value is conserved (I6): nothing that goes in is left out or told twice.

Facts of one combo and price add up, and outside combos those with the same sender, gift, price, receiver and message.
One event then says of a combo: `end` when it ended in this tick, else `start` when it started in it, else `update`;
its totals are absolute, so a client that meets a combo first by its `update` or `end` knows all that it needs. Of
several messages in one combo and tick the newest is shown. Beyond the budget the events of fewest coins become one
summary, but never one that holds a big gift, a test or the end of a combo (I8): these can pass the budget. So do gifts
that can be undone, which stand alone and keep their id, and the undoing of one, which comes after its gift.
"""

from operator import attrgetter
from typing import Final

from msgspec import UNSET, Struct

from gateway.room.facts import ComboFact, ComboState, GiftFact, combo_of, sender_of, text_of_id, undone_event
from gateway.wire.messages import GiftEvent, SummaryEvent, UndoneEvent

_NO_STATE: Final = -1
"""Of what is in no combo."""
_by_seq: Final = attrgetter("seq")
_by_coins: Final = attrgetter("coins")
Shown = GiftEvent | UndoneEvent | SummaryEvent
"""What viewers are shown of facts."""


class _Sum(Struct, gc=False):
    """Facts that are one event. One is made or touched for every gift, so it is a structure in C."""

    first: GiftFact
    seq: int
    gifts: int
    count: int
    coins: int
    at_ms: int
    combo: ComboFact | None
    state: int
    message: str | None
    kept: bool


class MergeBuffer:
    """Facts that viewers were not shown yet.

    Args:
        events_max: gift events of one tick, as long as those that must be kept are not more.
        big_gift_coins: a gift worth so much is kept.
    """

    def __init__(self, events_max: int, big_gift_coins: int) -> None:
        self._events_max = events_max
        self._big_gift_coins = big_gift_coins
        self._sums: dict[object, _Sum] = {}

    def __bool__(self) -> bool:
        return bool(self._sums)

    def add(self, first_seq: int, facts: list[GiftFact]) -> None:
        """Take facts that follow each other. Under half a µs each: `tests/unit/gateway/room/merge_bench.py`."""
        sums, big = self._sums, self._big_gift_coins
        find = sums.get
        for seq, fact in enumerate(facts, first_seq):
            combo, coins = fact.combo, fact.coins
            if combo is not None and not fact.test:
                self._add_to_combo(seq, fact, combo)
                continue
            # A test stands alone, so that it is never taken for a part of something paid; a gift that can be undone, so
            # that it can be named when it is.
            alone = fact.test or fact.undone or fact.undo_until_ms > 0
            key: object = seq
            if not alone:
                key = (fact.sender, fact.gift, fact.price_coins, fact.to, fact.anonymous, fact.message)
                found = find(key)
                if found is not None:
                    found.seq = seq
                    found.at_ms = fact.at_ms
                    found.gifts += 1
                    found.count += fact.count
                    found.coins += coins
                    if coins >= big:
                        found.kept = True
                    continue
            kept = alone or coins >= big
            state = _NO_STATE if combo is None else combo.state
            sums[key] = _Sum(fact, seq, 1, fact.count, coins, fact.at_ms, combo, state, fact.message, kept)

    def _add_to_combo(self, seq: int, fact: GiftFact, combo: ComboFact) -> None:
        key, ends = (combo.id, fact.price_coins), combo.state == ComboState.END
        gifts, kept = 0 if ends else 1, ends or fact.coins >= self._big_gift_coins
        found = self._sums.get(key)
        if found is None:
            self._sums[key] = _Sum(
                fact, seq, gifts, fact.count, fact.coins, fact.at_ms, combo, combo.state, fact.message, kept
            )
            return
        found.seq = seq
        found.at_ms = fact.at_ms
        found.gifts += gifts
        found.count += fact.count
        found.coins += fact.coins
        found.combo = combo
        if fact.message is not None:
            found.message = fact.message
        if ends:
            found.state = ComboState.END
        if kept:
            found.kept = True

    def drain(self) -> list[Shown]:
        """Everything as events, those of gifts in the order of their seq; the buffer is empty afterwards."""
        sums = list(self._sums.values())
        self._sums = {}
        hidden: list[_Sum] = []
        if len(sums) > self._events_max:
            kept = [found for found in sums if found.kept]
            small = sorted((found for found in sums if not found.kept), key=_by_coins, reverse=True)
            room_left = max(0, self._events_max - len(kept))
            sums, hidden = kept + small[:room_left], small[room_left:]
        sums.sort(key=_by_seq)
        events: list[Shown] = [_event(found) for found in sums]
        if hidden:
            events.append(
                SummaryEvent(
                    sum(found.gifts for found in hidden),
                    sum(found.count for found in hidden),
                    sum(found.coins for found in hidden),
                )
            )
        return events


def _event(found: _Sum) -> GiftEvent | UndoneEvent:
    fact, combo = found.first, found.combo
    if fact.undone:
        return undone_event(found.seq, fact)
    return GiftEvent(
        found.seq,
        sender_of(fact),
        fact.to,
        fact.gift,
        fact.price_coins,
        found.count,
        found.coins,
        found.at_ms,
        UNSET if combo is None else combo_of(combo, found.state),
        text_of_id(fact.id) if fact.undo_until_ms else UNSET,
        UNSET if found.message is None else found.message,
        found.gifts if found.gifts > 1 else UNSET,
        True if fact.test else UNSET,
        fact.undo_until_ms or UNSET,
    )
