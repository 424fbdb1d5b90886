"""The servers of a data folder for a command that needs them while nothing serves: `serve` would refuse to start.

Where `serve` runs, or the operator brought both servers, those are used and nothing is started.
"""

import contextlib
from collections.abc import AsyncIterator, Iterator

from gateway.run.keeping.folder import DataFolder, FolderTaken, ServeLock
from gateway.run.keeping.supervisor import Supervisor
from gateway.run.parts import end_leftover_parts
from gateway.run.servers.embedded import start_servers
from gateway.run.settings.config import Config, located
from ledger.config import Endpoints, read_endpoints


@contextlib.asynccontextmanager
async def servers_of(config: Config) -> AsyncIterator[Config]:
    """The configuration with both servers named; those that had to be started are stopped at the end of the block.

    Raises:
        LookupError: nothing serves, and the folder has no data of a server that is not named.
        FolderUnusable, ServerMissing, ProgramFailed: they cannot be started.
        ValueError, OSError: what a `serve` wrote about its servers cannot be read.
    """
    with _lock_of(config) as folder:
        if folder is None:
            yield located(config, read_endpoints(config.data_dir))
            return
        await end_leftover_parts(folder, config.embedded.stop_ms_max / 1000)
        supervisor = Supervisor(config.embedded, lambda _: None)
        try:
            servers = await start_servers(config, folder, supervisor)
            yield located(config, Endpoints(redis_url=servers.redis_url, database_url=servers.database_url))
        finally:
            await supervisor.stop()
            folder.remove_short_sockets()


@contextlib.contextmanager
def _lock_of(config: Config) -> Iterator[DataFolder | None]:
    """The folder, taken as a `serve` takes it; None when there is nothing to start in it."""
    missing = [url for url in (config.redis_url, config.database_url) if url is None]
    # Valkey's folder may be the very thing that was lost, so PostgreSQL's says whether anything was ever served here.
    if not missing or (config.database_url is None and not (config.data_dir / "postgres").is_dir()):
        yield None
        return
    with contextlib.ExitStack() as stack:
        folder = DataFolder(config.data_dir)
        try:
            stack.enter_context(ServeLock(folder))
        except FolderTaken:
            yield None
            return
        yield folder
