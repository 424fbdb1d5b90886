"""The `plan` command: what a deployment needs, the measurement behind it, and its check.

Exit codes of `check`: 0 when every quantity that counts lies within its bound, 1 when not, 2 when it could not be run.
"""

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Final

import click
import msgspec
from rich.console import Console

from loadtest.bench.server import ServerFailed
from loadtest.clients.connection import ClientRefused
from loadtest.plan.answer import Asked, Ground, answer
from loadtest.plan.check import Checked, beat_here, compare, cores_here, predict, run_all
from loadtest.plan.constants import Constants, ConstantsUnusable, load_constants, save_constants
from loadtest.plan.display import print_answer, print_checked, print_constants, print_predictions, print_sizes
from loadtest.plan.flows import Demand, Pacing
from loadtest.plan.measuring.fit import FitFailed
from loadtest.plan.measuring.grid import CHECK_REPEATS, CHECK_SECONDS, GRID, HELD_OUT, REPEATS, SECONDS
from loadtest.plan.measuring.measure import Measured, constants_of, measure
from loadtest.plan.measuring.probe import ProbeFailed
from loadtest.plan.quantities import COUNT, RATE, TIME
from loadtest.plan.simulation.piece import times_at
from loadtest.plan.simulation.setting import Simulated
from loadtest.plan.simulation.simulate import Overrun
from loadtest.plan.sizes import VIEWERS_PER_GIFT_S, VIEWERS_PER_GIVER, VIEWERS_PER_ROOM, all_sizes, save_sizes
from loadtest.play.agent import raise_files_limit
from loadtest.play.api import ApiError
from loadtest.play.crew import CrewFailed
from loadtest.script.scenario import ScenarioError

COULD_NOT_RUN: Final = 2
SOCKETS: Final = 20_000
_FAILURES: Final = (ServerFailed, ScenarioError, ApiError, ClientRefused, CrewFailed, FitFailed, Overrun, ProbeFailed)
_file = click.Path(path_type=Path, dir_okay=False)
_constants = click.option(
    "--constants", "constants_file", type=_file, help="Constants of your own machine, as `measure` writes them."
)


@click.group(invoke_without_command=True)
@click.option("--viewers", type=COUNT, help="Connected viewers, such as 1M.")
@click.option("--rooms", type=COUNT, help="Live rooms; one for 50 viewers if not given.")
@click.option("--gifts", type=RATE, help="Gifts of all rooms together, such as 50k/s; one for 20 viewers if not given.")
@click.option("--givers", type=COUNT, help="Different viewers who give at the same time; a tenth if not given.")
@click.option("--tick", type=TIME, default="50ms", show_default=True, help="rooms.tick_ms.")
@click.option("--gateways", default="auto", show_default=True, help="Gateway processes, or `auto`.")
@click.option("--partitions", default="auto", show_default=True, help="ledger.partitions, or `auto`.")
@click.option(
    "--viewers-per-room",
    "room_skew",
    type=click.FloatRange(0, 3),
    default=1.0,
    show_default=True,
    help="Exponent of Zipf's law by which rooms differ; 0 for rooms of one size.",
)
@click.option(
    "--rooms-together", is_flag=True, help="Somebody sends the viewers of a room to as few gateways as hold them."
)
@click.option(
    "--headroom",
    type=click.FloatRange(0.1, 0.95),
    default=0.7,
    show_default=True,
    help="The busiest that a processor, disk or network is meant to be.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Luck of the simulation.")
@click.option("--no-simulation", is_flag=True, help="No latencies: the arithmetic alone.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON, and nothing else.")
@click.option("--picture", type=_file, help="Write a PNG: cores over viewers, and where each limit is.")
@_constants
@click.pass_context
def plan(context: click.Context, /, **asked: Any) -> None:
    """What so many viewers, rooms and gifts need, and what breaks first.

    `measure` takes the constants of this machine, `check` holds the plan against runs that it does not know.
    """
    if context.invoked_subcommand is not None:
        return
    if asked["viewers"] is None:
        raise click.UsageError("how many? Give --viewers, such as 1M; or one of the commands measure and check")
    constants = _loaded(asked["constants_file"])
    question = _question(asked)
    found = answer(question, constants)
    times: Simulated | str = "not simulated"
    if not asked["no_simulation"]:
        try:
            times = times_at(question, found.needed, constants, seed=asked["seed"])
        except Overrun as exc:
            times = f"no steady state: {exc}"
    if asked["picture"] is not None:
        from loadtest.plan.picture import draw

        try:
            draw(found, asked["picture"])
        except OSError as exc:
            raise click.ClickException(f"{asked['picture']}: {exc.strerror}") from exc
    if asked["as_json"]:
        _print_json({"constants": constants.place, "answer": found, "times": times})
    else:
        print_answer(found, times, constants, Console())


@plan.command("measure")
@click.option("--json-out", type=_file, help="Write the constants here.")
@click.option("--runs-out", type=_file, help="Write every run here as it was counted; --from fits them anew.")
@click.option("--from", "runs_file", type=_file, help="Fit runs that were written before, and run nothing.")
@click.option("--seconds", type=click.FloatRange(1, 60), default=SECONDS, show_default=True, help="Length of a run.")
@click.option("--repeats", type=click.IntRange(1, 50), default=REPEATS, show_default=True, help="Of each run.")
@click.option("--seed", type=int, default=1, show_default=True, help="Order of the runs.")
@click.option("--json", "as_json", is_flag=True, help="Print the constants as JSON, and nothing else.")
def measure_command(
    json_out: Path | None,
    runs_out: Path | None,
    runs_file: Path | None,
    seconds: float,
    repeats: int,
    seed: int,
    as_json: bool,
) -> None:
    """Measure what everything costs on this machine: runs of a grid against a server of our own, and the fit."""
    signal.signal(signal.SIGTERM, _end)
    raise_files_limit(SOCKETS)
    try:
        if runs_file is not None:
            measured = msgspec.json.decode(runs_file.read_bytes(), type=Measured)
        else:
            measured = measure(
                GRID,
                seconds=seconds,
                repeats=repeats,
                seed=seed,
                told=lambda words: click.echo(words, err=True),
            )
        if runs_out is not None:
            runs_out.write_bytes(msgspec.json.encode(measured) + b"\n")
        constants = constants_of(measured, seconds=seconds, command="giftwire plan measure", seed=seed)
        if json_out is not None:
            save_constants(constants, json_out)
    except (OSError, msgspec.DecodeError, *_FAILURES) as exc:
        _fail(exc)
    if as_json:
        _print_json(constants)
    else:
        print_constants(constants, Console())


@plan.command()
@_constants
@click.option("--json-out", type=_file, help="Write predictions and measurements here.")
@click.option("--runs-out", type=_file, help="Write every run here as it was counted.")
@click.option(
    "--seconds", type=click.FloatRange(1, 60), default=CHECK_SECONDS, show_default=True, help="Length of a run."
)
@click.option("--repeats", type=click.IntRange(1, 50), default=CHECK_REPEATS, show_default=True, help="Of each run.")
@click.option("--seed", type=int, default=2, show_default=True, help="Order of the runs.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, and nothing else.")
def check(
    constants_file: Path | None,
    json_out: Path | None,
    runs_out: Path | None,
    seconds: float,
    repeats: int,
    seed: int,
    as_json: bool,
) -> None:
    """Say what runs will show that the constants do not come from; then run them, and hold both side by side."""
    signal.signal(signal.SIGTERM, _end)
    raise_files_limit(SOCKETS)
    constants, console = _loaded(constants_file), Console(stderr=as_json)
    try:
        beat_us = beat_here(seconds=seconds, told=lambda words: click.echo(words, err=True))
        predictions = predict(HELD_OUT, constants.at_beat(beat_us), seconds=seconds, cores=cores_here())
        print_predictions(predictions, console)
        runs = run_all(
            HELD_OUT, seconds=seconds, repeats=repeats, seed=seed, told=lambda words: click.echo(words, err=True)
        )
        if runs_out is not None:
            runs_out.write_bytes(msgspec.json.encode(runs) + b"\n")
        checked = compare(predictions, runs, beat_us)
        if json_out is not None:
            json_out.write_bytes(msgspec.json.format(msgspec.json.encode(checked), indent=2) + b"\n")
    except (OSError, *_FAILURES) as exc:
        _fail(exc)
    if as_json:
        _print_json(checked)
    else:
        print_checked(checked, console)
        console.print(_summary(checked))
        if not all(one.quiet for one in checked):
            most = max(one.foreign_cores for one in checked)
            console.print(f"This machine was not quiet: others used up to {most:.2f} of its cores.")
    sys.exit(0 if all(one.ok for one in checked) else 1)


@plan.command()
@_constants
@click.option("--json-out", type=_file, help="Write them here.")
def sizes(constants_file: Path | None, json_out: Path | None) -> None:
    """The answers for 100k, 1M and 10M viewers, as docs/scale.md has them."""
    found = all_sizes(_loaded(constants_file), lambda words: click.echo(words, err=True))
    print_sizes(found, Console())
    if json_out is not None:
        try:
            save_sizes(found, json_out)
        except OSError as exc:
            raise click.ClickException(f"{json_out}: {exc.strerror}") from exc


def _question(asked: dict[str, Any]) -> Asked:
    viewers = round(asked["viewers"])
    return Asked(
        Demand(
            viewers=viewers,
            rooms=round(asked["rooms"] or max(viewers / VIEWERS_PER_ROOM, 1)),
            gifts_per_s=asked["gifts"] if asked["gifts"] is not None else viewers / VIEWERS_PER_GIFT_S,
            room_skew=asked["room_skew"],
            givers=round(asked["givers"] or max(viewers / VIEWERS_PER_GIVER, 1)),
        ),
        pacing=Pacing(tick_ms=asked["tick"]),
        gateways=_number(asked["gateways"], "--gateways"),
        partitions=_number(asked["partitions"], "--partitions"),
        together=asked["rooms_together"],
        ground=Ground(headroom=asked["headroom"]),
    )


def _number(text: str, flag: str) -> int | None:
    if text == "auto":
        return None
    number = COUNT.convert(text, None, None)
    limit = 1024 if flag == "--partitions" else 1 << 15
    if number > limit or number != int(number):
        raise click.BadParameter(f"{flag} is a whole number up to {limit:,}, or auto")
    return int(number)


def _loaded(file: Path | None) -> Constants:
    try:
        return load_constants(file)
    except ConstantsUnusable as exc:
        raise click.ClickException(str(exc)) from exc


def _summary(checked: Sequence[Checked]) -> str:
    counted = [one for point in checked for one in point.compared if one.counts]
    holds = sum(one.holds for one in counted)
    return f"{holds} of {len(counted)} quantities lie within 15 %, latencies also within the spread of their repeats."


def _print_json(document: object) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())


def _fail(exc: Exception) -> None:
    click.echo(f"plan: {exc}", err=True)
    sys.exit(COULD_NOT_RUN)


def _end(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
