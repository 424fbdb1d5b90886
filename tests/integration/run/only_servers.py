"""A program for the tests: keeps the embedded servers of a data folder running, as `serve` does, and nothing else."""

import asyncio
import sys
from pathlib import Path

import msgspec

from gateway.run.keeping.child import ProgramFailed
from gateway.run.keeping.folder import DataFolder, FolderUnusable, ServeLock
from gateway.run.keeping.signals import stop_asked
from gateway.run.keeping.status import write_status
from gateway.run.keeping.supervisor import Supervisor
from gateway.run.servers.embedded import start_servers
from gateway.run.settings.config import Config, EmbeddedConfig


async def keep_servers(folder: DataFolder, embedded: EmbeddedConfig) -> None:
    """Say where the servers are as a line of JSON, keep them until SIGTERM, and stop them in order."""
    stop = stop_asked()
    supervisor = Supervisor(embedded, lambda states: write_status(folder.run, states))
    try:
        servers = await start_servers(Config(data_dir=folder.path, embedded=embedded), folder, supervisor)
        print(msgspec.json.encode(servers).decode(), flush=True)  # noqa: T201 - what the test reads
        failing = asyncio.create_task(supervisor.until_failed())
        asked = asyncio.create_task(stop.wait())
        await asyncio.wait({failing, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if failing.done():
            raise failing.result()
        failing.cancel()
    finally:
        await supervisor.stop()


def main() -> None:
    """`FOLDER [EMBEDDED_CONFIG_AS_JSON]`"""
    embedded = msgspec.json.decode(sys.argv[2] if len(sys.argv) > 2 else "{}", type=EmbeddedConfig)
    try:
        folder = DataFolder(Path(sys.argv[1]))
        with ServeLock(folder):
            asyncio.run(keep_servers(folder, embedded))
    except (FolderUnusable, ProgramFailed) as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main()
