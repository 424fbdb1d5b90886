"""A Redis of the machine instead of our Valkey: the same outcomes, and a refusal to start on one that is too old.

The whole suite runs on another server when the variable of `tests/servers.py` names its program.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from gateway.room.config import RoomConfig
from gateway.room.facts import RoomBatch
from ledger.config import Durability, LedgerConfig
from ledger.live.durability import NotDurable
from ledger.service import SERVER_VERSION_MIN, ServerTooOld, open_ledger
from tests.integration.gateway.rooms import opened_broker, telling, told, until
from tests.integration.ledger.gift_machine import run_machine
from tests.seeds import printed_seed
from tests.servers import OTHER_SERVER, Valkey, running_valkey

FOUND = os.environ.get(OTHER_SERVER) or shutil.which("redis-server")
needs_redis = pytest.mark.skipif(FOUND is None, reason="there is no redis-server on the path")


@pytest.fixture
def redis_server() -> Iterator[Valkey]:
    """A started Redis with nothing in it."""
    with tempfile.TemporaryDirectory(prefix="gw-") as folder, running_valkey(Path(folder), Path(FOUND or "")) as server:
        yield server


@needs_redis
def test_redis_does_what_the_twin_does(redis_server: Valkey) -> None:
    """Orders, faults and kills of the server, some examples of what our Valkey is taken through."""
    run_machine(
        redis_server,
        settings(
            max_examples=8,
            stateful_step_count=30,
            deadline=None,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
        printed_seed(),
    )


@needs_redis
async def test_redis_tells_rooms(redis_server: Valkey) -> None:
    """What a room is told is stored there, and heard over a sharded channel."""
    async with opened_broker(redis_server.url, RoomConfig()) as broker:
        heard: list[RoomBatch] = []
        await broker.start(heard.append, lambda changes: None, lambda: None)
        await broker.subscribe("demo")
        await broker.tell([told("demo", telling(1), telling(2))])
        await until(lambda: bool(heard))
        assert heard == await broker.since("demo", 0, 0, 10)


@pytest.mark.parametrize("version", ["7.0.15", "7.1"])
async def test_replicated_on_a_server_that_is_older_than_it(
    valkey_url: str, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """Before Redis 7.2 none tells that a replica has it on disk: the mode is refused, and said what it needs."""
    ledger = open_ledger(LedgerConfig(redis_url=valkey_url, durability=Durability.REPLICATED))
    info = ledger.redis.info

    async def of_that_version(section: str) -> Any:
        told = {**await info(section), "redis_version": version}
        told.pop("valkey_version", None)
        return told

    monkeypatch.setattr(ledger.redis, "info", of_that_version)
    with pytest.raises(NotDurable, match=rf"Redis {version}: `replicated` needs Redis 7\.2, or Valkey"):
        await ledger.start()
    assert await ledger.redis.dbsize() == 0
    await ledger.redis.aclose()


@pytest.mark.parametrize(("version", "starts"), [("6.2.14", False), ("7.0.0", True), ("10.1", True), ("", False)])
async def test_start_on_a_server_of_a_version(
    valkey_url: str, monkeypatch: pytest.MonkeyPatch, version: str, starts: bool
) -> None:
    """A server that is too old is refused before anything is written, in words that say what is needed."""
    ledger = open_ledger(LedgerConfig(redis_url=valkey_url))
    info = ledger.redis.info

    async def of_that_version(section: str) -> Any:
        return {**await info(section), "redis_version": version}

    monkeypatch.setattr(ledger.redis, "info", of_that_version)
    if starts:
        await ledger.start()
        await ledger.stop()
        return
    with pytest.raises(ServerTooOld, match=r"Redis 7\.0 or a Valkey is needed"):
        await ledger.start()
    assert await ledger.redis.dbsize() == 0
    assert SERVER_VERSION_MIN == (7, 0)
    await ledger.redis.aclose()
