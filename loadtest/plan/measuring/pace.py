"""Measurements at one pace. Pure.

The cores of a machine that others use too are faster now and slower then, by half within minutes, and what a gift takes
of them with it. Beside every measurement the same small piece of Python is timed (its beat). What Python's parts took
(gateways, worker, generator), and times that pass while they work, are told as they would have been had that piece
taken as long as it does on the whole. Valkey and PostgreSQL do not follow it: theirs is told as it was.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from loadtest.plan.measuring.observe import Observed, Times
from loadtest.plan.measuring.probe import Probed
from loadtest.plan.measuring.rows import Idle, Rest

IN_PYTHON: Final = frozenset({"gateway", "worker"})
"""Parts of the server that are as fast as the beat."""


def usual_beat_us(beats_us: Iterable[float]) -> float:
    """The beat in the middle; those that were not taken (0) aside, and 0 when none was."""
    taken = [beat_us for beat_us in beats_us if beat_us > 0]
    return statistics.median(taken) if taken else 0.0


def runs_at_pace(runs: Sequence[Observed], beat_us: float) -> list[Observed]:
    """Processors and latencies as at this beat."""
    return [_run_at_pace(run, factor(run.beat_us, beat_us)) for run in runs]


def idle_at_pace(idle: Sequence[Idle], beat_us: float) -> list[Idle]:
    """Processors as at this beat."""
    return [msgspec.structs.replace(one, cpu_s=one.cpu_s * factor(one.beat_us, beat_us)) for one in idle]


def probes_at_pace(probes: Sequence[Probed], beat_us: float) -> list[Probed]:
    """Processors as at this beat."""
    return [
        msgspec.structs.replace(
            probe, gateway_cpu=[used_s * factor(probe.beat_us, beat_us) for used_s in probe.gateway_cpu]
        )
        for probe in probes
    ]


def rests_at_pace(rests: Sequence[Rest], beat_us: float) -> list[Rest]:
    """Processors as at this beat."""
    return [msgspec.structs.replace(one, cpu=_paced(one.cpu, factor(one.beat_us, beat_us))) for one in rests]


def factor(taken_us: float, beat_us: float) -> float:
    """By what to multiply a time that was measured at one beat, to have it at another; 1 where either was not taken."""
    return beat_us / taken_us if taken_us > 0 and beat_us > 0 else 1.0


def _run_at_pace(run: Observed, scale: float) -> Observed:
    times = {name: None if (ms := getattr(run.times, name)) is None else ms * scale for name in Times.__struct_fields__}
    return msgspec.structs.replace(
        run,
        cpu=_paced(run.cpu, scale),
        listener_cpu=[used_s * scale for used_s in run.listener_cpu],
        generator_cpu={part: used_s * scale for part, used_s in run.generator_cpu.items()},
        times=Times(**times),
    )


def _paced(cpu: Mapping[str, float], scale: float) -> dict[str, float]:
    return {part: used_s * scale if part in IN_PYTHON else used_s for part, used_s in cpu.items()}
