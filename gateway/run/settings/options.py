"""The flags that several commands share, and how they become a configuration."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import msgspec

from gateway.admission.admission import unreadable_networks
from gateway.rails import unusable_rail
from gateway.run.keeping.folder import FolderUnusable, signing_key
from gateway.run.settings.config import Config, located, unusable_url
from gateway.run.settings.sources import ConfigFaults, Loaded, load
from ledger.config import read_endpoints

_Command = TypeVar("_Command", bound=Callable[..., Any])
USAGE: Final = 2


class Unusable(click.ClickException):
    """A command cannot do its work; the message says why and what helps."""

    exit_code = USAGE


_FOLDER: Final = (
    click.option("--data-dir", type=click.Path(path_type=Path), help="Where everything is kept.  [default: var]"),
    click.option("--config", "file", type=click.Path(path_type=Path), help="A TOML file with settings."),
    click.option("--redis-url", help="A Redis or Valkey of your own."),
    click.option("--database-url", help="A PostgreSQL of your own."),
    click.option(
        "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="What to log.  [default: info]"
    ),
)
_LISTEN: Final = (
    click.option("--host", help="Address to listen on.  [default: 127.0.0.1]"),
    click.option("--port", type=int, help="Port to listen on.  [default: 8080]"),
    click.option("--demo/--no-demo", default=None, help="A demo room with guests and a sandbox rail."),
)


def folder_options(command: _Command) -> _Command:
    """Add the flags that say which folder and which servers."""
    return _add(command, _FOLDER)


def listen_options(command: _Command) -> _Command:
    """Add the flags that say where to listen."""
    return _add(command, _LISTEN)


def loaded(file: Path | None, flags: dict[str, Any]) -> Loaded:
    """The configuration from flags, environment and file.

    Raises:
        Unusable: it has faults; the message names them all.
    """
    try:
        whole = load(flags, os.environ, file)
    except ConfigFaults as exc:
        faults = "\n".join(f"  {fault.place}: {fault.message}" for fault in exc.faults)
        count = "one fault" if len(exc.faults) == 1 else f"{len(exc.faults)} faults"
        raise Unusable(f"the configuration has {count}:\n{faults}") from exc
    reason = unreadable_networks(whole.config.admission) or unusable_url(whole.config)
    if reason is not None:
        raise Unusable(f"the configuration has one fault:\n  {reason}")
    return whole


def placed(file: Path | None, flags: dict[str, Any]) -> Config:
    """The configuration of a part that runs beside a `serve` or against servers of the operator: both are named.

    Raises:
        Unusable: it has faults, or nothing serves from the folder.
    """
    config = loaded(file, flags).config
    try:
        return located(config, read_endpoints(config.data_dir))
    except (LookupError, ValueError, OSError) as exc:
        raise Unusable(str(exc.args[0] if isinstance(exc, LookupError) else exc)) from exc


def keyed(config: Config) -> Config:
    """The configuration with the signing key that it names, or else the one of the data folder.

    Raises:
        Unusable: the folder's key cannot be used.
    """
    if config.signing_key is not None:
        return config
    try:
        return msgspec.structs.replace(config, signing_key=signing_key(config.data_dir))
    except FolderUnusable as exc:
        raise Unusable(str(exc)) from exc


def selling(config: Config) -> Config:
    """The same configuration, once it is seen that coins can be sold by it.

    Raises:
        Unusable: a payment provider is configured and cannot be used.
    """
    reason = unusable_rail(config)
    if reason is not None:
        raise Unusable(reason)
    return config


def _add(command: _Command, options: tuple[Callable[[_Command], _Command], ...]) -> _Command:
    for option in reversed(options):
        command = option(command)
    return command
