"""`giftwire reconcile --repair` is killed again and again: the ledger ends as if it had not been.

Gifts are refused as long as it lasts; who repeats one later has paid once.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from redis import Redis

from ledger.books.postgres import open_pool
from ledger.config import LedgerConfig
from ledger.model import EndRefused, GiftAccepted, GiftRefused, HoldEnd, HoldOrder, Refusal, ViewerId
from ledger.office import open_office
from ledger.rails.sandbox import SandboxRail
from ledger.service import open_ledger
from tests.faults.commands import begin
from tests.faults.stopping_proxy import Stopping, StoppingPostgres, StoppingProxy
from tests.integration.ledger.orders import gift_order, grant
from tests.integration.ledger.stored import Stored, read_all
from tests.integration.ledger_money.money import Money
from tests.integration.ledger_money.refund_world import RefundWorld
from tests.servers import Postgres, Valkey

LEASE_MS: Final = 60_000
"""Nothing is renewed in the midst; the time of those who were killed is set back."""
GIFTS: Final = 700
"""More than one slice of records for the partition of their sender."""
STOPS: Final = (
    # Leases are taken, one statement after the other.
    ("postgres", b"INSERT", 1),
    ("postgres", b"INSERT", 2),
    ("postgres", b"UPDATE", 1),
    ("postgres", b"COMMIT", 1),
    # What a deployment is pinned to, the repair's epoch, and that the books know of it.
    ("valkey", b"HSETNX", 1),
    ("valkey", b"HSETNX", 4),
    ("postgres", b"INSERT", 3),
    # The books have moved every position.
    ("postgres", b"COMMIT", 2),
    # One partition is shut, and the other is not.
    ("valkey", b"HSET", 2),
    # Rooms begin anew; records come back and are told; the journal is trimmed.
    *(("valkey", b"EVALSHA", number) for number in range(1, 9)),
    ("valkey", b"SPUBLISH", 1),
    # Rooms are to hear all again, those of one partition and not yet of the other.
    ("valkey", b"SET", 2),
    # What was spent is counted again.
    ("valkey", b"MULTI", 1),
    ("valkey", b"EXEC", 4),
    # Amid the transaction that opens all partitions: all of them are shut still.
    ("valkey", b"HSET", 3),
    ("valkey", b"HSET", 4),
    ("valkey", b"HDEL", 1),
    # All is done, and the leases are given back.
    ("postgres", b"UPDATE", 2),
)
"""The writes before which it is killed, one in each run: server, name, and which of that name."""
OPEN_AGAIN: Final = STOPS.index(("postgres", b"UPDATE", 2))
"""From this kill on gifts may be paid."""
COMMAND_S_MAX: Final = 90.0


@pytest.fixture
async def world(valkey_url: str, database_url: str) -> AsyncIterator[RefundWorld]:
    """A live ledger and its office, as of a gateway that runs on all the while."""
    config = LedgerConfig(redis_url=valkey_url, database_url=database_url, partitions=2, retry_ms_max=50)
    ledger, pool = open_ledger(config), await open_pool(config)
    await ledger.start()
    rail = SandboxRail.from_key("the key of a test, at least so long")
    office = await open_office(config, ledger, rails=[rail])
    yield RefundWorld(office, ledger, rail, Money(config, ledger, office, pool), pool)
    await office.close()
    await pool.close()
    await ledger.stop()


@pytest.fixture
async def valkey(session_valkey: Valkey, tmp_path: Path) -> AsyncIterator[StoppingProxy]:
    """Between the command and Valkey."""
    made = StoppingProxy(session_valkey.socket, tmp_path / "p.sock")
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def postgres(session_postgres: Postgres, tmp_path: Path) -> AsyncIterator[StoppingPostgres]:
    """Between the command and PostgreSQL."""
    made = StoppingPostgres(session_postgres.folder, tmp_path)
    await made.start()
    yield made
    await made.stop()


async def fill(world: RefundWorld) -> None:
    """Purchases, gifts, combos, charge-backs and holds, all in the books."""
    await world.office.directory.put_creator("cora", name="Cora")
    await world.office.directory.put_place("room:demo", creator="cora", title="Demo")
    await world.play(
        "buy A 100 | 100\ngift cora 60 | 40\nbuy B 50 | 90\nchargeback r A | taken 100, -10\ngrant 30 | 20"
    )
    for viewer in ("bob", "cid", "dan"):
        await world.ledger.credit(grant(viewer, 1_000))
    orders = [gift_order("bob", 1, combo=number % 7 == 0) for number in range(GIFTS)]
    assert all(isinstance(one, GiftAccepted) for one in await asyncio.gather(*map(world.ledger.give, orders)))
    for viewer, end in (("cid", HoldEnd.SETTLED), ("dan", None)):
        order = HoldOrder(world.id(viewer), ViewerId(viewer), 70, 3_600_000, "an order")
        assert not isinstance(await world.ledger.hold(order), GiftRefused)
        if end is not None:
            ended = await world.ledger.end_hold(order.id, order.viewer, end, taken_coins=30)
            assert not isinstance(ended, EndRefused)
    await world.settle()


def stored(world: RefundWorld) -> list[Stored]:
    """Everything that a repair has to bring back, of each partition.

    Combos have ended meanwhile, and whether caps counted a hold is not in the books.
    """
    config = world.money.config
    with Redis.from_url(config.redis_url) as redis:
        found = read_all(redis, world.ledger.keys, config, beside_rooms=True)
    return [
        msgspec.structs.replace(
            one,
            records=[],
            combos={},
            holds={field: hold[:-1] for field, hold in one.holds.items()},
            ended_holds={field: hold[:-1] for field, hold in one.ended_holds.items()},
            totals=one.totals | {"epoch": 0, "flushed": 0},
        )
        for one in found
    ]


class Repairs:
    """Runs of the command, one after the other."""

    def __init__(self, world: RefundWorld, folder: Path, valkey: StoppingProxy, postgres: StoppingPostgres) -> None:
        self._pool = world.pool
        self._folder = folder
        self._proxies: tuple[Stopping, Stopping] = (valkey, postgres)
        url = world.money.config.database_url
        self._environment = {
            "GIFTWIRE_REDIS_URL": valkey.url,
            "GIFTWIRE_DATABASE_URL": f"{url.partition('?')[0]}?host={postgres.folder}",
            "GIFTWIRE_LEDGER_PARTITIONS": "2",
            "GIFTWIRE_LEDGER_LEASE_MS": str(LEASE_MS),
        }

    async def run(self, server: Stopping | None = None, write: tuple[bytes, int] | None = None) -> bool:
        """Run it until it ends, or kill it before a write to a server.

        Returns:
            Whether it was killed.
        """
        for proxy in self._proxies:
            proxy.stop_before(write if proxy is server else None)
        said = self._folder / "said"
        process = begin(["reconcile", "--repair", "--data-dir", str(self._folder / "here")], self._environment, said)
        ending = asyncio.create_task(asyncio.to_thread(process.join, COMMAND_S_MAX))
        stops = [asyncio.create_task(proxy.stopped.wait()) for proxy in self._proxies]
        await asyncio.wait([ending, *stops], return_when=asyncio.FIRST_COMPLETED)
        for stop in stops:
            stop.cancel()
        if process.is_alive():
            process.kill()
        await ending
        killed = any(proxy.stopped.is_set() for proxy in self._proxies)
        assert process.exitcode == (-9 if killed else 0), said.read_text()
        # So much time goes by that its leases are nobody's.
        await self._pool.execute("UPDATE workers SET until = '-infinity'")
        return killed


async def test_repair_that_is_killed_again_and_again(
    world: RefundWorld, valkey: StoppingProxy, postgres: StoppingPostgres, tmp_path: Path
) -> None:
    """Kills that come later and later; then everything is as it was, and each charge-back took effect once."""
    await fill(world)
    before = stored(world)
    # Taken and noted, and lost with Valkey before the books had it.
    await world.play("chargeback s B | taken 50, -30")
    redis: Any = world.ledger.redis
    await redis.flushall()
    order = gift_order("bob", 5)
    repairs = Repairs(world, tmp_path, valkey, postgres)
    for number, (server, name, which) in enumerate(STOPS):
        killed = await repairs.run(valkey if server == "valkey" else postgres, (name, which))
        assert killed, f"it ended before {name.decode()} {which} to {server}: {valkey.writes}, {postgres.writes}"
        if number < OPEN_AGAIN:
            assert await world.ledger.give(order) == GiftRefused(Refusal.UNKNOWN)
    assert not await repairs.run()
    for found, expected in zip(stored(world), before, strict=True):
        for field in Stored.__struct_fields__:
            assert getattr(found, field) == getattr(expected, field), field
    given = await world.ledger.give(order)
    assert isinstance(given, GiftAccepted)
    assert (given.replay, given.balance_coins) == (False, 1_000 - GIFTS - 5)
    await world.settle()
    assert await world.refunds() == ["chargeback settled 100 100 60 3000 3000 0", "chargeback settled 50 50 0 0 0 0"]
    assert await world.ledger.balance("ann") == -30
    assert await world.money.balance("coins_reversed") == 150
    await world.assert_audit_holds()
