"""Measuring the constants: runs of the grid in a shuffled order, references between them, and the fit."""

import asyncio
import itertools
import platform
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final

import numpy as np
from msgspec import Struct

from gateway.wire.codec import Encoding
from loadtest.plan.constants import VERSION, Constant, Constants, Costs, Place
from loadtest.plan.measuring.fit import FitFailed, ratio, spread_of
from loadtest.plan.measuring.grid import Block, shuffled
from loadtest.plan.measuring.observe import (
    Observed,
    Point,
    Stand,
    cpu_of,
    memory_mb,
    observe_alone,
    quietest,
    scenario_of,
    stand,
)
from loadtest.plan.measuring.pace import idle_at_pace, probes_at_pace, rests_at_pace, runs_at_pace, usual_beat_us
from loadtest.plan.measuring.probe import Probed, probe
from loadtest.plan.measuring.reference import Beats, Reference, look
from loadtest.plan.measuring.rows import Idle, Rest, fit_all, generator_costs, kept_facts, known_of, rows_of
from loadtest.play.crew import Crew
from loadtest.play.run import Options, prepare
from loadtest.report.report import environment
from loadtest.script.casting import Crowd, assign, set_stage
from loadtest.script.naming import new_run
from loadtest.server.procfs import cpu_s, pss_kb
from loadtest.tokens import KEY_FILE, TokenSigner

IDLE_ROOMS: Final = 50
IDLE_STEPS: Final = 3
IDLE_SOCKETS: Final = 1_000
IDLE_S: Final = 40.0
"""A silent socket is pinged at every other heartbeat of 20 s: so long is once for each."""
SETTLE_S: Final = 2.0
REST_S: Final = 20.0
QUANTILES: Final = 41
SYNCS_TAKEN: Final = 0.9
"""Of the fsyncs beside the runs, from the fastest: the others waited for a core, and that is simulated by itself."""
Told = Callable[[str], None]


class Kept(Struct, frozen=True):
    """What Valkey kept after the runs on one server.

    Attributes:
        gifts: accepted there; `facts` that histories still hold.
        grown_bytes: of its memory in all; `streams_bytes` of that are histories.
    """

    gifts: int
    facts: float
    grown_bytes: float
    streams_bytes: float


class Weights(Struct, frozen=True):
    """Memory of each part with nothing to do, in MB; of one gateway."""

    gateway: float
    worker: float
    valkey: float
    postgres: float


class Measured(Struct, frozen=True):
    """All that was seen, before anything is fitted: it can be fitted anew."""

    runs: list[Observed]
    idle: list[Idle]
    probes: list[Probed]
    kept: list[Kept]
    weights: list[Weights]
    references: list[Reference]
    rests: list[Rest] = []


def measure(
    blocks: Sequence[Block],
    *,
    seconds: float,
    repeats: int,
    seed: int,
    told: Told,
    idle_sockets: int = IDLE_SOCKETS,
    idle_s: float = IDLE_S,
    rest_s: float = REST_S,
) -> Measured:
    """Run the grid.

    Args:
        told: hears in a line what comes next.
        idle_sockets: of each step of those who only sit there, for `idle_s` afterwards.
        rest_s: how long a server has nobody on it.

    Raises:
        ServerFailed, ApiError, ClientRefused, CrewFailed: a run could not be carried out.
    """
    found = Measured([], [], [], [], [], [look()], [])
    blocks_in_order = shuffled(blocks, repeats, seed)
    total, number = sum(len(block.points) for block in blocks_in_order), itertools.count(1)
    for block in blocks_in_order:
        with stand(gateways=block.gateways, listeners=block.listeners) as place:
            found.weights.append(weigh(place))
            if block.probed:
                told("messages that nobody is told of")
                found.probes.extend(probe(place))
            began = place.stores.look().valkey_bytes
            ours: list[Observed] = []
            for point in block.points:
                told(f"{next(number)}/{total} {point.name}: {_words(point)}")
                tries = observe_alone(place, point, seconds)
                found.runs.append(quietest(tries))
                ours += tries
            grown = place.stores.look().valkey_bytes - began
            gifts, facts = sum(run.gifts for run in ours), sum(kept_facts(run) for run in ours)
            found.kept.append(Kept(gifts, facts, grown, place.stores.streams_bytes()))
        found.references.append(look())
    with stand() as place:
        told("a server with nobody on it")
        found.rests.append(_rest(place, rest_s))
        told(f"{idle_sockets * IDLE_STEPS} viewers who only sit there")
        found.idle.append(_sit(place, idle_sockets, idle_s))
    found.references.append(look())
    return found


def constants_of(measured: Measured, *, seconds: float, command: str, seed: int = 1) -> Constants:
    """Fit everything.

    Raises:
        FitFailed: the runs do not say enough.
    """
    if not measured.runs:
        raise FitFailed("there were no runs")
    beats_us = [run.beat_us for run in measured.runs]
    beat_us = usual_beat_us(beats_us)
    runs, probes = runs_at_pace(measured.runs, beat_us), probes_at_pace(measured.probes, beat_us)
    rows = rows_of(runs, idle_at_pace(measured.idle, beat_us), probes)
    fitted = fit_all(rows, known_of(probes, rests_at_pace(measured.rests, beat_us)), seed=seed)
    fsync_ms = [one for run in measured.runs for one in run.fsync_ms] or [
        one for reference in measured.references for one in reference.fsync_ms
    ]
    place = environment()
    return Constants(
        version=VERSION,
        place=Place(
            date=datetime.now(UTC).date().isoformat(),
            version=version("giftwire"),
            python=platform.python_version(),
            machine=place.machine,
            cores=place.cores,
            kernel=place.kernel,
            command=command,
            runs=len(measured.runs),
            seconds=seconds,
            gifts=sum(run.gifts for run in measured.runs),
            foreign_cores=round(float(np.median([run.foreign_cores for run in measured.runs])), 3),
        ),
        **{part: one.costs for part, one in fitted.items()},
        memory=_memory(measured),
        generator=generator_costs(runs),
        references={
            "python_us": spread_of([one.python_us for one in measured.references]),
            "write_us": spread_of([one.write_us for one in measured.references]),
            "beat_us": spread_of(beats_us),
            "fsync_ms": spread_of([float(np.median(one.fsync_ms)) for one in measured.references]),
        },
        fsync_ms=[round(float(one), 4) for one in np.quantile(fsync_ms, np.linspace(0, SYNCS_TAKEN, QUANTILES))],
        errors={part: one.error for part, one in fitted.items()},
    )


def weigh(place: Stand) -> Weights:
    """Memory of the parts of a server that has just begun."""
    mb = memory_mb(place.server)
    gateway = mb.get("gateway", 0.0) / place.gateways
    return Weights(gateway, *(mb.get(part, 0.0) for part in ("worker", "valkey", "postgres")))


def _memory(measured: Measured) -> Costs:
    weights = measured.weights
    kept = [(max(one.grown_bytes - one.streams_bytes, 0.0), float(one.gifts)) for one in measured.kept if one.gifts]
    steps = [kb for one in measured.idle for kb in one.kb_by_step]
    return {
        "gateway_base_mb": spread_of([one.gateway for one in weights]),
        "socket_kb": spread_of(steps) if steps else Constant(0.0, 0.0, 0.0),
        "valkey_base_mb": spread_of([one.valkey for one in weights]),
        "gift_id_bytes": ratio(kept),
        "history_fact_bytes": ratio([(one.streams_bytes, one.facts) for one in measured.kept if one.facts]),
        "worker_base_mb": spread_of([one.worker for one in weights]),
        "postgres_base_mb": spread_of([one.postgres for one in weights]),
    }


def _rest(place: Stand, rest_s: float) -> Rest:
    time.sleep(SETTLE_S)
    before, began_s = cpu_of(place), time.monotonic()
    with Beats() as beats:
        time.sleep(rest_s)
    after, passed_s = cpu_of(place), time.monotonic() - began_s
    return Rest(passed_s, {part: used_s - before.get(part, 0.0) for part, used_s in after.items()}, beats.median_us)


def _sit(place: Stand, sockets: int, idle_s: float) -> Idle:
    """Connect viewers step by step, weigh each, and let all sit there; the first step also warms up and counts for
    nothing."""
    server = place.server
    pid, kb, crew_of = server.gateway_pid, [], ExitStack()
    with crew_of:
        for _ in range(IDLE_STEPS):
            before_kb = pss_kb(pid)
            _seat(place, crew_of, sockets)
            time.sleep(SETTLE_S)
            kb.append((pss_kb(pid) - before_kb) / sockets)
        used_s, began_s = cpu_s(pid), time.monotonic()
        with Beats() as beats:
            time.sleep(idle_s)
        used_s, passed_s = cpu_s(pid) - used_s, time.monotonic() - began_s
    weights = [max(one, 0.0) for one in kb[1:]]
    return Idle(sockets * IDLE_STEPS, IDLE_ROOMS * IDLE_STEPS, passed_s, used_s, weights, beats.median_us)


def _seat(place: Stand, stack: ExitStack, sockets: int) -> None:
    server = place.server
    signer = TokenSigner.from_file(server.data_dir / KEY_FILE)
    options = Options(server.ws_url, signer.token("plan", "operator"), signer)
    stage = set_stage(new_run(), scenario_of(Point("idle", 1.0, sockets, min(IDLE_ROOMS, sockets)), 1.0))
    asyncio.run(prepare(stage, options))
    parts = assign(stage, Crowd(), options.url, Encoding.JSON, signer)
    crew = stack.enter_context(Crew([part for part in parts if part.viewers]))
    crew.wait_ready()


def _words(point: Point) -> str:
    where = ", gifts come in elsewhere" if point.apart else ""
    return f"{point.gifts_per_s:,.0f} gifts/s, {point.viewers:,} viewers, {point.rooms:,} rooms{where}"
