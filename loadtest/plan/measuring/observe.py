"""One run against a server of our own: gifts for some seconds, and all that was counted and used meanwhile."""

import asyncio
import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Final

import httpx
import msgspec
from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families

from gateway.wire.codec import Encoding
from loadtest.bench.server import BenchServer, bench_server
from loadtest.plan.flows import Demand
from loadtest.plan.measuring.reference import Beats, Syncs
from loadtest.plan.measuring.stores import Stored, Stores, grown
from loadtest.play.crew import Crew
from loadtest.play.orders import Begin, Harvest
from loadtest.play.run import Options, prepare
from loadtest.record.timing import accepted_latencies, overlay_latencies, sending_lag, viewer_latencies
from loadtest.script.casting import Crowd, assign, set_stage
from loadtest.script.naming import new_run
from loadtest.script.scenario import Mix, Phase, Population, Scenario
from loadtest.server.procfs import cpu_by_part, cpu_s, machine_s, pss_kb, waited_s
from loadtest.tokens import KEY_FILE, TokenSigner

SETTLE_S: Final = 1.0
"""After everybody has joined: the flusher writes down what senders were granted."""
DRAIN_S: Final = 2.3
"""After the last gift: the books catch up, and gateways and worker tell what they counted (every 2 s at the latest)."""
FOREIGN_CORES_MAX: Final = 0.15
"""A run beside which others used more of this machine is no measurement."""
TRIES: Final = 3
SENDERS: Final = 100
KINDS: Final = ("rose", "heart", "clap", "coffee", "balloon")
COUNTED: Final = {
    "giftwire_commits_total": "commits",
    "giftwire_ticks_total": "ticks",
    "giftwire_tick_sockets_total": "frames",
    "giftwire_events_total": "facts",
    "giftwire_frame_bytes_sent_total": "frame_bytes",
    "relay batches": "batches",
    "flusher transactions": "transactions",
}


class Point(Struct, frozen=True):
    """What a run does.

    Attributes:
        apart: whether gifts are handed in at another gateway than the one that viewers and overlays are on.
    """

    name: str
    gifts_per_s: float
    viewers: int
    rooms: int
    room_skew: float = 0.0
    apart: bool = False

    @property
    def demand(self) -> Demand:
        """As the model takes it."""
        return Demand(
            viewers=self.viewers,
            rooms=self.rooms,
            gifts_per_s=self.gifts_per_s,
            room_skew=self.room_skew,
            givers=SENDERS,
            kinds=len(KINDS),
            senders_apart=SENDERS,
        )


class Times(Struct, frozen=True):
    """Latencies from the intended send time, in ms; None without a sample. `late_p99` is the generator's own."""

    accepted_p50: float | None = None
    accepted_p99: float | None = None
    overlay_p50: float | None = None
    overlay_p99: float | None = None
    viewer_p50: float | None = None
    viewer_p99: float | None = None
    late_p99: float | None = None


class Observed(Struct, frozen=True):
    """What a run showed.

    Attributes:
        seconds: in which gifts were sent; `wall_s` from the first until all was counted.
        gifts: accepted.
        listeners: gateways beside the server's own.
        counts: of COUNTED, over all gateways.
        cpu: seconds of a processor by part of the server; the server's gateways are `gateway`.
        listener_cpu: of each listener; the first has the audience of a run that is apart.
        stored: what both servers wrote and sent meanwhile; of the memory, by how much it grew.
        generator_cpu: of the processes that sent, of the overlays, of the viewers.
        foreign_cores: that everything else on this machine used meanwhile, or its host took from it.
        fsync_ms: of a block beside the run, each 50 ms.
        beat_us: CPU for the same small piece of work beside every run: how fast the cores were.
        gateway_mb: memory of the server's own gateways at the end.
        sighted: gifts that overlays saw; `shown` frames that viewers got.
    """

    point: Point
    gateways: int
    seconds: float
    wall_s: float
    gifts: int
    listeners: int
    counts: dict[str, float]
    cpu: dict[str, float]
    listener_cpu: list[float]
    stored: Stored
    generator_cpu: dict[str, float]
    sighted: int
    shown: int
    times: Times
    gateway_mb: float = 0.0
    foreign_cores: float = 0.0
    fsync_ms: list[float] = []
    beat_us: float = 0.0

    @property
    def accepted_per_s(self) -> float:
        """Gifts a second."""
        return self.gifts / self.seconds


class Stand(Struct):
    """A server with what looks at it.

    Attributes:
        listeners: more gateways of it, on ports of their own.
    """

    server: BenchServer
    gateways: int
    listeners: list[BenchServer]
    stores: Stores


@contextlib.contextmanager
def stand(*, gateways: int = 1, listeners: int = 0) -> Iterator[Stand]:
    """A fresh server for some runs.

    Raises:
        ServerFailed: it, or a gateway more, did not start.
    """
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(bench_server(gateways=gateways))
        more = [stack.enter_context(server.one_more_gateway()) for _ in range(listeners)]
        stores = Stores(server.data_dir)
        stack.callback(stores.close)
        yield Stand(server, gateways, more, stores)


class _Look(Struct, frozen=True):
    at_s: float
    counts: dict[str, float]
    cpu: dict[str, float]
    listener_cpu: list[float]
    machine_s: float
    self_s: float


def observe_alone(place: Stand, point: Point, seconds: float) -> list[Observed]:
    """Play a point, again where others used the machine meanwhile, TRIES times at most; `quietest` is the one to take.

    Errors as `observe`.
    """
    runs: list[Observed] = []
    while not runs or (runs[-1].foreign_cores > FOREIGN_CORES_MAX and len(runs) < TRIES):
        runs.append(observe(place, point, seconds))
    return runs


def quietest(runs: Sequence[Observed]) -> Observed:
    """The run, of at least one, beside which others did least."""
    return min(runs, key=lambda run: run.foreign_cores)


def observe(place: Stand, point: Point, seconds: float) -> Observed:
    """Play a point once.

    Raises:
        ApiError, ClientRefused, CrewFailed: it could not be set up or carried out.
        ValueError: an `apart` point on a server without a listener.
    """
    if point.apart and not place.listeners:
        raise ValueError(f"{point.name} needs a listener")
    server = place.server
    signer = TokenSigner.from_file(server.data_dir / KEY_FILE)
    audience = place.listeners[0] if point.apart else server
    options = Options(audience.ws_url, signer.token("plan", "operator"), signer)
    stage = set_stage(new_run(), scenario_of(point, seconds))
    asyncio.run(prepare(stage, options))
    parts = assign(stage, Crowd(), options.url, Encoding.JSON, signer)
    parts = [msgspec.structs.replace(part, url=server.ws_url) if part.senders else part for part in parts]
    with Crew(parts) as crew:
        crew.wait_ready()
        time.sleep(SETTLE_S)
        stored = place.stores.look()
        before = _look(place)
        start_ns = time.monotonic_ns() + 50_000_000
        crew.begin(Begin(start_ns, time.time_ns() - time.monotonic_ns()))
        end_s = before.at_s + seconds + DRAIN_S
        with Syncs() as syncs, Beats() as beats:
            while (left_s := end_s - time.monotonic()) > 0:
                crew.progress(min(left_s, 0.5))
        after = _look(place)
        # What looking into the stores costs them lies outside of what is watched.
        stored = grown(stored, place.stores.look())
        gateway_mb = memory_mb(place.server).get("gateway", 0.0)
        harvests = crew.finish()
    found = _observed(place, point, seconds, (before, after), stored, gateway_mb, harvests)
    return msgspec.structs.replace(found, fsync_ms=syncs.took_ms, beat_us=beats.median_us)


def scenario_of(point: Point, seconds: float) -> Scenario:
    """Single gifts of a few kinds by a Poisson process."""
    return Scenario(
        name="plan",
        summary="Single gifts of a few kinds.",
        rate_per_s=point.gifts_per_s,
        duration_s=seconds,
        phases=[Phase(1.0, 1.0, 1.0)],
        mix=[Mix(kind) for kind in KINDS],
        population=Population(
            rooms=point.rooms, room_skew=point.room_skew, senders=max(SENDERS, point.rooms), viewers=point.viewers
        ),
    )


def cpu_of(place: Stand) -> dict[str, float]:
    """CPU seconds so far, by part of the server; of PostgreSQL with its processes that have ended since."""
    processes = place.server.processes
    used = cpu_by_part(processes)
    ended = sum(waited_s(process.pid) for process in processes if process.part == "postgres")
    return used | {"postgres": used.get("postgres", 0.0) + ended}


def memory_mb(server: BenchServer) -> dict[str, float]:
    """Memory of each part of a server."""
    mb: dict[str, float] = {}
    for process in server.processes:
        with contextlib.suppress(OSError):
            mb[process.part] = mb.get(process.part, 0.0) + pss_kb(process.pid) / 1024
    return mb


def counts_in(text: str) -> dict[str, float]:
    """What a scrape says of COUNTED, over all labels.

    Raises:
        ValueError: it is no such text.
    """
    sums = dict.fromkeys(COUNTED.values(), 0.0)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name = sample.name
            if name == "giftwire_worker_duty_number":
                name = f"{sample.labels.get('duty')} {sample.labels.get('of')}"
            if name in COUNTED:
                sums[COUNTED[name]] += sample.value
    return sums


def _look(place: Stand) -> _Look:
    answer = httpx.get(f"{place.server.url}/metrics", timeout=5.0, trust_env=False)
    return _Look(
        time.monotonic(),
        counts_in(answer.text),
        cpu_of(place),
        [cpu_s(listener.pid) for listener in place.listeners],
        machine_s(),
        time.process_time(),
    )


def _observed(
    place: Stand,
    point: Point,
    seconds: float,
    looks: tuple[_Look, _Look],
    stored: Stored,
    gateway_mb: float,
    harvests: list[Harvest],
) -> Observed:
    before, after = looks
    books = {one.process: one.commands for one in harvests if one.commands is not None}
    sightings = [book for one in harvests for book in one.sightings]
    truths = {book.room: book for book in sightings}
    seen = [(book, one.watches[book.room]) for one in harvests for book in one.books]
    accepted, overlay = accepted_latencies(books.values()), overlay_latencies(books, sightings)
    viewer, _ = viewer_latencies(books, truths, seen)
    return Observed(
        point=point,
        gateways=place.gateways,
        seconds=seconds,
        wall_s=after.at_s - before.at_s,
        gifts=sum(book.accepted_total for book in books.values()),
        listeners=len(place.listeners),
        counts={name: after.counts[name] - before.counts[name] for name in after.counts},
        cpu={part: used_s - before.cpu.get(part, 0.0) for part, used_s in after.cpu.items()},
        listener_cpu=[now - then for now, then in zip(after.listener_cpu, before.listener_cpu, strict=True)],
        stored=stored,
        generator_cpu={
            "senders": sum(one.cpu_s for one in harvests if one.commands is not None),
            "overlays": sum(one.cpu_s for one in harvests if one.sightings),
            "viewers": sum(one.cpu_s for one in harvests if one.books),
        },
        sighted=sum(len(book) for book in sightings),
        shown=sum(len(watch.frames) for one in harvests for row in one.watches.values() for watch in row),
        times=Times(
            accepted.percentile_ms(50),
            accepted.percentile_ms(99),
            overlay.percentile_ms(50),
            overlay.percentile_ms(99),
            viewer.percentile_ms(50),
            viewer.percentile_ms(99),
            sending_lag(books.values()).percentile_ms(99),
        ),
        gateway_mb=gateway_mb,
        foreign_cores=_foreign(before, after, harvests),
    )


def _foreign(before: _Look, after: _Look, harvests: list[Harvest]) -> float:
    ours = sum(after.cpu.values()) - sum(before.cpu.values())
    ours += sum(after.listener_cpu) - sum(before.listener_cpu) + after.self_s - before.self_s
    ours += sum(one.cpu_s for one in harvests)
    return max(after.machine_s - before.machine_s - ours, 0.0) / (after.at_s - before.at_s)
