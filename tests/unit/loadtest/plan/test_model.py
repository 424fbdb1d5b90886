"""From flows to what they take, by multiplication."""

import pytest

from loadtest.plan.flows import Demand, Flows, Layout, Pacing, Rhythm, flows
from loadtest.plan.model import Usage, delays_of, floor_us_of, gateway_us, usage
from tests.unit.loadtest.plan.costs import constants, without_costs

ONE_OF_EACH = Flows(**dict.fromkeys(Flows.__struct_fields__, 1.0))


def flows_with(**counts: float) -> Flows:
    """Nothing but these."""
    return Flows(**dict.fromkeys(Flows.__struct_fields__, 0.0) | counts)


def test_one_of_each() -> None:
    """The costs of everything are added up."""
    used = usage(ONE_OF_EACH, Layout(), constants(), id_life_s=2)
    assert used.gateway * 1e6 == pytest.approx(20_000 + 2 + 30 + 80 + 2 * 40 + 3 + 1 + 50 + 6 + 2 * 200)
    assert used.valkey * 1e6 == pytest.approx(10_000 + 10 + 60 + 60 + 40 + 2 * 6 + 2 * 30)
    assert used.primary == pytest.approx(used.valkey)
    assert used.worker * 1e6 == pytest.approx(20_000 + 16 + 150 + 40 + 300)
    assert used.postgres * 1e6 == pytest.approx(10_000 + 8 + 200)
    assert (used.frame_bytes, used.published_bytes) == (500 + 100 + 200 + 600, 150 + 50 + 180 + 30)
    assert (used.aof_bytes, used.wal_bytes, used.rows) == (700, 1_650, 7)
    assert used.gateway_mb == 60 + 3 / 1024
    assert used.valkey_mb == 10 + (2 * 120 + 200) / 2**20
    assert (used.worker_mb, used.postgres_mb) == (60, 100)
    assert used.cores == used.gateway + used.valkey + used.worker + used.postgres


def test_nothing_costs_nothing() -> None:
    """Every figure is a sum of costs: without them it is 0."""
    used = usage(ONE_OF_EACH, Layout(3, 2, 4, 16), without_costs(), id_life_s=1)
    assert [getattr(used, name) for name in Usage.__struct_fields__] == [0] * len(Usage.__struct_fields__)


def test_several_primaries_share_all_but_the_channel_of_wallets() -> None:
    """The busiest has its part of the rest, and all of that channel."""
    spread, wallets = flows_with(gifts=4_000.0), flows_with(wallet_messages=1_000.0)
    four = Layout(primaries=4)
    assert usage(spread, four, constants(), 1).primary * 1e6 == pytest.approx(10_000 + 10_000)
    assert usage(wallets, four, constants(), 1).primary * 1e6 == pytest.approx(10_000 + 6_000)
    assert usage(wallets, four, constants(), 1).valkey * 1e6 == pytest.approx(40_000 + 6_000)


def test_floor_of_a_gateway() -> None:
    """What all gateways hear does not become less by more of them."""
    demand = Demand(1_000, 10, 5_000, givers=10**9)
    rhythm = Rhythm(1_000, 400, 5)
    floors = [
        floor_us_of(flows(demand, Layout(gateways=number), Pacing(), rhythm), Layout(gateways=number), constants())
        for number in (1, 50)
    ]
    assert floors == pytest.approx([20_000 + 400 * 40 + 5_000] * 2, rel=0.001)


def test_all_gateways_together() -> None:
    """Each has its base."""
    assert gateway_us(flows_with(), 7, constants()) == 140_000


def test_delays() -> None:
    """A round takes its processors, an fsync, and to wake who waits; a busy Valkey makes it longer."""
    found = delays_of(constants(), Layout())
    assert found.commit_s == pytest.approx((80 + 60 + 200 + 200) * 1e-6)
    assert found.commit_gift_s == pytest.approx((10 + 30 * 0.45) * 1e-6)
    assert found.batch_gift_s == pytest.approx((16 * 0.7 + 80) * 1e-6)
    assert found.transaction_gift_s == pytest.approx((16 * 0.3 + 8) * 1e-6)
    busy = delays_of(constants(), Layout(), busy=0.5)
    assert busy.commit_s == pytest.approx((80 + 120 + 400 + 200) * 1e-6)
    assert delays_of(constants(), Layout(), busy=5.0).commit_s < 1
