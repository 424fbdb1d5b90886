"""The server from outside while the bench runs: how far the books are behind, and what its parts hold."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from loadtest.bench.outage.result import Held, Standing
from loadtest.bench.server import BenchServer, ServerFailed
from loadtest.server.local_server import Endpoints, read_endpoints
from loadtest.server.procfs import rss_kb

TIMEOUT_S: Final = 10.0
MB: Final = 2**20
_TOTALS: Final = "gw:{*}:totals"
"""Of each partition: `seq` of its last record, and `flushed`, up to which the books have it."""


def endpoints_of(data_dir: Path) -> Endpoints:
    """As `serve` wrote them.

    Raises:
        ServerFailed: they cannot be read.
    """
    try:
        return read_endpoints(data_dir)
    except (OSError, msgspec.DecodeError) as exc:
        raise ServerFailed(f"the endpoints of the server cannot be read: {exc}") from exc


class Stores:
    """Asks the server's Valkey. Use as a context."""

    def __init__(self, server: BenchServer, redis_url: str) -> None:
        self._server = server
        self._redis: Any = Redis.from_url(
            redis_url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, decode_responses=True
        )
        self._totals: list[str] = []

    async def __aenter__(self) -> "Stores":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._redis.aclose()

    async def standing(self) -> Standing:
        """How far the books are behind now.

        Raises:
            RedisError: Valkey does not answer.
        """
        if not self._totals:
            self._totals = sorted([key async for key in self._redis.scan_iter(_TOTALS, count=1_000)])
        pipeline = self._redis.pipeline(transaction=False)
        for key in self._totals:
            pipeline.hmget(key, ["seq", "flushed"])
            pipeline.get(f"{key.removesuffix('totals')}relay")
        answers = await pipeline.execute()
        behind, last, untold = [], 0, 0
        for (seq, flushed), told in zip(answers[::2], answers[1::2], strict=True):
            behind.append(int(seq or 0) - int(flushed or 0))
            last += int(seq or 0)
            untold += int(seq or 0) - int((told or "0-0").partition("-")[2])
        return Standing(last, sum(behind), max(behind, default=0), untold)

    async def held(self) -> Held:
        """What Valkey holds now.

        Raises:
            RedisError: it does not answer.
        """
        memory, persistence = await self._redis.info("memory"), await self._redis.info("persistence")
        return Held(memory["used_memory"], persistence.get("aof_current_size", 0), memory["maxmemory"])

    async def journal_bytes(self) -> int:
        """What the journals of all partitions take of it, by Valkey's own estimate.

        Raises:
            RedisError: it does not answer.
        """
        sizes = [
            await self._redis.memory_usage(f"{key.removesuffix('totals')}journal", samples=100) for key in self._totals
        ]
        return sum(size or 0 for size in sizes)

    def rss_mb(self) -> dict[str, float]:
        """Resident memory of each part; PostgreSQL's shared pages count once for each process, so it is left out."""
        parts: dict[str, float] = {}
        for process in self._server.processes:
            if process.part in ("gateway", "worker", "valkey"):
                parts[process.part] = parts.get(process.part, 0.0) + rss_kb(process.pid) / 1024
        return {part: round(mb, 1) for part, mb in parts.items()}


async def asked(question: Any, tries: int = 5) -> Any:
    """The answer of Valkey to something that must be known, asked again where it does not come.

    Raises:
        ServerFailed: it does not answer.
    """
    for _ in range(tries):
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            return await question()
        await asyncio.sleep(1.0)
    raise ServerFailed("the server's Valkey does not answer")
