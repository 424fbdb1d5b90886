"""A server that was promoted takes no order before a new epoch has begun there, and what a worker has read from the
former one does not reach the books any more.

The servers are real: the address that clients know leads to the primary first, then to its replica.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ledger.audits.audit import audit
from ledger.books.books import Books, PositionMoved
from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.errors import LedgerUnavailable
from ledger.ids import new_id
from ledger.live.journal import JournalReader
from ledger.live.keys import Keys
from ledger.live.promotion import ServerIsReplica, ServerPromoted, note_server, read_history
from ledger.live.redis_client import LOST, Direct, connect
from ledger.mending.reconcile import StillAtWork, reconcile
from ledger.mending.repair import repair
from ledger.model import (
    CreditRefused,
    EndRefusal,
    EndRefused,
    GiftAccepted,
    GiftOutcome,
    GiftRefused,
    HoldEnd,
    HoldOrder,
    Partition,
    RefundKind,
    Refusal,
    ReversalOrder,
    UndoRefusal,
    UndoRefused,
    ViewerId,
)
from ledger.service import Ledger, open_ledger
from tests.integration.ledger.orders import gift_order, grant, now_ms
from tests.integration.ledger_postgres.flushing import flush_all, flushing, until
from tests.integration.ledger_postgres.repairing import NoRooms, is_fenced
from tests.integration.ledger_postgres.replicas import Address, Replica, all_have_it, replicas_of
from tests.servers import Valkey, running_valkey
from tests.waiting import back_off

ANN = ViewerId("ann")
PARTITIONS = 2
IN_FLIGHT = 8
BEFORE = 40
"""So many gifts are given before the primary dies."""


@pytest.fixture
def primary(tmp_path: Path) -> Iterator[Valkey]:
    """A Valkey that will be killed."""
    folder = tmp_path / "p"
    folder.mkdir()
    with running_valkey(folder) as valkey:
        yield valkey


@pytest.fixture
def address(tmp_path: Path, primary: Valkey) -> Address:
    """Where clients connect to."""
    return Address(tmp_path, primary)


@pytest.fixture
async def config(address: Address, database_url: str) -> LedgerConfig:
    """`accepted` means: on the disk of the primary."""

    return LedgerConfig(
        redis_url=address.url,
        database_url=database_url,
        partitions=PARTITIONS,
        retry_ms_max=100,
        flush_interval_ms=1,
        trim_interval_ms=1,
        undo_pause_ms=0,
    )


@pytest.fixture
async def only(primary: Valkey, tmp_path: Path) -> AsyncIterator[Replica]:
    """The primary's replica, which has what it had."""
    async with replicas_of(primary, tmp_path, ("r",)) as (replica,):
        yield replica


@pytest.fixture
async def ledger(config: LedgerConfig) -> AsyncIterator[Ledger]:
    """A live ledger as a gateway has it."""
    opened = open_ledger(config)
    await opened.start()
    await opened.credit(grant(ANN, 100_000))
    yield opened
    await opened.stop()


@contextlib.asynccontextmanager
async def looking(url: str) -> AsyncIterator[Any]:
    """A client for whatever server is there."""
    redis: Any = connect(LedgerConfig(redis_url=url), any_server=True)
    yield redis
    await redis.aclose()


async def stored(url: str) -> dict[bytes, bytes]:
    """Everything that a server holds."""
    async with looking(url) as redis:
        return {name: await redis.dump(name) for name in sorted(await redis.keys())}


async def journals(url: str) -> list[list[Any]]:
    """The entries of every partition's journal."""
    async with looking(url) as redis:
        return [await redis.xrange(keys.journal) for _, keys in Keys(PARTITIONS).all()]


@contextlib.asynccontextmanager
async def giving(ledger: Ledger) -> AsyncIterator[list[GiftOutcome]]:
    """IN_FLIGHT gifts are in flight meanwhile; their outcomes, as they come."""
    told: list[GiftOutcome] = []

    async def give_on() -> None:
        while True:
            told.append(await ledger.give(gift_order(ANN, 1)))
            if not isinstance(told[-1], GiftAccepted):
                await back_off()

    tasks = [asyncio.create_task(give_on()) for _ in range(IN_FLIGHT)]
    try:
        yield told
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def repaired(config: LedgerConfig) -> int | None:
    """A repair of the server that the address leads to; its epoch."""
    async with looking(config.redis_url) as redis:
        done = await repair(config, NoRooms(redis, config))
    assert done.violations == []
    return done.epoch


async def flushed(pool: Pool, config: LedgerConfig) -> None:
    """Everything that the address leads to is in the books."""
    redis = connect(config)
    await flush_all(pool, redis, config)
    await redis.aclose()


@pytest.mark.parametrize("redirected", ["before", "after"])
async def test_no_order_before_a_new_epoch(
    primary: Valkey, only: Replica, ledger: Ledger, address: Address, config: LedgerConfig, redirected: str
) -> None:
    """With gifts in flight the primary dies, and clients are led to its replica, before it is promoted or after: every
    kind of order is refused there, all that is stored there came from the primary, and once a repair has begun a new
    epoch the same clients' orders are carried out.
    """
    hold = HoldOrder(new_id(now_ms()), ANN, 5, 600_000, "table")
    dear = msgspec.structs.replace(gift_order(ANN, 7), undo_ms=10_000)
    await ledger.hold(hold)
    assert isinstance(await ledger.give(dear), GiftAccepted)
    others = connect(config)
    async with giving(ledger) as told:
        await until(lambda: len(told) > BEFORE)
        primary.kill()
        if redirected == "before":
            address.lead_to(only.valkey)
            with pytest.raises(ServerIsReplica):
                await others.ping()
            await until(lambda: told[-1] == GiftRefused(Refusal.UNKNOWN))
        await only.promote()
        there = await stored(only.url)
        address.lead_to(only.valkey)
        with pytest.raises(ServerPromoted):
            await others.ping()
        heard = len(told)
        await until(lambda: len(told) > heard + 2 * IN_FLIGHT)
        assert {type(outcome) for outcome in told[heard + IN_FLIGHT :]} == {GiftRefused}
        refund = ReversalOrder(new_id(now_ms()), ANN, bytes(16), 3, RefundKind.REFUND)
        assert await ledger.credit(grant(ANN, 3)) == CreditRefused(Refusal.UNKNOWN)
        assert await ledger.reverse(refund, most=3, keep=0) == CreditRefused(Refusal.UNKNOWN)
        assert await ledger.hold(HoldOrder(new_id(now_ms()), ANN, 5, 1_000, "")) == GiftRefused(Refusal.UNKNOWN)
        assert await ledger.end_hold(hold.id, ANN, HoldEnd.SETTLED) == EndRefused(EndRefusal.UNKNOWN)
        assert await ledger.undo(dear.id, ANN) == UndoRefused(UndoRefusal.UNKNOWN)
        with pytest.raises(LedgerUnavailable, match="was promoted"):
            await ledger.settle_gifts(ledger.keys.partition_of(ANN), 10)
    await others.aclose()
    assert await stored(only.url) == there
    primary.start()
    for here, before in zip(await journals(only.url), await journals(primary.url), strict=True):
        assert here == before[: len(here)]
    assert await repaired(config) == 2
    outcome = await ledger.give(gift_order(ANN, 1))
    assert isinstance(outcome, GiftAccepted)
    assert outcome.epoch == 2


async def test_restart_costs_nothing(primary: Valkey, ledger: Ledger) -> None:
    """A server that was killed and started again takes the very next gift, in its epoch."""
    primary.kill()
    primary.start()
    outcomes = [await ledger.give(gift_order(ANN, 1)) for _ in range(3)]
    assert [isinstance(one, GiftAccepted) and one.epoch for one in outcomes] == [1, 1, 1]


async def test_first_replica_right_before_a_failover(primary: Valkey, config: LedgerConfig, tmp_path: Path) -> None:
    """The first replica changes the primary's id. That one it is promoted before anybody has noted that, is noticed."""
    async with looking(primary.url) as redis:
        await note_server(redis)
    async with replicas_of(primary, tmp_path, ("r",)) as (replica,):
        primary.kill()
        await replica.promote()
        async with looking(replica.url) as redis:
            assert (await read_history(redis)).promoted


@pytest.mark.parametrize("heard", ["refused", "cut"])
async def test_connections_to_a_server_that_was_demoted_and_promoted_again(
    primary: Valkey, only: Replica, ledger: Ledger, heard: str
) -> None:
    """Once one of a client's connections has heard that the server became a replica, by a command that was refused or
    when it came back, none is used any more, though they are open still.
    """
    await ledger.give(gift_order(ANN, 1))
    async with looking(primary.url) as old:
        await only.promote()
        await old.replicaof("127.0.0.1", 1)
        if heard == "cut":
            # That of the gifts came last.
            await old.client_kill_filter(
                _id=max(one["id"] for one in await old.client_list() if one["cmd"] == "evalsha")
            )
        assert await ledger.give(gift_order(ANN, 1)) == GiftRefused(Refusal.UNKNOWN)
        await old.replicaof("NO", "ONE")
    assert await ledger.give(gift_order(ANN, 1)) == GiftRefused(Refusal.UNKNOWN)
    with pytest.raises(LedgerUnavailable, match="was promoted"):
        await ledger.settle_gifts(Partition(0), 1)


async def test_idle_connection_to_a_former_server(
    primary: Valkey, only: Replica, address: Address, config: LedgerConfig
) -> None:
    """Once a connection of a client has found another server, its others do not go on with the former one."""
    async with looking(primary.url) as old:
        await note_server(old)
        await all_have_it(primary, 1)
    redis = connect(config)
    direct = Direct(redis)

    async def ask_both(*words: str) -> list[Any]:
        return await asyncio.gather(*(direct.ask(*words) for _ in range(2)), return_exceptions=True)

    connections = await ask_both("CLIENT", "ID")
    await only.promote()
    async with looking(only.url) as new, looking(primary.url) as old:
        history = await read_history(new)
        await new.hset("gw:deployment", "server", history.own)
        address.lead_to(only.valkey)
        await old.client_kill_filter(_id=connections[0])
        # One hears that its connection was cut, and finds the other server when it connects anew.
        assert sum(isinstance(one, LOST) for one in await ask_both("PING")) == 1
        await ask_both("PING")
        assert [history.own in answer for answer in await ask_both("INFO", "replication")] == [True, True]
    await direct.aclose()
    await redis.aclose()


async def test_records_that_were_read_before_a_repair(
    primary: Valkey, only: Replica, ledger: Ledger, address: Address, config: LedgerConfig, pool: Pool
) -> None:
    """A flusher stood still with what it had read from the former server: none of it reaches the books after the
    repair, and the next one goes on behind what the promoted server has.
    """
    partition = ledger.keys.partition_of(ANN)
    await flushed(pool, config)
    await all_have_it(primary, 1)
    await only.cut()
    lost = await ledger.give(gift_order(ANN, 9))
    assert isinstance(lost, GiftAccepted)
    books = Books(pool, [partition], config)
    reader = JournalReader(ledger.redis, ledger.keys, [partition], await books.load_positions())
    read = (await reader.read(block_ms=None, entries_max=10)).records
    assert [record.seq for record in read] == [2]
    primary.kill()
    await only.promote()
    address.lead_to(only.valkey)
    assert await repaired(config) == 2
    with pytest.raises(PositionMoved, match="repaired"):
        await books.write(read)
    outcome = await ledger.give(gift_order(ANN, 1))
    assert isinstance(outcome, GiftAccepted)
    assert outcome.balance_coins == 100_000 - 1
    await flushed(pool, config)
    assert (await audit(config)).ok


async def test_two_repairs_of_one_promotion(
    primary: Valkey, only: Replica, ledger: Ledger, address: Address, config: LedgerConfig
) -> None:
    """One that finds orders let in by the other when its turn comes shuts nobody out once more."""
    await all_have_it(primary, 1)
    primary.kill()
    await only.promote()
    address.lead_to(only.valkey)
    async with looking(config.redis_url) as redis:
        first = asyncio.Event()
        late = LateRooms(redis, config, first)
        second = asyncio.create_task(repair(config, late))
        await until(lambda: late.asked)
        assert await repaired(config) == 2
        first.set()
        with pytest.raises(StillAtWork, match="ended meanwhile"):
            await second
        assert not await is_fenced(redis, config)


class LateRooms(NoRooms):
    """Their repair goes on only once another has been made."""

    def __init__(self, redis: Any, config: LedgerConfig, go_on: asyncio.Event) -> None:
        super().__init__(redis, config)
        self.asked = False
        self._go_on = go_on

    async def require_nobody(self) -> None:
        self.asked = True
        await self._go_on.wait()


class LostRooms(NoRooms):
    """While they are looked through, the server fails over to another replica."""

    def __init__(self, redis: Any, config: LedgerConfig, fail_over: Callable[[], Awaitable[None]]) -> None:
        super().__init__(redis, config)
        self._fail_over = fail_over

    async def verify(self) -> list[str]:
        await self._fail_over()
        return []


async def test_failover_amid_a_repair(primary: Valkey, address: Address, config: LedgerConfig, tmp_path: Path) -> None:
    """What was brought back on one server is no reason to let orders in on the next."""
    async with replicas_of(primary, tmp_path, ("r", "s")) as (one, other):
        ledger = open_ledger(config)
        await ledger.start()
        await ledger.stop()
        await all_have_it(primary, 2)
        primary.kill()
        await one.promote()
        await other.promote()
        address.lead_to(one.valkey)

        async def again() -> None:
            one.valkey.kill()
            address.lead_to(other.valkey)

        async with looking(config.redis_url) as redis, looking(other.url) as there:
            with pytest.raises(LedgerUnavailable, match="another server"):
                await repair(config, LostRooms(redis, config, again))
            assert (await read_history(there)).promoted
        assert await repaired(config) == 3


async def test_former_server_that_lives_on(
    primary: Valkey, only: Replica, ledger: Ledger, config: LedgerConfig, pool: Pool
) -> None:
    """A worker that is still connected to the former primary writes nothing of it into the books, and shuts it to
    orders; a start on it is refused.
    """
    promoted = msgspec.structs.replace(config, redis_url=only.url)
    redis = connect(config)
    await all_have_it(primary, 1)
    async with flushing(pool, redis, config) as flusher:
        await until(lambda: flusher.stats.credits == 1)
        await only.promote()
        assert await repaired(promoted) == 2
        seqs = await pool.fetch("SELECT partition, seq FROM positions WHERE partition >= 0 ORDER BY partition")
        outcome = await ledger.give(gift_order(ANN, 9))
        assert isinstance(outcome, GiftAccepted)
        assert outcome.epoch == 1

        async def shut() -> bool:
            return await is_fenced(redis, config)

        await until(shut)
        assert await ledger.give(gift_order(ANN, 9)) == GiftRefused(Refusal.UNKNOWN)
        retries = flusher.stats.retries
        await until(lambda: flusher.stats.retries > retries)
    assert seqs == await pool.fetch("SELECT partition, seq FROM positions WHERE partition >= 0 ORDER BY partition")
    assert any("epoch 2 on another server" in words for words in (await reconcile(config)).all_differences)
    assert (await reconcile(promoted)).all_differences == []
    await redis.aclose()
