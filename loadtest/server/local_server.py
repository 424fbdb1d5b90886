"""A `giftwire serve` on this machine, as its data folder and /proc show it: which processes it has, what they use."""

from pathlib import Path
from typing import Final

import httpx
import msgspec
from msgspec import Struct

from loadtest.server.procfs import ServerProcess, family

_ENDPOINTS: Final = "endpoints.json"
_PROCESSES: Final = "run/processes.json"


class Endpoints(Struct):
    """Where the parts of a server are, as `serve` writes it; what it does not run itself may be missing."""

    http_url: str
    serve_pid: int
    redis_url: str = ""
    database_url: str = ""


class _Process(Struct):
    name: str
    pid: int | None = None


class LocalServer:
    """The server of a data folder."""

    def __init__(self, data_dir: Path, endpoints: Endpoints) -> None:
        self.http_url = endpoints.http_url
        self._data_dir = data_dir
        self._serve_pid = endpoints.serve_pid

    def family(self) -> list[ServerProcess]:
        """All processes that it has now."""
        return family(self._serve_pid)

    def named(self) -> dict[str, int]:
        """The ids of the processes that `serve` keeps, by its names for them."""
        try:
            content = (self._data_dir / _PROCESSES).read_bytes()
            states = msgspec.json.decode(content, type=list[_Process])
        except (OSError, msgspec.DecodeError):
            return {}
        return {state.name: state.pid for state in states if state.pid is not None}


def read_endpoints(data_dir: Path) -> Endpoints:
    """Of the server of a data folder.

    Raises:
        OSError: there is none.
        msgspec.DecodeError: what is there is something else.
    """
    return msgspec.json.decode((data_dir / _ENDPOINTS).read_bytes(), type=Endpoints)


def find_local_server(data_dir: Path, http_url: str) -> LocalServer | None:
    """The server of this folder, if it is the one that is meant and it runs."""
    try:
        endpoints = read_endpoints(data_dir)
    except (OSError, msgspec.DecodeError):
        return None
    meant, there = httpx.URL(http_url), httpx.URL(endpoints.http_url)
    if meant.port != there.port or meant.host not in (there.host, "127.0.0.1", "localhost", "::1"):
        return None
    server = LocalServer(data_dir, endpoints)
    return server if len(server.family()) > 1 else None
