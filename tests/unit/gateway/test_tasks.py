"""Tasks that are to end do end, whatever they do with a cancellation."""

import asyncio
import contextlib

from gateway import tasks
from gateway.tasks import end_all


async def test_end_all_of_a_task_that_swallows_a_cancellation() -> None:
    """A cancellation that was swallowed is repeated; one task's failure does not keep the others."""
    cancellations = 0

    async def stubborn() -> None:
        nonlocal cancellations
        while cancellations < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancellations += 1

    async def failing() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        raise ValueError("failed at its end")

    running = [asyncio.create_task(stubborn()), asyncio.create_task(failing())]
    await asyncio.sleep(0)
    await end_all(running)
    assert cancellations == 2
    assert all(task.done() for task in running)


async def test_end_all_of_none() -> None:
    """There is nothing to wait for."""
    async with asyncio.timeout(tasks.CANCEL_AGAIN_S * 10):
        await end_all([])
