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

from msgspec import UNSET

from gateway.room.facts import ComboFact, ComboState, GiftFact, combo_of, sender_of, text_of_id, undone_event
from gateway.wire.messages import GiftEvent, SummaryEvent, UndoneEvent

_by_seq: Final = attrgetter("seq")
_by_coins: Final = attrgetter("coins")
Shown = GiftEvent | UndoneEvent | SummaryEvent
"""What viewers are shown of facts."""


class _Sum:
    """Facts that are one event. Mutable and with slots: it is touched for every gift."""

    __slots__ = ("at_ms", "coins", "combo", "count", "first", "gifts", "kept", "message", "seq", "state")

    def __init__(self, seq: int, fact: GiftFact, *, kept: bool) -> None:
        self.first = fact
        self.seq = seq
        self.gifts = 0 if fact.ends_combo else 1
        self.count = fact.count
        self.coins = fact.coins
        self.at_ms = fact.at_ms
        self.combo: ComboFact | None = fact.combo
        self.state = fact.combo.state if fact.combo is not None else -1
        self.message = fact.message
        self.kept = kept


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
        """Take facts that follow each other. Half a µs each: `tests/unit/gateway/room/merge_bench.py`."""
        sums, big = self._sums, self._big_gift_coins
        for seq, fact in enumerate(facts, first_seq):
            combo = fact.combo
            if combo is not None and not fact.test:
                key: object = (combo.id, fact.price_coins)
            else:
                key = _key(seq, fact)
            found = sums.get(key)
            if found is None:
                sums[key] = _Sum(seq, fact, kept=fact.coins >= big or key == seq or fact.ends_combo)
                continue
            found.seq = seq
            found.at_ms = fact.at_ms
            found.count += fact.count
            found.coins += fact.coins
            if fact.coins >= big:
                found.kept = True
            if combo is None:
                found.gifts += 1
                continue
            found.combo = combo
            if fact.message is not None:
                found.message = fact.message
            if combo.state == ComboState.END:
                found.state, found.kept = ComboState.END, True
            else:
                found.gifts += 1

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


def _key(seq: int, fact: GiftFact) -> object:
    # A test stands alone, so that it is never taken for a part of something paid; a gift that can be undone, so that
    # it can be named when it is.
    if fact.test or fact.undo_until_ms or fact.undone:
        return seq
    return (fact.sender, fact.gift, fact.price_coins, fact.to, fact.anonymous, fact.message)


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
