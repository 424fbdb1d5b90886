"""PostgreSQL away: every process of it is stopped (SIGSTOP), so that its sockets stand open and nobody answers.

That is harder than a death: whoever waits is not told, `serve` sees no process end and starts none, and connections
are taken in by the kernel without an answer.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable
from typing import Final

import asyncpg

from loadtest.bench.server import ServerFailed
from loadtest.server.procfs import ServerProcess, state

STOPPED: Final = "T"
PART: Final = "postgres"
STOP_TRIES: Final = 50
TRY_S: Final = 0.02


class Absence:
    """The PostgreSQL of a server.

    Args:
        processes: all that the server has now.

    Attributes:
        faults: what showed that it was not away, in words.
        away_s: how long it was away.
    """

    def __init__(self, processes: Callable[[], list[ServerProcess]]) -> None:
        self.faults: list[str] = []
        self.away_s = 0.0
        self._processes = processes
        self._began_s = 0.0
        self._pids: set[int] = set()

    async def begin(self) -> None:
        """Stop all of it.

        Raises:
            ServerFailed: there is none, or new processes of it came again and again.
        """
        for _ in range(STOP_TRIES):
            pids = self._now()
            if pids and all(state(pid) == STOPPED for pid in pids):
                self._pids, self._began_s = pids, time.monotonic()
                return
            for pid in pids:
                _send(pid, signal.SIGSTOP)
            await asyncio.sleep(TRY_S)
        raise ServerFailed("the PostgreSQL of the server could not be stopped")

    def look(self) -> None:
        """Note when a process of it runs, or when there are others than those that were stopped."""
        pids = self._now()
        running = sorted(pid for pid in pids if state(pid) != STOPPED)
        if pids != self._pids or running:
            self.faults.append(
                f"after {time.monotonic() - self._began_s:.1f} s {len(running)} processes of PostgreSQL ran,"
                f" {len(pids - self._pids)} were new and {len(self._pids - pids)} gone"
            )

    def end(self) -> None:
        """Let all of it go on. Nothing happens where nothing is stopped."""
        if self._began_s and not self.away_s:
            self.away_s = time.monotonic() - self._began_s
        for pid in self._now() | self._pids:
            _send(pid, signal.SIGCONT)

    def _now(self) -> set[int]:
        return {process.pid for process in self._processes() if process.part == PART}


async def answers(database_url: str, within_s: float) -> bool:
    """Whether PostgreSQL answers a new connection's question in time."""
    try:
        async with asyncio.timeout(within_s):
            connection = await asyncpg.connect(database_url)
            try:
                return bool(await connection.fetchval("SELECT 1") == 1)
            finally:
                connection.terminate()
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return False


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
