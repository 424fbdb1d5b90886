"""The files in deploy/ call commands and flags that there are, and give them the time that they may take."""

import configparser
import json
import re
import shlex
import tomllib
from importlib import import_module
from pathlib import Path

import click
import pytest

from gateway.run.settings.config import Config
from tests.repo.sources import ROOT

DEPLOY = ROOT / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
COMMANDS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"][
    "giftwire.commands"
]


def unit(path: Path) -> configparser.ConfigParser:
    """A unit's sections."""
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(path, encoding="utf-8")
    return parser


def assert_can_be_called(words: list[str]) -> None:
    """A command of ours takes these words."""
    module, _, attribute = COMMANDS[words[0]].partition(":")
    command = getattr(import_module(module), attribute)
    assert isinstance(command, click.Command)
    command.make_context(words[0], words[1:])


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_unit(path: Path) -> None:
    """It starts a command with flags that there are, hears when it is ready, and leaves it the time to stop."""
    service = unit(path)["Service"]
    program, *words = shlex.split(service["ExecStart"])
    assert Path(program).name == "giftwire"
    assert_can_be_called(words)
    assert service["Type"] == "notify"
    config = Config()
    assert int(service["TimeoutStopSec"]) * 1000 > config.drain_ms_max + config.embedded.stop_ms_max


def test_socket_fits_its_gateway() -> None:
    """It listens where the gateway would, beside the sockets of others."""
    listens = unit(DEPLOY / "giftwire-gateway@.socket")["Socket"]
    start = unit(DEPLOY / "giftwire-gateway@.service")["Service"]["ExecStart"]
    host, port = (re.findall(rf"--{name} (\S+)", start)[0] for name in ("host", "port"))
    assert listens["ListenStream"] == f"{host}:{port}"
    assert listens["ReusePort"] == "yes"


def test_container() -> None:
    """What it runs unless told otherwise is a command of ours, and what it copies is made or there."""
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    (command,) = re.findall(r"^CMD (\[.*\])$", text, re.MULTILINE)
    assert_can_be_called(json.loads(command))
    assert re.findall(r"^COPY (\S+) (\S+) /tmp/$", text, re.MULTILINE) == [("requirements.lock", "dist/giftwire-*.whl")]
    assert (ROOT / "requirements.lock").exists()
