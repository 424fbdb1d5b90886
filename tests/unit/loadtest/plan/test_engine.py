"""The pieces of the simulation against results that are known in closed form."""

import numpy as np
import pytest
import simpy

from loadtest.plan.simulation.engine import Cores, Loop, Steps, SyncedLoop


def waits_of(cores: int | None, load: float, service_s: np.ndarray, *, loops: int = 1) -> float:
    """The mean time from arrival to the beginning of the work, of Poisson arrivals at so many loops."""
    env = simpy.Environment()
    shared = Cores(env, cores)
    parts = [Loop(env, shared, "part") for _ in range(loops)]
    rng = np.random.default_rng(7)
    waits: list[float] = []

    def arrive() -> Steps:
        for number, seconds in enumerate(service_s):
            yield env.timeout(rng.exponential(float(service_s.mean()) / load))
            came_s = env.now

            def done(came_s: float = came_s, seconds: float = float(seconds)) -> None:
                waits.append(env.now - came_s - seconds)

            parts[number % loops].put(float(seconds), done)

    env.process(arrive())
    env.run()
    assert len(waits) == len(service_s)
    return float(np.mean(waits))


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_one_loop_with_equal_jobs_waits_as_m_d_1(load: float) -> None:
    """Pollaczek and Khinchin: W = load · s / (2 · (1 − load))."""
    service_s = 0.0008
    found = waits_of(None, load, np.full(40_000, service_s))
    assert found == pytest.approx(load * service_s / (2 * (1 - load)), rel=0.08)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_one_loop_with_jobs_by_chance_waits_as_m_m_1(load: float) -> None:
    """W = load · s / (1 − load)."""
    service_s = np.random.default_rng(3).exponential(0.0008, 60_000)
    assert waits_of(None, load, service_s) == pytest.approx(load * 0.0008 / (1 - load), rel=0.1)


def test_many_loops_on_two_cores_wait_as_m_d_2() -> None:
    """With a loop for each job only cores are waited for: equal jobs wait about half of M/M/2's (Erlang's C)."""
    load, service_s = 0.7, 0.0008
    found = waits_of(2, 2 * load, np.full(30_000, service_s), loops=300)
    erlang_c = 2 * load**2 / (1 + load)
    assert found == pytest.approx(erlang_c * service_s / (2 * (1 - load)) / 2, rel=0.15)


def test_cores_are_shared_in_slices() -> None:
    """A long job does not hold up a short one of another process by more than a slice."""
    env = simpy.Environment()
    cores = Cores(env, 1)
    long, short = Loop(env, cores, "long"), Loop(env, cores, "short")
    ended: dict[str, float] = {}

    def begin() -> Steps:
        long.put(1.0, lambda: ended.update(long=env.now))
        yield env.timeout(0.0105)
        short.put(0.0005, lambda: ended.update(short=env.now))

    env.process(begin())
    env.run()
    assert ended["short"] == pytest.approx(0.0115)
    assert ended["long"] == pytest.approx(1.0005)
    assert cores.busy_s == pytest.approx({"long": 1.0, "short": 0.0005})


def test_a_loop_that_syncs_answers_all_of_a_round_at_once() -> None:
    """What came while it synced goes together in the next round."""
    env = simpy.Environment()
    loop = SyncedLoop(env, Cores(env, None), "store", 0.0, lambda: 0.010)
    answered: list[float] = []

    def come() -> Steps:
        for _ in range(4):
            loop.put(0.001, lambda: answered.append(round(env.now, 6)))
            yield env.timeout(0.002)

    env.process(come())
    env.run()
    assert answered == [0.011, 0.024, 0.024, 0.024]
    assert loop.rounds == 2


def test_a_sleeping_loop_takes_its_time_to_wake() -> None:
    """Once, not for each job."""
    env = simpy.Environment()
    loop = Loop(env, Cores(env, None), "part", wake_s=0.1)
    ended: list[float] = []
    loop.put(1.0, lambda: ended.append(env.now))
    loop.put(1.0, lambda: ended.append(env.now))
    env.run()
    assert ended in ([1.0, 2.0], [1.1, 2.1])


def test_round_that_writes_nothing_waits_for_no_disk() -> None:
    """A read is answered at once; one beside a write waits with it."""
    env = simpy.Environment()
    loop = SyncedLoop(env, Cores(env, None), "valkey", 0.0, lambda: 5.0)
    done: list[tuple[str, float]] = []
    loop.put(1.0, lambda: done.append(("read", env.now)), writes=False)
    env.run(until=2.0)
    loop.put(1.0, lambda: done.append(("read with a write", env.now)), writes=False)
    loop.put(1.0, lambda: done.append(("write", env.now)))
    env.run(until=20.0)
    assert done == [("read", 1.0), ("read with a write", 9.0), ("write", 9.0)]
