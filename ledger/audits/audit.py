"""Says whether the invariants of money hold over what is stored, also while the system runs.

For each partition the live ledger is read first and the books afterwards. In that order nothing can look lost that is
only on its way: a record that the flusher has trimmed from the journal by then is in the books that are read next, and
what the books have more than the live totals had is taken off again. The books themselves are checked in one snapshot.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from ledger.accounts import AccountKind
from ledger.audits.books_audit import CHECKS, STATEMENT_S_MAX, run_check, unit_totals
from ledger.audits.hold_audit import open_holds
from ledger.audits.live_audit import LivePartition, read_live, read_seq
from ledger.audits.partition_audit import BookPartition, check_partition
from ledger.audits.worth_audit import check_worth
from ledger.books.migrate import check_schema
from ledger.books.postgres import Connection, Pool, open_pool, snapshot
from ledger.books.stored_records import stored_records
from ledger.config import LedgerConfig
from ledger.errors import InvariantBroken, LedgerUnavailable
from ledger.invariants import Findings, Invariant, InvariantResult
from ledger.live.keys import Keys
from ledger.live.redis_client import connect
from ledger.model import Partition
from ledger.record_kinds import EARNING
from ledger.service import WrongDeployment, require_pinned

CHECKED = (Invariant.I1, Invariant.I2, Invariant.I3, Invariant.I4, Invariant.I9, Invariant.I10)
"""What the ledger can check of itself; the others are about rooms."""
CHECKED_LIVE = (Invariant.I1, Invariant.I2, Invariant.I3, Invariant.I4, Invariant.I9)
"""What of it can be seen of the live ledger."""

_LAST = """
SELECT a.owner, a.kind, e.balance_after, e.seq FROM accounts a
JOIN LATERAL (SELECT balance_after, seq FROM entries WHERE account_id = a.id ORDER BY number DESC LIMIT 1) e ON true
WHERE a.partition = $1
"""
_STRIPES = f"""
SELECT creator, sum(creator_diamonds)::bigint AS earned FROM journal_records
WHERE partition = $1 AND kind IN {EARNING} GROUP BY creator
"""  # noqa: S608 - texts of ours
_AGENCIES_LESS = "SELECT coalesce(sum(agency_diamonds), 0)::bigint FROM gift_discounts WHERE partition = $1"
_POSITION = "SELECT seq FROM positions WHERE partition = $1"
_BEYOND = "SELECT max(partition) FROM positions WHERE partition >= $1 AND seq > 0"


class Step(msgspec.Struct, frozen=True):
    """What is looked at next, and how many of all steps are behind it. Steps are of unequal length."""

    words: str
    done: int
    steps: int


Progress = Callable[[Step], None]


class AuditReport(msgspec.Struct, frozen=True):
    """What an audit found.

    Attributes:
        units: for each unit what the accounts of a kind hold together in the books, and `sum`, which is 0.
    """

    ok: bool
    checked_at_ms: int
    invariants: list[InvariantResult]
    units: dict[str, dict[str, int]]


async def audit(config: LedgerConfig, progress: Progress | None = None) -> AuditReport:
    """Check I1, I2, I3, I4, I9 and I10.

    Memory is that of one partition's wallets, and its journal.

    Args:
        progress: hears before each step.

    Raises:
        LedgerUnavailable: a server did not answer.
        SchemaWrong: the database is not that of this code.
        WrongDeployment: what is stored was laid out by other settings, and would be looked for elsewhere.
    """
    told, findings = progress or _nobody, Findings(CHECKED)
    async with _stores(config) as (pool, redis):
        partitions = Keys(config.partitions).all()
        steps = len(partitions) + len(CHECKS) + 2
        for done, (partition, _) in enumerate(partitions):
            told(Step(f"partition {partition}", done, steps))
            await _audit_partition(pool, redis, config, partition, findings)
        async with snapshot(pool) as connection:
            for done, check in enumerate(CHECKS, len(partitions)):
                told(Step(f"the books: {check.about}", done, steps))
                await run_check(connection, check, findings)
            told(Step("the books: what coins are worth", steps - 2, steps))
            await check_worth(connection, findings)
            told(Step("the books: what the accounts hold", steps - 1, steps))
            units = await unit_totals(connection)
    results = findings.results()
    return AuditReport(all(result.ok for result in results), time.time_ns() // 1_000_000, results, units)


async def audit_live(config: LedgerConfig) -> list[InvariantResult]:
    """Check the live ledger against its own totals, its journal and the books; not the books themselves.

    Memory and errors are those of `audit`.
    """
    findings = Findings(CHECKED_LIVE)
    async with _stores(config) as (pool, redis):
        for partition, _ in Keys(config.partitions).all():
            await _audit_partition(pool, redis, config, partition, findings)
    return findings.results()


@asynccontextmanager
async def _stores(config: LedgerConfig) -> AsyncIterator[tuple[Pool, Redis]]:
    """Both, after it was seen that they are laid out as the configuration says; failures as `audit` raises them."""
    # A sum over all entries takes longer than what a gateway may wait for.
    patient = msgspec.structs.replace(config, database_timeout_ms=int(STATEMENT_S_MAX * 1000))
    pool, redis = await open_pool(patient), connect(config, any_server=True)
    try:
        async with snapshot(pool) as connection:
            await check_schema(connection)
            beyond = await connection.fetchval(_BEYOND, config.partitions)
        if beyond is not None:
            raise WrongDeployment(f"the books have partition {beyond}, the configuration says {config.partitions}")
        await require_pinned(redis, config)
        yield pool, redis
    except (RedisError, OSError) as exc:
        raise LedgerUnavailable(f"Redis does not answer: {exc}") from exc
    finally:
        await redis.aclose()
        await pool.close()


async def _audit_partition(
    pool: Pool, redis: Redis, config: LedgerConfig, partition: Partition, findings: Findings
) -> None:
    names = Keys(config.partitions).of(partition)
    try:
        live = await read_live(redis, names, partition, config)
    except InvariantBroken as exc:
        findings.violate(Invariant.I4, str(exc))
        return
    async with snapshot(pool) as connection:
        books = await _read_books(connection, live)
    books = msgspec.structs.replace(books, end_seq=await read_seq(redis, names))
    check_partition(live, books, findings)


async def _read_books(connection: Connection, live: LivePartition) -> BookPartition:
    partition = live.partition
    position_seq = int(await connection.fetchval(_POSITION, partition) or 0)
    wallets: dict[str, int] = {}
    last_seqs: dict[str, int] = {}
    platform: dict[str, int] = {}
    agencies = 0
    for row in await connection.fetch(_LAST, partition):
        if row["kind"] == AccountKind.AGENCY:
            agencies += row["balance_after"]
        elif owner := row["owner"]:
            wallets[owner], last_seqs[owner] = row["balance_after"], row["seq"]
        else:
            platform[row["kind"]] = row["balance_after"]
    stripes = {row["creator"]: row["earned"] for row in await connection.fetch(_STRIPES, partition)}
    holds = await open_holds(connection, partition, position_seq)
    missing = await stored_records(connection, partition, live.first_seq + 1, live.trimmed_seq)
    later = await stored_records(connection, partition, live.totals.seq + 1, position_seq)
    stored = await stored_records(connection, partition, live.trimmed_seq + 1, min(position_seq, live.totals.seq))
    # The live ledger counts the residue and an agency's part among the commission, and knows of no discounts.
    less = int(await connection.fetchval(_AGENCIES_LESS, partition))
    own = platform.get(AccountKind.COMMISSION, 0) + platform.get(AccountKind.RESIDUE, 0)
    commission = own + agencies + less
    return BookPartition(
        position_seq=position_seq,
        end_seq=0,
        wallets=wallets,
        stripes=stripes,
        last_seqs=last_seqs,
        holds=holds,
        coins_in=-platform.get(AccountKind.COINS_GRANTED, 0) - platform.get(AccountKind.COINS_SOLD, 0),
        spent=platform.get(AccountKind.SPENT, 0),
        reversed=platform.get(AccountKind.COINS_REVERSED, 0),
        held=platform.get(AccountKind.COINS_HELD, 0),
        charged=platform.get(AccountKind.COINS_CHARGED, 0),
        earned=-platform.get(AccountKind.ISSUANCE, 0) - commission,
        commission=commission,
        records=missing + later,
        stored={record.seq: record for record in stored},
    )


def _nobody(_: Step) -> None:
    """Nobody wants to know."""
