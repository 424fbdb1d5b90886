"""The `loadtest` command.

Exit codes: 0 when nothing was lost or doubled and the limits held, 1 when not, 2 when the test could not be run.
"""

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec
from rich.console import Console

from gateway.wire.codec import Encoding
from loadtest.clients.connection import ClientRefused
from loadtest.play.api import ApiError
from loadtest.play.crew import CrewFailed
from loadtest.play.run import NotLocal, Options, run_loadtest
from loadtest.report.climb import Climb, find_max, words_of
from loadtest.report.compare import NotComparable, compare_files
from loadtest.report.display import (
    LiveView,
    Silent,
    print_comparison,
    print_repeated,
    print_run,
    print_step,
    print_summary,
)
from loadtest.report.repeat import RUNS_MAX, Repeated, repeat
from loadtest.report.report import Report, write_json
from loadtest.script.casting import Crowd
from loadtest.script.scenario import Scenario, ScenarioError, load_scenario, scale
from loadtest.tokens import KEY_FILE, KeyUnreadable, TokenSigner

COULD_NOT_RUN = 2
COMPARE = "compare"


@click.command(name="loadtest")
@click.argument("scenarios", nargs=-1, required=True, metavar="SCENARIO ...")
@click.option("--url", default="ws://127.0.0.1:8080", show_default=True, help="Address of the server.")
@click.option("--duration", type=float, metavar="S", help="Seconds in which gifts are sent.")
@click.option("--rate", type=float, metavar="N", help="Gifts per second at a phase factor of 1.")
@click.option("--viewers", type=int, metavar="N", help="Viewers who only watch.")
@click.option("--seed", type=int, help="Luck of the arrivals.")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    default=Path("var"),
    show_default=True,
    help="Data folder of a local server; its signing key makes the users' tokens.",
)
@click.option("--token-key-file", type=click.Path(path_type=Path), help="The signing key, when it is elsewhere.")
@click.option("--token", help="An operator's token; made with the signing key when absent.")
@click.option("--msgpack", is_flag=True, help="Speak the MessagePack subprotocol.")
@click.option(
    "--sender-processes", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes that send gifts."
)
@click.option(
    "--viewer-processes", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes of the viewers."
)
@click.option("--report", "report_dir", type=click.Path(path_type=Path), help="Folder for reports: HTML, JSON, a plot.")
@click.option(
    "--faults", is_flag=True, help="Kill and stop processes of the server of --data-dir meanwhile, by the seed."
)
@click.option("--find-max", "find", is_flag=True, help="Search the highest rate that holds, from --rate on.")
@click.option(
    "--rate-max", type=float, default=100_000.0, show_default=True, metavar="N", help="No higher rate is searched."
)
@click.option(
    "--runs",
    type=click.IntRange(1, RUNS_MAX),
    default=1,
    show_default=True,
    help="Run it so often, and tell each number with its spread.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the reports as JSON, and nothing else.")
@click.option("--quiet", is_flag=True, help="No live view.")
def loadtest(
    scenarios: tuple[str, ...],
    url: str,
    duration: float | None,
    rate: float | None,
    viewers: int | None,
    seed: int | None,
    data_dir: Path,
    token_key_file: Path | None,
    token: str | None,
    msgpack: bool,
    sender_processes: int,
    viewer_processes: int,
    report_dir: Path | None,
    faults: bool,
    find: bool,
    rate_max: float,
    runs: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Drive a running server and check from outside that every gift arrived once and every coin adds up.

    SCENARIO is hot_room, many_rooms, combo_storm, dear_gifts, whale, slow_viewers, reconnect_storm,
    purchase_rush, mixed_evening, soak, or a TOML file.

    `compare A B` sets two JSON reports side by side.
    """
    console = Console(stderr=as_json)
    if scenarios[0] == COMPARE:
        _compare(scenarios[1:], console, as_json=as_json)
        return
    if find and runs > 1:
        raise click.UsageError("--find-max decides by single runs: leave out --runs")
    try:
        signer = TokenSigner.from_file(token_key_file or data_dir / KEY_FILE)
        options = Options(
            url=_endpoint(url),
            operator_token=token or signer.token("loadtest", "operator"),
            signer=signer,
            encoding=Encoding.MSGPACK if msgpack else Encoding.JSON,
            crowd=Crowd(sender_processes, viewer_processes),
            data_dir=data_dir,
            blows=faults,
        )
        shown = not (quiet or as_json) and console.is_terminal

        def run(scenario: Scenario) -> Report:
            report = _run(scenario, options, console, shown=shown)
            if not as_json:
                (print_step if find else print_run if runs > 1 else print_summary)(report, console)
            if report_dir is not None:
                _write(report, report_dir, console)
            return report

        chosen = [
            scale(load_scenario(name), duration_s=duration, rate_per_s=rate, viewers=viewers, seed=seed)
            for name in scenarios
        ]
        found = [find_max(one, rate_max, run) if find else repeat(one, runs, run) for one in chosen]
    except (ScenarioError, KeyUnreadable, ApiError, ClientRefused, CrewFailed, NotLocal) as exc:
        click.echo(f"loadtest: {exc}", err=True)
        sys.exit(COULD_NOT_RUN)
    _tell(found, console, as_json=as_json)
    sys.exit(0 if all(one.ok for one in found) else 1)


def _tell(found: Sequence[Climb | Repeated], console: Console, *, as_json: bool) -> None:
    if as_json:
        # A single run is its report.
        values = [one.reports[0] if isinstance(one, Repeated) and len(one.reports) == 1 else one for one in found]
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(values), indent=2) + b"\n")
        return
    for line in words_of([one for one in found if isinstance(one, Climb)]):
        console.print(f"[bold]{line}[/bold]")
    for one in found:
        if isinstance(one, Repeated) and len(one.reports) > 1:
            print_repeated(one, console)


def _compare(words: Sequence[str], console: Console, *, as_json: bool) -> None:
    try:
        if len(words) != 2:
            raise NotComparable("compare takes two reports")
        found = compare_files(Path(words[0]), Path(words[1]))
    except NotComparable as exc:
        click.echo(f"loadtest: {exc}", err=True)
        sys.exit(COULD_NOT_RUN)
    if as_json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    else:
        print_comparison(found, console)


def _run(scenario: Scenario, options: Options, console: Console, *, shown: bool) -> Report:
    with contextlib.ExitStack() as stack:
        watcher = stack.enter_context(LiveView(scenario, console)) if shown else Silent()
        return run_loadtest(scenario, options, watcher)


def _write(report: Report, folder: Path, console: Console) -> None:
    from loadtest.report.page import page
    from loadtest.report.plot import plot_percentiles

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{report.scenario.name}-{report.run}"
    write_json(report, path.with_suffix(".json"))
    plot_percentiles(report, path.with_suffix(".png"))
    path.with_suffix(".html").write_text(page(report))
    console.print(f"report: {path.with_suffix('.html')}, and .json and .png beside it")


def _endpoint(url: str) -> str:
    """The address of the WebSocket: an origin is enough."""
    scheme, _, rest = url.partition("://")
    scheme = {"http": "ws", "https": "wss"}.get(scheme, scheme)
    return f"{scheme}://{rest.rstrip('/')}" if "/" in rest.rstrip("/") else f"{scheme}://{rest.rstrip('/')}/v1/ws"
