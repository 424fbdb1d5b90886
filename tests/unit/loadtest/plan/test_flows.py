"""What happens a second, by arithmetic."""

import math

import numpy as np
import pytest

from gateway.room.config import RoomConfig
from ledger.config import LedgerConfig
from loadtest.plan.flows import (
    Demand,
    Layout,
    Pacing,
    Rhythm,
    expanded,
    flows,
    hearers,
    rooms_of,
    rounds_per_s,
    scaled,
    shown_events,
    touched,
)

QUIET = Rhythm(commits=10, batches=10, transactions=5)


def test_pacing_is_that_of_the_settings() -> None:
    """The defaults of rooms and ledger; an id is remembered for its window, and half of the buckets around it more."""
    rooms, ledger, pacing = RoomConfig(), LedgerConfig(), Pacing()
    for name in ("tick_ms", "tick_ms_max", "tick_viewers", "events_per_tick_max", "board_ms", "presence_ms"):
        assert getattr(pacing, name) == getattr(rooms, name)
    assert (pacing.relay_records_max, pacing.history_facts_max) == (rooms.relay_records_max, rooms.history_facts_max)
    for name in ("batch_gifts_max", "flush_interval_ms", "flush_records_max"):
        assert getattr(pacing, name) == getattr(ledger, name)
    assert Layout().partitions == ledger.partitions
    assert pacing.id_life_s * 1000 == ledger.id_window_ms + 1.5 * ledger.id_bucket_ms


def test_rooms_of_one_size() -> None:
    """A skew of 0 gives each the same part."""
    assert expanded(rooms_of(Demand(100, 4, 1.0, room_skew=0.0))).tolist() == [0.25] * 4


@pytest.mark.parametrize("rooms", [1, 2, 255, 256, 257, 1_000, 20_000, 1_000_000])
def test_groups_of_rooms_hold_all_of_them(rooms: int) -> None:
    """No room is left out, parts sum to 1, and the biggest has its part by the law."""
    found = rooms_of(Demand(1, rooms, 1.0))
    assert found.count.sum() == rooms
    assert (found.count * found.weight).sum() == pytest.approx(1)
    assert len(found.count) < 700
    harmonic = sum(1 / rank for rank in range(1, rooms + 1))
    assert found.weight[0] == pytest.approx(1 / harmonic, rel=0.001)


def test_gateways_that_hear_a_room() -> None:
    """One member is on one gateway; many are on all; kept together, on as few as hold them."""
    members = np.array([0.0, 1.0, 2.0, 1e9])
    assert hearers(members, 1).tolist() == [0, 1, 1, 1]
    assert hearers(members, 10) == pytest.approx([0, 1, 1.9, 10])
    assert hearers(np.array([0.5, 10.0, 250.0, 5_000.0]), 10, seats=100) == pytest.approx([0.5, 1, 2.5, 10])


def test_rounds_of_a_loop_that_nothing_hurries() -> None:
    """Seldom arrivals have a round each."""
    assert rounds_per_s(1.0, 0.001, 0.0) == pytest.approx(1.0, rel=0.01)
    assert rounds_per_s(0.0, 0.001, 0.0) == 0


def test_rounds_of_a_busy_loop() -> None:
    """It goes round all the time: with n arrivals a round, n = arrivals · (fixed + each · n)."""
    rounds = rounds_per_s(10_000, 0.002, 50e-6)
    taken = 10_000 * 0.002 / (1 - 10_000 * 50e-6)
    assert 10_000 / rounds == pytest.approx(taken, rel=0.001)


def test_rounds_of_a_loop_that_takes_so_many_at_most() -> None:
    """It goes round as fast as it can with the most in each; without a bound a round never ends."""
    assert rounds_per_s(10_000, 0.050, 1e-6, most=1_000) == pytest.approx(19.8)
    assert rounds_per_s(10_000, 0.050, 1e-6, most=400) == pytest.approx(1 / 0.0504)
    assert rounds_per_s(1e6, 0.001, 1e-3, most=100) == pytest.approx(1 / 0.101)
    assert rounds_per_s(1e6, 0.001, 1e-3) == 0


def test_one_busy_room_on_one_gateway() -> None:
    """It ticks as often as it may; each viewer gets each tick, each gift is heard once."""
    found = flows(Demand(100, 1, 1_000, givers=10**9), Layout(), Pacing(), Rhythm(500, 400, 5))
    assert found.ticks == pytest.approx(20, rel=0.001)
    assert found.frames == pytest.approx(2_000, rel=0.001)
    assert (found.facts, found.tells) == pytest.approx((1_000, 400 * -math.expm1(-2.5)))
    assert found.events == pytest.approx(2_000 * 11, rel=0.001)
    assert found.boards == pytest.approx(1, rel=0.01)
    assert found.presences == 0.5
    assert found.wallet_messages == 400
    assert found.rooms_held == 1
    assert found.sockets == 101


def test_quiet_rooms_tick_for_each_gift_and_each_board() -> None:
    """A gift now and then is shown at once, and changes the top list a second later."""
    found = flows(Demand(1_000, 1_000, 10, room_skew=0.0, overlays_per_room=0), Layout(), Pacing(), Rhythm(10, 10, 5))
    assert found.tells == pytest.approx(10, rel=0.01)
    assert found.ticks == pytest.approx(20, rel=0.02)
    assert found.frames == pytest.approx(20, rel=0.02)


def test_wallets_are_heard_by_every_gateway() -> None:
    """Twice the gateways hear twice as much, whoever is on them."""
    demand = Demand(10, 1, 100, givers=10**6)
    one, two = (flows(demand, Layout(gateways=number), Pacing(), QUIET) for number in (1, 2))
    assert one.wallet_changes == pytest.approx(100, rel=0.001)
    assert (two.wallet_changes, two.wallet_messages) == pytest.approx((2 * one.wallet_changes, 2 * one.wallet_messages))


def test_gifts_of_one_giver_change_one_wallet_a_batch() -> None:
    """Only the newest is told."""
    assert flows(Demand(1, 1, 1_000, givers=1), Layout(), Pacing(), QUIET).wallet_changes == pytest.approx(10)


def test_huge_rooms_tick_less_often() -> None:
    """In proportion from `tick_viewers` on, to the longest pause at most."""
    for viewers, ticks in ((2_000, 20), (4_000, 10), (10_000, 4), (10**6, 4)):
        found = flows(Demand(viewers, 1, 10_000), Layout(), Pacing(), Rhythm(500, 400, 5))
        assert found.ticks == pytest.approx(ticks, rel=0.01)


def test_history_is_bounded() -> None:
    """By its facts, or by what was given so far."""
    assert flows(Demand(1, 1, 100), Layout(), Pacing(), QUIET, hours=0.01).history_facts == pytest.approx(3_600)
    assert flows(Demand(1, 1, 100), Layout(), Pacing(), QUIET, hours=10).history_facts == 20_000


def test_shown_events_are_bounded() -> None:
    """A few are all shown; of many ten and a summary."""
    assert shown_events(np.array([0.0, 0.5, 1_000.0]), 10) == pytest.approx([0, 0.5, 11], abs=0.001)
    # Of a Poisson number N with mean 10: E[min(N, 10)] + P(N > 10).
    chance = [math.exp(-10) * 10**k / math.factorial(k) for k in range(60)]
    mean = sum(min(k, 10) * p + (k > 10) * p for k, p in enumerate(chance))
    assert shown_events(np.array([10.0]), 10)[0] == pytest.approx(mean)


def test_partitions_of_a_transaction() -> None:
    """A lone gift touches one; many touch all that the worker has."""
    assert touched(1, 1, Layout()) == pytest.approx(8 * -math.expm1(-1 / 8))
    assert touched(1e6, 1, Layout()) == pytest.approx(8)
    assert touched(1e6, 1, Layout(workers=2)) == pytest.approx(4)
    assert touched(1, 0, Layout()) == 0


def test_nobody_gives() -> None:
    """Nothing happens but presence."""
    found = flows(Demand(10, 2, 0), Layout(), Pacing(), Rhythm(0, 0, 0))
    assert found.presences == 1
    assert (found.gifts, found.tells, found.ticks, found.frames, found.events, found.boards) == (0, 0, 0, 0, 0, 0)


def test_scaled_demand() -> None:
    """Everything grows together, and there is always a room."""
    assert scaled(Demand(100, 10, 50, givers=20), 2) == Demand(200, 20, 100, givers=40)
    assert scaled(Demand(100, 10, 50), 0.001).rooms == 1
