"""Names what a former server of the live ledger had accepted and nobody has now, after a failover to one behind it.

A record that the books have comes back by a repair; one that neither the books nor the present server have is known to
the former server alone, and only a look at it can say whose coins they were.
"""

import uuid
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from ledger.books.postgres import Pool, connected, open_pool
from ledger.config import LedgerConfig
from ledger.errors import LedgerUnavailable
from ledger.ids import id_time_ms
from ledger.live.journal import decode_entry
from ledger.live.keys import Keys, PartitionKeys
from ledger.live.redis_client import connect
from ledger.model import (
    CreditBody,
    GiftBody,
    GiftSettledBody,
    GiftUndoneBody,
    HeldGiftBody,
    HoldBody,
    HoldEndBody,
    JournalRecord,
    Partition,
    ReversalBody,
)
from ledger.named_records import NamedRecord, named
from ledger.record_kinds import kind_of

_ENTRIES_READ: Final = 256
_KNOWN: Final = """
SELECT r.id, r.viewer, r.kind
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS wanted (id, viewer, kind)
JOIN journal_records r USING (id, viewer, kind)
WHERE r.partition = $4
"""


async def lost_with_former(config: LedgerConfig, former_url: str) -> list[NamedRecord]:
    """Gifts and credits that the former server's journal has and that are neither in the books nor in the live ledger.

    A sender may tell such a gift again with its id: then it is paid as any other, and no longer lost.

    Args:
        former_url: of the server as it was left, without anybody writing to it.

    Raises:
        LedgerUnavailable: a server does not answer.
        InvariantBroken: a journal entry is damaged.
    """
    pool, redis = await open_pool(config), connect(config, any_server=True)
    former = connect(msgspec.structs.replace(config, redis_url=former_url), any_server=True)
    try:
        lost: list[NamedRecord] = []
        for partition, keys in Keys(config.partitions).all():
            start = "-"
            while True:
                journal: Any = keys.journal
                page: Any = await former.xrange(journal, min=start, count=_ENTRIES_READ)
                records = [one for stream_id, fields in page for one in decode_entry(partition, stream_id, fields)]
                lost += map(named, await _missing(pool, redis, keys, partition, records, config))
                if len(page) < _ENTRIES_READ:
                    break
                start = f"({page[-1][0].decode()}"
        return lost
    except (RedisError, OSError) as exc:
        raise LedgerUnavailable(f"Redis does not answer: {exc}") from exc
    finally:
        await former.aclose()
        await redis.aclose()
        await pool.close()


async def _missing(
    pool: Pool,
    redis: Redis,
    keys: PartitionKeys,
    partition: Partition,
    records: list[JournalRecord],
    config: LedgerConfig,
) -> list[JournalRecord]:
    # The live ledger is asked first: what leaves its memory is in the books by then.
    unknown = [record for record in records if not await _remembered(redis, keys, record, config)]
    ids = [uuid.UUID(bytes=record.body.id) for record in unknown]
    async with connected(pool) as connection:
        viewers, kinds = [record.body.viewer for record in unknown], [kind_of(record.body) for record in unknown]
        rows = await connection.fetch(_KNOWN, ids, viewers, kinds, int(partition))
    known = {(row["id"].bytes, row["viewer"], row["kind"]) for row in rows}
    return [
        record
        for record, kind in zip(unknown, kinds, strict=True)
        if (record.body.id, record.body.viewer, kind) not in known
    ]


async def _remembered(redis: Redis, keys: PartitionKeys, record: JournalRecord, config: LedgerConfig) -> bool:
    body = record.body
    with_viewer = body.id + body.viewer.encode()
    match body:
        # A settlement that was lost is done again: the gift is open still.
        case GiftBody() | HeldGiftBody() | GiftSettledBody():
            wanted = [(keys.ids(id_time_ms(body.id) // config.id_bucket_ms), with_viewer)]
        case GiftUndoneBody():
            wanted = [(keys.undone_gifts, with_viewer)]
        case HoldBody():
            wanted = [(keys.holds, with_viewer), (keys.ended_holds, with_viewer)]
        case HoldEndBody():
            wanted = [(keys.ended_holds, with_viewer)]
        case ReversalBody():
            wanted = [(keys.reversals, body.id)]
        case CreditBody():
            wanted = [(keys.credits, body.id)]
    for key, field in wanted:
        name: Any = key
        known: Any = field
        if await redis.hexists(name, known):
            return True
    return False
