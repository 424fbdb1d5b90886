"""`giftwire reconcile --repair` is killed again and again: the ledger ends as if it had not been.

Gifts are refused as long as it lasts; who repeats one later has paid once.
"""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from redis import Redis

from ledger.config import LedgerConfig
from ledger.model import EndRefused, GiftAccepted, GiftRefused, HoldEnd, HoldOrder, Refusal, ViewerId
from ledger.office import open_office
from ledger.postgres import open_pool
from ledger.rails.sandbox import SandboxRail
from ledger.service import open_ledger
from tests.faults.stopping_proxy import StoppingProxy
from tests.integration.ledger.orders import gift_order, grant
from tests.integration.ledger.stored import Stored, read_all
from tests.integration.ledger_money.money import Money
from tests.integration.ledger_money.refund_world import RefundWorld
from tests.servers import Valkey
from tests.serving import GIFTWIRE

LEASE_MS: Final = 500
GIFTS: Final = 700
"""More than one slice of records for the partition of their sender."""
STOPS: Final = (1, 2, 3, 4, 5, 7, 9, 12, 15, 18, *range(20, 60))
"""The writes before which it is killed, one in each run, until a run has fewer."""
KILLS_MIN: Final = 12
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
async def proxy(session_valkey: Valkey, tmp_path: Path) -> AsyncIterator[StoppingProxy]:
    """Between the command and Valkey."""
    made = StoppingProxy(session_valkey.socket, tmp_path / "p.sock")
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


async def run_repair(folder: Path, proxy: StoppingProxy, database_url: str) -> tuple[int, str]:
    """Run the command until it ends, or kill it where the proxy stops; its status and what it said."""
    environment = os.environ | {
        "GIFTWIRE_REDIS_URL": proxy.url,
        "GIFTWIRE_DATABASE_URL": database_url,
        "GIFTWIRE_LEDGER_PARTITIONS": "2",
        "GIFTWIRE_LEDGER_LEASE_MS": str(LEASE_MS),
    }
    words = [*GIFTWIRE, "reconcile", "--repair", "--data-dir", str(folder)]
    process = await asyncio.create_subprocess_exec(
        *words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    reading = asyncio.create_task(process.communicate())
    stopping = asyncio.create_task(proxy.stopped.wait())
    await asyncio.wait({reading, stopping}, timeout=COMMAND_S_MAX, return_when=asyncio.FIRST_COMPLETED)
    if not reading.done():
        process.kill()
    stopping.cancel()
    said, _ = await reading
    assert process.returncode is not None
    return process.returncode, said.decode()


async def test_repair_that_is_killed_again_and_again(
    world: RefundWorld, proxy: StoppingProxy, tmp_path: Path, database_url: str
) -> None:
    """Kills that come later and later; then everything is as it was, and each charge-back took effect once."""
    await fill(world)
    before = stored(world)
    # Taken and noted, and lost with Valkey before the books had it.
    await world.play("chargeback s B | taken 50, -30")
    redis: Any = world.ledger.redis
    await redis.flushall()
    order = gift_order("bob", 5)
    kills, ended = 0, False
    for number in STOPS:
        proxy.stop_before(number)
        status, said = await run_repair(tmp_path / "here", proxy, database_url)
        ended = not proxy.stopped.is_set()
        if ended:
            assert status == 0, said
            break
        assert status == -9
        kills += 1
        # The last that it does is to let orders in, partition by partition: from then on gifts may be paid.
        if kills <= KILLS_MIN:
            assert await world.ledger.give(order) == GiftRefused(Refusal.UNKNOWN)
    assert ended and kills >= KILLS_MIN
    for found, expected in zip(stored(world), before, strict=True):
        for name in Stored.__struct_fields__:
            assert getattr(found, name) == getattr(expected, name), name
    given = await world.ledger.give(order)
    assert isinstance(given, GiftAccepted)
    assert (given.replay, given.balance_coins) == (False, 1_000 - GIFTS - 5)
    await world.settle()
    assert await world.refunds() == ["chargeback settled 100 100 60 3000 3000 0", "chargeback settled 50 50 0 0 0 0"]
    assert await world.ledger.balance("ann") == -30
    assert await world.money.balance("coins_reversed") == 150
    await world.assert_audit_holds()
