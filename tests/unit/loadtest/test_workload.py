"""The row of sendings is repeatable, in order, and has the shares that the scenario names."""

import collections
import itertools

import msgspec
import pytest

from loadtest.script.scenario import Bursts, Mix, Phase, Population, Scenario, Slow, Whales
from loadtest.script.workload import RUN_GIFTS_MAX, poor_senders, rooms_of, sendings, slow_viewers


def scenario(length_mean: float = 1.0, *, senders: int = 20, repeat_share: float = 0.0) -> Scenario:
    """Ten seconds at 500 a second."""
    return Scenario(
        "t",
        "t",
        500.0,
        10.0,
        [Phase(1, 1, 1)],
        [Mix("rose", 3.0, 5), Mix("heart", 1.0)],
        population=Population(senders=senders),
        bursts=Bursts(length_mean, 100.0),
        repeat_share=repeat_share,
    )


@pytest.mark.parametrize("length_mean", [1.0, 8.0])
def test_sendings_are_in_order_of_time_and_repeatable(length_mean: float) -> None:
    """Runs overlap, and still nothing is out of order; the same seed gives the same row."""
    row = list(sendings(scenario(length_mean)))
    assert row == list(sendings(scenario(length_mean)))
    assert all(a.at_s <= b.at_s for a, b in itertools.pairwise(row))
    assert 4_000 < len(row) < 6_000


def test_mix_follows_its_weights() -> None:
    """Three roses to one heart; one to five roses a command, always one heart."""
    row = list(sendings(scenario()))
    kinds = collections.Counter(sending.kind for sending in row)
    assert 2.6 < kinds[0] / kinds[1] < 3.4
    assert {sending.items for sending in row if sending.kind == 0} == {1, 2, 3, 4, 5}
    assert {sending.items for sending in row if sending.kind == 1} == {1}


def test_runs_are_of_one_sender_and_one_gift() -> None:
    """Where runs hardly overlap, nearly all neighbours are one finger: the same sender and gift, 100 ms later."""
    slow = msgspec.structs.replace(scenario(20.0), rate_per_s=1.0, duration_s=600.0)
    row = list(sendings(slow))
    together = [(a, b) for a, b in itertools.pairwise(row) if abs(b.at_s - a.at_s - 0.1) < 1e-6]
    assert len(together) > 0.7 * len(row) > 100
    assert all((a.sender, a.kind) == (b.sender, b.kind) for a, b in together)


def test_run_is_bounded() -> None:
    """However long the mean, a run ends at the bound."""
    endless = msgspec.structs.replace(scenario(1_000.0, senders=1), rate_per_s=1_000.0, duration_s=3.0, poisson=False)
    assert 0 < len(list(sendings(endless))) <= 3 * RUN_GIFTS_MAX


def test_slices_share_the_senders_and_the_rate() -> None:
    """Each slice sends for its own senders only; together they send for all, at about the whole rate."""
    rows = [list(sendings(scenario(), slice_index=index, slices=3)) for index in range(3)]
    for index, row in enumerate(rows):
        assert {sending.sender % 3 for sending in row} == {index}
    assert {sending.sender for row in rows for sending in row} == set(range(20))
    assert 4_600 < sum(len(row) for row in rows) < 5_400


def test_slice_without_senders_sends_nothing() -> None:
    """More processes than senders is no fault."""
    assert list(sendings(scenario(senders=1), slice_index=1, slices=2)) == []


def test_whales_give_their_gifts_at_their_rate_and_nobody_else_does() -> None:
    """The first two senders send what is theirs, twice a second; the phases' rate is all of the others'."""
    mix = [Mix("rose"), Mix("rocket", whale=True), Mix("castle", 3.0, whale=True)]
    storm = msgspec.structs.replace(scenario(8.0), mix=mix, whales=Whales(2, 20.0))
    for slices in (1, 3):
        rows = [list(sendings(storm, slice_index=index, slices=slices)) for index in range(slices)]
        assert all(a.at_s <= b.at_s for row in rows for a, b in itertools.pairwise(row))
        row = [sending for row in rows for sending in row]
        theirs = [sending for sending in row if sending.kind > 0]
        assert {sending.sender for sending in theirs} == {0, 1}
        assert {sending.sender for sending in row if sending.kind == 0} == set(range(2, 20))
        assert 140 < len(theirs) < 260
        assert 4_000 < len(row) - len(theirs) < 6_000
        assert collections.Counter(sending.kind for sending in theirs)[2] > len(theirs) / 2


def test_slow_viewers_are_their_share() -> None:
    """A tenth of the viewers, rounded up, and always the same ones."""
    crowd = msgspec.structs.replace(scenario(), population=Population(viewers=101), slow=Slow(viewers_share=0.1))
    found = slow_viewers(crowd)
    assert len(found) == 11
    assert found == slow_viewers(crowd)
    assert found <= set(range(101))
    assert slow_viewers(scenario()) == frozenset()


def test_repeats_have_their_share() -> None:
    """About a tenth of the gifts is told twice, and none where the share is zero."""
    row = list(sendings(scenario(repeat_share=0.1)))
    assert 0.07 < sum(sending.repeated for sending in row) / len(row) < 0.13
    assert not any(sending.repeated for sending in sendings(scenario()))


def test_rooms_follow_the_zipf_law_and_none_stays_empty() -> None:
    """The first room is the fullest by far, and every room has somebody."""
    rooms = collections.Counter(rooms_of(Population(rooms=20, room_skew=1.2), 1, 2_000, "viewers"))
    assert len(rooms) == 20
    assert rooms[0] > 3 * rooms[5] > 0


def test_even_rooms_are_about_even() -> None:
    """Without skew no room is twice as full as another."""
    rooms = collections.Counter(rooms_of(Population(rooms=4), 1, 4_000, "viewers"))
    assert max(rooms.values()) < 1.3 * min(rooms.values())


@pytest.mark.parametrize(("share", "poor"), [(0.0, 0), (0.02, 1), (0.5, 10), (1.0, 20)])
def test_poor_senders_are_as_many_as_named(share: float, poor: int) -> None:
    """Rounded up, so that a small share of a small crowd still tests refusals."""
    assert len(poor_senders(Population(senders=20, poor_share=share), 1)) == poor
