"""The pieces of the simulation: cores that processes share, and a process that does what has come, one round at a time.

Time is in seconds. Both are shells over SimPy; what is worked at is the simulation's affair.
"""

from collections.abc import Callable, Generator
from typing import Any, Final

import simpy

SLICE_S: Final = 1e-3
"""A process that others wait for lets go of its core after so long."""

Steps = Generator[simpy.Event, Any, None]


class Cores:
    """Cores, each for one process at a time, first come first served in slices; without a number, as many as are
    wanted.

    Attributes:
        busy_s: worked so far, by part.
    """

    def __init__(self, env: simpy.Environment, cores: int | None) -> None:
        self.busy_s: dict[str, float] = {}
        self._env = env
        self._cores = None if cores is None else simpy.Resource(env, capacity=cores)

    def work(self, part: str, seconds: float) -> Steps:
        """Use a core for so long."""
        if seconds <= 0:
            return
        self.busy_s[part] = self.busy_s.get(part, 0.0) + seconds
        if self._cores is None:
            yield self._env.timeout(seconds)
            return
        while seconds > 0:
            with self._cores.request() as turn:
                yield turn
                slice_s = min(seconds, SLICE_S)
                yield self._env.timeout(slice_s)
            seconds -= slice_s


class Job:
    """Something to do: what it costs, what is so when it is done, and whether it leaves something to bring to disk."""

    __slots__ = ("cost_s", "done", "writes")

    def __init__(self, cost_s: float, done: Callable[[], None] | None, *, writes: bool) -> None:
        self.cost_s = cost_s
        self.done = done
        self.writes = writes


class Loop:
    """A process with an event loop: it takes all that has come, does one after another, and looks again.

    Args:
        part: under which its work is counted.
        wake_s: from something's coming to its being seen by a process that waits.
    """

    def __init__(self, env: simpy.Environment, cores: Cores, part: str, wake_s: float = 0.0) -> None:
        self.rounds = 0
        self._env = env
        self._cores = cores
        self._part = part
        self._wake_s = wake_s
        self._jobs: list[Job] = []
        self._asleep: simpy.Event | None = None
        env.process(self._run())

    def put(self, cost_s: float, done: Callable[[], None] | None = None, *, writes: bool = True) -> None:
        """Something more to do."""
        self._jobs.append(Job(cost_s, done, writes=writes))
        if self._asleep is not None:
            self._asleep.succeed()
            self._asleep = None

    def _run(self) -> Steps:
        while True:
            if not self._jobs:
                self._asleep = self._env.event()
                yield self._asleep
                if self._wake_s:
                    yield self._env.timeout(self._wake_s)
            jobs, self._jobs = self._jobs, []
            self.rounds += 1
            yield from self._round(jobs)

    def _round(self, jobs: list[Job]) -> Steps:
        for job in jobs:
            yield from self._cores.work(self._part, job.cost_s)
            if job.done is not None:
                job.done()


class SyncedLoop(Loop):
    """One that brings to disk what it wrote in a round, and answers only then: Valkey with an fsync before each answer.

    A round in which nothing was written waits for no disk.

    Args:
        sync_s: draws how long that takes; no core is used meanwhile.
    """

    def __init__(
        self, env: simpy.Environment, cores: Cores, part: str, wake_s: float, sync_s: Callable[[], float]
    ) -> None:
        self._sync_s = sync_s
        super().__init__(env, cores, part, wake_s)

    def _round(self, jobs: list[Job]) -> Steps:
        yield from self._cores.work(self._part, sum(job.cost_s for job in jobs))
        if any(job.writes for job in jobs):
            yield self._env.timeout(self._sync_s())
        for job in jobs:
            if job.done is not None:
                job.done()
