"""Runs become rows: what was counted, and for each gateway what it gave, heard and showed."""

import msgspec
import pytest

from gateway.room.facts import WalletChange, decode_wallets
from loadtest.plan.constants import FITTED, VALKEY
from loadtest.plan.flows import Demand
from loadtest.plan.measuring.grid import GRID, HELD_OUT, Block, shuffled
from loadtest.plan.measuring.observe import Observed, Point, Times, counts_in, scenario_of
from loadtest.plan.measuring.probe import Probed, wallets
from loadtest.plan.measuring.rows import (
    Idle,
    Rest,
    counted_flows,
    fit_all,
    generator_costs,
    kept_facts,
    known_of,
    rows_of,
)
from loadtest.plan.measuring.stores import Stored, grown
from tests.unit.loadtest.plan.costs import exactly

APART = Point("apart", 1_000, 200, 1, apart=True)


def run(point: Point = APART, *, gateways: int = 1, listeners: int = 2, gifts: int = 4_000) -> Observed:
    """A run of 4 s that was watched for 6."""
    counts = {"commits": 800.0, "ticks": 80.0, "frames": 16_000.0, "facts": 4_000.0, "frame_bytes": 1e6}
    return Observed(
        point=point,
        gateways=gateways,
        seconds=4.0,
        wall_s=6.0,
        gifts=gifts,
        listeners=listeners,
        counts=counts | {"batches": 600.0, "transactions": 20.0},
        cpu={"gateway": 0.5, "valkey": 0.3, "worker": 0.2, "postgres": 0.1},
        listener_cpu=[0.2, 0.02][:listeners],
        stored=Stored(2e6, 1e6, 3e6, 12_000.0, 5e5),
        generator_cpu={"senders": 0.4, "overlays": 0.04, "viewers": 0.08},
        sighted=4_000,
        shown=16_000,
        times=Times(),
    )


def test_counts_of_the_server_come_first() -> None:
    """Ticks, frames and facts as counted, over all of the run; wallets of one gateway; presence goes on."""
    found = counted_flows(run())
    assert (found.ticks, found.frames, found.facts, found.commits) == (80, 16_000, 4_000, 800)
    assert found.wallet_messages == pytest.approx(600)
    assert found.presences == pytest.approx(0.5 * 6)
    assert found.sockets == pytest.approx(301 * 6)


def test_gateways_of_a_run_apart() -> None:
    """One gives, one shows, one only hears; each hears all wallets."""
    gives, shows, hears = rows_of([run()])["gateway"]
    assert (gives.took, shows.took, hears.took) == (0.5e6, 0.2e6, 0.02e6)
    assert gives.counts["gift"] == 4_000
    assert "frame" not in gives.counts
    assert (shows.counts["frame"], shows.counts["tick"], shows.counts["fact"]) == (16_000, 80, 4_000)
    assert "gift" not in shows.counts
    assert set(hears.counts) == {"base", "message", "wallet"}
    assert hears.counts["message"] == pytest.approx(600)
    assert shows.counts["message"] == pytest.approx(hears.counts["message"] + counted_flows(run()).room_messages)


def test_gateways_of_a_run_together() -> None:
    """The server's own do all of it, each with its base; the others only hear."""
    own, *others = rows_of([run(Point("both", 1_000, 200, 1), gateways=2)])["gateway"]
    assert own.counts["base"] == 12
    assert own.counts["message"] >= 2 * 600
    assert own.counts["gift"] == 4_000
    assert own.counts["frame"] == 16_000
    assert [set(other.counts) for other in others] == [{"base", "message", "wallet"}] * 2


def test_parts_have_a_row_a_run() -> None:
    """With what each took, and every constant that it has but what was measured otherwise."""
    rows = rows_of([run()])
    for part, names in FITTED.items():
        if part != "gateway":
            (row,) = rows[part]
            assert set(row.counts) == set(names)
    assert rows["valkey"][0].took == pytest.approx(0.3e6)
    assert rows["rows"][0].took == 12_000
    assert rows["frame_bytes"][0].took == 1e6
    # All three gateways hear wallets, one of them the room.
    assert rows["valkey"][0].counts["delivery"] == pytest.approx(3 * 600 + counted_flows(run()).room_messages)


def test_those_who_sit_and_what_is_published_alone() -> None:
    """More rows for gateways: sockets with their rooms' presence, and messages of wallets."""
    idle = Idle(sockets=100, rooms=10, seconds=20.0, cpu_s=0.1, kb_by_step=[3.0])
    alone = Probed(1_000, 0, 60, 2.0, 0.05, 0.0, [0.0])
    empty = Probed(1_000, 5, 0, 2.0, 0.08, 4e5, [])
    heard = Probed(1_000, 5, 60, 2.0, 0.08, 7e6, [0.1, 0.12])
    sitting, first, second = rows_of([], [idle], [alone, empty, heard])["gateway"]
    assert sitting.counts == {"base": 20.0, "socket": 2_000.0, "call": 100.0}
    assert first.counts == {"base": 2.0, "message": 1_000.0, "wallet": 60_000.0}
    assert (first.took, second.took) == pytest.approx((0.1e6, 0.12e6))
    known = known_of([alone, empty, heard])
    assert known["valkey"]["delivery"].value == pytest.approx(0.03e6 / 5_000)
    assert known["published_bytes"]["wallet"].value == pytest.approx(6.6e6 / 300_000)
    at_rest = known_of(
        [alone, empty, heard], [Rest(10.0, {"valkey": 0.2, "worker": 0.3, "postgres": 0.1, "gateway": 9.0})]
    )
    assert at_rest["valkey"] == known["valkey"] | {"base": exactly(20_000.0)}
    assert (at_rest["worker"], at_rest["postgres"]) == ({"base": exactly(30_000.0)}, {"base": exactly(10_000.0)})
    assert "gateway" not in at_rest


def test_what_is_known_is_taken_from_what_runs_took() -> None:
    """The rest is fitted."""
    runs = [run(gifts=gifts) for gifts in (1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000)]
    found = fit_all(rows_of(runs), {"valkey": {"delivery": exactly(6.0)}})
    assert found["valkey"].costs["delivery"] == exactly(6.0)
    assert set(found["valkey"].costs) == set(VALKEY)


def test_messages_of_wallets_are_what_gateways_read() -> None:
    """The probe's are of the relay's shape."""
    assert decode_wallets(wallets(2)) == [
        WalletChange("nobody-000000", 1_000_000, 100_000),
        WalletChange("nobody-000001", 1_000_001, 100_000),
    ]
    assert decode_wallets(wallets(0)) == []


def test_costs_of_the_generator() -> None:
    """µs for each gift, sighting and frame, beside what a process takes for itself."""
    runs = []
    for gifts in (1_000, 2_000, 4_000):
        cpu = {"senders": 0.06 + gifts * 100e-6, "overlays": 0.06 + gifts * 10e-6, "viewers": 0.06 + gifts * 5e-6}
        runs.append(msgspec.structs.replace(run(gifts=gifts), generator_cpu=cpu, sighted=gifts, shown=gifts))
    found = generator_costs(runs)
    assert {name: one.value for name, one in found.items()} == pytest.approx(
        {"base": 10_000, "gift": 100, "sighting": 10, "frame": 5}
    )


def test_facts_that_are_kept() -> None:
    """All, or what histories hold."""
    assert kept_facts(run()) == 4_000
    assert kept_facts(run(gifts=50_000)) == 20_000


def test_counts_of_a_scrape() -> None:
    """Sums over labels; the worker's numbers by duty."""
    text = (
        'giftwire_commits_total 7\ngiftwire_events_total 5\ngiftwire_worker_duty_number{duty="relay",of="batches"} 3\n'
        'giftwire_worker_duty_number{duty="flusher",of="transactions"} 2\ngiftwire_ticks_total{a="1"} 1\n'
        'giftwire_ticks_total{a="2"} 1\ngiftwire_other 9\n'
    )
    found = counts_in(text)
    assert (found["commits"], found["facts"], found["batches"], found["transactions"], found["ticks"]) == (
        7,
        5,
        3,
        2,
        2,
    )
    assert found["frames"] == 0


def test_stores_grow() -> None:
    """Each figure by itself."""
    assert grown(Stored(1, 2, 3, 4, 5), Stored(11, 12, 13, 14, 15)) == Stored(10, 10, 10, 10, 10)


def test_grid_and_what_it_is_checked_by_have_no_point_in_common() -> None:
    """Neither by name nor by numbers, and every point that is apart has a listener."""

    def points(blocks: tuple[Block, ...]) -> set[tuple[float, int, int, float]]:
        return {(one.gifts_per_s, one.viewers, one.rooms, one.room_skew) for block in blocks for one in block.points}

    assert points(GRID) & points(HELD_OUT) == set()
    for block in (*GRID, *HELD_OUT):
        assert block.listeners or not any(point.apart for point in block.points)


def test_order_is_shuffled_and_complete() -> None:
    """Each point as often as is asked, in an order of the seed."""
    blocks = shuffled(GRID, 3, seed=1)
    names = [point.name for block in blocks for point in block.points]
    assert sorted(names) == sorted(point.name for block in GRID for point in block.points for _ in range(3))
    assert blocks == shuffled(GRID, 3, seed=1) != shuffled(GRID, 3, seed=2)


def test_point_as_scenario_and_as_demand() -> None:
    """The run and the model are told the same."""
    point = Point("p", 300, 40, 3, room_skew=1.0)
    scenario = scenario_of(point, 2.0)
    assert (scenario.rate_per_s, scenario.duration_s, scenario.population.viewers) == (300, 2.0, 40)
    assert (scenario.population.rooms, scenario.population.room_skew) == (3, 1.0)
    assert point.demand == Demand(40, 3, 300, givers=100, kinds=5, senders_apart=100)
    assert msgspec.structs.replace(point, gifts_per_s=5.0).demand.gifts_per_s == 5
