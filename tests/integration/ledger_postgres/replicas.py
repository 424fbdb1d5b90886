"""Replicas of a Valkey of the test's own: they catch up, are cut off from the primary, and are promoted.

An address leads clients to one server or another, as a name does whose meaning changes with a failover.
"""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from redis.exceptions import ResponseError

from ledger.config import LedgerConfig
from ledger.live.redis_client import connect
from tests.integration.ledger.test_durability import free_port
from tests.proxy import Proxy, to_port
from tests.servers import Valkey, running_valkey
from tests.waiting import until_true

WITHIN_S: Final = 30.0


class Address:
    """A path to connect to, which leads to the first server until it is said to lead to another one."""

    def __init__(self, folder: Path, first: Valkey) -> None:
        self._path = folder / "a.sock"
        self._path.symlink_to(first.socket)

    @property
    def url(self) -> str:
        """What a client is configured with."""
        return f"unix://{self._path}"

    def lead_to(self, valkey: Valkey) -> None:
        """Connections from now on are to this server."""
        fresh = self._path.with_suffix(".fresh")
        fresh.symlink_to(valkey.socket)
        fresh.replace(self._path)


class Replica:
    """One replica, which reaches its primary over a link that can be cut.

    A process that stands still is no replica that is behind: when it wakes up it reads what its socket holds.
    """

    def __init__(self, valkey: Valkey, primary_port: int) -> None:
        self.valkey = valkey
        self.url = valkey.url
        self._link = Proxy(to_port(primary_port))

    async def follow(self) -> None:
        """Follow the primary, until it was given all that the primary had, and has it in a file of its own: before that
        it refuses to end."""
        port = await self._link.listen_on_port()
        async with _client(self.url) as redis:
            await redis.replicaof("127.0.0.1", port)

            async def has_caught_up() -> bool:
                told = await redis.info()
                writing = told["aof_rewrite_in_progress"] or told["aof_rewrite_scheduled"]
                return bool(told["master_link_status"] == "up" and not writing)

            await until_true(has_caught_up, WITHIN_S)

    async def cut(self) -> None:
        """From now on it hears nothing of its primary."""
        await self._link.stop()

    async def promote(self) -> None:
        """What an operator or a sentinel says when the primary is gone."""
        async with _client(self.url) as redis:
            await redis.replicaof("NO", "ONE")


@contextlib.asynccontextmanager
async def replicas_of(primary: Valkey, folder: Path, names: tuple[str, ...]) -> AsyncIterator[list[Replica]]:
    """Replicas that follow the primary; their folders are made below the given one."""
    port = free_port()
    async with contextlib.AsyncExitStack() as stack:
        async with _client(primary.url) as leader:
            await leader.config_set("port", port)
            await leader.config_set("repl-diskless-sync-delay", 0)
        made = []
        for name in names:
            (folder / name).mkdir()
            replica = Replica(stack.enter_context(running_valkey(folder / name)), port)
            stack.push_async_callback(replica.cut)
            await replica.follow()
            made.append(replica)
        await all_have_it(primary, len(names))
        yield made


async def all_have_it(primary: Valkey, replicas: int) -> None:
    """Wait until so many replicas have on their disks what the primary has; in their memory, before Redis 7.2."""
    async with _client(primary.url) as leader:

        async def acknowledged() -> bool:
            try:
                _, found = await leader.execute_command("WAITAOF", 1, replicas, 1_000)
            except ResponseError:
                # What was written before a replica was there is acknowledged at once, before it hears anything.
                await leader.set("a key", "")
                await leader.delete("a key")
                found = await leader.execute_command("WAIT", replicas, 1_000)
            return bool(found >= replicas)

        await until_true(acknowledged, WITHIN_S)


@contextlib.asynccontextmanager
async def _client(url: str) -> AsyncIterator[Any]:
    redis: Any = connect(LedgerConfig(redis_url=url), any_server=True)
    try:
        yield redis
    finally:
        await redis.aclose()
