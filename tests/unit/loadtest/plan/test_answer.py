"""Sizes and limits: enough and no more, and what breaks first is what has the least left."""

import math

import msgspec
import pytest

from loadtest.plan.answer import Answer, Asked, Ground, answer, sized
from loadtest.plan.flows import Demand, Layout
from loadtest.plan.simulation.piece import piece_of, times_at
from loadtest.plan.simulation.simulate import Overrun
from tests.unit.loadtest.plan.costs import constants

SMALL = Asked(Demand(20_000, 100, 500, givers=2_000))
LARGE = Asked(Demand(1_000_000, 20_000, 50_000, givers=100_000))


@pytest.fixture(scope="module")
def small() -> Answer:
    """The answer for a few thousand viewers."""
    return answer(SMALL, constants())


@pytest.fixture(scope="module")
def large() -> Answer:
    """The answer for a million."""
    return answer(LARGE, constants())


def test_parts_keep_to_the_headroom(small: Answer, large: Answer) -> None:
    """No process is busier than it may be, and with one gateway less one would be."""
    for found in (small, large):
        layout, used = found.needed.layout, found.needed.usage
        assert used.gateway / layout.gateways <= 0.7
        assert used.worker / layout.workers <= 0.7
        assert used.primary <= 0.7
        fewer = msgspec.structs.replace(found.asked, gateways=layout.gateways - 1)
        if layout.gateways > 1:
            one_less = sized(fewer, constants(), layout)
            assert one_less.usage.gateway / one_less.layout.gateways > 0.69


def test_small_deployments_need_one_of_each(small: Answer) -> None:
    """One Valkey, one worker, and no limit is passed."""
    layout = small.needed.layout
    assert (layout.workers, layout.primaries, layout.partitions) == (1, 1, 8)
    assert small.broken == []
    assert small.needed == small.today


def test_large_deployments_need_what_is_not_built(large: Answer) -> None:
    """A million viewers want more Valkey servers than one: the plan says that the code cannot use them."""
    assert large.needed.layout.primaries > 1
    assert large.needed.layout.partitions >= large.needed.layout.primaries
    assert large.today.layout.primaries == 1
    first = large.limits[0]
    assert (first.name, first.built) == ("valkey thread", False)
    assert first.share > 1
    assert first.breaks_at is not None and 0.001 < first.breaks_at < 1


def test_limits_are_in_the_order_in_which_they_break(large: Answer) -> None:
    """Those that are passed break below this load, the others above; one by one."""
    factors = [limit.breaks_at or math.inf for limit in large.limits]
    assert factors == sorted(factors)
    for limit in large.limits:
        assert (limit.share > 1) == ((limit.breaks_at or math.inf) < 1)


def test_a_limit_is_reached_where_it_is_said(large: Answer) -> None:
    """At the load at which the first one breaks it is used up."""
    limit = large.limits[0]
    factor = limit.breaks_at or 0
    demand = LARGE.demand
    at = Demand(
        round(demand.viewers * factor),
        round(demand.rooms * factor),
        demand.gifts_per_s * factor,
        givers=round(demand.givers * factor),
    )
    found = answer(Asked(at), constants())
    assert {one.name: one.share for one in found.limits}[limit.name] == pytest.approx(1, rel=0.1)


def test_what_is_fixed_stays(large: Answer) -> None:
    """Gateways and partitions that were asked for are not changed, however many it would take."""
    asked = msgspec.structs.replace(LARGE, gateways=10, partitions=16)
    found = answer(asked, constants())
    assert found.needed.layout.gateways == 10
    assert found.needed.layout.partitions == 16
    assert found.needed.layout.primaries <= 16
    assert large.needed.layout.gateways > 10


def test_rooms_kept_together_cost_less(large: Answer) -> None:
    """A room that is on few gateways is heard and ticked by few."""
    together = answer(msgspec.structs.replace(LARGE, together=True), constants())
    assert together.needed.usage.cores < large.needed.usage.cores / 2
    assert together.needed.layout.primaries < large.needed.layout.primaries


def test_more_headroom_takes_more_gateways(small: Answer) -> None:
    """Half as busy, about twice as many."""
    ground = Ground(headroom=0.35)
    found = answer(msgspec.structs.replace(SMALL, ground=ground), constants())
    assert found.needed.layout.gateways > small.needed.layout.gateways


def test_bounds_hold_the_answer(large: Answer) -> None:
    """Constants without doubt give bounds without width."""
    assert large.bounds.low == large.bounds.high == large.needed.usage


def test_a_piece_is_as_busy_as_its_whole(large: Answer) -> None:
    """The simulated gateway and Valkey server do as much as the sized ones: what it does not do itself is din."""
    found = times_at(LARGE, large.needed, constants())
    layout, used = large.needed.layout, large.needed.usage
    assert found.busy["gateway"] == pytest.approx(used.gateway / layout.gateways, rel=0.1)
    assert found.busy["valkey"] == pytest.approx(used.primary, rel=0.12)
    assert found.sent == found.accepted == found.told > 100


def test_a_piece_of_one_is_the_whole() -> None:
    """A deployment of one gateway is simulated with nothing beside it."""
    asked = Asked(Demand(500, 5, 200, givers=100))
    found = sized(asked, constants(), Layout())
    piece = piece_of(asked, found, constants())
    assert found.layout.gateways == 1
    assert piece.demand.gifts_per_s == 200
    assert piece.others.commits == pytest.approx(0, abs=1e-6)
    assert piece.others.gateway_s < 0.1


def test_what_cannot_keep_up_has_no_steady_state(large: Answer) -> None:
    """With one Valkey a million viewers wait for ever."""
    with pytest.raises(Overrun, match="Valkey server would have to use"):
        times_at(LARGE, large.today, constants())


def test_a_channel_that_one_server_has_is_not_helped_by_more() -> None:
    """Where all wallets told to all gateways are too much for one core, no number of Valkey servers is enough."""
    dear = constants(valkey={"delivery": 200})
    found = answer(LARGE, dear)
    assert not found.enough
    assert found.needed.layout.primaries < 1024
    assert {limit.name: limit.share for limit in found.limits}["channel of wallets"] > 1
    assert answer(SMALL, constants()).enough
