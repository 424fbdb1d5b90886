"""Clients of a gateway that stops come back evenly, however short its time is."""

import random

import pytest

from gateway.edge.leaving import Departure, departures


@pytest.mark.parametrize("within_ms", [0, 1_000, 5_000, 60_000])
def test_clients_come_back_evenly(within_ms: int) -> None:
    """In each second as many as were asked for, whether they are closed by then or told to wait."""
    found = departures(5_000, 1_000, within_ms, random.Random(7).random)
    back_s = [(one.close_ms + one.reconnect_after_ms) // 1000 for one in found]
    assert [back_s.count(second) for second in range(6)] == [1_000] * 5 + [0]


def test_closes_keep_within_their_time() -> None:
    """They are spread over the time that there is, in order; whoever is closed later waits longer."""
    found = departures(5_000, 1_000, 1_500, random.Random(7).random)
    closes = [one.close_ms for one in found]
    assert closes == sorted(closes)
    assert 1_400 < closes[-1] <= 1_500
    assert max(closes.count(ms) for ms in range(1_500)) <= 8
    assert 3_400 < found[-1].reconnect_after_ms <= 3_500


def test_clients_wait_for_nothing_where_time_suffices() -> None:
    """Each is served until its turn has come."""
    found = departures(100, 1_000, 1_500, random.Random(7).random)
    assert {one.reconnect_after_ms for one in found} == {0}
    assert found[-1].close_ms < 100


def test_nobody_to_send_away() -> None:
    """An empty gateway has nothing to plan."""
    assert departures(0, 1_000, 1_500, random.random) == []


def test_one_client_leaves_within_its_turn() -> None:
    """A single one is closed at once."""
    assert departures(1, 1_000, 1_500, lambda: 0.0) == [Departure(0, 0)]
