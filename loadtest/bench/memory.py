"""What an idle viewer costs the gateway in memory and time: connected, greeted, in a room, and silent."""

import asyncio
import itertools
import time
from contextlib import ExitStack
from typing import Final

from msgspec import Struct

from gateway.wire.codec import Encoding
from loadtest.bench.server import BenchServer
from loadtest.play.agent import raise_files_limit
from loadtest.play.crew import Crew
from loadtest.play.run import Options, prepare
from loadtest.record.spread import Spread, spread
from loadtest.script.casting import Crowd, assign, set_stage
from loadtest.script.naming import new_run
from loadtest.script.scenario import Mix, Phase, Population, Scenario
from loadtest.server.procfs import cpu_s, pss_kb
from loadtest.tokens import KEY_FILE, TokenSigner

SETTLE_S: Final = 2.0
WARM_SOCKETS: Final = 500
"""Connected first and not counted: the first ones also pay for modules and caches that are loaded once."""


class MemoryResult(Struct, frozen=True):
    """The bench's answer: memory (PSS) of the gateway process; what the kernel keeps for a socket is not in it.

    Attributes:
        kb_per_socket: over all counted sockets; `kb_by_step` the same for each step on the way.
        idle_core_share: part of one core that the gateway used while nothing happened but the heartbeat of them all.
    """

    sockets: int
    kb_per_socket: float
    kb_by_step: Spread
    idle_core_share: float
    gateway_kb_before: int
    gateway_kb_after: int


def measure_memory(server: BenchServer, *, sockets: int, steps: int, idle_s: float) -> MemoryResult:
    """Connect `sockets` viewers in `steps` and weigh the gateway after each.

    Args:
        idle_s: how long they then sit there. A silent socket is pinged at every other heartbeat.
    """
    raise_files_limit(sockets + WARM_SOCKETS)
    pid, per_step = server.gateway_pid, sockets // steps
    weights_kb = []
    with ExitStack() as stack:
        _connect(server, stack, WARM_SOCKETS)
        weights_kb.append(_weigh(pid))
        for _ in range(steps):
            _connect(server, stack, per_step)
            weights_kb.append(_weigh(pid))
        used_s, began_s = cpu_s(pid), time.monotonic()
        time.sleep(idle_s)
        idle_core_share = (cpu_s(pid) - used_s) / (time.monotonic() - began_s)
    grown = [after - before for before, after in itertools.pairwise(weights_kb)]
    return MemoryResult(
        sockets=per_step * steps,
        kb_per_socket=(weights_kb[-1] - weights_kb[0]) / (per_step * steps),
        kb_by_step=spread([kb / per_step for kb in grown]),
        idle_core_share=idle_core_share,
        gateway_kb_before=weights_kb[0],
        gateway_kb_after=weights_kb[-1],
    )


def _connect(server: BenchServer, stack: ExitStack, viewers: int) -> None:
    signer = TokenSigner.from_file(server.data_dir / KEY_FILE)
    options = Options(server.ws_url, signer.token("bench", "operator"), signer)
    scenario = Scenario(
        name="memory",
        summary="Viewers who only sit there.",
        rate_per_s=1.0,
        duration_s=1.0,
        phases=[Phase(1.0, 1.0, 1.0)],
        mix=[Mix("rose")],
        population=Population(senders=1, viewers=viewers),
    )
    stage = set_stage(new_run(), scenario)
    asyncio.run(prepare(stage, options))
    parts = assign(stage, Crowd(), options.url, Encoding.JSON, signer)
    crew = stack.enter_context(Crew([part for part in parts if part.viewers]))
    crew.wait_ready()


def _weigh(pid: int) -> int:
    time.sleep(SETTLE_S)
    return pss_kb(pid)
