"""All viewers of a gateway lose their sockets at once and come back: how long that takes, and what each costs.

The reference is a bare server that does the same three steps (upgrade, hello, join) with answers that it has ready.
Both are read by the same kind of clients, which come back within their first back-off and not spread as after a drain.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Final

import uvloop
from msgspec import Struct

from gateway.wire.codec import Encoding
from gateway.wire.messages import Accepted, Events, Join, Joined, Position, Refused, Undone, Welcome
from loadtest.bench.reference import beside, serve_answers
from loadtest.bench.server import BenchServer, ServerFailed, free_port
from loadtest.clients.connection import CONNECTING_MAX, Client, Line, Payload
from loadtest.play.agent import raise_files_limit
from loadtest.play.run import Options, prepare
from loadtest.record.spread import Spread, spread
from loadtest.script.casting import set_stage
from loadtest.script.naming import new_run
from loadtest.script.scenario import Mix, Phase, Population, Scenario
from loadtest.server.procfs import cpu_by_part, cpu_s
from loadtest.tokens import KEY_FILE, TokenSigner

BACK_S_MAX: Final = 120.0
SETTLE_S: Final = 1.0


class Guest(Struct, frozen=True):
    """One viewer: name, token and room."""

    name: str
    token: str
    room: str


class ReconnectRound(Struct, frozen=True):
    """One storm.

    Attributes:
        seconds: from the loss of the sockets to the last answered join.
        gateway_us, valkey_us, postgres_us: CPU of each for one client.
        reference_seconds, reference_us: the same storm on the bare server.
    """

    seconds: float
    gateway_us: float
    valkey_us: float
    postgres_us: float
    reference_seconds: float
    reference_us: float


class ReconnectResult(Struct, frozen=True):
    """The bench's answer; `ratio` is the gateway's CPU for a client over the reference's.

    None where a round was too short for the kernel's clock to count any CPU of the reference: with few sockets.
    """

    sockets: int
    rooms: int
    ratio: Spread | None
    seconds: Spread
    gateway_us: Spread
    valkey_us: Spread
    postgres_us: Spread
    reference_seconds: Spread
    reference_us: Spread
    rounds: list[ReconnectRound]


def measure_reconnect(server: BenchServer, *, sockets: int, rooms: int, rounds: int) -> ReconnectResult:
    """Let a crowd come back to the server and to the reference, in turn."""
    guests = _invited(server, sockets, rooms)
    gateway_pid, port = server.gateway_pid, free_port()
    found = []
    with beside(serve_answers, port) as (reference_pid, reference):
        if reference.recv() != "listening":
            raise ServerFailed("the reference does not listen")
        with _crowd(server.ws_url, guests) as there, _crowd(f"ws://127.0.0.1:{port}/v1/ws", guests) as reference_there:
            for _ in range(rounds):
                time.sleep(SETTLE_S)
                parts_before, before_s = cpu_by_part(server.processes), cpu_s(gateway_pid)
                seconds = there()
                used_s, parts = cpu_s(gateway_pid) - before_s, cpu_by_part(server.processes)
                reference_before_s = cpu_s(reference_pid)
                reference_seconds = reference_there()
                reference_s = cpu_s(reference_pid) - reference_before_s
                found.append(
                    ReconnectRound(
                        seconds=seconds,
                        gateway_us=used_s / sockets * 1e6,
                        valkey_us=(parts["valkey"] - parts_before["valkey"]) / sockets * 1e6,
                        postgres_us=(parts["postgres"] - parts_before["postgres"]) / sockets * 1e6,
                        reference_seconds=reference_seconds,
                        reference_us=reference_s / sockets * 1e6,
                    )
                )
    return ReconnectResult(
        sockets=sockets,
        rooms=rooms,
        ratio=ratio_of(found),
        seconds=spread([one.seconds for one in found]),
        gateway_us=spread([one.gateway_us for one in found]),
        valkey_us=spread([one.valkey_us for one in found]),
        postgres_us=spread([one.postgres_us for one in found]),
        reference_seconds=spread([one.reference_seconds for one in found]),
        reference_us=spread([one.reference_us for one in found]),
        rounds=found,
    )


def ratio_of(rounds: list[ReconnectRound]) -> Spread | None:
    """The gateway's CPU over the reference's; None when some round counted none for the reference."""
    if any(one.reference_us <= 0 for one in rounds):
        return None
    return spread([one.gateway_us / one.reference_us for one in rounds])


def _invited(server: BenchServer, sockets: int, rooms: int) -> list[Guest]:
    signer = TokenSigner.from_file(server.data_dir / KEY_FILE)
    scenario = Scenario(
        name="reconnect",
        summary="Viewers who come back.",
        rate_per_s=1.0,
        duration_s=1.0,
        phases=[Phase(1.0, 1.0, 1.0)],
        mix=[Mix("rose")],
        population=Population(senders=1, viewers=sockets, rooms=rooms),
    )
    stage = set_stage(new_run(), scenario)
    asyncio.run(prepare(stage, Options(server.ws_url, signer.token("bench", "operator"), signer)))
    names = [stage.run.viewer(number) for number in range(sockets)]
    return [
        Guest(name, signer.token(name, "viewer"), stage.run.room(room))
        for name, room in zip(names, stage.viewer_rooms, strict=True)
    ]


@contextmanager
def _crowd(url: str, guests: list[Guest]) -> Iterator[Callable[[], float]]:
    """A crowd that is in its rooms; the call lets it lose its sockets, and gives the seconds until it is back."""
    with beside(_come, url, guests) as (_, lead):

        def told() -> float:
            if not lead.poll(BACK_S_MAX):
                raise ServerFailed(f"not everybody was back after {BACK_S_MAX:.0f} s")
            try:
                answer: float = lead.recv()
            except EOFError:
                raise ServerFailed("the clients' process ended") from None
            return answer

        def lose() -> float:
            lead.send("lose")
            return told()

        told()
        yield lose


def _come(url: str, guests: list[Guest], lead: Connection) -> None:
    """The body of a crowd's process."""
    raise_files_limit(len(guests))
    uvloop.run(_stay(url, guests, lead))


async def _stay(url: str, guests: list[Guest], lead: Connection) -> None:
    line = Line(url, Encoding.JSON, asyncio.Semaphore(CONNECTING_MAX), random.Random(7), [])
    there = _Count()
    clients = [_Returning(line, guest, there) for guest in guests]
    await asyncio.gather(*(client.open() for client in clients))
    lead.send(0.0)
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, _asked, lead):
        there.begin(len(clients))
        began_s = loop.time()
        for client in clients:
            client.drop()
        await there.full.wait()
        lead.send(loop.time() - began_s)
    line.closing = True
    await asyncio.gather(*(client.close() for client in clients))


def _asked(lead: Connection) -> bool:
    try:
        lead.recv()
    except (EOFError, OSError):
        return False
    return True


class _Count:
    """Whether everybody is back."""

    def __init__(self) -> None:
        self.full = asyncio.Event()
        self._missing = 0

    def begin(self, missing: int) -> None:
        self._missing = missing
        self.full.clear()

    def came(self) -> None:
        self._missing -= 1
        if self._missing == 0:
            self.full.set()


class _Returning(Client):
    """A viewer who enters its room each time anew, from where it was."""

    def __init__(self, line: Line, guest: Guest, there: _Count) -> None:
        super().__init__(line, guest.name, guest.token)
        self._room = guest.room
        self._there = there
        self._position: Position | None = None

    def on_welcome(self, welcome: Welcome) -> None:
        self.send(Join(ref="join", room=self._room, since=self._position))

    def on_events(self, events: Events, payload: Payload) -> None:
        self._position = Position(events.epoch, events.seq)

    def on_reply(self, message: Accepted | Undone | Refused | Joined) -> None:
        if isinstance(message, Refused):
            self.give_up(f"join refused: {message.code} {message.message}")
        elif isinstance(message, Joined):
            self._position = Position(message.epoch, message.seq)
            if self.settled.done():
                self._there.came()
            else:
                self.settled.set_result(None)
