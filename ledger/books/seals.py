"""Seals the records of the books, so that the audit can tell that nobody changed one later.

A seal is SHA-256 over the hash of the seal before it and the hashes of the records since then, in order. PostgreSQL
computes it; the flusher has nothing to do with it, and records are sealed some seconds after they were flushed. Who
may write to the database could make all seals anew: the newest hashes are logged, and a copy elsewhere proves it.
"""

import asyncio
from typing import Final

import structlog
from msgspec import Struct

from ledger.books.postgres import Pool, connected
from ledger.config import LedgerConfig

_log = structlog.get_logger()
FORM: Final = 1
"""How records are hashed now. Another set of columns would be another form, beside this one."""
# What only reversals have, and what later records have, stands behind the row: so those from before are hashed as ever.
_TEXT: Final = """
ROW(r.epoch, r.seq, (extract(epoch FROM r.at) * 1000000)::bigint, r.kind, r.id, r.viewer, r.creator, r.place, r.item,
    r.unit_coins, r.count, r.coins, r.wallet_after, r.creator_diamonds, r.commission_diamonds, r.combo_key,
    r.combo_window_ms, r.combo_id, r.combo_count, r.combo_coins, r.reference, encode(r.details, 'hex'), r.plan,
    r.agency, r.agency_diamonds, encode(r.digest, 'hex'))::text || coalesce(',' || r.taken_coins, '')
    || coalesce(',at ' || (extract(epoch FROM r.recorded_at) * 1000000)::bigint, '')
"""
RECORD_HASH: Final = f"sha256(convert_to({_TEXT}, 'UTF8'))"
"""SQL for the hash of the record `r`."""
_SEAL: Final = f"""
WITH last AS (
    SELECT number, seq, hash FROM seals WHERE partition = $1 ORDER BY number DESC LIMIT 1
), part AS (
    SELECT r.seq, {RECORD_HASH} AS hash FROM journal_records r
    WHERE r.partition = $1 AND r.seq > coalesce((SELECT seq FROM last), 0)
        AND r.seq <= (SELECT seq FROM positions WHERE partition = $1)
    ORDER BY r.seq LIMIT $2
), made AS (
    SELECT max(part.seq) AS seq, count(*) AS records, string_agg(part.hash, ''::bytea ORDER BY part.seq) AS hashes
    FROM part
)
INSERT INTO seals (partition, number, seq, form, hash)
SELECT $1, coalesce(last.number, 0) + 1, made.seq, {FORM}, sha256(coalesce(last.hash, ''::bytea) || made.hashes)
FROM made LEFT JOIN last ON true WHERE made.records > 0
ON CONFLICT DO NOTHING
RETURNING seq, encode(hash, 'hex') AS hash, (SELECT records FROM made) AS records
"""  # noqa: S608 - texts of ours
_PARTITIONS: Final = """
SELECT p.partition FROM positions p
WHERE p.seq > coalesce((SELECT max(seq) FROM seals s WHERE s.partition = p.partition), 0) ORDER BY p.partition
"""


class SealsStats(Struct):
    """What the duty did since the start."""

    rounds: int = 0
    seals: int = 0
    records: int = 0


class Seals:
    """Several workers may do this at once: a seal is made by one of them."""

    def __init__(self, pool: Pool, config: LedgerConfig) -> None:
        self.stats = SealsStats()
        self._pool = pool
        self._config = config

    async def run(self) -> None:
        """The worker's duty: a round every `seal_interval_ms` until cancelled.

        Raises:
            LedgerUnavailable: PostgreSQL does not answer; begin again after a while.
        """
        while True:
            heads = await self.round()
            if heads:
                _log.info("records_sealed", heads=heads)
            await asyncio.sleep(self._config.seal_interval_ms / 1000)

    async def round(self) -> dict[int, str]:
        """Seal what is in the books and not sealed.

        Returns:
            For each partition with new seals the last one: the record up to which it goes, and its hash in hex.
        """
        heads: dict[int, str] = {}
        async with connected(self._pool) as connection:
            partitions = [row["partition"] for row in await connection.fetch(_PARTITIONS)]
        for partition in partitions:
            # A connection for each seal: what else needs one does not wait for a whole round.
            while (head := await self._seal(partition)) is not None:
                heads[partition] = head
        self.stats.rounds += 1
        return heads

    async def _seal(self, partition: int) -> str | None:
        async with connected(self._pool) as connection:
            row = await connection.fetchrow(_SEAL, partition, self._config.seal_records_max)
        if row is None:
            return None
        self.stats.seals += 1
        self.stats.records += row["records"]
        return f"{row['seq']}:{row['hash']}"
