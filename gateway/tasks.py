"""The owner of short tasks: whoever starts one here need not keep it, and none is lost at the end."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, Final

import structlog

CANCEL_AGAIN_S: Final = 0.5
_log = structlog.get_logger()


async def end_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until every one has ended, however it ends.

    Once is not enough: redis-py sends by `asyncio.wait_for`, which in Python 3.11 swallows a cancellation that comes as
    the sending ends, and the task would go on for ever.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        done, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)
        for task in done:
            # Looked at, or Python complains of an exception that nobody saw.
            _ = task.cancelled() or task.exception()


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
        await end_all(self._running)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.failures += 1
            _log.error("task_failed", task=task.get_name(), exc_info=task.exception())
