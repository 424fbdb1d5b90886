"""What `accepted` promises, on real servers: wrong settings are refused, and a replica has what was accepted."""

import contextlib
import os
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ledger.config import Durability, LedgerConfig
from ledger.errors import LedgerUnavailable
from ledger.live.durability import NotDurable
from ledger.live.redis_client import connect
from ledger.model import CreditAccepted, CreditRefused, GiftAccepted, GiftRefused, Refusal
from ledger.service import Ledger, open_ledger
from tests.integration.ledger.orders import gift_order, grant
from tests.servers import OTHER_SERVER, Valkey, running_valkey
from tests.waiting import back_off

needs_waitaof = pytest.mark.skipif(
    OTHER_SERVER in os.environ, reason="the server that was named may be older than WAITAOF (Redis 7.2)"
)


@pytest.fixture
def primary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A server of this test alone, whose settings may be changed."""
    with running_valkey(tmp_path_factory.mktemp("v")) as valkey:
        yield valkey


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has now."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


@contextlib.asynccontextmanager
async def replicating(primary: Valkey, folder: Path) -> AsyncIterator[Valkey]:
    """A replica that has caught up."""
    port = free_port()
    leader: Any = connect(LedgerConfig(redis_url=primary.url))
    await leader.config_set("port", port)
    await leader.config_set("repl-diskless-sync-delay", 0)
    with running_valkey(folder) as replica:
        follower: Any = connect(LedgerConfig(redis_url=replica.url))
        await follower.replicaof("127.0.0.1", port)
        while (await follower.info("replication"))["master_link_status"] != "up":
            await back_off()
        # It answers WAITAOF only once its own file holds what it was sent at first.
        while min(await leader.execute_command("WAITAOF", 1, 1, 1_000)) < 1:
            await back_off()
        try:
            yield replica
        finally:
            await follower.aclose()
            await leader.aclose()


@contextlib.asynccontextmanager
async def started(config: LedgerConfig) -> AsyncIterator[Ledger]:
    """A ledger that takes orders."""
    ledger = open_ledger(config)
    try:
        await ledger.start()
        yield ledger
    finally:
        await ledger.stop()


@pytest.mark.parametrize(
    ("setting", "value", "durability", "words"),
    [
        ("appendfsync", "everysec", Durability.DURABLE, "appendfsync is everysec"),
        ("appendonly", "no", Durability.DURABLE, "appendonly is no"),
        ("appendfsync", "no", Durability.REPLICATED, "appendfsync is no"),
        ("maxmemory-policy", "allkeys-lru", Durability.DURABLE, "would forget wallets"),
        ("maxmemory-policy", "allkeys-lru", Durability.FAST, "would forget wallets"),
    ],
)
async def test_server_that_cannot_keep_the_promise(
    primary: Valkey, setting: str, value: str, durability: Durability, words: str
) -> None:
    """A start is refused, and the message names the setting."""
    redis: Any = connect(LedgerConfig(redis_url=primary.url))
    await redis.config_set(setting, value)
    await redis.aclose()
    ledger = open_ledger(LedgerConfig(redis_url=primary.url, durability=durability))
    with pytest.raises(NotDurable, match=words):
        await ledger.start()
    await ledger.redis.aclose()


@needs_waitaof
async def test_start_without_a_replica(primary: Valkey) -> None:
    """It is waited for: the start says that it cannot be now, as it does while the server itself is away."""
    ledger = open_ledger(LedgerConfig(redis_url=primary.url, durability=Durability.REPLICATED))
    with pytest.raises(LedgerUnavailable, match="no replica"):
        await ledger.start()
    await ledger.redis.aclose()


async def test_fast_without_fsync(primary: Valkey) -> None:
    """Who accepts the loss may run without an fsync before the answer."""
    redis: Any = connect(LedgerConfig(redis_url=primary.url))
    await redis.config_set("appendfsync", "everysec")
    await redis.aclose()
    async with started(LedgerConfig(redis_url=primary.url, durability=Durability.FAST)) as ledger:
        assert isinstance(await ledger.credit(grant("ann", 5)), CreditAccepted)


@needs_waitaof
async def test_accepted_gift_is_on_the_replica(primary: Valkey, tmp_path_factory: pytest.TempPathFactory) -> None:
    """After kill -9 of both, the replica's own file holds every coin that was told to be paid."""
    config = LedgerConfig(
        redis_url=primary.url,
        partitions=1,
        durability=Durability.REPLICATED,
        replica_ms_max=10_000,
        retry_ms_max=10_000,
    )
    async with replicating(primary, tmp_path_factory.mktemp("r")) as replica:
        async with started(config) as ledger:
            assert isinstance(await ledger.credit(grant("ann", 100)), CreditAccepted)
            for coins in (1, 2, 3):
                assert isinstance(await ledger.give(gift_order("ann", coins)), GiftAccepted)
            primary.kill()
            replica.kill()
        replica.start()
        alone = open_ledger(msgspec.structs.replace(config, redis_url=replica.url), any_server=True)
        assert await alone.balance("ann") == 100 - 6
        await alone.redis.aclose()


@needs_waitaof
async def test_replica_that_does_not_answer(primary: Valkey, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing is called accepted meanwhile; afterwards the same ids tell that they were paid, once."""
    config = LedgerConfig(
        redis_url=primary.url,
        partitions=1,
        durability=Durability.REPLICATED,
        replica_ms_max=500,
        retry_ms_max=100,
    )
    async with replicating(primary, tmp_path_factory.mktemp("r")) as replica, started(config) as ledger:
        first = grant("ann", 100)
        while not isinstance(await ledger.credit(first), CreditAccepted):
            await back_off()
        order, more = gift_order("ann", 7), grant("ann", 50)
        with replica.frozen():
            assert await ledger.give(order) == GiftRefused(Refusal.UNKNOWN)
            assert await ledger.credit(more) == CreditRefused(Refusal.UNKNOWN)
        outcome: Any = None
        while not isinstance(outcome, GiftAccepted):
            outcome = await ledger.give(order)
        assert (outcome.replay, outcome.coins) == (True, 7)
        while not isinstance(credited := await ledger.credit(more), CreditAccepted):
            await back_off()
        assert credited == CreditAccepted(143, replay=True)
        assert await ledger.balance("ann") == 100 - 7 + 50
