"""A failover under running gateways and workers: nothing is taken before the new epoch, nothing promised is lost, and
nobody is shown anything twice.

Valkey and its replicas are real, and so are the workers' duties; the address that all of them know leads to the primary
first, then to its replica.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from gateway.audits.audit import audit_all
from gateway.audits.promotion import PromotionStats
from gateway.audits.repair import repair_all
from gateway.run.duties import DutyState, do_duties
from gateway.run.settings.config import Config
from gateway.run.work import open_work
from gateway.wire.codes import CloseCode
from ledger.books.postgres import open_pool
from ledger.config import Durability, LedgerConfig
from ledger.errors import EpochAwaited
from ledger.live.redis_client import connect
from ledger.mending.reconcile import LedgersDiffer, require_agreement
from ledger.service import open_ledger
from tests.gateways import Message, Talker, fresh_id, running_gateway
from tests.integration.ledger.orders import gift_order
from tests.integration.ledger.test_durability import needs_waitaof
from tests.integration.ledger_postgres.flushing import flush_all
from tests.integration.ledger_postgres.repairing import is_fenced
from tests.integration.ledger_postgres.replicas import Address, Replica, all_have_it, replicas_of
from tests.servers import Valkey, running_valkey
from tests.waiting import back_off, until, until_true

pytestmark = needs_waitaof
WITHIN_S: Final = 20.0
COINS: Final = 1_000
VIEWERS: Final = tuple("abcdefghij")
GIFTS: Final = 20
ONE, TWO = bytes([1]) * 16, bytes([2]) * 16
RECORDS: Final = "SELECT encode(uuid_send(id), 'hex') AS id, epoch FROM journal_records WHERE kind = 'gift' ORDER BY id"


@pytest.fixture
def primary(tmp_path: Path) -> Iterator[Valkey]:
    """A Valkey that will be killed."""
    folder = tmp_path / "p"
    folder.mkdir()
    with running_valkey(folder) as valkey:
        yield valkey


@pytest.fixture
def address(tmp_path: Path, primary: Valkey) -> Address:
    """Where gateways and workers connect to."""
    return Address(tmp_path, primary)


@pytest.fixture
async def only(primary: Valkey, tmp_path: Path) -> AsyncIterator[Replica]:
    """The primary's replica."""
    async with replicas_of(primary, tmp_path, ("r",)) as (replica,):
        yield replica


def settings(**given: Any) -> dict[str, Any]:
    """Of the ledger: a failover is noticed soon, and nothing waits long."""
    soon = {"lease_ms": 600, "flush_interval_ms": 1, "trim_interval_ms": 50, "retry_ms_max": 200}
    return {"ledger": LedgerConfig(partitions=2, **{**soon, **given})}


@contextlib.asynccontextmanager
async def working(config: Config, worker: bytes = ONE) -> AsyncIterator[PromotionStats]:
    """A worker that does all its duties meanwhile, as its process would; what it counts of promotions."""
    states: list[DutyState] = []
    async with open_work(config, worker, "here") as work:
        stop = asyncio.Event()
        task = asyncio.create_task(do_duties(work.duties, stop, states.extend, work.expected))
        try:
            (stats,) = (duty.stats for duty in work.duties if isinstance(duty.stats, PromotionStats))
            yield stats
        finally:
            stop.set()
            await task


async def fail_over(primary: Valkey, only: Replica, address: Address) -> None:
    """The primary is killed, its replica takes its place, and its address."""
    primary.kill()
    await only.promote()
    address.lead_to(only.valkey)


async def give(talker: Talker, gift_id: str, count: int = 1) -> Message:
    """Roses, each of one coin."""
    return await talker.ask(type="gift", id=gift_id, room="demo", gift="rose", count=count)


async def give_until_accepted(talker: Talker, gift_id: str, count: int = 1) -> Message:
    """As a sender does who is told to try again."""
    while (reply := await give(talker, gift_id, count))["type"] != "accepted":
        assert reply["retryable"], reply
        await back_off()
    return reply


async def in_books(config: LedgerConfig) -> dict[str, int]:
    """The gifts that the books have, with their epochs; each id once."""
    books = await asyncpg.connect(config.database_url)
    rows = await books.fetch(RECORDS)
    await books.close()
    found = {row["id"]: row["epoch"] for row in rows}
    assert len(found) == len(rows)
    return found


async def flushed(config: LedgerConfig) -> None:
    """Everything is in the books."""
    pool, redis = await open_pool(config), connect(config)
    await flush_all(pool, redis, config)
    await redis.aclose()
    await pool.close()


def position(message: Message) -> Message:
    """Where a client stands after it."""
    return {"epoch": message["epoch"], "seq": message["seq"]}


def told_of(talker: Talker) -> list[str]:
    """Ids of the gifts that it was told of, in order."""
    return [gift["id"].replace("-", "") for gift in talker.gifts]


async def test_gifts_over_a_failover(
    primary: Valkey, only: Replica, address: Address, database_url: str, tmp_path: Path
) -> None:
    """Two workers and a crowd that gives on: one worker repairs, each gift that was called accepted is in the books
    once and no other is, and the overlay is told of the gap and shown none of them twice.
    """
    given = settings(durability=Durability.REPLICATED, replica_ms_max=2_000)
    paid: list[str] = []

    async def give_on(talker: Talker) -> None:
        while len(paid) < GIFTS:
            gift_id = fresh_id()
            await give_until_accepted(talker, gift_id)
            paid.append(gift_id.replace("-", ""))

    async with contextlib.AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(
            running_gateway(address.url, database_url, relay=False, settings=given)
        )
        config = gateway.services.config
        workers = [await stack.enter_async_context(working(config, name)) for name in (ONE, TWO)]
        await gateway.make_room()
        await asyncio.gather(*(gateway.grant(viewer, COINS) for viewer in VIEWERS))
        overlay = await gateway.enter("cleo", "overlay")
        crowd = [asyncio.create_task(give_on(await gateway.greet(viewer))) for viewer in VIEWERS]
        await until(lambda: len(paid) > GIFTS // 3, WITHIN_S)
        await fail_over(primary, only, address)
        await stack.enter_async_context(replicas_of(only.valkey, tmp_path, ("s",)))
        await asyncio.gather(*crowd)
        assert await overlay.closed() == CloseCode.INSUFFICIENT_STATE
        told = position(overlay.heard[-1])
        again = await gateway.greet("cleo", "overlay")
        joined = await again.ask(type="join", room="demo", since=told)
        assert (told["epoch"], joined["epoch"], joined["recovered"]) == (1, 2, False)
        last = fresh_id()
        await give_until_accepted(await gateway.greet("a"), last, 7)
        await again.until_gift(lambda gift: gift["count"] == 7)
        assert sorted(stats.repaired for stats in workers) == [0, 1]
        assert {stats.epoch for stats in workers} == {0, 2}
        assert [stats.shut for stats in workers] == [0, 0]
        shown = told_of(overlay) + told_of(again)
        assert len(shown) == len(set(shown))
        await until_true(lambda: _all_in(config.ledger, len(paid) + 1), WITHIN_S)
        assert set(await in_books(config.ledger)) == {*paid, last.replace("-", "")}
        assert (await audit_all(config.ledger, config.rooms)).ok


async def _all_in(config: LedgerConfig, gifts: int) -> bool:
    return len(await in_books(config)) >= gifts


async def test_start_after_a_failover(primary: Valkey, only: Replica, address: Address, database_url: str) -> None:
    """A worker that is started on the promoted server repairs first: what the books know comes back, what nobody knows
    is paid once when its sender repeats it, and a client that knew both is told of the gap and shown no old gift again.
    """
    known, nowhere = fresh_id(), fresh_id()
    async with running_gateway(address.url, database_url, settings=settings()) as gateway:
        config = gateway.services.config
        await gateway.make_room()
        await gateway.grant("ann", COINS)
        ann, overlay = await gateway.greet("ann"), await gateway.enter("cleo", "overlay")
        await give(ann, fresh_id(), 1)
        await overlay.until_gift(lambda gift: gift["count"] == 1)
        await all_have_it(primary, 1)
        await only.cut()
        await give(ann, known, 2)
        await flushed(config.ledger)
        await give(ann, nowhere, 3)
        await overlay.until_gift(lambda gift: gift["count"] == 3)
        here = position(overlay.heard[-1])
    await fail_over(primary, only, address)
    with pytest.raises(EpochAwaited):
        await require_agreement(config.ledger)
    async with (
        working(config) as stats,
        running_gateway(address.url, database_url, relay=False, settings=settings()) as gateway,
    ):
        assert (stats.repaired, stats.records, stats.epoch) == (1, 1, 2)
        ann, overlay = await gateway.greet("ann"), await gateway.greet("cleo", "overlay")
        joined = await overlay.ask(type="join", room="demo", since=here)
        assert (joined["epoch"], joined["recovered"]) == (2, False)
        replies = [await give(ann, gift_id, count) for gift_id, count in ((known, 2), (nowhere, 3), (nowhere, 3))]
        assert [(one["replay"], one["balance_coins"]) for one in replies] == [
            (True, COINS - 3),
            (False, COINS - 6),
            (True, COINS - 6),
        ]
        await overlay.until_gift(lambda gift: gift["count"] == 3)
        assert told_of(overlay) == [nowhere.replace("-", "")]
        await flushed(config.ledger)
        assert (await in_books(config.ledger))[nowhere.replace("-", "")] == 2
        assert (await audit_all(config.ledger, config.rooms)).ok


async def test_waiting_for_an_operator(primary: Valkey, only: Replica, address: Address, database_url: str) -> None:
    """With `wait` the worker shuts orders out, and they stay so until somebody repairs, beside gateway and worker: both
    go on then without a restart. A start meanwhile is refused.
    """
    given = settings(on_promotion="wait")
    async with running_gateway(address.url, database_url, relay=False, settings=given) as gateway:
        config = gateway.services.config
        async with working(config) as stats:
            await gateway.make_room()
            await gateway.grant("ann", COINS)
            ann = await gateway.greet("ann")
            await give(ann, fresh_id(), 1)
            await all_have_it(primary, 1)
            await fail_over(primary, only, address)
            await until(lambda: stats.shut == 1, WITHIN_S)
            looking = connect(config.ledger, any_server=True)
            assert await is_fenced(looking, config.ledger)
            await looking.aclose()
            gift_id = fresh_id()
            reply = await give(ann, gift_id, 2)
            assert (reply["type"], reply["code"], reply["retryable"]) == ("refused", "unavailable", True)
            assert await gateway.app.missing() == {"valkey": "was promoted"}
            with pytest.raises(LedgersDiffer, match="was promoted"):
                await require_agreement(config.ledger)
            assert (stats.promoted, stats.repaired, stats.refused) == (1, 0, 0)
            done = await repair_all(config.ledger, config.rooms)
            assert (done.epoch, done.violations) == (2, [])
            assert not (await give_until_accepted(ann, gift_id, 2))["replay"]
            await until(lambda: stats.shut == 0, WITHIN_S)
            overlay = await gateway.enter("cleo", "overlay")
            await give(ann, fresh_id(), 3)
            await overlay.until_gift(lambda gift: gift["count"] == 3)
            await until_true(lambda: _all_in(config.ledger, 3), WITHIN_S)


async def test_contradiction_stays_shut(primary: Valkey, only: Replica, address: Address, database_url: str) -> None:
    """Where the promoted server holds another record than the books, as from a program that does not look at its
    server, the worker does nothing, says so once, and no order is let in.
    """
    async with running_gateway(address.url, database_url, relay=False, settings=settings()) as gateway:
        config = gateway.services.config
        async with working(config) as stats:
            await gateway.grant("ann", COINS)
            await all_have_it(primary, 1)
            await only.cut()
            ann = await gateway.greet("ann")
            await gateway.make_room()
            await give(ann, fresh_id(), 5)
            await until_true(lambda: _all_in(config.ledger, 1), WITHIN_S)
            await only.promote()
            old_code = open_ledger(LedgerConfig(redis_url=only.url, partitions=2), any_server=True)
            old_code.batcher.start()
            await old_code.give(gift_order("ann", 1))
            await old_code.stop()
            primary.kill()
            address.lead_to(only.valkey)
            await until(lambda: stats.refused == 1, WITHIN_S)
            assert (stats.shut, stats.repaired) == (1, 0)
            assert (await give(ann, fresh_id(), 1))["type"] == "refused"
            assert stats.refused == 1


async def test_restart_is_nothing_to_a_worker(primary: Valkey, address: Address, database_url: str) -> None:
    """Valkey is killed and started again: gifts go on in their epoch, and nobody speaks of a promotion."""
    async with running_gateway(address.url, database_url, relay=False, settings=settings()) as gateway:
        config = gateway.services.config
        async with working(config) as stats:
            await gateway.make_room()
            await gateway.grant("ann", COINS)
            overlay, ann = await gateway.enter("cleo", "overlay"), await gateway.greet("ann")
            await give(ann, fresh_id(), 1)
            primary.kill()
            primary.start()
            assert (await give(ann, fresh_id(), 2))["type"] == "accepted"
            event = await overlay.until_gift(lambda gift: gift["count"] == 2)
            assert event["sender"]["id"] == "ann"
            assert (stats.promoted, position(overlay.heard[-1])["epoch"]) == (0, 1)
