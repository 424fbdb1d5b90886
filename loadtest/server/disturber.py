"""Kills and stops processes of a local server while a run checks it: on a schedule that its seed repeats.

A process is killed with SIGKILL, or stopped for a while with SIGSTOP; the next comes when the server is ready again.
"""

import contextlib
import os
import random
import signal
import time
from collections.abc import Iterator
from typing import Final, Literal

import httpx
from msgspec import Struct

from loadtest.server.aside import Aside
from loadtest.server.local_server import LocalServer

FIRST_S: Final = 1.0
PAUSE_S_MEAN: Final = 2.0
"""From the moment in which the server is ready again to the next blow, beside REST_S."""
REST_S: Final = 1.0
READY_S_MAX: Final = 60.0
LOOK_S: Final = 0.05
QUIET_END_S: Final = 4.0
"""No blow falls in the last seconds of a run: whether it comes back must show."""


class Blow(Struct, frozen=True):
    """What befalls the server.

    Attributes:
        part: whose process: gateway (any of them), worker, valkey or postgres.
        stopped_s: of a stop, how long.
    """

    part: str
    action: Literal["kill", "stop"]
    stopped_s: float = 0.0


BLOWS: Final = (
    Blow("gateway", "kill"),
    Blow("worker", "kill"),
    Blow("valkey", "kill"),
    Blow("postgres", "kill"),
    Blow("gateway", "stop", 2.0),
    Blow("worker", "stop", 5.0),
    Blow("valkey", "stop", 2.0),
    Blow("postgres", "stop", 5.0),
)


class Struck(Struct, frozen=True):
    """A blow that fell.

    Attributes:
        at_s: since the first gift was meant to be sent.
        process: the name that `serve` has for it.
        ready_after_s: when the server was ready again; None when it was not within READY_S_MAX.
        accepted_after_s: when the first gift was accepted that was sent after it; None when none was.
    """

    at_s: float
    process: str
    action: str
    stopped_s: float
    ready_after_s: float | None
    accepted_after_s: float | None = None


def schedule(seed: int) -> Iterator[tuple[Blow, float]]:
    """Blows without end, each with the seconds to wait before it; each kind falls once before any falls again."""
    rng = random.Random(f"{seed}:blows")
    while True:
        for blow in rng.sample(BLOWS, len(BLOWS)):
            yield blow, rng.expovariate(1 / PAUSE_S_MEAN) + REST_S


class Disturber(Aside):
    """Strikes from `start_ns` on, until `seconds` have nearly passed or the block ends. Use as a context.

    Attributes:
        struck: in the order of time.
    """

    def __init__(self, local: LocalServer, seed: int, start_ns: int, seconds: float) -> None:
        super().__init__("disturber", READY_S_MAX + 10)
        self.struck: list[Struck] = []
        self._local = local
        self._schedule = schedule(seed)
        self._rng = random.Random(f"{seed}:victims")
        self._start_ns = start_ns
        self._end_ns = start_ns + int((seconds - QUIET_END_S) * 1e9)

    def go_on(self) -> None:
        """Strike."""
        if self.ended.wait(max((self._start_ns - time.monotonic_ns()) / 1e9, 0.0) + FIRST_S):
            return
        for blow, pause_s in self._schedule:
            if self.ended.wait(pause_s) or time.monotonic_ns() + int(blow.stopped_s * 1e9) > self._end_ns:
                return
            victims = {name: pid for name, pid in self._local.named().items() if name.startswith(blow.part)}
            if victims:
                name = self._rng.choice(sorted(victims))
                self._strike(blow, name, victims[name])

    def _strike(self, blow: Blow, name: str, pid: int) -> None:
        began_ns = time.monotonic_ns()
        with contextlib.suppress(ProcessLookupError):
            if blow.action == "kill":
                os.kill(pid, signal.SIGKILL)
            else:
                os.kill(pid, signal.SIGSTOP)
                try:
                    self.ended.wait(blow.stopped_s)
                finally:
                    os.kill(pid, signal.SIGCONT)
        ready_after_s = self._until_ready(name, pid if blow.action == "kill" else None, began_ns)
        at_s = round((began_ns - self._start_ns) / 1e9, 2)
        self.struck.append(Struck(at_s, name, blow.action, blow.stopped_s, ready_after_s))

    def _until_ready(self, name: str, old_pid: int | None, began_ns: int) -> float | None:
        """How long after the blow the server was ready again, with another process in the place of a killed one."""
        with httpx.Client(base_url=self._local.http_url, timeout=READY_S_MAX, trust_env=False) as client:
            while (passed_s := (time.monotonic_ns() - began_ns) / 1e9) < READY_S_MAX:
                replaced = old_pid is None or self._local.named().get(name, old_pid) != old_pid
                if replaced and _is_ready(client):
                    return round(passed_s, 2)
                time.sleep(LOOK_S)
        return None


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
