"""The worker's duties: each a task of its own, started again when it fails, stopped for good when money contradicts.

One duty that fails does not hold up the others. A broken invariant ends its duty until somebody has looked: going on
would spread the fault. The state of all is written to a small file for readiness and metrics.
"""

import asyncio
import enum
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
import structlog

from gateway.run.keeping.folder import put_in_place
from gateway.tasks import end_all
from ledger.errors import InvariantBroken

DUTIES_FILE: Final = "duties.json"
AUDIT_DUTY: Final = "audit"
TOLD_DUTY: Final = "told"
ROOMS_DUTY: Final = "rooms"
AUDITS: Final = (AUDIT_DUTY, TOLD_DUTY, ROOMS_DUTY)
VIOLATIONS_PREFIX: Final = "violations_"
PAUSE_S_MIN: Final = 0.05
PAUSE_S_MAX: Final = 2.0
HEALTHY_S: Final = 10.0
NUMBERS_S: Final = 2.0
"""How often the numbers are told while nothing else changes."""
_log = structlog.get_logger()


class DutyCondition(enum.StrEnum):
    """How a duty is."""

    RUNNING = "running"
    FAILING = "failing"
    """It failed, and is about to be started again."""
    STOPPED = "stopped"
    """An invariant was broken: it does not go on by itself."""


class DutyState(msgspec.Struct, frozen=True):
    """How a duty is, how often it failed, what it said last, and what it counted."""

    name: str
    condition: DutyCondition
    failures: int = 0
    error: str = ""
    numbers: Mapping[str, int] = {}


class Duty(msgspec.Struct, frozen=True):
    """Something the worker does until it is cancelled. `run` leaves nothing half done when it is.

    Attributes:
        stats: where it counts, if anywhere; its whole numbers are told from time to time.
    """

    name: str
    run: Callable[[], Awaitable[None]]
    stats: msgspec.Struct | None = None


async def do_duties(
    duties: Sequence[Duty],
    stop: asyncio.Event,
    told: Callable[[list[DutyState]], None],
    expected: tuple[type[Exception], ...] = (),
) -> None:
    """Do all of them until `stop` is set, then cancel them and wait for their ends.

    Args:
        told: hears the state of all whenever one changes.
        expected: failures of the servers that we use, logged in one line; others are logged with their trace.
    """
    states = {duty.name: DutyState(duty.name, DutyCondition.RUNNING) for duty in duties}

    def tell() -> None:
        told([msgspec.structs.replace(states[duty.name], numbers=_numbers(duty)) for duty in duties])

    def changed(state: DutyState) -> None:
        states[state.name] = state
        tell()

    tell()
    tasks = [asyncio.create_task(_keep_doing(duty, changed, expected), name=f"duty-{duty.name}") for duty in duties]
    tasks.append(asyncio.create_task(_keep_telling(tell), name="tell-numbers"))
    try:
        await stop.wait()
    finally:
        await end_all(tasks)


async def _keep_telling(tell: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(NUMBERS_S)
        tell()


def _numbers(duty: Duty) -> dict[str, int]:
    counted = {} if duty.stats is None else msgspec.structs.asdict(duty.stats)
    return {name: value for name, value in counted.items() if isinstance(value, int)}


async def _keep_doing(duty: Duty, changed: Callable[[DutyState], None], expected: tuple[type[Exception], ...]) -> None:
    loop = asyncio.get_running_loop()
    failures, pause_s = 0, PAUSE_S_MIN
    while True:
        began_s = loop.time()
        try:
            await duty.run()
            _log.error("duty_ended_by_itself", duty=duty.name)
            error = "it ended by itself"
        except InvariantBroken as exc:
            _log.critical("duty_stopped", duty=duty.name, invariant=exc.invariant, error=str(exc))
            changed(DutyState(duty.name, DutyCondition.STOPPED, failures + 1, str(exc)))
            return
        except expected as exc:
            error = f"{type(exc).__name__}: {exc}"
            _log.warning("duty_failed", duty=duty.name, error=error)
        except Exception as exc:  # noqa: BLE001 - logged and counted
            # The task's top: whatever it was, the other duties go on and this one is tried again.
            error = f"{type(exc).__name__}: {exc}"
            _log.exception("duty_failed", duty=duty.name)
        failures += 1
        pause_s = PAUSE_S_MIN if loop.time() - began_s > HEALTHY_S else min(pause_s * 2, PAUSE_S_MAX)
        changed(DutyState(duty.name, DutyCondition.FAILING, failures, error))
        await asyncio.sleep(pause_s)
        changed(DutyState(duty.name, DutyCondition.RUNNING, failures, error))


def write_duties(run: Path, states: list[DutyState]) -> None:
    """Put the file in place at once. On a full disk the old one stays: the duties go on."""
    try:
        put_in_place(run / DUTIES_FILE, msgspec.json.format(msgspec.json.encode(states), indent=2) + b"\n")
    except OSError as exc:
        _log.warning("duties_not_written", error=str(exc))


def read_duties(run: Path) -> list[DutyState]:
    """What the folder's worker wrote last; empty when there is none.

    Raises:
        ValueError: the file holds something else.
    """
    try:
        content = (run / DUTIES_FILE).read_bytes()
    except FileNotFoundError:
        return []
    return msgspec.json.decode(content, type=list[DutyState])


def violations_of(duties: Sequence[DutyState]) -> dict[str, int]:
    """How many contradictions of each invariant the worker's audits know, by number; empty when no worker audits."""
    found: dict[str, int] = {}
    for duty in duties:
        for name, count in duty.numbers.items():
            if name.startswith(VIOLATIONS_PREFIX):
                invariant = name.removeprefix(VIOLATIONS_PREFIX)
                found[invariant] = found.get(invariant, 0) + count
    return dict(sorted(found.items(), key=lambda one: int(one[0][1:])))


def forget_duties(run: Path) -> None:
    """Drop what an earlier worker wrote. A file that is not there is fine."""
    (run / DUTIES_FILE).unlink(missing_ok=True)
