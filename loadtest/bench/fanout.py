"""How much more than a bare `os.write` it costs the gateway to bring one frame to one viewer.

Gifts are sent slowly and evenly, so that each makes one frame and the cost is the fan-out. Rounds of the server and of
the reference alternate; both are read by the same kind of clients, and frames have the same size.
"""

import time
from multiprocessing.connection import Connection
from typing import Final

from msgspec import Struct

from gateway.wire.codec import Encoding
from loadtest.bench.reference import WriteOrder, Written, beside, serve_reference
from loadtest.bench.rounds import watch_round
from loadtest.bench.server import BenchServer, free_port
from loadtest.play.crew import Crew
from loadtest.play.orders import Begin
from loadtest.record.spread import Spread, spread
from loadtest.script.casting import Crowd, assign, set_stage
from loadtest.script.naming import new_run
from loadtest.script.scenario import Mix, Phase, Population, Scenario
from loadtest.tokens import TokenSigner

GIFTS_PER_S: Final = 20.0


class FanoutRound(Struct, frozen=True):
    """One round.

    Attributes:
        frames: that reached viewers.
        frame_bytes: payload of one, the mean.
        server_us: gateway CPU per frame, less what it used while idle.
        fanout_us: the same, less what the same gifts cost without viewers.
        reference_us: CPU of the reference per `os.write`.
    """

    frames: int
    frame_bytes: float
    server_us: float
    fanout_us: float
    reference_us: float


class FanoutResult(Struct, frozen=True):
    """The bench's answer; `ratio` is what the design aims at."""

    sockets: int
    gifts_per_s: float
    ratio: Spread
    ratio_fanout_only: Spread
    server_us_per_frame: Spread
    reference_us_per_frame: Spread
    frame_bytes: float
    rounds: list[FanoutRound]


def measure_fanout(server: BenchServer, *, sockets: int, seconds: float, rounds: int) -> FanoutResult:
    """Alternate rounds of server and reference over the same number of sockets."""
    watch_round(server, _scenario(sockets, min(seconds, 2.0)))  # warms both ends up; not counted
    results = []
    for _ in range(rounds):
        gift_cpu_s = watch_round(server, _scenario(0, seconds)).cpu_per_s
        measured = watch_round(server, _scenario(sockets, seconds))
        frame_bytes = measured.bytes_received / measured.frames
        written = _reference_round(sockets, measured.frames // sockets, frame_bytes)
        results.append(
            FanoutRound(
                frames=measured.frames,
                frame_bytes=round(frame_bytes, 1),
                server_us=(measured.cpu_per_s - measured.idle_per_s) * measured.wall_s / measured.frames * 1e6,
                fanout_us=(measured.cpu_per_s - gift_cpu_s) * measured.wall_s / measured.frames * 1e6,
                reference_us=written.cpu_s / written.writes * 1e6,
            )
        )
    return FanoutResult(
        sockets=sockets,
        gifts_per_s=GIFTS_PER_S,
        ratio=spread([one.server_us / one.reference_us for one in results]),
        ratio_fanout_only=spread([one.fanout_us / one.reference_us for one in results]),
        server_us_per_frame=spread([one.server_us for one in results]),
        reference_us_per_frame=spread([one.reference_us for one in results]),
        frame_bytes=results[0].frame_bytes,
        rounds=results,
    )


def _reference_round(viewers: int, frames: int, frame_bytes: float) -> Written:
    port, every_s = free_port(), 1 / GIFTS_PER_S
    with beside(serve_reference, port) as (_, reference):
        reference.send(WriteOrder(viewers, frames, every_s, round(frame_bytes)))
        reference.recv()
        written = _read_reference(port, viewers, frames * every_s, reference)
        reference.send("end")
    return written


def _read_reference(port: int, viewers: int, seconds: float, reference: Connection) -> Written:
    stage = set_stage(new_run(), _scenario(viewers, seconds))
    url = f"ws://127.0.0.1:{port}/v1/ws"
    parts = assign(stage, Crowd(), url, Encoding.JSON, TokenSigner(bytes(32)))
    with Crew([part for part in parts if part.viewers]) as crew:
        crew.wait_ready()
        reference.recv()
        crew.begin(Begin(time.monotonic_ns(), time.time_ns() - time.monotonic_ns()))
        reference.send("write")
        while not reference.poll(0):
            crew.progress(0.1)
        written: Written = reference.recv()
        crew.finish()
    return written


def _scenario(viewers: int, seconds: float) -> Scenario:
    return Scenario(
        name="fanout",
        summary="Slow, even gifts in one room.",
        rate_per_s=GIFTS_PER_S,
        duration_s=seconds,
        phases=[Phase(1.0, 1.0, 1.0)],
        mix=[Mix("rose")],
        population=Population(senders=4, viewers=viewers),
        poisson=False,
    )
