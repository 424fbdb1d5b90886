"""How long an audit of large books takes, and with how much memory.

Not a test; run by hand: `python tests/integration/ledger_postgres/audit_bench.py [ENTRIES] [VIEWERS] [DISCOUNTED]`; the
coins of so many of the viewers are worth half.
The books are written by the flusher's own writer, without a journal; then the live ledger is set to what they say.
"""

import os
import resource
import sys
import tempfile
import time
import uuid
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

import uvloop

from ledger.audits.audit import Step, audit
from ledger.audits.rolling_audit import open_rolling_audit
from ledger.books.books import Books
from ledger.books.migrate import migrate
from ledger.books.postgres import Pool, open_pool
from ledger.books.seals import Seals
from ledger.config import LedgerConfig
from ledger.ids import new_id
from ledger.live.keys import Keys
from ledger.live.redis_client import connect
from ledger.model import Cause, CreatorId, CreditBody, GiftBody, JournalRecord, Partition, ViewerId
from tests.servers import Postgres, running_postgres, running_valkey

CREATORS = 1_000
COINS = 10**6
BATCH = 20_000
_CREDIT = """
INSERT INTO credits (id, cause, viewer, coins, reference, worth_bp) VALUES ($1, 'grant', $2, $3, 'bench', 5000)
"""


class Writer:
    """Makes records, writes them, and keeps what the live ledger would hold."""

    def __init__(self, books: Books, keys: Keys, pool: Pool) -> None:
        self._pool = pool
        self._worth_less: list[tuple[uuid.UUID, str, int]] = []
        self.wallets: dict[str, int] = {}
        self.stripes: defaultdict[tuple[Partition, str], int] = defaultdict(int)
        self.seqs: defaultdict[Partition, int] = defaultdict(int)
        self.sums: defaultdict[tuple[Partition, str], int] = defaultdict(int)
        self._books = books
        self._keys = keys
        self._records: list[JournalRecord] = []

    async def credit(self, viewer: str, *, discounted: bool) -> None:
        """Coins come in."""
        self.wallets[viewer] = COINS
        body = CreditBody(new_id(_now_ms()), ViewerId(viewer), COINS, Cause.GRANT, "bench")
        if discounted:
            self._worth_less.append((uuid.UUID(bytes=body.id), viewer, COINS))
        self.sums[await self._add(viewer, body), "coins_in"] += COINS

    async def gift(self, viewer: str, creator: str) -> None:
        """One coin is spent."""
        self.wallets[viewer] -= 1
        body = GiftBody(
            *(
                new_id(_now_ms()),
                ViewerId(viewer),
                CreatorId(creator),
                "video:bench",
                "rose",
                1,
                1,
                1,
                50,
                50,
                "",
                0,
                b"",
            )
        )
        partition = await self._add(viewer, body)
        self.stripes[partition, creator] += 50
        for name, amount in (("spent", 1), ("earned", 50), ("commission", 50)):
            self.sums[partition, name] += amount

    async def _add(self, viewer: str, body: CreditBody | GiftBody) -> Partition:
        partition = self._keys.partition_of(viewer)
        self.seqs[partition] += 1
        record = JournalRecord(partition, 1, self.seqs[partition], _now_ms(), self.wallets[viewer], None, body)
        self._records.append(record)
        if len(self._records) == BATCH:
            await self.write()
        return partition

    async def write(self) -> None:
        """Write what is left."""
        await self._pool.executemany(_CREDIT, self._worth_less)
        self._worth_less = []
        await self._books.write(self._records)
        self._records = []


async def measure(redis_url: str, postgres: Postgres, entries: int, viewers: int, discounted: int) -> None:
    """Write, seal, set, audit, print."""
    database_url = postgres.url()
    await migrate(database_url)
    config = LedgerConfig(
        redis_url=redis_url, database_url=database_url, audit_share_permille=1_000, accounts_cached_max=10**7
    )
    keys, redis, pool = Keys(config.partitions), connect(config), await open_pool(config)
    books = Books(pool, [partition for partition, _ in keys.all()], config)
    await books.load_positions()
    writer, began_s = Writer(books, keys, pool), time.perf_counter()
    for number in range(viewers):
        await writer.credit(f"v{number}", discounted=number < discounted)
    for number in range((entries - viewers) // 2):
        await writer.gift(f"v{number * 7919 % viewers}", f"c{number % CREATORS}")
    await writer.write()
    await Seals(pool, config).round()
    pipeline = redis.pipeline(transaction=False)
    for viewer, coins in writer.wallets.items():
        pipeline.hset(keys.of(keys.partition_of(viewer)).wallets, viewer, str(coins))
        if len(pipeline.command_stack) == BATCH:
            await pipeline.execute()
    for (partition, creator), diamonds in writer.stripes.items():
        pipeline.hset(keys.of(partition).earnings, creator, str(diamonds))
    for (partition, name), amount in writer.sums.items():
        pipeline.hset(keys.of(partition).totals, name, str(amount))
    for partition, seq in writer.seqs.items():
        pipeline.hset(keys.of(partition).totals, mapping={"seq": seq, "epoch": 1})
        pipeline.set(keys.of(partition).relay, f"1-{seq}")
    await pipeline.execute()
    await pool.execute("ANALYZE")
    _say(f"made in {time.perf_counter() - began_s:.0f} s; memory {_memory_mb():.0f} MB")
    del writer, books
    await _audit(config)
    await _roll(config, postgres)
    await pool.close()
    await redis.aclose()


async def _audit(config: LedgerConfig) -> None:
    began_s = last_s = time.perf_counter()
    words = ""

    def told(step: Step) -> None:
        nonlocal last_s, words
        now_s = time.perf_counter()
        if now_s - last_s > 1:
            _say(f"  {words}: {now_s - last_s:.1f} s")
        last_s, words = now_s, step.words

    report = await audit(config, told)
    _say(f"audit: ok={report.ok} in {time.perf_counter() - began_s:.1f} s; memory {_memory_mb():.0f} MB")
    for result in report.invariants:
        _say(f"  {result.id} {result.checked:,} {result.violations[:2]}")


async def _roll(config: LedgerConfig, postgres: Postgres) -> None:
    async with open_rolling_audit(config) as rolling:
        records = await rolling._pool.fetchval("SELECT count(*) FROM journal_records")
        cpu_s, postgres_s, began_s = time.process_time(), postgres.cpu_s(), time.perf_counter()
        found = await rolling.round()
        took_s, stats = time.perf_counter() - began_s, rolling.stats
        cpu_s, postgres_s = time.process_time() - cpu_s, postgres.cpu_s() - postgres_s
    _say(
        f"rolling round: {found} in {took_s:.1f} s without rest; {stats.slices:,} slices, {stats.checked:,} looked at;"
        f" CPU for 1,000 records: Python {cpu_s / records * 1e6:.1f} ms, PostgreSQL {postgres_s / records * 1e6:.1f} ms"
    )


def _memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _say(words: str) -> None:
    print(words, flush=True)  # noqa: T201 - a measurement is read by a person


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    with (
        tempfile.TemporaryDirectory(prefix="gw-") as folder,
        tempfile.TemporaryDirectory(prefix="gw-") as other,
        running_valkey(Path(folder)) as valkey,
        running_postgres(Path(other)) as server,
    ):
        uvloop.run(measure(valkey.url, server, *(given + [1_000_000, 100_000, 0][len(given) :])))
    os._exit(0)
