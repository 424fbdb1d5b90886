"""One rolling restart: read the configuration anew, then replace gateways and worker one after another.

A new process is ready before the old one of its place is told to go, so somebody answers all the time. The gateways
come first: what is wrong with a configuration, or with newer code, shows in the first of them, and then nothing has
changed.
"""

import contextlib
from typing import Final

import msgspec
import structlog

from gateway.run.keeping.child import ProgramFailed
from gateway.run.keeping.folder import DataFolder
from gateway.run.keeping.supervisor import Supervisor
from gateway.run.parts import WORKER, gateway_name, gateway_program, worker_program
from gateway.run.rolling.source import ConfigRefused, ConfigSource
from gateway.run.rolling.state import RestartState, write_restart
from gateway.run.settings.config import Config, located
from ledger.config import Endpoints

_log = structlog.get_logger()
REFUSED: Final = "restart_refused"


class Rolling:
    """The restarts of one `serve`, one at a time.

    Args:
        given: the configuration as it was read at the start.
        running: the same with everything named that the parts are told: folder, port, key and servers.
    """

    def __init__(
        self, supervisor: Supervisor, folder: DataFolder, source: ConfigSource, given: Config, running: Config
    ) -> None:
        self._supervisor = supervisor
        self._folder = folder
        self._source = source
        self._given = given
        self._running = running
        self._state = RestartState(0, running=False)

    async def restart(self) -> None:
        """Replace everything that is to be replaced. What cannot be done is told in the log and the state's file."""
        self._tell(RestartState(self._state.number + 1, running=True))
        error = ""
        try:
            given = self._source.reread(self._given)
        except ConfigRefused as exc:
            error = str(exc)
            _log.error(REFUSED, error=error)
        else:
            try:
                await self._replace_all(given)
            except ProgramFailed as exc:
                error = str(exc)
                if not self._state.replaced:
                    self._source.put_back()
                _log.error("restart_ended_early", error=error, replaced=self._state.replaced)
        self._tell(msgspec.structs.replace(self._state, running=False, error=error))
        if not error:
            _log.info("restarted", replaced=self._state.replaced)

    async def _replace_all(self, given: Config) -> None:
        running, file = self._with_places(given), self._source.accepted
        before, after = self._running.gateways, running.gateways
        self._source.take()
        for number in range(1, max(before, after) + 1):
            if number > after:
                await self._supervisor.end(gateway_name(number))
                continue
            kept = gateway_program(running, self._folder, file, number)
            first = gateway_program(running, self._folder, file, number, when_ready=True)
            if number > before:
                await self._supervisor.begin(kept)
            else:
                await self._supervisor.replace(first, kept)
            self._replaced(kept.name)
            # From the first one on the new configuration is the one that runs.
            self._given, self._running = given, running
        worker = worker_program(running, self._folder, file)
        await self._supervisor.replace(worker, worker)
        self._replaced(WORKER)

    def _with_places(self, given: Config) -> Config:
        running = self._running
        places = Endpoints(redis_url=running.ledger.redis_url, database_url=running.ledger.database_url)
        named = msgspec.structs.replace(
            given, data_dir=running.data_dir, port=running.port, signing_key=running.signing_key
        )
        return located(named, places)

    def _replaced(self, name: str) -> None:
        _log.info("process_replaced", name=name)
        self._tell(msgspec.structs.replace(self._state, replaced=(*self._state.replaced, name)))

    def _tell(self, state: RestartState) -> None:
        self._state = state
        with contextlib.suppress(OSError):  # on a full disk those who keep things running go on
            write_restart(self._folder.run, state)
