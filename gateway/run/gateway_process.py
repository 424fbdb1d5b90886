"""`giftwire gateway`: one process that answers HTTP and WebSockets on a port that it may share with others."""

import asyncio
import contextlib
import resource
import socket
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Final, Protocol, cast

import click
import structlog
import uvicorn
import uvloop

from catalog.faults import CatalogInvalid
from gateway.run.child import tell_ready
from gateway.run.collector import calm_collector
from gateway.run.config import Config
from gateway.run.logs import set_up_logs
from gateway.run.options import Unusable, folder_options, keyed, listen_options, placed, selling
from gateway.run.port import HostUnusable, PortTaken, shared_socket
from gateway.run.signals import stop_asked
from ledger.errors import LedgerError, LedgerUnavailable
from ledger.reconcile import require_agreement

WAIT_S: Final = 0.5
_log = structlog.get_logger()


@click.command()
@folder_options
@listen_options
def gateway(file: Path | None, **flags: Any) -> None:
    """Run one gateway. Start several on one port to use more processors."""
    config = keyed(selling(placed(file, flags)))
    set_up_logs(config.log_level, "gateway")
    raise_open_files()
    try:
        uvloop.run(run_gateway(config))
    except (PortTaken, HostUnusable, LedgerError, CatalogInvalid) as exc:
        raise Unusable(str(exc)) from exc


class App(Protocol):
    """What this process asks of the application that `gateway.app.build` makes.

    Attributes:
        asgi: the HTTP half.
        http_protocol_class: holds a connection from its accept on.
        ws_protocol_class: takes over a connection that asks for a WebSocket, as uvicorn hands it over.
    """

    @property
    def asgi(self) -> Any: ...

    @property
    def http_protocol_class(self) -> Callable[..., Any]: ...

    @property
    def ws_protocol_class(self) -> Callable[..., Any]: ...

    async def start(self) -> None:
        """Connect to the servers, and be ready to answer."""

    async def drain(self) -> None:
        """Send every client elsewhere, and wait until they have gone."""

    async def stop(self) -> None:
        """Let go of everything, also after a start that was cancelled or failed half way."""


class _Server(uvicorn.Server):
    """uvicorn's server with the signals left to us: it would close every socket at once."""

    def __init__(self, config: uvicorn.Config, ours: Config) -> None:
        super().__init__(config)
        self.servers = []
        self._ours = ours

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        calm_collector()
        tell_ready()
        _log.info("gateway_ready", host=self._ours.host, port=self._ours.port)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


async def run_gateway(config: Config) -> None:
    """Serve until SIGTERM or SIGINT, then drain: listen no more, send clients elsewhere, finish what waits.

    Raises:
        PortTaken, HostUnusable: the port cannot be had.
        LedgerError: what is stored does not fit the configuration or this code.
    """
    asked = asyncio.create_task(stop_asked().wait(), name="stop-asked")
    starting = asyncio.create_task(_started(config), name="start")
    try:
        await asyncio.wait({starting, asked}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            return
        app = starting.result()
        try:
            # Only now: the kernel gives a share of the port's connections to every socket that listens.
            await _answer(app, shared_socket(config.host, config.port), config, asked)
        finally:
            await app.stop()
    finally:
        asked.cancel()
        _log.info("gateway_stopped")


async def _started(config: Config) -> App:
    from gateway.app import build

    while True:
        app = await build(config)
        try:
            await require_agreement(config.ledger)
            await app.start()
        except LedgerUnavailable as exc:
            # Dying would only be started again; a server that loads its data takes what it takes.
            _log.warning("gateway_waits", error=str(exc))
            await app.stop()
        except BaseException:
            await app.stop()
            raise
        else:
            return app
        await asyncio.sleep(WAIT_S)


async def _answer(app: App, listening: socket.socket, config: Config, asked: asyncio.Task[bool]) -> None:
    server = _Server(
        uvicorn.Config(
            app.asgi,
            ws=cast("type[asyncio.Protocol]", app.ws_protocol_class),
            http=cast("type[asyncio.Protocol]", app.http_protocol_class),
            loop="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=max(1, config.drain_ms_max // 1000),
        ),
        config,
    )
    serving = asyncio.create_task(server.serve(sockets=[listening]), name="uvicorn")
    try:
        await asyncio.wait({serving, asked}, return_when=asyncio.FIRST_COMPLETED)
        for listener in server.servers:
            listener.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(app.drain(), config.drain_ms_max / 1000)
    finally:
        server.should_exit = True
        await serving


def raise_open_files() -> None:
    """Let this process hold as many sockets as the system lets it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
