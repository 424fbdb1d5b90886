"""A replica that lacks the last records is promoted: what was acknowledged is found, and brought back or named.

The servers are real, and the primary dies by kill -9.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from ledger.audits.audit import audit
from ledger.books.flusher import FlusherCondition, open_flusher
from ledger.books.migrate import migrate
from ledger.books.postgres import Pool
from ledger.config import Durability, LedgerConfig
from ledger.errors import LedgerUnavailable
from ledger.ids import format_id
from ledger.live.redis_client import connect
from ledger.mending.former import lost_with_former
from ledger.mending.reconcile import LedgersDiffer, reconcile, require_agreement
from ledger.mending.repair import Repair, repair
from ledger.model import CreditAccepted, GiftAccepted, GiftOrder, GiftRefused, Refusal
from ledger.service import Ledger, open_ledger
from tests.integration.ledger.orders import gift_order, grant
from tests.integration.ledger.test_durability import needs_waitaof
from tests.integration.ledger_postgres.flushing import flush_all, flushing, until
from tests.integration.ledger_postgres.repairing import NoRooms
from tests.integration.ledger_postgres.replicas import all_have_it, replicas_of
from tests.servers import Valkey, running_valkey
from tests.waiting import back_off

pytestmark = needs_waitaof


@pytest.fixture
def primary(tmp_path: Path) -> Iterator[Valkey]:
    """A Valkey that will be killed."""
    folder = tmp_path / "primary"
    folder.mkdir()
    with running_valkey(folder) as valkey:
        yield valkey


@pytest.fixture
async def config(primary: Valkey, empty_postgres_url: str) -> LedgerConfig:
    """`accepted` means: on the disks of the primary and of one replica."""
    await migrate(empty_postgres_url)
    return LedgerConfig(
        redis_url=primary.url,
        database_url=empty_postgres_url,
        partitions=1,
        durability=Durability.REPLICATED,
        on_promotion="wait",
        replica_ms_max=500,
        retry_ms_max=100,
        flush_interval_ms=1,
    )


async def opened(config: LedgerConfig) -> Ledger:
    """A ledger as a gateway opens it."""
    await require_agreement(config)
    ledger = open_ledger(config)
    await ledger.start()
    return ledger


async def flushed(pool: Pool, config: LedgerConfig) -> None:
    """Everything is in the books."""
    redis = connect(config)
    await flush_all(pool, redis, config)
    await redis.aclose()


async def repaired(config: LedgerConfig) -> Repair:
    """Repair, and see that all is well."""
    redis = connect(config, any_server=True)
    try:
        done = await repair(config, NoRooms(redis, config))
    finally:
        await redis.aclose()
    assert done.violations == []
    assert (await audit(config)).ok
    return done


async def accepted(ledger: Ledger, order: GiftOrder) -> GiftAccepted:
    """Give it until it is called accepted: a replica may be slow to say that it is on its disk."""
    while not isinstance(outcome := await ledger.give(order), GiftAccepted):
        assert outcome == GiftRefused(Refusal.UNKNOWN)
    return outcome


async def granted(ledger: Ledger, coins: int) -> None:
    """Coins of ann."""
    order = grant("ann", coins)
    while not isinstance(await ledger.credit(order), CreditAccepted):
        await back_off()


def on(config: LedgerConfig, url: str) -> LedgerConfig:
    """The promoted server has no replica yet."""
    return msgspec.structs.replace(config, redis_url=url, durability=Durability.DURABLE)


@pytest.mark.parametrize("books_know", [True, False], ids=["some are in the books", "none is in the books"])
async def test_promotion_of_a_replica_that_was_behind(
    primary: Valkey, pool: Pool, config: LedgerConfig, tmp_path: Path, books_know: bool
) -> None:
    """Of two replicas one acknowledges, the other is cut off and promoted, and the primary's disk is gone: the start is
    refused, the repair begins a new epoch with what the books have, and the replica that acknowledged names the rest.
    """
    async with replicas_of(primary, tmp_path, ("quick", "late")) as (quick, late):
        ledger = await opened(config)
        await granted(ledger, 100)
        await all_have_it(primary, 2)
        await late.cut()
        first, second = gift_order("ann", 7), gift_order("ann", 9)
        if books_know:
            await accepted(ledger, first)
        await flushed(pool, config)
        if not books_know:
            await accepted(ledger, first)
        await accepted(ledger, second)
        primary.kill()
        await ledger.stop()
        await late.promote()
        promoted = on(config, late.url)
        with pytest.raises(LedgersDiffer, match="was promoted") as refusal:
            await opened(promoted)
        assert (format_id(first.id) in str(refusal.value)) == books_know
        found = await reconcile(promoted)
        assert (found.promoted, found.repairable, found.standings[0].behind) == (True, True, int(books_know))
        done = await repaired(promoted)
        assert (done.epoch, done.records, [one.id for one in done.named]) == (
            2,
            int(books_know),
            [format_id(first.id)] * books_know,
        )
        lost = await lost_with_former(promoted, quick.url)
        gone = [second] if books_know else [first, second]
        assert [(one.id, one.viewer, one.coins) for one in lost] == [
            (format_id(order.id), "ann", order.coins) for order in gone
        ]
        assert not (await reconcile(promoted)).all_differences
        again = await opened(promoted)
        assert await again.balance("ann") == 100 - 7 * books_know
        outcomes = [await accepted(again, order) for order in (first, second)]
        assert [outcome.replay for outcome in outcomes] == [books_know, False]
        assert (outcomes[-1].balance_coins, outcomes[-1].epoch) == (100 - 7 - 9, 2)
        assert await lost_with_former(promoted, quick.url) == []
        await again.stop()
        await flushed(pool, promoted)
        assert (await audit(promoted)).ok


async def test_promotion_of_the_only_replica(primary: Valkey, pool: Pool, config: LedgerConfig, tmp_path: Path) -> None:
    """What it did not acknowledge was not called accepted; who repeats it has paid once."""
    async with replicas_of(primary, tmp_path, ("only",)) as (only,):
        ledger = await opened(config)
        await granted(ledger, 100)
        known, unknown = gift_order("ann", 7), gift_order("ann", 9)
        await accepted(ledger, known)
        await all_have_it(primary, 1)
        await only.cut()
        assert await ledger.give(unknown) == GiftRefused(Refusal.UNKNOWN)
        primary.kill()
        await ledger.stop()
        await only.promote()
        promoted = on(config, only.url)
        assert (await repaired(promoted)).epoch == 2
        again = await opened(promoted)
        outcomes = [await accepted(again, order) for order in (known, unknown)]
        assert [(outcome.replay, outcome.balance_coins) for outcome in outcomes] == [(True, 93), (False, 84)]
        assert await again.balance("ann") == 84
        await again.stop()
        await flushed(pool, promoted)
        assert (await audit(promoted)).ok


async def test_restart_is_no_promotion(primary: Valkey, config: LedgerConfig) -> None:
    """A server that was killed and started again goes on in its epoch, also when nobody else restarted."""
    plain = on(config, primary.url)
    for _ in range(2):
        ledger = await opened(plain)
        await ledger.stop()
        primary.kill()
        primary.start()
    assert (await reconcile(plain)).all_differences == []


async def test_promotion_under_a_running_worker(
    primary: Valkey, pool: Pool, config: LedgerConfig, tmp_path: Path
) -> None:
    """A restart of the primary meanwhile does not hide it: the worker notes where it runs, and goes on with no other
    server, nor does it start on one."""
    plain = on(config, primary.url)
    ledger = await opened(plain)
    await granted(ledger, 100)
    await ledger.stop()
    primary.kill()
    primary.start()
    async with replicas_of(primary, tmp_path, ("only",)) as (only,):
        await flushed(pool, plain)
        await all_have_it(primary, 1)
        primary.kill()
        await only.promote()
        promoted = on(config, only.url)
        redis = connect(promoted)
        async with flushing(pool, redis, promoted) as flusher:
            await until(lambda: flusher.stats.retries > 0)
            assert flusher.stats.condition is FlusherCondition.RETRYING
        await redis.aclose()
        with pytest.raises(LedgersDiffer, match="was promoted"):
            async with open_flusher(promoted):
                pass
        unstarted = open_ledger(promoted)
        with pytest.raises(LedgerUnavailable, match="was promoted"):
            await unstarted.start()
        await unstarted.stop()
        assert (await repaired(promoted)).epoch == 2
        await (await opened(promoted)).stop()
