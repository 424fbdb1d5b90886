"""Who sends what, when: a scenario and a seed become one endless-looking, repeatable row of sendings.

Pure: the same scenario, seed and slice give the same row. Several processes take slices (every n-th sender).
"""

import bisect
import heapq
import itertools
import math
import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from loadtest.script.arrivals import arrival_times
from loadtest.script.scenario import Bursts, Phase, Population, Scenario

RUN_GIFTS_MAX = 1_000
"""The longest run of one finger: bounds the tail of the geometric law."""


class Sending(NamedTuple):
    """One command that is meant to be sent.

    Attributes:
        at_s: from the start of the run.
        sender: number of the sender in the whole population.
        kind: index into the scenario's mix.
        items: how many of the gift in the one command.
        repeated: tell the same command a second time right after.
    """

    at_s: float
    sender: int
    kind: int
    items: int
    repeated: bool


def rooms_of(population: Population, seed: int, members: int, purpose: str) -> list[int]:
    """The room of each of `members`, by the Zipf law; every room gets someone while members last."""
    rng = random.Random(f"{seed}:rooms:{purpose}")
    bounds = _bounds([1 / (rank + 1) ** population.room_skew for rank in range(population.rooms)])
    rooms = [_draw(bounds, rng) for _ in range(members)]
    spread = min(population.rooms, members)
    rooms[:spread] = range(spread)
    return rooms


def poor_senders(population: Population, seed: int) -> frozenset[int]:
    """Senders who get too few coins for the run."""
    rng = random.Random(f"{seed}:poor")
    poor = math.ceil(population.senders * population.poor_share)
    return frozenset(rng.sample(range(population.senders), min(poor, population.senders)))


def slow_viewers(scenario: Scenario) -> frozenset[int]:
    """Viewers who read slowly."""
    rng, viewers = random.Random(f"{scenario.seed}:slow"), scenario.population.viewers
    return frozenset(rng.sample(range(viewers), math.ceil(viewers * scenario.slow.viewers_share)))


def sendings(scenario: Scenario, *, slice_index: int = 0, slices: int = 1) -> Iterator[Sending]:
    """The sendings of every `slices`-th sender from `slice_index` on, in order of time."""
    everybody, whales = range(slice_index, scenario.population.senders, slices), scenario.whales.senders
    ordinary = [sender for sender in everybody if sender >= whales]
    rich = [sender for sender in everybody if sender < whales]
    rng = random.Random(f"{scenario.seed}:sendings:{slice_index}/{slices}")
    row = _row(scenario, rng, ordinary, len(ordinary) / (scenario.population.senders - whales))
    if not rich:
        return row
    theirs = msgspec.structs.replace(
        scenario, rate_per_s=scenario.whales.rate_per_s, phases=[Phase(1, 1, 1)], bursts=Bursts()
    )
    rng = random.Random(f"{scenario.seed}:whales:{slice_index}/{slices}")
    return heapq.merge(row, _row(theirs, rng, rich, len(rich) / whales, whale=True))


def _row(
    scenario: Scenario, rng: random.Random, senders: Sequence[int], share: float, *, whale: bool = False
) -> Iterator[Sending]:
    if not senders:
        return iter(())
    runs = _runs(scenario, rng, senders, arrival_times(scenario, rng, share=share), whale=whale)
    if scenario.bursts.length_mean == 1:
        return itertools.chain.from_iterable(runs)
    return _merged(runs)


def _runs(
    scenario: Scenario, rng: random.Random, senders: Sequence[int], starts: Iterator[float], *, whale: bool
) -> Iterator[list[Sending]]:
    bounds = _bounds([mix.weight if mix.whale is whale else 0.0 for mix in scenario.mix])
    interval_s = scenario.bursts.interval_ms / 1000
    goes_on = 1 - 1 / scenario.bursts.length_mean
    for start_s in starts:
        sender, kind = senders[rng.randrange(len(senders))], _draw(bounds, rng)
        mix = scenario.mix[kind]
        length = 1
        while length < RUN_GIFTS_MAX and rng.random() < goes_on:
            length += 1
        yield [
            Sending(
                start_s + step * interval_s,
                sender,
                kind,
                1 if mix.count_max == 1 else rng.randint(1, mix.count_max),
                rng.random() < scenario.repeat_share,
            )
            for step in range(length)
        ]


def _merged(runs: Iterator[list[Sending]]) -> Iterator[Sending]:
    waiting: list[Sending] = []
    for run in runs:
        while waiting and waiting[0].at_s <= run[0].at_s:
            yield heapq.heappop(waiting)
        for sending in run:
            heapq.heappush(waiting, sending)
    while waiting:
        yield heapq.heappop(waiting)


def _bounds(weights: Sequence[float]) -> list[float]:
    total = sum(weights)
    return list(itertools.accumulate(weight / total for weight in weights))


def _draw(bounds: Sequence[float], rng: random.Random) -> int:
    return min(bisect.bisect_right(bounds, rng.random()), len(bounds) - 1)
