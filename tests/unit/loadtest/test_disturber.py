"""Blows fall by the seed, every kind in turn, and the report knows how long each was felt."""

import itertools

from loadtest.record.columns import Commands
from loadtest.record.timing import recovered, with_recovery
from loadtest.server.disturber import BLOWS, REST_S, Struck, schedule


def test_every_kind_falls_before_any_falls_again() -> None:
    """In another order each time and by another seed, the same by the same."""
    row = list(itertools.islice(schedule(1), 3 * len(BLOWS)))
    assert row == list(itertools.islice(schedule(1), 3 * len(BLOWS)))
    assert row != list(itertools.islice(schedule(2), 3 * len(BLOWS)))
    orders = [[blow for blow, _ in row[start : start + len(BLOWS)]] for start in range(0, len(row), len(BLOWS))]
    assert all(set(order) == set(BLOWS) for order in orders)
    assert all(pause_s >= REST_S for _, pause_s in row)


def test_recovery_is_the_first_gift_that_was_sent_after_the_blow_and_accepted() -> None:
    """One that was on its way when the blow fell says nothing; nor does one that was refused."""
    book, second = Commands(0), 1_000_000_000
    for sent_s, answered_s, accepted in ((4.9, 5.05, True), (5.1, 5.2, False), (5.3, 7.5, True), (6.0, 7.25, True)):
        number = book.tell(int(sent_s * second), 0, 0, 0, 1)
        book.sent_ns[number] = int(sent_s * second)
        answered_ns = int(answered_s * second)
        if accepted:
            book.accept(number, answered_ns, 1, 0, replay=False, combo=None, combo_count=0)
        else:
            book.refuse(number, answered_ns, "overloaded", 0, for_good=False)
    first, last = with_recovery(
        [Struck(5.0, "valkey", "kill", 0.0, 1.0), Struck(8.0, "worker", "kill", 0.0, 1.0)], [book], 0
    )
    assert first.accepted_after_s == 2.25
    assert recovered(first)
    assert last.accepted_after_s is None
    assert not recovered(last)
