"""Reads wallets: those that are asked for while another read is under way go together in the next.

When all viewers of a gateway come back at once, each is told its balance; a command for each would be a seventh of what
their coming back costs.
"""

import asyncio
from collections import defaultdict
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from ledger.errors import LedgerUnavailable
from ledger.live.keys import Keys
from ledger.model import Partition

TOGETHER_MAX: Final = 500
"""Wallets of one read."""


class WalletReads:
    """Balances on one server; `aclose` ends what is under way."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._waiting: dict[str, asyncio.Future[int]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def balance(self, viewer: str) -> int:
        """Coins in a viewer's wallet; 0 for a viewer never heard of. It is what the wallet holds after the call.

        Raises:
            LedgerUnavailable: the server does not answer.
            ValueError: the wallet holds no number.
        """
        waiting = self._waiting.get(viewer)
        if waiting is None:
            waiting = self._waiting[viewer] = asyncio.get_running_loop().create_future()
            if self._reading is None:
                self._reading = asyncio.create_task(self._read_all(), name="wallet-reads")
        return await asyncio.shield(waiting)

    async def aclose(self) -> None:
        """Whoever still waits is told that the server does not answer."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        _fail(self._waiting, "the ledger was closed")

    async def _read_all(self) -> None:
        try:
            while self._waiting:
                viewers = list(self._waiting)[:TOGETHER_MAX]
                wanted = {viewer: self._waiting.pop(viewer) for viewer in viewers}
                await self._read(wanted)
        finally:
            self._reading = None

    async def _read(self, wanted: dict[str, asyncio.Future[int]]) -> None:
        by_partition: defaultdict[Partition, list[str]] = defaultdict(list)
        for viewer in wanted:
            by_partition[self._keys.partition_of(viewer)].append(viewer)
        pipeline = self._redis.pipeline(transaction=False)
        for partition, viewers in by_partition.items():
            wallets: Any = self._keys.of(partition).wallets
            pipeline.hmget(wallets, viewers)
        why = "the ledger was closed"
        try:
            found = await pipeline.execute()
            for viewers, balances in zip(by_partition.values(), found, strict=True):
                for viewer, coins in zip(viewers, balances, strict=True):
                    _tell(wanted[viewer], coins)
        except (RedisError, OSError) as exc:
            why = f"Redis does not answer: {exc}"
        finally:
            _fail(wanted, why)


def _tell(future: asyncio.Future[int], coins: bytes | None) -> None:
    try:
        future.set_result(int(coins or 0))
    except ValueError as exc:
        future.set_exception(exc)


def _fail(waiting: dict[str, asyncio.Future[int]], why: str) -> None:
    for future in waiting.values():
        if not future.done():
            future.set_exception(LedgerUnavailable(why))
            # Whoever asked may have gone: nobody is to be warned of an error that nobody fetched.
            future.exception()
    waiting.clear()
