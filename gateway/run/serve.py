"""`giftwire serve`: everything on one machine, started in order, watched, and stopped in order.

Valkey and PostgreSQL first (where the operator brought none), then the migrations, the worker and the gateways. Stopped
the other way round: gateways send their clients away, the worker finishes its batch, the servers write what they hold.
SIGHUP replaces gateways and worker one after another (`rolling`).
"""

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import Any, Final

import click
import httpx
import msgspec
import structlog
from rich.text import Text

from gateway.run.demo import demo_tokens, seed_demo
from gateway.run.duties import forget_duties
from gateway.run.keeping.child import ProgramFailed
from gateway.run.keeping.folder import DataFolder, FolderUnusable, ServeLock
from gateway.run.keeping.port import HostUnusable, PortTaken, Reservation
from gateway.run.keeping.signals import Terminal, stop_asked
from gateway.run.keeping.status import write_status
from gateway.run.keeping.supervisor import ProcessState, Supervisor
from gateway.run.logs import set_up_logs
from gateway.run.page import ready_page, show
from gateway.run.parts import end_leftover_parts, gateway_program, worker_program
from gateway.run.rolling.roll import Rolling
from gateway.run.rolling.source import ConfigSource
from gateway.run.rolling.state import forget_restarts
from gateway.run.servers.embedded import Servers, start_servers
from gateway.run.servers.valkey import ServerMissing
from gateway.run.settings.config import Config, located
from gateway.run.settings.options import Unusable, folder_options, keyed, listen_options, loaded, selling
from ledger.books.migrate import migrate
from ledger.config import Endpoints, remove_endpoints, write_endpoints
from ledger.errors import EpochAwaited, LedgerError
from ledger.mending.reconcile import require_agreement

READY_POLL_S: Final = 0.1
_log = structlog.get_logger()


@click.command()
@folder_options
@listen_options
@click.option("--workers", type=int, help="Gateway processes.  [default: one for two processors]")
def serve(file: Path | None, **flags: Any) -> None:
    """Run everything on this machine, with its own Valkey and PostgreSQL unless you bring yours."""
    given = selling(loaded(file, flags).config)
    set_up_logs(given.log_level, "serve")
    try:
        folder = DataFolder(given.data_dir)
        with ServeLock(folder):
            source = ConfigSource(folder, file, flags)
            source.accept()
            asyncio.run(serve_from(given, folder, source))
    except (FolderUnusable, PortTaken, HostUnusable, ServerMissing, ProgramFailed, LedgerError) as exc:
        raise Unusable(str(exc)) from exc


async def serve_from(given: Config, folder: DataFolder, source: ConfigSource) -> None:
    """One run of `serve` on a folder whose lock is held.

    Args:
        given: the configuration as it was read.
        source: where it comes from, to be read again; its accepted file is handed on to the parts.

    Raises:
        PortTaken, HostUnusable, FolderUnusable, ServerMissing, ProgramFailed, LedgerError: why it could not start or
            go on; everything that had been started has been stopped in order.
        Unusable: the folder's key cannot be used.
    """
    config = keyed(msgspec.structs.replace(given, data_dir=folder.path))
    await end_leftover_parts(folder, config.embedded.stop_ms_max / 1000)
    forget_duties(folder.run)
    forget_restarts(folder.run)
    with contextlib.closing(Reservation(config.host, config.port)) as reservation:
        await _Serving(msgspec.structs.replace(config, port=reservation.port), folder, source, given).run()


class _Serving:
    def __init__(self, config: Config, folder: DataFolder, source: ConfigSource, given: Config) -> None:
        self._config = config
        self._folder = folder
        self._source = source
        self._given = given
        self._restart_asked = asyncio.Event()
        self._servers: Servers | None = None
        self._http_url = ""
        self._supervisor = Supervisor(config.embedded, self._changed)

    async def run(self) -> None:
        stopping = stop_asked(twice_is_now=True, hangup=False)
        terminal = Terminal()

        def hung_up() -> None:
            if terminal.has_gone:
                stopping.set()
            else:
                self._restart_asked.set()

        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hung_up)
        starting = asyncio.create_task(self._start(), name="start")
        asked = asyncio.create_task(stopping.wait(), name="stop-asked")
        try:
            await asyncio.wait({starting, asked}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                show(starting.result())
                await self._until_over(asked)
        finally:
            asked.cancel()
            starting.cancel()
            await asyncio.gather(starting, asked, return_exceptions=True)
            await self._stop()

    async def _until_over(self, asked: asyncio.Task[bool]) -> None:
        failing = asyncio.create_task(self._supervisor.until_failed(), name="until-failed")
        restarting = asyncio.create_task(self._restart_when_asked(), name="restart-when-asked")
        try:
            await asyncio.wait({asked, failing, restarting}, return_when=asyncio.FIRST_COMPLETED)
            if restarting.done():
                restarting.result()
            if failing.done():
                raise failing.result()
        finally:
            failing.cancel()
            restarting.cancel()
            # Before anything is stopped: a process that has just been started must be in our care.
            await asyncio.gather(failing, restarting, return_exceptions=True)

    async def _restart_when_asked(self) -> None:
        rolling = Rolling(self._supervisor, self._folder, self._source, self._given, self._config)
        while True:
            await self._restart_asked.wait()
            self._restart_asked.clear()
            await rolling.restart()

    async def _start(self) -> Text:
        self._servers = servers = await start_servers(self._config, self._folder, self._supervisor)
        self._write_endpoints(servers)
        await migrate(servers.database_url)
        config = self._config = located(self._config, self._endpoints(servers))
        # A promoted server is the worker's to repair; it comes first.
        with contextlib.suppress(EpochAwaited):
            await require_agreement(config.ledger)
        if config.demo:
            await seed_demo(config)
        file = self._source.accepted
        await self._supervisor.begin(worker_program(config, self._folder, file))
        await self._supervisor.begin(
            *(gateway_program(config, self._folder, file, number + 1) for number in range(config.gateways))
        )
        await self._until_ready()
        self._http_url = config.http_url
        self._write_endpoints(servers)
        return ready_page(config, demo_tokens(config) if config.demo else None, servers.embedded)

    async def _until_ready(self) -> None:
        """Wait for 200 from /readyz.

        Raises:
            ProgramFailed: it did not come in time, or a process was given up meanwhile.
        """
        giving_up = asyncio.create_task(self._supervisor.until_failed(), name="until-failed")
        asking = asyncio.create_task(self._ask_until_ready(), name="ask-until-ready")
        try:
            done, _ = await asyncio.wait(
                {giving_up, asking},
                timeout=self._config.embedded.start_ms_max / 1000,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if giving_up in done:
                raise giving_up.result()
            if not done:
                raise ProgramFailed("gateway", f"was not ready in time: /readyz said {await self._readiness()}")
            asking.result()
        finally:
            giving_up.cancel()
            asking.cancel()
            await asyncio.gather(giving_up, asking, return_exceptions=True)

    async def _ask_until_ready(self) -> None:
        while await self._readiness() is not None:  # noqa: ASYNC110 - another process is asked, not an event
            await asyncio.sleep(READY_POLL_S)

    async def _readiness(self) -> str | None:
        """What speaks against being ready; None when nothing does."""
        try:
            async with httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
                answer = await client.get(f"{self._config.local_url}/readyz")
        except httpx.HTTPError as exc:
            return f"nothing ({type(exc).__name__})"
        return None if answer.status_code == httpx.codes.OK else answer.text[:500]

    def _changed(self, states: list[ProcessState]) -> None:
        write_status(self._folder.run, states)
        if self._servers is not None:
            try:
                self._write_endpoints(self._servers)
            except FolderUnusable as exc:
                _log.warning("endpoints_not_written", error=str(exc))

    def _endpoints(self, servers: Servers) -> Endpoints:
        pids = {state.name: state.pid for state in self._supervisor.states}
        return Endpoints(
            redis_url=servers.redis_url,
            database_url=servers.database_url,
            http_url=self._http_url,
            serve_pid=os.getpid(),
            valkey_pid=pids.get("valkey"),
            postgres_pid=pids.get("postgres"),
            demo=self._config.demo,
        )

    def _write_endpoints(self, servers: Servers) -> None:
        try:
            write_endpoints(self._folder.path, self._endpoints(servers))
        except OSError as exc:
            raise FolderUnusable(f"{self._folder.path} cannot be written: {exc.strerror}") from exc

    async def _stop(self) -> None:
        _log.info("stopping")
        killed = await self._supervisor.stop()
        with contextlib.suppress(OSError):  # a stale file is no reason not to end
            remove_endpoints(self._folder.path)
        self._folder.remove_short_sockets()
        if killed:
            _log.warning("killed", names=killed)
        _log.info("stopped")
