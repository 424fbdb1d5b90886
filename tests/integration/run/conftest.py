"""Embedded servers in a folder of the test's own."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.integration.run.running import OnlyServers


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A short path at which nothing is yet."""
    parent = Path(tempfile.mkdtemp(prefix="gw-run-"))
    yield parent / "var"
    shutil.rmtree(parent)


@pytest.fixture
def servers_in() -> Iterator[Callable[..., OnlyServers]]:
    """Makes the servers of a folder; all are gone after the test."""
    made: list[OnlyServers] = []

    def make(folder: Path, settings: Mapping[str, int] | None = None) -> OnlyServers:
        made.append(OnlyServers(folder, settings or {}))
        return made[-1]

    yield make
    for servers in made:
        servers.end()


@pytest.fixture
def servers(data_dir: Path, servers_in: Callable[..., OnlyServers]) -> OnlyServers:
    """Servers of a fresh folder, not started yet."""
    return servers_in(data_dir)
