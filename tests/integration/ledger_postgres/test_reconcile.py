"""The comparison before a start: quiet when the live ledger has all that the books have, and clear when it has not."""

from typing import Any

import msgspec
import pytest

from ledger.books.flusher import open_flusher
from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.errors import LedgerUnavailable
from ledger.ids import format_id
from ledger.live.keys import Total
from ledger.mending.reconcile import RECORDS_NAMED_MAX, LedgersDiffer, reconcile, require_agreement
from ledger.service import Ledger
from tests.integration.ledger.orders import gift_order, grant
from tests.integration.ledger_postgres.flushing import flush_all
from tests.integration.ledger_postgres.repairing import let_in


async def test_empty_system_agrees(ledger: Ledger, config: LedgerConfig) -> None:
    """The first start of all finds nothing."""
    await require_agreement(config)
    assert [standing.live.seq for standing in (await reconcile(config)).standings] == [0, 0]


async def test_books_may_be_behind(ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig) -> None:
    """Records on their way are counted and are no difference; nor is a journal that was trimmed in order."""
    await ledger.credit(grant("ann", 100))
    partition = ledger.keys.partition_of("ann")
    await redis.set(ledger.keys.of(partition).relay, "1-1")
    await flush_all(pool, redis, config)
    for coins in (1, 2):
        await ledger.give(gift_order("ann", coins))
    await require_agreement(config)
    standing = (await reconcile(config)).standings[partition]
    assert (standing.live.seq, standing.books.seq, standing.unflushed) == (3, 1, 2)


async def test_lost_redis_is_refused(ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig) -> None:
    """When the books are ahead, the lost records are named, and neither check nor flusher lets a start go on."""
    await ledger.credit(grant("ann", 100))
    order = gift_order("ann", 7)
    await ledger.give(order)
    await flush_all(pool, redis, config)
    await redis.flushall()
    with pytest.raises(LedgersDiffer) as caught:
        await require_agreement(config)
    assert "the live ledger ends at record 0, the books at 2: it has lost 2" in str(caught.value)
    assert f"gift {format_id(order.id)} of ann (7 coins)" in str(caught.value)
    with pytest.raises(LedgersDiffer):
        async with open_flusher(config):
            pass


async def test_lost_end_is_named_within_bounds(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Redis that is some records behind: a bounded number of them is named in the sentence, more beside it, all are
    counted."""
    monkeypatch.setattr("ledger.mending.reconcile.LOST_NAMED_MAX", RECORDS_NAMED_MAX + 1)
    lost = RECORDS_NAMED_MAX + 2
    for _ in range(lost + 2):
        await ledger.credit(grant("ann", 1))
    await flush_all(pool, redis, config)
    keys = ledger.keys.of(ledger.keys.partition_of("ann"))
    await redis.hset(keys.totals, Total.SEQ, 2)
    found = await reconcile(config)
    words = next(words for words in found.all_differences if "it has lost" in words)
    assert f"it has lost {lost}" in words
    assert words.count("grant") == RECORDS_NAMED_MAX
    assert words.endswith("and more")
    standing = found.standings[ledger.keys.partition_of("ann")]
    assert [one.seq for one in standing.lost] == list(range(3, 3 + RECORDS_NAMED_MAX + 1))
    assert standing.behind == lost


async def test_other_records_in_their_places_are_named(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """A Redis that lost records and took new ones since is not taken for one that is ahead."""
    await ledger.credit(grant("ann", 100))
    await flush_all(pool, redis, config)
    await redis.flushall()
    await let_in(config)
    for _ in range(3):
        await ledger.credit(grant("ann", 1))
    with pytest.raises(
        LedgersDiffer, match=r"record 1 of the journal is grant .* in the books it is grant .* .*of 1 compared 1 differ"
    ):
        await require_agreement(config)


@pytest.mark.parametrize("trimmed", [2, 3])
async def test_trimmed_before_the_books_had_it_is_named(
    ledger: Ledger, redis: Any, config: LedgerConfig, trimmed: int
) -> None:
    """Records that are in neither are told, also when the journal is empty: then the books have been lost."""
    for _ in range(3):
        await ledger.credit(grant("ann", 1))
    await ledger.trim(ledger.keys.partition_of("ann"), 1, trimmed, 0)
    with pytest.raises(LedgersDiffer, match=f"records 1 to {trimmed} are neither"):
        await require_agreement(config)


async def test_other_number_of_partitions_is_named(
    ledger: Ledger, pool: Pool, redis: Any, config: LedgerConfig
) -> None:
    """A configuration that would look for wallets in the wrong places is told by both stores."""
    for viewer in ("ann", "bob", "cid", "dan"):
        await ledger.credit(grant(viewer, 1))
    await flush_all(pool, redis, config)
    differences = (await reconcile(msgspec.structs.replace(config, partitions=1))).differences
    assert differences == [
        "the live ledger has 2 partitions, the configuration says 1",
        "the books have partition 1, the configuration says 1",
    ]


async def test_absent_server_is_unavailable(config: LedgerConfig) -> None:
    """Without one of the servers there is no answer."""
    for lost in ({"redis_url": "unix:///nowhere"}, {"database_url": "postgresql://giftwire@/x?host=/nowhere"}):
        with pytest.raises(LedgerUnavailable):
            await require_agreement(msgspec.structs.replace(config, **lost))
