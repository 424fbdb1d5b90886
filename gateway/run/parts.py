"""How `serve` runs its own parts: the same commands that an operator would give, with everything spelled out."""

import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from gateway.run.keeping.child import Program, ProgramFailed
from gateway.run.keeping.folder import DataFolder
from gateway.run.keeping.port import bound_socket
from gateway.run.keeping.processes import end_processes, processes_started_as
from gateway.run.settings.config import Config
from gateway.run.settings.sources import CONFIG_VARIABLE, variable_of

GATEWAY: Final = "gateway"
WORKER: Final = "worker"
ENDS_MS: Final = 1_000
"""A gateway ends itself when its time is over; only one that cannot even do that is killed, so much later."""
_MODULE: Final = ("-P", "-m", "gateway.run")


def gateway_program(
    config: Config, folder: DataFolder, file: Path | None, number: int, *, when_ready: bool = False
) -> Program:
    """One of the gateways.

    Args:
        config: with both servers named.
        number: counts from 1; the name of its log.
        when_ready: it takes connections only once it could do all its work. Not for one that is started again after
            its death: while PostgreSQL is away, it still sells gifts.
    """
    listen = ["--host", config.host, "--port", str(config.port), "--demo" if config.demo else "--no-demo"]
    listen += ["--when-ready"] if when_ready else []
    return msgspec.structs.replace(
        _part(config, folder, file, GATEWAY, gateway_name(number), listen),
        bind=partial(bound_socket, config.host, config.port),
        stop_ms_max=config.drain_ms_max + config.embedded.stop_ms_max + ENDS_MS,
    )


def gateway_name(number: int) -> str:
    """The name of a gateway's process and log; numbers count from 1."""
    return f"{GATEWAY}-{number}"


def worker_program(config: Config, folder: DataFolder, file: Path | None) -> Program:
    """The worker."""
    return _part(config, folder, file, WORKER, WORKER, ["--demo" if config.demo else "--no-demo"])


async def end_leftover_parts(folder: DataFolder, each_s: float) -> None:
    """Wait for gateways and workers of a `serve` that was killed: the kernel has told them to end. Then end them.

    They would hold the port, and a second worker would have to wait for the first.

    Raises:
        ProgramFailed: one is still there.
    """
    path = str(folder.path)

    def leftover() -> list[int]:
        return [pid for part in (GATEWAY, WORKER) for pid in processes_started_as([*_MODULE, part, "--data-dir", path])]

    if not await end_processes(leftover, (signal.SIGTERM, signal.SIGKILL), each_s):
        raise ProgramFailed("a gateway or worker", f"of an earlier serve does not end: processes {leftover()}")


def _part(config: Config, folder: DataFolder, file: Path | None, command: str, name: str, more: list[str]) -> Program:
    words = [sys.executable, *_MODULE, command, "--data-dir", str(folder.path)]
    words += ["--log-level", config.log_level, *more]
    if file is not None:
        words += ["--config", str(file)]
    return Program(
        name=name,
        command=words,
        folder=Path.cwd(),
        log=folder.logs / f"{name}.log",
        stop_signals=(signal.SIGTERM,),
        death_signal=signal.SIGTERM,
        environment=_environment(config),
    )


def _environment(config: Config) -> dict[str, str]:
    # Addresses may hold a password, so they go by the environment, which only we may read, and not as flags.
    addresses = {"redis_url": config.ledger.redis_url, "database_url": config.ledger.database_url}
    kept = dict(os.environ)
    for name, url in addresses.items():
        kept.pop(variable_of((name,)) + "_FILE", None)
        kept[variable_of((name,))] = url
    if CONFIG_VARIABLE in kept:
        kept[CONFIG_VARIABLE] = str(Path(kept[CONFIG_VARIABLE]).absolute())
    return kept
