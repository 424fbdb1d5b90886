"""One process of the generator: its clients, its event loop, and what it tells the process that leads.

It is told its part (`Assignment`), says that all its clients stand ready, begins at a given time, reports
progress, and hands over its books at the end. It decides nothing about right or wrong.
"""

import asyncio
import contextlib
import gc
import random
import resource
import signal
import time
from collections.abc import Coroutine, Sequence
from multiprocessing.connection import Connection
from typing import Final, TypeVar

import uvloop

from loadtest.clients.buyer import Shop
from loadtest.clients.connection import CONNECTING_MAX, Client, ClientRefused, Line
from loadtest.clients.overlay import OverlayClient
from loadtest.clients.sender import SenderClient, SenderDesk
from loadtest.clients.viewer import ViewerClient
from loadtest.play.orders import Assignment, Begin, Begun, Failed, Finish, Harvest, Progress, Ready
from loadtest.record.columns import Commands, Sightings
from loadtest.record.frames import FrameBook, Watch
from loadtest.record.latency import Latencies
from loadtest.script.naming import GiftIds, GiftKeys
from loadtest.script.scenario import Slow
from loadtest.script.workload import sendings, slow_viewers

REPORT_EVERY_S: Final = 0.25
LOOP_PROBE_S: Final = 0.01
TELL_AGAIN_EVERY_S: Final = 1.0
SAMPLES_MAX: Final = 500
"""Gifts of one report from which the live view's percentiles are taken."""
FILES_MARGIN: Final = 256

Order = TypeVar("Order", Begin, Finish)


class Agent:
    """Runs one assignment.

    Args:
        assignment: the part of this process.
        lead: the pipe to the leading process.
    """

    def __init__(self, assignment: Assignment, lead: Connection) -> None:
        self._assignment = assignment
        self._lead = lead
        self._line = Line(
            url=assignment.url,
            encoding=assignment.encoding,
            slots=asyncio.Semaphore(CONNECTING_MAX),
            rng=random.Random(f"{assignment.scenario.seed}:jitter:{assignment.process}"),
            faults=[],
        )
        self._commands = Commands(assignment.process)
        self._desk: SenderDesk | None = None
        self._overlays: list[OverlayClient] = []
        self._viewers: list[ViewerClient] = []
        self._books: dict[int, FrameBook] = {}
        self._shop: Shop | None = None
        self._loop_lag = Latencies()
        self._reported = 0
        self._unix_minus_monotonic_ns = 0

    async def run(self) -> None:
        """Take part from hello to harvest."""
        clients = self._make_clients()
        opening = [asyncio.create_task(client.open(), name=f"open {client.name}") for client in clients]
        try:
            await asyncio.gather(*opening)
        except ClientRefused as exc:
            for task in opening:
                task.cancel()
            self._lead.send(Failed(str(exc)))
            return
        # The books only grow: looking through them for garbage would stop the loop for tens of milliseconds.
        gc.collect()
        gc.freeze()
        gc.disable()
        self._lead.send(Ready(self._line.limits))
        begin = await self._hear(Begin)
        began_cpu_s, began_s = time.process_time(), time.monotonic()
        self._line.frames_received = self._line.bytes_received = 0
        self._lead.send(Begun())
        self._unix_minus_monotonic_ns = begin.unix_minus_monotonic_ns
        if self._desk is not None:
            self._desk.begin(begin.start_ns, begin.unix_minus_monotonic_ns)
        async with asyncio.TaskGroup() as group:
            chores = [group.create_task(chore) for chore in self._chores(begin.start_ns)]
            await self._hear(Finish)
            for chore in chores:
                chore.cancel()
        cpu_s, wall_s = time.process_time() - began_cpu_s, time.monotonic() - began_s
        self._line.closing = True
        await asyncio.gather(*(client.close() for client in clients))
        self._lead.send(self._harvest(cpu_s, wall_s))

    def _make_clients(self) -> list[Client]:
        assignment, run, line = self._assignment, self._assignment.run, self._line
        scenario = assignment.scenario
        clients: list[Client] = []
        if assignment.senders:
            self._desk = SenderDesk(
                self._commands,
                GiftIds(run, assignment.process),
                [run.room(number) for number in range(scenario.population.rooms)],
                {member.number: member.room for member in assignment.senders},
                [(mix.gift, mix.combo) for mix in scenario.mix],
                sendings(scenario, slice_index=assignment.slice_index, slices=assignment.slices),
                scenario.undo_share,
                scenario.seed,
            )
            for member in assignment.senders:
                client = SenderClient(line, run.sender(member.number), member.token, self._desk)
                self._desk.senders[member.number] = client
                clients.append(client)
        keys = GiftKeys(run)
        for member in assignment.overlays:
            room, name = run.room(member.room), f"{run.creator(member.room)} overlay"
            self._overlays.append(OverlayClient(line, name, member.token, room, Sightings(member.room), keys))
        if assignment.buyers:
            self._shop = Shop(assignment.url, assignment.buyers, scenario, line.faults)
        slow = slow_viewers(scenario)
        for member in assignment.viewers:
            book = self._books.setdefault(member.room, FrameBook(member.room))
            name, room = run.viewer(member.number), run.room(member.room)
            is_slow = member.number in slow
            self._viewers.append(ViewerClient(line, name, member.token, member.number, room, book, slow=is_slow))
        return clients + self._overlays + self._viewers

    async def _hear(self, kind: type[Order]) -> Order:
        # In a thread: the loop would make the pipe non-blocking, and then the harvest does not fit into one write.
        try:
            order = await asyncio.to_thread(self._lead.recv)
        except EOFError as exc:
            raise ConnectionError("the leading process is gone") from exc
        if not isinstance(order, kind):
            raise TypeError(f"expected {kind.__name__}, was told {order!r}")
        return order

    async def _report(self) -> None:
        told_again_s = time.monotonic()
        while True:
            await asyncio.sleep(REPORT_EVERY_S)
            if self._desk is not None and time.monotonic() - told_again_s > TELL_AGAIN_EVERY_S:
                told_again_s = time.monotonic()
                self._desk.tell_again()
            self._lead.send(self._progress())

    def _chores(self, start_ns: int) -> list[Coroutine[None, None, None]]:
        slow, seconds = self._assignment.scenario.slow, self._assignment.scenario.duration_s
        stalls = [_stall(self._line.rng, one, slow, seconds) for one in self._viewers if one.bad_line]
        shops = [] if self._shop is None else [self._shop.run(start_ns)]
        return [self._report(), self._probe_loop(), *self._drops(), *stalls, *shops]

    def _drops(self) -> list[Coroutine[None, None, None]]:
        """What makes the clients of this process lose their sockets; each takes its part of the whole."""
        scenario, senders = self._assignment.scenario, [] if self._desk is None else list(self._desk.senders.values())
        population, drops = scenario.population, scenario.drops
        overlays = population.rooms * population.overlays_per_room
        kinds: tuple[tuple[float, Sequence[Client], int], ...] = (
            (drops.overlays_per_s, self._overlays, overlays),
            (drops.viewers_per_s, self._viewers, population.viewers),
            (drops.senders_per_s, senders, population.senders),
        )
        return [
            _drop_some(self._line, clients, per_s * len(clients) / everybody, scenario.duration_s)
            for per_s, clients, everybody in kinds
            if per_s and clients
        ]

    async def _probe_loop(self) -> None:
        late_ns: list[int] = []
        while True:
            before_ns = time.monotonic_ns()
            await asyncio.sleep(LOOP_PROBE_S)
            late_ns.append(max(time.monotonic_ns() - before_ns - int(LOOP_PROBE_S * 1e9), 0))
            if len(late_ns) >= 100:
                self._loop_lag.record_ns(late_ns)
                late_ns.clear()

    def _progress(self) -> Progress:
        commands, desk = self._commands, self._desk
        first, self._reported = self._reported, len(commands)
        recent = range(first, len(commands), max((len(commands) - first) // SAMPLES_MAX, 1))
        answered = [n for n in recent if commands.answered_ns[n]]
        lag_ns = max((commands.sent_ns[n] - commands.intended_ns[n] for n in recent), default=0)
        seen: dict[int, int] = {}
        overlay_seqs: dict[int, int] = {}
        for overlay in self._overlays:
            room = overlay.sightings.room
            both = overlay.gifts_seen + overlay.undone_seen
            seen[room] = min(seen.get(room, both), both)
            overlay_seqs[room] = min(overlay_seqs.get(room, overlay.seq), overlay.seq)
        viewer_seqs: dict[int, int] = {}
        for viewer in self._viewers:
            if viewer.watch is not None and not viewer.watch.lost:
                viewer_seqs[viewer.room_number] = min(viewer_seqs.get(viewer.room_number, viewer.seq), viewer.seq)
        return Progress(
            process=self._assignment.process,
            told=len(commands),
            accepted=self._commands.accepted_total,
            refused=self._commands.refused_total,
            undone=self._commands.undone_total,
            unanswered=(0 if desk is None else len(desk.unanswered()))
            + (0 if self._shop is None else self._shop.unanswered),
            undo_until_ms=self._commands.undo_until_ms_max,
            done=(desk is None or desk.done) and (self._shop is None or self._shop.done),
            seen=seen,
            overlay_seqs=overlay_seqs,
            viewer_seqs=viewer_seqs,
            combos_open=sum(len(overlay.combos_open) for overlay in self._overlays),
            frames=self._line.frames_received,
            accepted_ms=[(commands.answered_ns[n] - commands.intended_ns[n]) / 1e6 for n in answered],
            # Rough, for the live view only; the report takes the times from the books.
            overlay_ms=[
                sample
                for overlay in self._overlays
                for sample in overlay.recent_latencies_ms(self._unix_minus_monotonic_ns)
            ],
            lag_ms=lag_ns / 1e6,
            reconnects=self._line.reconnects,
        )

    def _harvest(self, cpu_s: float, wall_s: float) -> Harvest:
        watches: dict[int, list[Watch]] = {room: [] for room in self._books}
        for viewer in self._viewers:
            if viewer.watch is not None:
                watches[viewer.room_number].append(viewer.watch)
        return Harvest(
            process=self._assignment.process,
            commands=None if self._desk is None else self._commands,
            purchases=None if self._shop is None else self._shop.book,
            sightings=[overlay.sightings for overlay in self._overlays],
            books=list(self._books.values()),
            watches=watches,
            faults=self._line.faults,
            combo_window_ms=max((overlay.combo_window_ms for overlay in self._overlays), default=0),
            loop_lag=self._loop_lag,
            cpu_s=cpu_s,
            wall_s=wall_s,
            frames=self._line.frames_received,
            bytes_received=self._line.bytes_received,
            reconnects=self._line.reconnects,
        )


async def _drop_some(line: Line, clients: Sequence[Client], per_s: float, seconds: float) -> None:
    """Let one after another lose its socket for so long; a client that is coming back is passed over."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + seconds
    while (pause_s := line.rng.expovariate(per_s)) < end_s - loop.time():
        await asyncio.sleep(pause_s)
        if line.rng.choice(clients).drop():
            line.drops += 1


async def _stall(rng: random.Random, viewer: ViewerClient, slow: Slow, seconds: float) -> None:
    """Let a viewer read nothing, and then something, for so long in all; afterwards it reads everything."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + seconds
    while loop.time() < end_s:
        await asyncio.sleep(rng.expovariate(1000 / slow.read_ms))
        viewer.stall(True)
        await asyncio.sleep(min(rng.expovariate(1000 / slow.stall_ms), max(end_s - loop.time(), 0.0)))
        viewer.stall(False)


def main(assignment: Assignment, lead: Connection) -> None:
    """The body of an agent's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the leading process decides when to stop
    raise_files_limit(len(assignment.senders) + len(assignment.overlays) + len(assignment.viewers))
    try:
        uvloop.run(Agent(assignment, lead).run())
    except (ConnectionError, BrokenPipeError):
        return  # nobody is left to tell
    finally:
        lead.close()


def raise_files_limit(sockets: int) -> None:
    """Allow this process that many sockets, as far as the machine lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = sockets + FILES_MARGIN
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
