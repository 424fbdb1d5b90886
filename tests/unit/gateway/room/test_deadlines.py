"""Deadlines of combos: each comes due once, after its last gift, and a newer combo takes an older one's place."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.room.deadlines import ComboDeadlines, OpenEnd


def open_end(viewer: str, combo: int, deadline_ms: int) -> OpenEnd:
    """A combo of a viewer."""
    return OpenEnd(0, viewer, "room:demo|rose", bytes([combo]), "demo", 1, deadline_ms)


def test_due_before_a_time_only() -> None:
    """A combo is due when its deadline lies before the time, not at it; and once."""
    deadlines = ComboDeadlines()
    deadlines.note(open_end("ann", 1, 100))
    assert deadlines.due(100) == []
    assert deadlines.due(101) == [open_end("ann", 1, 100)]
    assert deadlines.due(1_000) == []
    assert (len(deadlines), deadlines.next_ms()) == (0, None)


def test_a_later_gift_puts_the_deadline_off() -> None:
    """The combo comes due at its newest deadline; an older one noted late changes nothing."""
    deadlines = ComboDeadlines()
    for deadline_ms in (100, 200, 150):
        deadlines.note(open_end("ann", 1, deadline_ms))
    assert deadlines.due(200) == []
    assert deadlines.next_ms() == 200
    assert deadlines.due(201) == [open_end("ann", 1, 200)]


def test_a_newer_combo_takes_the_place() -> None:
    """The older combo never comes due: the room ends it when it hears of the newer."""
    deadlines = ComboDeadlines()
    deadlines.note(open_end("ann", 1, 100))
    deadlines.note(open_end("ann", 2, 300))
    deadlines.note(open_end("bob", 3, 100))
    assert deadlines.due(1_000) == [open_end("bob", 3, 100), open_end("ann", 2, 300)]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 40), st.booleans()), max_size=60))
def test_each_combo_is_due_once(steps: list[tuple[str, int, bool]]) -> None:
    """Whatever the gifts, each combo that was not replaced comes due once and never before its last deadline."""
    deadlines = ComboDeadlines()
    combo_of: dict[str, tuple[int, int]] = {}
    now_ms, number, due = 0, 0, []
    for viewer, wait_ms, look in steps:
        now_ms += wait_ms
        known = combo_of.get(viewer)
        if known is None or known[1] < now_ms:
            number += 1
            combo_of[viewer] = (number, now_ms + 20)
        else:
            combo_of[viewer] = (known[0], now_ms + 20)
        deadlines.note(open_end(viewer, *combo_of[viewer]))
        if look:
            for end in deadlines.due(now_ms):
                assert end.deadline_ms < now_ms
                assert combo_of[end.viewer] == (end.combo_id[0], end.deadline_ms)
                due.append(end.combo_id)
    due += [end.combo_id for end in deadlines.due(now_ms + 1_000)]
    assert len(due) == len(set(due))
    assert {bytes([combo]) for combo, _ in combo_of.values()} <= set(due)
