"""The one place where tests wait for something that cannot tell them: a condition, asked again until it holds."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

POLL_S: Final = 0.02


def wait_until(holds: Callable[[], bool], within_s: float, else_say: Callable[[], str] = str) -> None:
    """Wait for a condition of another process.

    Raises:
        AssertionError: it does not hold in time.
    """
    deadline_s = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline_s:
            raise AssertionError(f"not within {within_s:.0f} s: {else_say()}")
        time.sleep(POLL_S)


async def until(holds: Callable[[], bool], within_s: float, else_say: Callable[[], str] = str) -> None:
    """The same where the event loop must go on.

    Raises:
        AssertionError: it does not hold in time.
    """
    deadline_s = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline_s:
            raise AssertionError(f"not within {within_s:.0f} s: {else_say()}")
        await back_off()


async def until_true(ask: Callable[[], Awaitable[bool]], within_s: float, else_say: Callable[[], str] = str) -> None:
    """The same where the condition has to be asked for.

    Raises:
        AssertionError: it does not hold in time.
    """
    deadline_s = time.monotonic() + within_s
    while not await ask():
        if time.monotonic() > deadline_s:
            raise AssertionError(f"not within {within_s:.0f} s: {else_say()}")
        await back_off()


async def back_off() -> None:
    """What a client does before it tries again."""
    await asyncio.sleep(POLL_S)
