"""The owner of short tasks: whoever starts one here need not keep it, and none is lost at the end."""

import asyncio
from collections.abc import Coroutine

import structlog

_log = structlog.get_logger()


class Tasks:
    """Tasks of one process part. `stop` cancels and awaits them all."""

    def __init__(self, name: str) -> None:
        self.failures = 0
        self._name = name
        self._running: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Run something; what it raises is logged and counted."""
        task = asyncio.create_task(work, name=f"{self._name}-{getattr(work, '__name__', 'task')}")
        self._running.add(task)
        task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Cancel what still runs and wait for its end."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.failures += 1
            _log.error("task_failed", task=task.get_name(), exc_info=task.exception())
