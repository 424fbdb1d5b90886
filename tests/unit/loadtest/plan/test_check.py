"""Predictions beside measurements: what counts, and when it holds."""

import msgspec
import pytest

from loadtest.plan.check import Prediction, Quantity, compare, compared_to, predict
from loadtest.plan.measuring.grid import Block
from loadtest.plan.measuring.observe import Point, Times
from loadtest.plan.simulation.simulate import Overrun
from tests.unit.loadtest.plan.costs import constants
from tests.unit.loadtest.plan.test_rows import run

BEAT_US = 10.0
BLOCK = Block(1, 0, (Point("p", 1_000, 200, 1),))


@pytest.mark.parametrize(
    ("predicted", "measured", "error", "holds"),
    [
        (115.0, [100.0, 90.0, 130.0], 0.15, True),
        (116.0, [100.0, 90.0, 130.0], 0.16, False),
        (84.0, [100.0], -0.16, False),
        (0.0, [0.0], 0.0, True),
        (1.0, [0.0], 1.0, False),
    ],
)
def test_fifteen_per_cent(predicted: float, measured: list[float], error: float, holds: bool) -> None:
    """Of the median, not of a single run."""
    found = compared_to(Quantity("q", "/s", predicted), measured)
    assert found.error == pytest.approx(error)
    assert (found.holds, found.counts) == (holds, True)
    assert (found.low, found.high) == (min(measured), max(measured))


def test_spread_counts_for_latencies() -> None:
    """What lies between the repeats holds; what lies outside and is far does not."""
    measured = [10.0, 20.0, 90.0]
    assert compared_to(Quantity("p99", "ms", 80.0, spread=True), measured).holds
    assert not compared_to(Quantity("p99", "ms", 91.0, spread=True), measured).holds
    assert not compared_to(Quantity("cpu", "cores", 80.0), measured).holds


def test_small_parts_do_not_count() -> None:
    """Less of a core than the kernel can count in a few seconds."""
    assert not compared_to(Quantity("CPU of postgres", "cores", 0.1), [0.049]).counts
    assert compared_to(Quantity("CPU of postgres", "cores", 0.1), [0.05]).counts
    assert compared_to(Quantity("rows", "/s", 0.1), [0.01]).counts


def test_predictions_name_what_is_measured() -> None:
    """Every quantity that is predicted is found in a run, and the other way round."""
    predictions = predict([BLOCK], constants(), seconds=1.0, cores=2)
    (checked,) = compare(predictions, [run(BLOCK.points[0], listeners=0)] * 3, BEAT_US)
    assert checked.repeats == 3
    missing = {one.name for one in predictions[0].quantities} - {one.name for one in checked.compared}
    # The run of this test has no latencies.
    assert {name.split()[0] for name in missing} == {"accepted", "overlay", "viewer"}
    by_name = {one.name: one for one in checked.compared}
    assert by_name["gifts accepted"].measured == 1_000
    assert by_name["CPU of all"].measured == pytest.approx(1.1 / 4)
    assert by_name["rows of PostgreSQL"].measured == 3_000
    assert by_name["frames to viewers"].predicted == pytest.approx(4_000, rel=0.01)


def test_one_that_is_off_decides() -> None:
    """If it counts."""
    prediction = Prediction(BLOCK.points[0], 1, [Quantity("gifts accepted", "/s", 1_000.0)])
    (good,) = compare([prediction], [run(BLOCK.points[0], listeners=0)], BEAT_US)
    (bad,) = compare([prediction], [run(BLOCK.points[0], listeners=0, gifts=2_000)], BEAT_US)
    assert (good.ok, bad.ok) == (True, False)


def test_runs_of_other_points_do_not_count() -> None:
    """Another point, or the same on other gateways: nothing is compared."""
    prediction = Prediction(BLOCK.points[0], 1, [Quantity("gifts accepted", "/s", 1_000.0)])
    (checked,) = compare([prediction], [run(), run(BLOCK.points[0], gateways=2)], BEAT_US)
    assert (checked.repeats, checked.compared) == (0, [])
    assert not checked.ok


def test_more_than_the_machine_can_is_said_before_it_runs() -> None:
    """There would be nothing to predict."""
    block = Block(1, 0, (Point("too much", 60_000, 0, 1),))
    with pytest.raises(Overrun):
        predict([block], constants(), seconds=1.0, cores=1)


def test_a_machine_that_others_use_is_no_quiet_one() -> None:
    """The median of the runs tells."""
    prediction = Prediction(BLOCK.points[0], 1, [Quantity("gifts accepted", "/s", 1_000.0)])
    one = run(BLOCK.points[0], listeners=0)
    busy = msgspec.structs.replace(one, foreign_cores=0.5)
    found = [compare([prediction], runs, BEAT_US)[0] for runs in ([one, one, busy], [one, busy, busy])]
    assert [checked.quiet for checked in found] == [True, False]


def test_slower_cores_are_no_fault_of_the_plan() -> None:
    """Python's processors and latencies are compared at the pace that was predicted for; all else as it is."""
    usual = msgspec.structs.replace(run(BLOCK.points[0], listeners=0), beat_us=BEAT_US, times=Times(accepted_p50=4.0))
    slow = msgspec.structs.replace(
        usual,
        beat_us=2 * BEAT_US,
        cpu=usual.cpu | {part: 2 * usual.cpu[part] for part in ("gateway", "worker")},
        times=Times(accepted_p50=8.0),
    )
    predictions = predict([BLOCK], constants(), seconds=1.0, cores=2)
    of_usual, of_slow = (compare(predictions, [one], BEAT_US)[0] for one in (usual, slow))
    assert of_slow.compared == of_usual.compared
    assert [one.measured for one in of_usual.compared if one.name == "accepted p50"] == [4.0]
    assert (of_usual.pace, of_slow.pace) == (1.0, 0.5)
