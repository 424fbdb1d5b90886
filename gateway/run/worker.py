"""`giftwire worker`: what happens behind a gift. Tells the rooms, keeps the books, lets earnings mature."""

import asyncio
import os
import socket
from pathlib import Path
from typing import Any, Final

import click
import structlog
import uvloop

from catalog.faults import CatalogInvalid
from gateway.run.collector import calm_collector
from gateway.run.duties import DutyState, do_duties, write_duties
from gateway.run.keeping.child import tell_ready
from gateway.run.keeping.folder import DataFolder, FolderUnusable, WorkerLock, worker_id
from gateway.run.keeping.signals import stop_asked
from gateway.run.logs import set_up_logs
from gateway.run.settings.config import Config
from gateway.run.settings.options import Unusable, folder_options, keyed, placed, selling
from gateway.run.work import check_work, open_work
from ledger.errors import LedgerError, LedgerUnavailable

WAIT_S: Final = 0.5
LOCK_POLL_S: Final = 0.05
"""How often a second worker looks whether the first has ended: rooms hear of no gifts in between."""
_log = structlog.get_logger()


@click.command()
@folder_options
@click.option("--demo/--no-demo", default=None, help="The settings of the demo: earnings can be withdrawn at once.")
def worker(file: Path | None, **flags: Any) -> None:
    """Run one worker: the relay into the rooms, and the books. Several share the work; a second on one folder waits."""
    config = keyed(selling(placed(file, flags)))
    set_up_logs(config.log_level, "worker")
    try:
        uvloop.run(run_worker(config))
    except (FolderUnusable, LedgerError, CatalogInvalid) as exc:
        raise Unusable(str(exc)) from exc


async def run_worker(config: Config) -> None:
    """Do all duties until SIGTERM or SIGINT, then finish the batch in hand. Servers that are away are waited for.

    Raises:
        FolderUnusable: there is no place to write the state of the duties.
        LedgerError: the books and the live ledger do not fit this code or each other.
    """
    stop, begun = stop_asked(), asyncio.Event()
    working = asyncio.create_task(_work(config, stop, begun), name="work")
    asked = asyncio.create_task(stop.wait(), name="stop-asked")
    await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if not begun.is_set() and working.cancel():
        await asyncio.gather(working, return_exceptions=True)
    else:
        await working
    _log.info("worker_stopped")


async def _work(config: Config, stop: asyncio.Event, begun: asyncio.Event) -> None:
    folder = DataFolder(config.data_dir)
    with WorkerLock(folder) as lock:
        if not lock.take():
            await check_work(config)
            await _until_ours(lock)
        await _do_work(config, folder, stop, begun)


async def _until_ours(lock: WorkerLock) -> None:
    """Two workers on one folder would do all work twice, and each overwrite what the other says of its duties."""
    _log.warning("worker_waits", error="another worker works on this data folder; this one goes on when that one ends")
    tell_ready()
    while not lock.take():  # noqa: ASYNC110 - the kernel is asked, not an event
        await asyncio.sleep(LOCK_POLL_S)


async def _do_work(config: Config, folder: DataFolder, stop: asyncio.Event, begun: asyncio.Event) -> None:
    def told(states: list[DutyState]) -> None:
        write_duties(folder.run, states)

    worker, place = worker_id(folder), f"process {os.getpid()} on {socket.gethostname()}, {folder.path}"
    while not begun.is_set():
        try:
            async with open_work(config, worker, place) as work:
                begun.set()
                calm_collector()
                tell_ready()
                _log.info("worker_ready", duties=[duty.name for duty in work.duties])
                await do_duties(work.duties, stop, told, work.expected)
        except LedgerUnavailable as exc:
            # Dying would only be started again; a server that loads its data takes what it takes.
            _log.warning("worker_waits", error=str(exc))
            await asyncio.sleep(WAIT_S)
