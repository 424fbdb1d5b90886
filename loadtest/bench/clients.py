"""What a viewer of the load tester itself costs: processor time a frame and memory, beside a bare `recv` loop.

One process plays all viewers of a room, as in a load test: it reads each frame, checks its order and keeps a book of
it. The reference is a process that reads as many frames of the same size from as many sockets, and looks at nothing.
"""

import contextlib
import os
import select
import socket
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Final

from msgspec import Struct

from loadtest.bench.reference import beside
from loadtest.bench.rounds import Watched, watch_round
from loadtest.bench.server import BenchServer
from loadtest.play.agent import raise_files_limit
from loadtest.record.spread import Spread, spread
from loadtest.script.scenario import Mix, Phase, Population, Scenario

FRAMES_PER_S: Final = 20.0
"""Gifts a second, so that each makes a tick; also what a viewer of a busy room is told at most in a second."""
SMALL_SHARE: Final = 10
"""Memory is weighed with all viewers and with a part of them: what modules and books take is in both."""
_READ_BYTES: Final = 65_536
_LISTENING_MAX: Final = 4_096


class ClientsResult(Struct, frozen=True):
    """The bench's answer.

    Attributes:
        us_per_frame: processor time of the process that plays the viewers.
        reference_us: of the bare loop, per frame.
        viewers_per_core: that could be told 20 frames a second each.
        kb_per_viewer: resident memory of the process, by the difference of many and few viewers.
    """

    viewers: int
    frames_per_s: float
    frame_bytes: float
    us_per_frame: Spread
    reference_us: Spread
    ratio: Spread
    viewers_per_core: int
    kb_per_viewer: float


class ReadOrder(Struct, frozen=True):
    """Read `frames` frames of `frame_bytes` from each of `sockets` sockets of a port."""

    port: int
    sockets: int
    frames: int
    frame_bytes: int


def measure_clients(server: BenchServer, *, viewers: int, seconds: float, rounds: int) -> ClientsResult:
    """Alternate rounds of the load tester's viewers and of the bare loop.

    Args:
        viewers: at least 10.
    """
    few = watch_round(server, _scenario(viewers // SMALL_SHARE, min(seconds, 2.0)))
    watched: list[Watched] = []
    reference_us: list[float] = []
    for _ in range(rounds):
        watched.append(watch_round(server, _scenario(viewers, seconds)))
        frame_bytes = round(watched[-1].bytes_received / watched[-1].frames)
        reference_us.append(_reference_round(viewers, int(FRAMES_PER_S * seconds), frame_bytes))
    us = [one.clients_cpu_s / one.frames * 1e6 for one in watched]
    us_per_frame, last = spread(us), watched[-1]
    return ClientsResult(
        viewers=viewers,
        frames_per_s=round(last.frames / last.wall_s, 1),
        frame_bytes=round(last.bytes_received / last.frames, 1),
        us_per_frame=us_per_frame,
        reference_us=spread(reference_us),
        ratio=spread([one / other for one, other in zip(us, reference_us, strict=True)]),
        viewers_per_core=int(1e6 / us_per_frame.median / FRAMES_PER_S),
        kb_per_viewer=round((last.clients_kb - few.clients_kb) / (viewers - viewers // SMALL_SHARE), 2),
    )


def _reference_round(viewers: int, frames: int, frame_bytes: int) -> float:
    with _listening() as listening, beside(read_bare) as (_, reader):
        reader.send(ReadOrder(listening.getsockname()[1], viewers, frames, frame_bytes))
        _write(listening, viewers, frames, bytes(frame_bytes))
        cpu_s: float = reader.recv()
    return cpu_s / (viewers * frames) * 1e6


def _write(listening: socket.socket, viewers: int, frames: int, frame: bytes) -> None:
    with contextlib.ExitStack() as stack:
        handles = [stack.enter_context(listening.accept()[0]).fileno() for _ in range(viewers)]
        due_s = time.monotonic()
        for _ in range(frames):
            for handle in handles:
                os.write(handle, frame)
            due_s += 1 / FRAMES_PER_S
            time.sleep(max(due_s - time.monotonic(), 0))


@contextlib.contextmanager
def _listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=_LISTENING_MAX) as listening:
        yield listening


def read_bare(lead: Connection) -> None:
    """The body of the reference's process: one order, then the processor seconds that reading took."""
    order: ReadOrder = lead.recv()
    raise_files_limit(order.sockets)
    with contextlib.ExitStack() as stack:
        sockets = {}
        poll = stack.enter_context(select.epoll())
        for _ in range(order.sockets):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", order.port)))
            sockets[one.fileno()] = one
            poll.register(one, select.EPOLLIN)
        left, began_cpu_s = order.sockets * order.frames * order.frame_bytes, time.process_time()
        while left > 0:
            for handle, _ in poll.poll():
                left -= len(sockets[handle].recv(_READ_BYTES))
        lead.send(time.process_time() - began_cpu_s)


def _scenario(viewers: int, seconds: float) -> Scenario:
    return Scenario(
        name="clients",
        summary="Slow, even gifts in one room.",
        rate_per_s=FRAMES_PER_S,
        duration_s=seconds,
        phases=[Phase(1.0, 1.0, 1.0)],
        mix=[Mix("rose")],
        population=Population(senders=4, viewers=viewers, overlays_per_room=0),
        poisson=False,
    )
