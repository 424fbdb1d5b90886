"""`giftwire gateway`: one process that answers HTTP and WebSockets on a port that it may share with others."""

import asyncio
import contextlib
import os
import resource
import signal
import socket
import threading
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, Final, Protocol, cast

import click
import structlog
import uvicorn
import uvloop

from catalog.faults import CatalogInvalid
from gateway.run.collector import calm_collector
from gateway.run.keeping.child import tell_ready
from gateway.run.keeping.port import HostUnusable, Listener, PortTaken
from gateway.run.keeping.signals import StopAsked, stop_asked
from gateway.run.logs import set_up_logs
from gateway.run.settings.config import Config
from gateway.run.settings.options import Unusable, folder_options, keyed, listen_options, placed, selling
from ledger.errors import LedgerError, LedgerUnavailable
from ledger.mending.reconcile import require_agreement

WAIT_S: Final = 0.5
POLL_S: Final = 0.02
HTTP_QUIET_S: Final = 1.0
"""How long a connection that is kept for further requests may be silent before a gateway that drains ends it. One in
use is told to close with its next answer, so that no request meets a connection that has just been closed."""
CUT_S: Final = 1
"""How long requests that are late at the end of a drain have to hear that they are cut off."""
ENDED_LATE: Final = 70
"""Exit status of a gateway that had to be ended while it stopped."""
_log = structlog.get_logger()


@click.command()
@folder_options
@listen_options
@click.option("--when-ready", is_flag=True, help="Take connections only once `/readyz` would say 200.")
def gateway(file: Path | None, when_ready: bool, **flags: Any) -> None:
    """Run one gateway. Start several on one port to use more processors."""
    config = keyed(selling(placed(file, flags)))
    set_up_logs(config.log_level, "gateway")
    raise_open_files()
    try:
        uvloop.run(run_gateway(config, when_ready=when_ready))
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

    async def missing(self) -> Mapping[str, str]:
        """What `/readyz` would name as missing; empty when it would say 200."""

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

    def keep_no_connection(self) -> None:
        """Answer what comes over connections that are open, and end each of them with its answer."""
        close = (b"connection", b"close")
        self.config.encoded_headers.append(close)
        self.server_state.default_headers = [*self.server_state.default_headers, close]
        for connection in self.server_state.connections:
            cycle = getattr(connection, "cycle", None)
            if cycle is not None and not cycle.response_complete:
                cycle.keep_alive = False

    async def until_quiet(self) -> None:
        """Wait until no request is being answered and connections that wait for one have been silent for a while."""
        quiet_s = 0.0
        while self.server_state.connections and quiet_s < HTTP_QUIET_S:
            cycles = [getattr(connection, "cycle", None) for connection in self.server_state.connections]
            busy = any(cycle is not None and not cycle.response_complete for cycle in cycles)
            quiet_s = 0.0 if busy else quiet_s + POLL_S
            await asyncio.sleep(POLL_S)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


async def run_gateway(config: Config, *, when_ready: bool = False) -> None:
    """Serve until SIGTERM or SIGINT, then drain: listen no more, send clients elsewhere, finish what waits.

    It ends no later than `drain_ms_max` and `embedded.stop_ms_max` after it was asked to. SIGHUP says besides that
    another process listens on the same socket now.

    Args:
        when_ready: take connections only once nothing is missing.

    Raises:
        PortTaken, HostUnusable: the port cannot be had.
        LedgerError: what is stored does not fit the configuration or this code.
    """
    stop = stop_asked()
    asked = asyncio.create_task(stop.wait(), name="stop-asked")
    starting = asyncio.create_task(_started(config, when_ready=when_ready), name="start")
    try:
        await asyncio.wait({starting, asked}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            return
        app = starting.result()
        try:
            # Only now: the kernel gives a share of the port's connections to every socket that listens.
            await _answer(app, Listener(config.host, config.port), config, stop)
        finally:
            await app.stop()
    finally:
        asked.cancel()
        _log.info("gateway_stopped")


async def _started(config: Config, *, when_ready: bool) -> App:
    from gateway.app import build

    while True:
        app = await build(config)
        try:
            await require_agreement(config.ledger)
            await app.start()
            while when_ready and (missing := await app.missing()):
                _log.warning("gateway_waits", missing=missing)
                await asyncio.sleep(WAIT_S)
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


async def _answer(app: App, listener: Listener, config: Config, stop: StopAsked) -> None:
    server = _Server(
        uvicorn.Config(
            app.asgi,
            ws=cast("type[asyncio.Protocol]", app.ws_protocol_class),
            http=cast("type[asyncio.Protocol]", app.http_protocol_class),
            loop="none",
            lifespan="off",
            access_log=False,
            # uvicorn would believe a header of every client on this machine; whom we believe is configured.
            proxy_headers=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=CUT_S,
        ),
        config,
    )
    serving = asyncio.create_task(server.serve(sockets=[listener.socket]), name="uvicorn")
    asked = asyncio.create_task(stop.wait(), name="stop-asked")
    try:
        await asyncio.wait({serving, asked}, return_when=asyncio.FIRST_COMPLETED)
        if asked.done():
            _end_within((config.drain_ms_max + config.embedded.stop_ms_max) / 1000)
        for listening in server.servers:
            listening.close()
        listener.closed(handed_on=stop.by is signal.SIGHUP)
        server.keep_no_connection()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(config.drain_ms_max / 1000):
                await asyncio.gather(app.drain(), server.until_quiet())
    finally:
        asked.cancel()
        server.should_exit = True
        await serving


def _end_within(seconds: float) -> None:
    """Let the process be gone by then, whatever hangs: a thread, since the event loop may be what hangs."""

    def end() -> None:
        _log.error("gateway_ended_late", seconds=seconds)
        os._exit(ENDED_LATE)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


def raise_open_files() -> None:
    """Let this process hold as many sockets as the system lets it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
