"""The `bench` command: each measurement starts its own server and prints a ratio to a reference of the same run.

More measurements join by the entry-point group `giftwire.bench`, so that this package need not import theirs.
"""

import signal
import statistics
import sys
from importlib.metadata import entry_points
from types import FrameType
from typing import Final

import click
import msgspec
import structlog
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from loadtest.bench.clients import ClientsResult, measure_clients
from loadtest.bench.fanout import FanoutResult, measure_fanout
from loadtest.bench.hotroom import HotroomResult, measure_hotroom
from loadtest.bench.latency import LatencyResult, measure_latency
from loadtest.bench.memory import MemoryResult, measure_memory
from loadtest.bench.neighbours import NeighboursResult, measure_neighbours
from loadtest.bench.outage.measure import measure_outage
from loadtest.bench.outage.result import Plan
from loadtest.bench.outage.shown import LiveView, Silent, outage_rows
from loadtest.bench.overload.flood import FloodFailed
from loadtest.bench.overload.measure import OverloadResult, measure_overload
from loadtest.bench.reconnect import ReconnectResult, measure_reconnect
from loadtest.bench.server import ServerFailed, bench_server
from loadtest.clients.connection import ClientRefused
from loadtest.play.agent import raise_files_limit
from loadtest.play.api import ApiError
from loadtest.play.crew import CrewFailed
from loadtest.record.latency import Summary
from loadtest.record.spread import Spread
from loadtest.report.report import environment
from loadtest.script.scenario import ScenarioError

ENTRY_POINTS: Final = "giftwire.bench"
COULD_NOT_RUN: Final = 2
UNFLUSHED_SETTING: Final = "GIFTWIRE_LEDGER_JOURNAL_RECORDS_MAX"
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, and nothing else.")


class BenchGroup(click.Group):
    """Commands of this file, and those that other packages bring."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names."""
        brought = [point.name for point in entry_points(group=ENTRY_POINTS)]
        return sorted({*super().list_commands(ctx), *brought})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One of ours, or one that was brought."""
        if (own := super().get_command(ctx, cmd_name)) is not None:
            return own
        for point in entry_points(group=ENTRY_POINTS, name=cmd_name):
            command = point.load()
            if isinstance(command, click.Command):
                return command
        return None

    def invoke(self, ctx: click.Context) -> object:
        """Run; what kept a measurement from being taken is a line and an exit code, not a traceback.

        SIGTERM, as of a time limit, ends it as Ctrl-C does: with the server that it started.
        """
        signal.signal(signal.SIGTERM, _end)
        # What the measured code logs must not stand in the answer.
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
        try:
            return super().invoke(ctx)
        except (ServerFailed, ScenarioError, ApiError, ClientRefused, CrewFailed, FloodFailed) as exc:
            click.echo(f"bench: {exc}", err=True)
            sys.exit(COULD_NOT_RUN)


def _end(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


@click.command(cls=BenchGroup)
def bench() -> None:
    """Measure a server of its own, each time against a reference taken in the same run."""


@bench.command()
@click.option("--sockets", type=click.IntRange(10, 100_000), default=1_000, show_default=True)
@click.option("--seconds", type=float, default=6.0, show_default=True, help="Length of a round.")
@click.option("--rounds", type=click.IntRange(1, 50), default=5, show_default=True)
@json_option
def fanout(sockets: int, seconds: float, rounds: int, as_json: bool) -> None:
    """Gateway CPU per frame and viewer, over that of a bare os.write loop."""
    raise_files_limit(sockets * 2)
    with bench_server() as server:
        result = measure_fanout(server, sockets=sockets, seconds=seconds, rounds=rounds)
    _print(result, _fanout_rows(result), as_json=as_json)


@bench.command()
@click.option("--viewers", type=click.IntRange(10, 100_000), default=1_000, show_default=True)
@click.option("--slow", type=float, default=100.0, show_default=True, help="Gifts per second of a quiet round.")
@click.option("--fast", type=float, default=10_000.0, show_default=True, help="Gifts per second of a busy round.")
@click.option("--seconds", type=float, default=6.0, show_default=True, help="Length of a round.")
@click.option("--rounds", type=click.IntRange(1, 50), default=3, show_default=True)
@json_option
def hotroom(viewers: int, slow: float, fast: float, seconds: float, rounds: int, as_json: bool) -> None:
    """CPU of the gateway that a hot room's viewers are on, at many gifts a second over that at few."""
    raise_files_limit(viewers * 2)
    with bench_server() as server:
        result = measure_hotroom(
            server, viewers=viewers, slow_per_s=slow, fast_per_s=fast, seconds=seconds, rounds=rounds
        )
    _print(result, _hotroom_rows(result), as_json=as_json)


@bench.command()
@click.option("--sockets", type=click.IntRange(100, 200_000), default=8_000, show_default=True)
@click.option("--steps", type=click.IntRange(1, 100), default=4, show_default=True)
@click.option("--idle-seconds", type=float, default=40.0, show_default=True, help="How long they then sit there.")
@json_option
def memory(sockets: int, steps: int, idle_seconds: float, as_json: bool) -> None:
    """Gateway memory per idle viewer who is in a room, and the time that the heartbeat of all of them takes."""
    raise_files_limit(sockets * 2)
    with bench_server() as server:
        result = measure_memory(server, sockets=sockets, steps=steps, idle_s=idle_seconds)
    _print(result, _memory_rows(result), as_json=as_json)


@bench.command()
@click.option("--viewers", type=click.IntRange(10, 100_000), default=2_000, show_default=True)
@click.option("--seconds", type=float, default=5.0, show_default=True, help="Length of a round.")
@click.option("--rounds", type=click.IntRange(1, 50), default=5, show_default=True)
@json_option
def clients(viewers: int, seconds: float, rounds: int, as_json: bool) -> None:
    """What the load tester's own viewers cost, over that of a bare `recv` loop."""
    raise_files_limit(viewers * 2)
    with bench_server() as server:
        result = measure_clients(server, viewers=viewers, seconds=seconds, rounds=rounds)
    _print(result, _clients_rows(result), as_json=as_json)


@bench.command()
@click.option("--viewers", type=click.IntRange(0, 100_000), default=200, show_default=True)
@click.option("--first-rate", type=float, default=1_000.0, show_default=True, help="Gifts per second to begin with.")
@click.option("--rate-max", type=float, default=60_000.0, show_default=True, help="Where the search ends.")
@click.option("--seconds", type=float, default=6.0, show_default=True, help="Length of a step.")
@click.option("--final-seconds", type=float, default=20.0, show_default=True, help="Length of the run at half load.")
@json_option
def latency(
    viewers: int, first_rate: float, rate_max: float, seconds: float, final_seconds: float, as_json: bool
) -> None:
    """The highest rate that holds, and latencies at half of it, with everything on this machine."""
    raise_files_limit(10_000)
    with bench_server() as server:
        result = measure_latency(
            server,
            viewers=viewers,
            first_rate=first_rate,
            seconds=seconds,
            final_seconds=final_seconds,
            rate_max=rate_max,
        )
    _print(result, _latency_rows(result), as_json=as_json)
    sys.exit(0 if result.ok else 1)


@bench.command()
@click.option("--rate", type=float, help="Gifts per second that the server can carry; searched for if not given.")
@click.option("--rate-max", type=float, default=40_000.0, show_default=True, help="Where the search ends.")
@click.option(
    "--seconds", type=click.FloatRange(3, 600), default=10.0, show_default=True, help="Length of the overload."
)
@click.option("--rounds", type=click.IntRange(1, 20), default=3, show_default=True, help="Overloads.")
@json_option
def overload(rate: float | None, rate_max: float, seconds: float, rounds: int, as_json: bool) -> None:
    """Twice the gifts that the server can carry: what it accepts, how soon it refuses the rest, and how it recovers."""
    raise_files_limit(10_000)
    with bench_server() as server:
        result = measure_overload(server, rate=rate, rate_max=rate_max, seconds=seconds, rounds=rounds)
    _print(result, _overload_rows(result), as_json=as_json)
    sys.exit(COULD_NOT_RUN if result.not_offered else 1 if result.missed else 0)


@bench.command()
@click.option(
    "--seconds", type=click.FloatRange(1, 86_400), default=60.0, show_default=True, help="How long it is away."
)
@click.option("--rate", type=click.FloatRange(1, 20_000), default=300.0, show_default=True, help="Gifts per second.")
@click.option(
    "--before-seconds", type=click.FloatRange(2, 600), default=10.0, show_default=True, help="All well before."
)
@click.option(
    "--after-seconds",
    type=click.FloatRange(1, 3_600),
    default=10.0,
    show_default=True,
    help="After the books have caught up.",
)
@click.option(
    "--unflushed-max",
    type=click.IntRange(1, 2**31 - 1),
    default=1_000_000,
    show_default=True,
    help="Records that PostgreSQL may lag behind in a partition; beyond it gifts are refused.",
)
@json_option
def outage(
    seconds: float, rate: float, before_seconds: float, after_seconds: float, unflushed_max: int, as_json: bool
) -> None:
    """PostgreSQL away while gifts go on: what is refused, what memory it takes, how the books catch up; any loss."""
    raise_files_limit(10_000)
    plan = Plan(seconds, rate, before_seconds, after_seconds, unflushed_max)
    console = Console(stderr=True)
    with bench_server(settings={UNFLUSHED_SETTING: str(unflushed_max)}) as server:
        if as_json or not console.is_terminal:
            result = measure_outage(server, plan, Silent())
        else:
            with LiveView(plan, console) as view:
                result = measure_outage(server, plan, view)
    _print(result, outage_rows(result), as_json=as_json)
    sys.exit(COULD_NOT_RUN if result.not_measured else 1 if result.faults else 0)


@bench.command()
@click.option("--sockets", type=click.IntRange(10, 100_000), default=5_000, show_default=True)
@click.option("--rooms", type=click.IntRange(1, 1_000), default=50, show_default=True)
@click.option("--rounds", type=click.IntRange(1, 50), default=3, show_default=True)
@json_option
def reconnect(sockets: int, rooms: int, rounds: int, as_json: bool) -> None:
    """All viewers lose their sockets at once and come back: seconds, and CPU for each, over that of a bare server."""
    raise_files_limit(sockets * 2)
    with bench_server() as server:
        result = measure_reconnect(server, sockets=sockets, rooms=rooms, rounds=rounds)
    _print(result, _reconnect_rows(result), as_json=as_json)


@bench.command()
@click.option("--viewers", type=click.IntRange(10, 100_000), default=500, show_default=True)
@click.option("--stalled", type=float, default=10.0, show_default=True, help="Viewers who stall, in per cent.")
@click.option("--rate", type=float, default=1_000.0, show_default=True, help="Gifts per second.")
@click.option("--seconds", type=float, default=8.0, show_default=True, help="Length of a round.")
@click.option("--rounds", type=click.IntRange(1, 50), default=3, show_default=True)
@json_option
def neighbours(viewers: int, stalled: float, rate: float, seconds: float, rounds: int, as_json: bool) -> None:
    """What stalled viewers, and a client that floods, do to the others: p99 and CPU over those of calm rounds."""
    raise_files_limit(viewers * 2)
    with bench_server() as server:
        result = measure_neighbours(
            server, viewers=viewers, stalled_percent=stalled, gifts_per_s=rate, seconds=seconds, rounds=rounds
        )
    _print(result, _neighbours_rows(result), as_json=as_json)


def _print(result: Struct, rows: list[tuple[str, str]], *, as_json: bool) -> None:
    place = environment()
    if as_json:
        document = {"environment": place, "result": result}
        click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())
        return
    table = Table(show_header=False, title=f"{place.machine}, {place.cores} cores, kernel {place.kernel}")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _clients_rows(result: ClientsResult) -> list[tuple[str, str]]:
    return [
        (
            "viewers",
            f"{result.viewers:,} in one process, {result.frames_per_s:,.0f} frames/s of {result.frame_bytes:.0f} B",
        ),
        ("load tester, µs a frame", str(result.us_per_frame)),
        ("bare recv, µs a frame", str(result.reference_us)),
        ("ratio", str(result.ratio)),
        ("viewers a core could play, told 20 frames a second", f"{result.viewers_per_core:,}"),
        ("KB a viewer", f"{result.kb_per_viewer:.1f}"),
    ]


def _fanout_rows(result: FanoutResult) -> list[tuple[str, str]]:
    return [
        (
            "sockets",
            f"{result.sockets:,} in one room, {result.gifts_per_s:g} gifts/s, frames of {result.frame_bytes:.0f} B",
        ),
        ("gateway, µs a frame", str(result.server_us_per_frame)),
        ("bare os.write, µs a frame", str(result.reference_us_per_frame)),
        ("ratio", str(result.ratio)),
        ("ratio without the gifts' own cost", str(result.ratio_fanout_only)),
    ]


def _hotroom_rows(result: HotroomResult) -> list[tuple[str, str]]:
    return [
        ("viewers", f"{result.viewers:,} in one room"),
        *(
            (
                f"at {rate:,.0f} gifts/s",
                f"{share} of a core, {frames:,.0f} frames/s of {size:.0f} B",
            )
            for rate, share, frames, size in (
                (result.slow_per_s, result.slow_cpu_share, result.slow_frames_per_s, result.slow_frame_bytes),
                (result.fast_per_s, result.fast_cpu_share, result.fast_frames_per_s, result.fast_frame_bytes),
            )
        ),
        ("ratio", str(result.ratio)),
    ]


def _neighbours_rows(result: NeighboursResult) -> list[tuple[str, str]]:
    skipped = sum(one.skipped for one in result.with_stalled)
    paced = sum(one.paced for one in result.with_flood)
    return [
        ("viewers", f"{result.viewers:,} in one room, {result.gifts_per_s:g} gifts/s"),
        ("gift → viewer p99 of calm rounds, ms", str(result.calm_p99_ms)),
        (f"with {result.stalled:,} that stall: p99", str(result.stalled_p99_ratio)),
        (f"with {result.stalled:,} that stall: gateway CPU", str(result.stalled_cpu_ratio)),
        ("ticks that they were not written", f"{skipped:,}"),
        ("with one that floods: p99", str(result.flood_p99_ratio)),
        ("with one that floods: gateway CPU", str(result.flood_cpu_ratio)),
        ("times that it was not read", f"{paced:,}"),
    ]


def _memory_rows(result: MemoryResult) -> list[tuple[str, str]]:
    return [
        ("idle sockets", f"{result.sockets:,}"),
        ("KB a socket", f"{result.kb_per_socket:.2f}"),
        ("of one core while idle", f"{result.idle_core_share:.1%}"),
        ("KB a socket, by step", str(result.kb_by_step)),
        ("gateway before and after, KB", f"{result.gateway_kb_before:,} → {result.gateway_kb_after:,}"),
    ]


def _reconnect_rows(result: ReconnectResult) -> list[tuple[str, str]]:
    return [
        ("viewers", f"{result.sockets:,} in {result.rooms:,} rooms"),
        ("seconds until all are back", str(result.seconds)),
        ("on the bare server", str(result.reference_seconds)),
        ("gateway, µs of CPU a viewer", _whole(result.gateway_us)),
        ("bare server, µs a viewer", _whole(result.reference_us)),
        ("ratio", "too few viewers to tell" if result.ratio is None else str(result.ratio)),
        ("Valkey, µs a viewer", _whole(result.valkey_us)),
        ("PostgreSQL, whose duties go on", _whole(result.postgres_us)),
    ]


def _whole(found: Spread) -> str:
    return f"{found.median:,.0f} ({found.low:,.0f} to {found.high:,.0f}, {found.runs} runs)"


def _latency_rows(result: LatencyResult) -> list[tuple[str, str]]:
    rows = [
        (
            f"{step.rate_per_s:,.0f} gifts/s",
            f"{'held' if step.held else 'not held: ' + step.why_not}, "
            f"accepted {step.accepted_per_s:,.0f}/s, p99 {step.accepted_p99_ms} ms",
        )
        for step in result.steps
    ]
    rows.append(("highest rate that held", f"{result.max_per_s:,.0f} gifts/s"))
    for label, summary in (
        ("gift → accepted", result.accepted),
        ("gift → overlay", result.overlay),
        ("gift → viewer", result.viewer),
    ):
        rows.append((f"{label} at {result.at_half:,.0f}/s", _percentiles(summary)))
    rows += [(f"CPU µs a gift, {part}", f"{used:.1f}") for part, used in result.cpu_us_per_gift.items()]
    rows += [("the generator may be the limit", words) for words in result.limited_by]
    return rows


def _overload_rows(result: OverloadResult) -> list[tuple[str, str]]:
    before, most, after = result.gateway_mb
    held = result.held_per_s
    rows = [
        ("accepted at most, of any rate", f"{result.max_per_s:,.0f} gifts/s"),
        *(() if held is None else (("highest rate that held", f"{held:,.0f} gifts/s"),)),
    ]
    for number, one in enumerate(result.rounds, 1):
        normal = one.normal_after_ms
        rows += [
            (f"round {number}: accepted of the most", f"{one.of_max_per_s:,.0f}/s"),
            ("offered", f"{one.offered_per_s:,.0f}/s, of which {one.sent_per_s:,.0f}/s were sent"),
            ("accepted", f"{one.accepted_per_s:,.0f}/s, p99 {one.accepted_p99_ms} ms"),
            ("ratio", f"{one.ratio:.2f}"),
            ("refused as overloaded", f"{one.refused:,}, p99 {one.refused_p99_ms} ms"),
            *((f"refused as {code}", f"{count:,}") for code, count in one.otherwise.items()),
            ("without an answer", f"{one.unanswered:,}"),
            ("normal after the load fell", "never" if normal is None else f"{normal:,.0f} ms"),
            ("cores in use", ", ".join(f"{part} {share}" for part, share in one.cpu_share.items())),
        ]
    rows += [
        ("ratio, median", f"{statistics.median(one.ratio for one in result.rounds):.2f}"),
        ("wrong wallets", f"{result.wrong_balances:,}"),
        ("gateway's memory before, at most, after", f"{before} → {most} → {after} MB"),
    ]
    rows += [("no overload was measured", words) for words in result.not_offered]
    rows += [("not reached", aim) for aim in result.missed]
    return rows


def _percentiles(summary: Summary) -> str:
    return f"p50 {summary.p50_ms} ms, p99 {summary.p99_ms} ms, p99.9 {summary.p999_ms} ms ({summary.samples:,})"
