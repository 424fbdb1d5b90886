"""Measurements at one pace, and runs beside which others use the machine."""

from typing import cast

import msgspec
import pytest

from loadtest.plan.measuring import observe as observing
from loadtest.plan.measuring.measure import Kept, Measured, Weights, constants_of
from loadtest.plan.measuring.observe import (
    FOREIGN_CORES_MAX,
    TRIES,
    Observed,
    Point,
    Stand,
    Times,
    observe_alone,
    quietest,
)
from loadtest.plan.measuring.pace import (
    factor,
    idle_at_pace,
    probes_at_pace,
    rests_at_pace,
    runs_at_pace,
    usual_beat_us,
)
from loadtest.plan.measuring.probe import Probed
from loadtest.plan.measuring.reference import Beats, Reference
from loadtest.plan.measuring.rows import Idle, Rest
from tests.unit.loadtest.plan.test_rows import run
from tests.waiting import wait_until


def test_processors_and_latencies_are_told_at_one_pace() -> None:
    """Of cores at half their pace half is told of what Python takes; the others, counts, bytes and memory stay."""
    slow = msgspec.structs.replace(run(), beat_us=20.0, times=Times(accepted_p50=4.0, late_p99=2.0))
    (paced,) = runs_at_pace([slow], 10.0)
    assert paced.cpu == slow.cpu | {"gateway": 0.25, "worker": 0.1}
    assert paced.listener_cpu == [used_s / 2 for used_s in slow.listener_cpu]
    assert paced.generator_cpu == {part: used_s / 2 for part, used_s in slow.generator_cpu.items()}
    assert paced.times == Times(accepted_p50=2.0, late_p99=1.0)
    assert (paced.counts, paced.stored, paced.gateway_mb) == (slow.counts, slow.stored, slow.gateway_mb)
    (idle,) = idle_at_pace([Idle(1_000, 50, 40.0, 1.0, [3.0], beat_us=5.0)], 10.0)
    assert (idle.cpu_s, idle.kb_by_step, idle.seconds) == (2.0, [3.0], 40.0)
    (probe,) = probes_at_pace([Probed(1_500, 5, 60, 2.0, 0.4, 1e6, [0.2, 0.1], beat_us=5.0)], 10.0)
    assert (probe.valkey_cpu, probe.gateway_cpu, probe.published_bytes) == (0.4, [0.4, 0.2], 1e6)
    (rest,) = rests_at_pace([Rest(20.0, {"valkey": 0.1, "worker": 0.2}, beat_us=5.0)], 10.0)
    assert (rest.seconds, rest.cpu) == (20.0, {"valkey": 0.1, "worker": 0.4})


def test_what_has_no_beat_stays_as_it_was_measured() -> None:
    """And does not count for the usual one."""
    assert runs_at_pace([run()], 10.0) == [run()]
    assert (factor(0.0, 10.0), factor(10.0, 0.0)) == (1.0, 1.0)
    assert usual_beat_us([0.0, 8.0, 9.0, 30.0]) == 9.0
    assert usual_beat_us([0.0]) == 0.0


def test_fit_is_of_costs_at_one_pace() -> None:
    """Of runs on cores that were at half their pace every other time come the constants of the pace in the middle."""
    runs = []
    for number in range(1, 15):
        slower = 1 + number % 2
        one = run(Point(f"p{number}", 100.0 * number, 200, 1), gifts=400 * number)
        senders_s = slower * (48e-6 * one.gifts + 0.03 * one.wall_s)
        runs.append(
            msgspec.structs.replace(
                one, beat_us=8.0 * slower, generator_cpu={"senders": senders_s, "overlays": 0.04, "viewers": 0.08}
            )
        )
    probes = [Probed(100, hearers, changes, 1.0, 0.01, 1e4, [], 8.0) for hearers, changes in ((0, 60), (2, 0), (2, 60))]
    found = constants_of(measured_of(runs, probes), seconds=4.0, command="giftwire plan measure")
    assert found.references["beat_us"].value == 12.0
    # At a beat of 8 a gift takes 48 µs.
    assert found.generator["gift"].value == pytest.approx(48 * 1.5)


def measured_of(runs: list[Observed], probes: list[Probed]) -> Measured:
    """Runs and probes, and a machine that was weighed once."""
    weights, reference = Weights(gateway=40.0, worker=40.0, valkey=3.0, postgres=50.0), Reference(3.0, 3.0, [0.2])
    return Measured(runs, [], probes, [Kept(1_000, 500.0, 1e6, 1e5)], [weights], [reference])


@pytest.mark.parametrize(
    ("foreign", "tries", "taken"),
    [
        ([0.1], 1, 0.1),
        ([FOREIGN_CORES_MAX + 0.01, 0.1], 2, 0.1),
        ([0.9, 0.3, 0.5], TRIES, 0.3),
    ],
)
def test_run_that_others_disturbed_is_made_again(
    monkeypatch: pytest.MonkeyPatch, foreign: list[float], tries: int, taken: float
) -> None:
    """Until one was quiet, or as often as is tried at most: then the quietest counts."""
    left = iter(foreign)

    def observe(_place: Stand, point: Point, _seconds: float) -> Observed:
        return msgspec.structs.replace(run(point), foreign_cores=next(left))

    monkeypatch.setattr(observing, "observe", observe)
    runs = observe_alone(cast("Stand", None), Point("p", 1.0, 1, 1), 1.0)
    assert len(runs) == tries
    assert quietest(runs).foreign_cores == taken


def test_beats_are_taken_beside_what_goes_on() -> None:
    """Each is some µs of CPU."""
    with Beats() as beats:
        wait_until(lambda: len(beats.took_us) >= 2, 20, lambda: "no beat was taken")
    assert min(beats.took_us) > 0
    assert min(beats.took_us) <= beats.median_us <= max(beats.took_us)
