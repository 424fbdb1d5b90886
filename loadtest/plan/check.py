"""Whether the plan is right: what it says of runs that it was not fitted to, said before they are run.

The simulation has the cores of this machine and the load generator on them, as the runs do. Each run is repeated; a
prediction is held against the median. What counts, and how closely, is said for each quantity.
"""

import itertools
import os
import statistics
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Final

import msgspec
from msgspec import Struct

from loadtest.plan.constants import Constants
from loadtest.plan.flows import Flows, Layout, Pacing, flows
from loadtest.plan.measuring.grid import WARM_UP, Block, shuffled
from loadtest.plan.measuring.observe import (
    DRAIN_S,
    FOREIGN_CORES_MAX,
    Observed,
    Point,
    observe,
    observe_alone,
    quietest,
    stand,
)
from loadtest.plan.measuring.pace import factor, runs_at_pace, usual_beat_us
from loadtest.plan.model import usage
from loadtest.plan.simulation.setting import Setting, Simulated
from loadtest.plan.simulation.simulate import Overrun, simulate

WITHIN: Final = 0.15
"""So far, in parts of the measured, a prediction may lie off."""
WARM_UPS: Final = 3
CORES_MIN: Final = 0.05
"""A part of the server that used less of a core is told, and does not count: the kernel counts in steps of 10 ms."""
TIMES: Final = ("accepted", "overlay", "viewer")


class Quantity(Struct, frozen=True):
    """Something predicted.

    Attributes:
        unit: cores, MB, B/s, /s or ms.
        spread: whether it counts as right, too, when it lies between the lowest and the highest of the repeats: that
            is so for latencies, which on one machine vary more between repeats than the plan may lie off.
    """

    name: str
    unit: str
    predicted: float
    spread: bool = False


class Prediction(Struct, frozen=True):
    """What is said of a point before it is run."""

    point: Point
    gateways: int
    quantities: list[Quantity]


class Compared(Struct, frozen=True):
    """A quantity beside what was measured: the median, lowest and highest of the repeats.

    Attributes:
        error: of the prediction, in parts of the median.
        counts: whether it decides.
        holds: within WITHIN, or within the spread where that counts.
    """

    name: str
    unit: str
    predicted: float
    measured: float
    low: float
    high: float
    error: float
    counts: bool
    holds: bool


class Checked(Struct, frozen=True):
    """A point after its runs.

    Attributes:
        foreign_cores: that others used, in the median of the runs.
        pace: of the cores, in the median of the runs: 1 when they were as fast as was predicted for, 0.5 when half so
            fast.
    """

    prediction: Prediction
    repeats: int
    compared: list[Compared]
    foreign_cores: float = 0.0
    pace: float = 1.0

    @property
    def quiet(self) -> bool:
        """Whether the machine was ours: the simulation gives all cores of it to the server and the generator."""
        return self.foreign_cores <= FOREIGN_CORES_MAX

    @property
    def ok(self) -> bool:
        """Whether there is something that counts, and all of that holds."""
        counted = [one.holds for one in self.compared if one.counts]
        return bool(counted) and all(counted)


def predict(blocks: Sequence[Block], constants: Constants, *, seconds: float, cores: int) -> list[Prediction]:
    """Say what will be measured at every point.

    Raises:
        Overrun: a point is more than this machine can carry by the constants.
    """
    return [
        Prediction(point, block.gateways, _quantities(point, block.gateways, constants, seconds, cores))
        for block in blocks
        for point in block.points
    ]


def beat_here(*, seconds: float, told: Callable[[str], None]) -> float:
    """How long the beat takes on this machine beside a run that is in neither grid, in µs.

    Errors as `run_all`.
    """
    told("how fast the cores are")
    with stand() as place:
        return usual_beat_us(observe(place, WARM_UP, seconds).beat_us for _ in range(WARM_UPS))


def run_all(
    blocks: Sequence[Block], *, seconds: float, repeats: int, seed: int, told: Callable[[str], None]
) -> list[Observed]:
    """The runs, in a shuffled order.

    Raises:
        ServerFailed, ApiError, ClientRefused, CrewFailed: one could not be carried out.
    """
    rows, runs = shuffled(blocks, repeats, seed), []
    total, number = sum(len(block.points) for block in rows), itertools.count(1)
    for block in rows:
        with stand(gateways=block.gateways, listeners=block.listeners) as place:
            for point in block.points:
                told(f"{next(number)}/{total} {point.name}")
                runs.append(quietest(observe_alone(place, point, seconds)))
    return runs


def compare(predictions: Sequence[Prediction], runs: Sequence[Observed], beat_us: float) -> list[Checked]:
    """Predictions beside the runs of their points.

    Args:
        beat_us: that was predicted for: Python's processors and latencies are compared at this pace.
    """
    checked = []
    for prediction in predictions:
        of_point = [run for run in runs if run.point == prediction.point and run.gateways == prediction.gateways]
        measured = [_measured(run) for run in runs_at_pace(of_point, beat_us)]
        compared = [
            compared_to(quantity, [found[quantity.name] for found in measured])
            for quantity in prediction.quantities
            if measured and all(quantity.name in found for found in measured)
        ]
        foreign = statistics.median([run.foreign_cores for run in of_point]) if of_point else 0.0
        pace = statistics.median([factor(run.beat_us, beat_us) for run in of_point]) if of_point else 1.0
        checked.append(Checked(prediction, len(of_point), compared, round(foreign, 3), round(pace, 3)))
    return checked


def compared_to(quantity: Quantity, measured: Sequence[float]) -> Compared:
    """One quantity beside at least one measurement of it."""
    middle, low, high = statistics.median(measured), min(measured), max(measured)
    error = (quantity.predicted - middle) / middle if middle else 0.0 if quantity.predicted == 0 else 1.0
    holds = abs(error) <= WITHIN or (quantity.spread and low <= quantity.predicted <= high)
    counts = quantity.unit != "cores" or middle >= CORES_MIN
    return Compared(quantity.name, quantity.unit, quantity.predicted, middle, low, high, round(error, 4), counts, holds)


def kept_checked() -> list[Checked]:
    """The check that comes with the package."""
    return msgspec.json.decode((resources.files("loadtest.plan") / "checked.json").read_bytes(), type=list[Checked])


def cores_here() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def simulated_flows(point: Point, gateways: int, found: Simulated) -> Flows:
    """What happens a second when the loops go round as in a simulation."""
    return flows(point.demand, Layout(gateways=gateways), Pacing(), found.rhythm)


def _quantities(point: Point, gateways: int, constants: Constants, seconds: float, cores: int) -> list[Quantity]:
    layout = Layout(gateways=gateways)
    setting = Setting(point.demand, layout, cores=cores, generator=True, seconds=seconds)
    found = simulate(setting, constants)
    happens = simulated_flows(point, gateways, found)
    used = usage(happens, layout, constants, Pacing().id_life_s)
    quiet = DRAIN_S / seconds
    cores_of = {
        "gateway": used.gateway + quiet * gateways * constants.gateway["base"].value / 1e6,
        "valkey": used.valkey + quiet * constants.valkey["base"].value / 1e6,
        "worker": used.worker + quiet * constants.worker["base"].value / 1e6,
        "postgres": used.postgres + quiet * constants.postgres["base"].value / 1e6,
    }
    quantities = [
        Quantity("gifts accepted", "/s", point.gifts_per_s),
        *(Quantity(f"CPU of {part}", "cores", value) for part, value in cores_of.items()),
        Quantity("CPU of all", "cores", sum(cores_of.values())),
        Quantity("commits of gifts", "/s", happens.commits),
        Quantity("frames to viewers", "/s", happens.frames),
        Quantity("bytes to clients", "B/s", used.frame_bytes),
        Quantity("bytes out of Valkey", "B/s", used.published_bytes),
        Quantity("append-only file", "B/s", used.aof_bytes),
        Quantity("log of PostgreSQL", "B/s", used.wal_bytes),
        Quantity("rows of PostgreSQL", "/s", used.rows),
        Quantity("memory of gateways", "MB", used.gateway_mb),
    ]
    for name, latency in zip(TIMES, (found.accepted_ms, found.overlay_ms, found.viewer_ms), strict=True):
        for which, value in (("p50", latency.p50), ("p99", latency.p99)):
            if value is not None:
                quantities.append(Quantity(f"{name} {which}", "ms", value, spread=True))
    return quantities


def _measured(run: Observed) -> dict[str, float]:
    seconds, stored = run.seconds, run.stored
    cores = {part: run.cpu.get(part, 0.0) / seconds for part in ("gateway", "valkey", "worker", "postgres")}
    found: dict[str, float | None] = {
        "gifts accepted": run.accepted_per_s,
        **{f"CPU of {part}": value for part, value in cores.items()},
        "CPU of all": sum(cores.values()),
        "commits of gifts": run.counts["commits"] / seconds,
        "frames to viewers": run.counts["frames"] / seconds,
        "bytes to clients": run.counts["frame_bytes"] / seconds,
        "bytes out of Valkey": stored.published_bytes / seconds,
        "append-only file": stored.aof_bytes / seconds,
        "log of PostgreSQL": stored.wal_bytes / seconds,
        "rows of PostgreSQL": stored.rows / seconds,
        "memory of gateways": run.gateway_mb,
        **{f"{name} {which}": getattr(run.times, f"{name}_{which}") for name in TIMES for which in ("p50", "p99")},
    }
    return {name: value for name, value in found.items() if value is not None}


__all__ = ["Checked", "Compared", "Overrun", "Prediction", "Quantity", "compare", "predict", "run_all"]
