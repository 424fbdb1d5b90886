"""The connection to a real Valkey: what a caller may rely on when it cancels."""

import asyncio
from typing import Any

from ledger.config import LedgerConfig
from ledger.redis_client import connect


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
