"""Gifts of the simulation, many at a time, and the latencies that come of them."""

from collections import deque

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from loadtest.plan.flows import Floats
from loadtest.plan.simulation.setting import Percentiles


class Gifts(Struct):
    """Gifts that go together: when each was meant to be sent, and its room. A room of -1 is none of ours."""

    at_s: Floats
    room: npt.NDArray[np.int64]
    accepted_s: float = 0.0

    def __len__(self) -> int:
        return len(self.at_s)


class Samples:
    """Latencies, weighted, of gifts that count."""

    def __init__(self, warm_s: float) -> None:
        self._warm_s = warm_s
        self._values: list[Floats] = []
        self._weights: list[Floats] = []

    def add(self, at_s: Floats, now_s: float, weight: float = 1.0) -> None:
        counted = at_s[at_s >= self._warm_s]
        if counted.size:
            self._values.append(now_s - counted)
            self._weights.append(np.full(counted.size, weight))

    def percentiles(self) -> Percentiles:
        if not self._values:
            return Percentiles(None, None, 0)
        values, weights = np.concatenate(self._values), np.concatenate(self._weights)
        order = np.argsort(values)
        summed = np.cumsum(weights[order])
        p50, p99 = (float(values[order][np.searchsorted(summed, summed[-1] * part)]) * 1e3 for part in (0.5, 0.99))
        return Percentiles(round(p50, 3), round(p99, 3), int(values.size))


def joined(gifts: list[Gifts]) -> Gifts:
    if len(gifts) == 1:
        return gifts[0]
    return Gifts(np.concatenate([one.at_s for one in gifts]), np.concatenate([one.room for one in gifts]))


def first_of(queue: deque[Gifts], most: int) -> list[Gifts]:
    """Take so many gifts at most from the front of a queue."""
    taken: list[Gifts] = []
    left = most
    while queue and left > 0:
        one = queue.popleft()
        if len(one) > left:
            queue.appendleft(msgspec.structs.replace(one, at_s=one.at_s[left:], room=one.room[left:]))
            one = msgspec.structs.replace(one, at_s=one.at_s[:left], room=one.room[:left])
        taken.append(one)
        left -= len(one)
    return taken
