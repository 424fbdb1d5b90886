"""The connection to a real Valkey: what a caller may rely on when it cancels."""

import asyncio
from typing import Any

import pytest
from redis.exceptions import ResponseError

from ledger.config import LedgerConfig
from ledger.live.redis_client import LOST, Direct, connect


async def test_cancelled_task_always_ends(valkey_url: str) -> None:
    """However a cancel falls into the steps of a command, the task that asks again and again ends."""
    redis: Any = connect(LedgerConfig(redis_url=valkey_url))

    async def ask_for_ever() -> None:
        while True:
            await redis.get("x")

    for steps in range(300):
        task = asyncio.create_task(ask_for_ever())
        for _ in range(steps % 30):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=5)
        assert done, f"lost the cancel after {steps % 30} steps"
    assert await redis.get("x") is None
    await redis.aclose()


async def test_direct_answers_are_never_mixed_up(valkey_url: str) -> None:
    """Whoever cancels its question at whatever step, everybody else hears the answer to their own."""
    redis: Any = connect(LedgerConfig(redis_url=valkey_url))
    direct = Direct(redis)

    async def ask(number: int) -> None:
        assert await direct.ask("ECHO", str(number)) == str(number).encode()

    for steps in range(300):
        cancelled, others = asyncio.create_task(ask(-1)), [asyncio.create_task(ask(number)) for number in range(3)]
        for _ in range(steps % 30):
            await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.gather(*others)
        await asyncio.wait([cancelled], timeout=5)
        await ask(steps)
    await direct.aclose()
    await redis.aclose()


async def test_direct_goes_on_after_an_error_and_a_cut_connection(valkey_url: str) -> None:
    """A refusal leaves the connection as it is; one that the server closed is told, and made anew by the next call."""
    redis: Any = connect(LedgerConfig(redis_url=valkey_url))
    direct = Direct(redis)
    connection = await direct.ask("CLIENT ID")
    with pytest.raises(ResponseError, match="wrong number"):
        await direct.ask("GET")
    assert await direct.ask("CLIENT ID") == connection
    assert await redis.client_kill_filter(_id=connection) == 1
    with pytest.raises(LOST):
        await direct.ask("CLIENT ID")
    assert await direct.ask("CLIENT ID") > connection
    await direct.aclose()
    await redis.aclose()
