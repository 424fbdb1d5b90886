"""The simulation loses no gift, knows its parts' limits, and agrees with the arithmetic where that is exact."""

import math

import msgspec
import pytest

from loadtest.plan.flows import Demand, Layout, Pacing, Rhythm, rhythm_of
from loadtest.plan.model import delays_of
from loadtest.plan.simulation.setting import Others, Setting
from loadtest.plan.simulation.simulate import Overrun, simulate
from tests.unit.loadtest.plan.costs import constants, without_costs

ONE_ROOM = Setting(Demand(100, 1, 2_000), seconds=2.0)
SETTINGS = {
    "one room": ONE_ROOM,
    "shared cores": msgspec.structs.replace(ONE_ROOM, cores=2, generator=True),
    "many rooms": Setting(Demand(200, 50, 1_500), Layout(gateways=3), cores=2, generator=True, seconds=1.5),
    "bursts": msgspec.structs.replace(ONE_ROOM, bursts=20.0),
    "others": msgspec.structs.replace(
        ONE_ROOM, others=Others(commits=800, commit_gifts=2.5, valkey_s=0.2, gateway_s=0.2, journal_share=0.3)
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_gifts_in_are_gifts_out(name: str) -> None:
    """Each that is sent is accepted, seen by an overlay and written into the books, once."""
    setting = SETTINGS[name]
    found = simulate(setting, constants())
    assert found.sent == found.accepted == found.told == found.booked
    expected = setting.demand.gifts_per_s * setting.seconds
    assert found.sent == pytest.approx(expected, rel=0.5 if setting.bursts > 1 else 0.1)
    assert 0 < found.accepted_ms.samples <= found.sent


def test_the_same_setting_gives_the_same_answer() -> None:
    """Luck comes from the seed alone."""
    assert simulate(ONE_ROOM, constants()) == simulate(ONE_ROOM, constants())
    assert simulate(ONE_ROOM, constants()) != simulate(msgspec.structs.replace(ONE_ROOM, seed=2), constants())


def test_what_costs_nothing_waits_for_ticks_alone() -> None:
    """Accepted and overlay take what waking takes; a viewer waits for a half of a tick's pause, or all of it."""
    found = simulate(ONE_ROOM, without_costs())
    assert found.accepted_ms.p99 is not None and found.accepted_ms.p99 < 2
    assert found.overlay_ms.p99 is not None and found.overlay_ms.p99 < 2
    assert found.viewer_ms.p50 == pytest.approx(25, abs=3)
    assert found.viewer_ms.p99 == pytest.approx(50, abs=3)
    assert found.ticks == pytest.approx(20, abs=1)
    assert found.frames == pytest.approx(2_000, abs=100)


def test_work_is_costs_times_counts() -> None:
    """The simulated processors are as busy as the arithmetic says for the simulated rhythm."""
    found = simulate(ONE_ROOM, constants())
    gifts = found.sent / ONE_ROOM.seconds
    rhythm = found.rhythm
    parts = 8 * (1 - math.exp(-gifts / rhythm.commits / 8))
    valkey_us = 10_000 + gifts * 10 + rhythm.commits * parts * 60 + rhythm.batches * (60 + 40 + 2 * 6)
    gateway_us = 20_000 + 101 * 2 + gifts * 34 + rhythm.commits * 80 + rhythm.batches * 80 + found.ticks * 50
    gateway_us += found.frames * 6
    # Commits are of different sizes: the parts of a mean one are not the mean of all.
    assert found.busy["valkey"] == pytest.approx(valkey_us / 1e6, rel=0.06)
    assert found.busy["gateway"] == pytest.approx(gateway_us / 1e6, rel=0.03)
    assert found.busy["postgres"] == pytest.approx((10_000 + gifts * 8 + rhythm.transactions * 8 * 200) / 1e6, rel=0.1)


@pytest.mark.parametrize("gifts_per_s", [50, 1_000, 8_000])
def test_rhythm_is_that_of_the_fixed_point(gifts_per_s: float) -> None:
    """As often as the loops go round by arithmetic they go round by event, but for what they wait for each other."""
    demand = Demand(0, 1, gifts_per_s)
    free = {part: {"base": 0.0} for part in ("gateway", "valkey", "worker", "postgres")}
    found = simulate(Setting(demand, seconds=3.0), constants(**free)).rhythm
    commit_gifts, expected = 1.0, Rhythm(0, 0, 0)
    for _ in range(6):
        delays = delays_of(constants(**free), Layout(), 0.2, commit_gifts=commit_gifts)
        expected = rhythm_of(demand, Layout(), Pacing(), delays)
        commit_gifts = gifts_per_s / expected.commits
    assert found.commits == pytest.approx(expected.commits, rel=0.4)
    assert found.batches == pytest.approx(expected.batches, rel=0.4)
    assert found.transactions == pytest.approx(expected.transactions, rel=0.4)


def test_latency_grows_with_the_load() -> None:
    """On the same cores."""
    p99 = []
    for gifts_per_s in (500, 4_000, 10_000):
        setting = Setting(Demand(100, 1, gifts_per_s), cores=2, generator=True, seconds=1.5)
        found = simulate(setting, constants()).accepted_ms.p99
        assert found is not None
        p99.append(found)
    assert p99 == sorted(p99)


def test_more_than_can_be_done_has_no_percentiles() -> None:
    """It is said that gifts wait, and how many."""
    setting = Setting(Demand(0, 1, 60_000), cores=1, generator=True, seconds=1.0)
    with pytest.raises(Overrun, match="still wait"):
        simulate(setting, constants())


def test_nobody_gives() -> None:
    """Nothing is sent, and there is nothing to wait for."""
    found = simulate(Setting(Demand(10, 1, 0), seconds=1.0), constants())
    assert (found.sent, found.accepted_ms.p99, found.viewer_ms.samples) == (0, None, 0)
    assert found.busy["gateway"] == pytest.approx(0.02, rel=0.3)
