"""Merging: what adds up, what is hidden, and that value is conserved (I6)."""

import itertools
import uuid
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from gateway.room.facts import ComboState, GiftFact, end_of
from gateway.room.merge import MergeBuffer, Shown
from gateway.wire.messages import Combo, GiftEvent, SummaryEvent, UndoneEvent
from tests.unit.gateway.room.room_facts import END, START, UPDATE, gift, undone

BIG = 100


def merged(*facts: GiftFact, events_max: int = 20) -> list[Shown]:
    """What one tick shows of facts from seq 1 on."""
    buffer = MergeBuffer(events_max, BIG)
    buffer.add(1, list(facts))
    events = buffer.drain()
    assert not buffer
    assert buffer.drain() == []
    return events


def gifts(*facts: GiftFact, events_max: int = 20) -> list[GiftEvent]:
    """The same, where nothing is hidden."""
    return [event for event in merged(*facts, events_max=events_max) if isinstance(event, GiftEvent)]


def test_same_gifts_of_one_sender_add_up() -> None:
    """One event stands for them, at the seq and time of the last."""
    [event] = gifts(gift(record=1), gift(count=2, coins=2, record=2), gift(record=3))
    assert (event.seq, event.count, event.coins, event.merged, event.at_ms) == (3, 4, 4, 3, 1_003)
    assert event.id is UNSET


def test_a_single_gift_is_not_merged() -> None:
    """One gift does not say that it stands for several."""
    [event] = gifts(gift())
    assert event.merged is UNSET


def test_different_gifts_stay_apart() -> None:
    """Another sender, item, price, message, or anonymity is another event; the order is that of the last seq."""
    events = gifts(
        gift("ann"),
        gift("bob"),
        gift("ann", item="heart"),
        gift("ann", 2),
        gift("ann", message="hi"),
        gift("ann", anonymous=True),
        gift("ann"),
    )
    assert [event.seq for event in events] == [2, 3, 4, 5, 6, 7]
    assert [event.merged for event in events] == [UNSET, UNSET, UNSET, UNSET, UNSET, 2]


COMBOS = """
# states of one combo in a tick | state shown, gifts, count
  start                         | start  1
  start update                  | start  2
  start update update           | start  3
  start end                     | end    1
  start update end              | end    2
  update                        | update 1
  update update                 | update 2
  update end                    | end    1
  end                           | end    0
"""


def test_combo_states_of_one_tick() -> None:
    """Each line of the table is shown as its last columns say, with the newest totals."""
    states = {"start": START, "update": UPDATE, "end": END}
    for line in COMBOS.strip().splitlines()[1:]:
        left, right = line.split("|")
        facts = []
        for number, name in enumerate(left.split(), 1):
            fact = gift(record=number, combo=(4, 10 + number, 20 + number, states[name]))
            facts.append(end_of(fact, 9_000) if name == "end" else fact)
        [event] = gifts(*facts)
        state, count = right.split()
        assert isinstance(event.combo, Combo)
        assert (event.combo.state, event.count, event.coins) == (state, int(count), int(count)), line
        assert (event.combo.count, event.combo.coins) == (10 + len(facts), 20 + len(facts)), line
        assert event.merged == (int(count) if int(count) > 1 else UNSET), line


def test_newest_message_of_a_combo_is_shown() -> None:
    """A combo stays one event whatever its gifts say."""
    [event] = gifts(
        gift(combo=(4, 1, 1, START)), gift(combo=(4, 2, 2, UPDATE), message="hi"), gift(combo=(4, 3, 3, UPDATE))
    )
    assert event.message == "hi"


def test_budget_at_the_bound_and_one_past() -> None:
    """As many events as the budget are shown; with one more, the smallest is a summary."""
    facts = [gift(f"viewer{n}", 1 + n, record=n) for n in range(4)]
    assert len(gifts(*facts[:3], events_max=3)) == 3
    events = merged(*facts, events_max=3)
    assert [event.coins for event in events if isinstance(event, GiftEvent)] == [2, 3, 4]
    assert events[-1] == SummaryEvent(1, 1, 1)


def test_big_gifts_ends_and_tests_pass_the_budget() -> None:
    """What must be seen is shown even when the budget is full; all else is a summary."""
    small = [gift(f"viewer{n}", 99, record=n) for n in range(3)]
    end = end_of(gift("eve", combo=(4, 1, 1, START)), 9_000)
    events = merged(*small, gift("big", BIG), gift("try", test=True), end, events_max=2)
    shown = [event for event in events if isinstance(event, GiftEvent)]
    assert [event.sender.id if event.sender else "" for event in shown] == ["big", "try", "eve"]
    assert events[-1] == SummaryEvent(3, 3, 297)


def test_tests_are_never_merged() -> None:
    """A test stands alone and says so."""
    events = gifts(gift(), gift(test=True), gift(test=True), gift())
    assert [(event.test, event.merged) for event in events] == [(True, UNSET), (True, UNSET), (UNSET, 2)]


def test_gifts_that_can_be_undone_are_never_merged() -> None:
    """Each stands alone beside others like it, with its id and until when it can be undone."""
    events = gifts(gift(record=1), gift(record=2, undo_until_ms=9_000), gift(record=3, undo_until_ms=9_000), gift())
    assert [(event.seq, event.merged) for event in events] == [(2, UNSET), (3, UNSET), (4, 2)]
    assert [event.id for event in events] == [str(uuid.UUID(int=2)), str(uuid.UUID(int=3)), UNSET]
    assert [event.undo_until_ms for event in events] == [9_000, 9_000, UNSET]


def test_gift_given_and_undone_in_one_tick() -> None:
    """Both are shown, the gift first, also when others of that viewer come between and behind."""
    held = gift("ann", 7, record=1, undo_until_ms=9_000)
    events = merged(held, gift("ann", 7, record=2), undone(held, 3), gift("ann", 7, record=4))
    assert [type(event) for event in events] == [GiftEvent, UndoneEvent, GiftEvent]
    back = events[1]
    assert isinstance(back, UndoneEvent)
    assert (back.seq, back.id, back.coins) == (3, str(uuid.UUID(int=1)), 7)


def test_gifts_that_can_be_undone_pass_the_budget() -> None:
    """However small they are, neither they nor their undoing is ever in a summary."""
    small = [gift(f"viewer{n}", 99, record=n) for n in range(3)]
    held = gift("ann", record=4, undo_until_ms=9_000)
    events = merged(*small, held, undone(held, 5), events_max=2)
    assert [type(event) for event in events] == [GiftEvent, UndoneEvent, SummaryEvent]
    assert events[-1] == SummaryEvent(3, 3, 297)


@st.composite
def histories(draw: st.DrawFn) -> list[GiftFact]:
    """Gifts of a few viewers, some in combos that start, go on and end, some that can be undone, some of which are."""
    facts: list[GiftFact] = []
    running: dict[str, tuple[int, int, int, GiftFact]] = {}
    held: list[GiftFact] = []
    for number in range(1, draw(st.integers(1, 60)) + 1):
        sender = draw(st.sampled_from(["ann", "bob", "cid", "dee"]))
        count = draw(st.integers(1, 3))
        coins = count * draw(st.sampled_from([1, 1, 5, BIG]))
        act = draw(st.sampled_from(["lone", "combo", "end", "held", "undo"]))
        if act == "lone":
            facts.append(gift(sender, coins, count=count, record=number, anonymous=draw(st.booleans())))
        elif act == "combo":
            combo, had_count, had_coins, _ = running.get(sender, (number, 0, 0, None))
            state = UPDATE if sender in running else START
            fact = gift(
                sender, coins, count=count, record=number, combo=(combo, had_count + count, had_coins + coins, state)
            )
            running[sender] = (combo, had_count + count, had_coins + coins, fact)
            facts.append(fact)
        elif act == "held":
            held.append(gift(sender, coins, count=count, record=number, undo_until_ms=9_000))
            facts.append(held[-1])
        elif act == "undo" and held:
            facts.append(undone(held.pop(draw(st.integers(0, len(held) - 1))), number))
        elif sender in running:
            facts.append(end_of(running.pop(sender)[3], 9_000))
    return facts


@given(histories(), st.lists(st.integers(0, 60), max_size=8), st.integers(1, 6))
def test_value_is_conserved(facts: list[GiftFact], cuts: list[int], events_max: int) -> None:
    """However ticks cut the facts: gifts, counts and coins add up, less what was undone; nothing is shown too high, no
    end is lost, and whatever is undone was shown before."""
    buffer = MergeBuffer(events_max, BIG)
    edges = sorted({0, len(facts), *(cut for cut in cuts if cut < len(facts))})
    shown: Counter[tuple[str | None, str, str]] = Counter()
    hidden: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    named: set[str] = set()
    for low, high in itertools.pairwise(edges):
        buffer.add(low + 1, facts[low:high])
        for event in buffer.drain():
            if isinstance(event, SummaryEvent):
                hidden.update(gifts=event.gifts, count=event.count, coins=event.coins)
                continue
            who = event.sender.id if event.sender else None
            if isinstance(event, UndoneEvent):
                named.remove(event.id)
                told = sign = -1
            else:
                told, sign = event.merged if isinstance(event.merged, int) else min(1, event.count), 1
                if event.undo_until_ms is not UNSET:
                    named.add(str(event.id))
                if isinstance(event.combo, Combo) and event.combo.state == "end":
                    ends[event.combo.id] += 1
            shown[who, event.gift, "gifts"] += told
            shown[who, event.gift, "count"] += sign * event.count
            shown[who, event.gift, "coins"] += sign * event.coins
    due: Counter[tuple[str | None, str, str]] = Counter()
    for fact in facts:
        who = None if fact.anonymous else fact.sender
        sign = -1 if fact.undone else 1
        due[who, fact.gift, "gifts"] += 0 if fact.ends_combo else sign
        due[who, fact.gift, "count"] += sign * fact.count
        due[who, fact.gift, "coins"] += sign * fact.coins
    for word in ("gifts", "count", "coins"):
        all_shown = sum(amount for key, amount in shown.items() if key[2] == word) + hidden[word]
        assert all_shown == sum(amount for key, amount in due.items() if key[2] == word)
    assert all(amount <= due[key] for key, amount in shown.items())
    assert sum(ends.values()) == sum(fact.combo is not None and fact.combo.state == ComboState.END for fact in facts)
    assert all(times == 1 for times in ends.values())
