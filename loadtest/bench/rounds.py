"""One round of a scenario whose gifts nobody checks: what the gateway of the viewers spent, and what they received."""

import asyncio
import time
from typing import Final

import msgspec
from msgspec import Struct

from gateway.wire.codec import Encoding
from loadtest.bench.server import BenchServer
from loadtest.play.crew import Crew
from loadtest.play.orders import Begin
from loadtest.play.run import Options, prepare
from loadtest.script.casting import Crowd, assign, set_stage
from loadtest.script.naming import new_run
from loadtest.script.scenario import Scenario
from loadtest.server.procfs import cpu_s, rss_kb
from loadtest.tokens import KEY_FILE, TokenSigner

DRAIN_S: Final = 1.0
SETTLE_S: Final = 1.0


class Watched(Struct, frozen=True):
    """What a round showed.

    Attributes:
        frames, bytes_received: what reached viewers and overlays.
        accepted: gifts.
        cpu_per_s, idle_per_s: share of a processor that the gateway used, and before the first gift.
        clients_cpu_s, clients_kb: processor time of the processes that played viewers and overlays, and their
            resident memory at the end.
        wall_s: how long it was watched: the scenario and a moment after it.
    """

    frames: int
    bytes_received: int
    accepted: int
    cpu_per_s: float
    idle_per_s: float
    clients_cpu_s: float
    clients_kb: int
    wall_s: float


def watch_round(server: BenchServer, scenario: Scenario, *, senders_url: str | None = None) -> Watched:
    """Play a scenario.

    Args:
        senders_url: another gateway, at which gifts are handed in; None for the one that is watched.
    """
    signer = TokenSigner.from_file(server.data_dir / KEY_FILE)
    options = Options(server.ws_url, signer.token("bench", "operator"), signer)
    stage = set_stage(new_run(), scenario)
    asyncio.run(prepare(stage, options))
    pid = server.gateway_pid
    parts = assign(stage, Crowd(), options.url, Encoding.JSON, signer)
    if senders_url is not None:
        parts = [msgspec.structs.replace(part, url=senders_url) if part.senders else part for part in parts]
    with Crew(parts) as crew:
        crew.wait_ready()
        time.sleep(SETTLE_S)
        idle_per_s = _cpu_per_s(pid, scenario.duration_s / 2)
        began_cpu_s, began_s = cpu_s(pid), time.monotonic()
        crew.begin(Begin(time.monotonic_ns(), time.time_ns() - time.monotonic_ns()))
        accepted = _wait(crew, scenario.duration_s + DRAIN_S)
        used_s, wall_s = cpu_s(pid) - began_cpu_s, time.monotonic() - began_s
        watching = [pid for pid, part in zip(crew.pids, parts, strict=True) if not part.senders]
        clients_kb = sum(rss_kb(pid) for pid in watching)
        harvests = [harvest for harvest in crew.finish() if harvest.watches]
    return Watched(
        frames=sum(harvest.frames for harvest in harvests),
        bytes_received=sum(harvest.bytes_received for harvest in harvests),
        accepted=accepted,
        cpu_per_s=used_s / wall_s,
        idle_per_s=idle_per_s,
        clients_cpu_s=sum(harvest.cpu_s for harvest in harvests),
        clients_kb=clients_kb,
        wall_s=wall_s,
    )


def _cpu_per_s(pid: int, seconds: float) -> float:
    began_cpu_s, began_s = cpu_s(pid), time.monotonic()
    time.sleep(seconds)
    return (cpu_s(pid) - began_cpu_s) / (time.monotonic() - began_s)


def _wait(crew: Crew, seconds: float) -> int:
    """Gifts accepted meanwhile."""
    accepted: dict[int, int] = {}
    deadline_s = time.monotonic() + seconds
    while (left_s := deadline_s - time.monotonic()) > 0:
        accepted.update({progress.process: progress.accepted for progress in crew.progress(min(left_s, 0.5))})
    return sum(accepted.values())
