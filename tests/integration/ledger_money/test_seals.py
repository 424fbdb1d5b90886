"""Seals over the records of the books: the chain is what SHA-256 says, and whatever is changed later is named."""

import asyncio
import hashlib
import re

import msgspec
import pytest

from ledger.audits.audit import audit
from ledger.books.postgres import Pool
from ledger.books.seals import RECORD_HASH, Seals
from ledger.config import LedgerConfig
from ledger.office import Office
from tests.integration.ledger_money.money import Money

_TEXTS = """
SELECT ROW(epoch, seq, (extract(epoch FROM at) * 1000000)::bigint, kind, id, viewer, creator, place, item,
    unit_coins, count, coins, wallet_after, creator_diamonds, commission_diamonds, combo_key, combo_window_ms, combo_id,
    combo_count, combo_coins, reference, encode(details, 'hex'), plan, agency, agency_diamonds,
    encode(digest, 'hex'))::text || ',at ' || (extract(epoch FROM recorded_at) * 1000000)::bigint
FROM journal_records WHERE partition = $1 AND seq > $2 AND seq <= $3 ORDER BY seq
"""
_COVERED = """
SELECT seq - lag(seq, 1, 0::bigint) OVER (PARTITION BY partition ORDER BY number) AS records FROM seals
"""
_COLUMNS = """
SELECT attname FROM pg_attribute WHERE attrelid = 'journal_records'::regclass AND attnum > 0 AND NOT attisdropped
"""
_ALL = "SELECT partition, number, seq, hash FROM seals ORDER BY partition, number"


async def violations(config: LedgerConfig) -> list[str]:
    """What the audit finds."""
    return [words for result in (await audit(config)).invariants for words in result.violations]


async def earned(office: Office, money: Money) -> None:
    """Some records in several partitions, and all sealed."""
    for viewer in ("ann", "bob", "cem", "dot"):
        await money.earn("cora", 10, viewer)
    await office.seals.round()


async def test_chain_is_what_sha256_says(office: Office, money: Money, pool: Pool) -> None:
    """Worked out here from the rows: each seal hashes the one before it and the records since, and all are covered."""
    await earned(office, money)
    await money.earn("cora", 5)
    heads = await office.seals.round()
    before: dict[int, tuple[int, bytes]] = {}
    for row in await pool.fetch(_ALL):
        seq, chained = before.get(row["partition"], (0, b""))
        rows = await pool.fetch(_TEXTS, row["partition"], seq, row["seq"])
        hashes = b"".join(hashlib.sha256(text.encode()).digest() for (text,) in rows)
        assert row["hash"] == hashlib.sha256(chained + hashes).digest()
        before[row["partition"]] = (row["seq"], row["hash"])
    positions = await pool.fetch("SELECT partition, seq FROM positions WHERE seq > 0")
    assert {partition: seq for partition, (seq, _) in before.items()} == {
        row["partition"]: row["seq"] for row in positions
    }
    assert all(heads[partition] == f"{before[partition][0]}:{before[partition][1].hex()}" for partition in heads)
    assert await office.seals.round() == {}


async def test_every_column_is_sealed(pool: Pool) -> None:
    """None is left out of the hash; the partition is that of the chain."""
    columns = {row["attname"] for row in await pool.fetch(_COLUMNS)} - {"partition"}
    assert len(columns) > 25
    assert {column for column in columns if not re.search(rf"\br\.{column}\b", RECORD_HASH)} == set()


async def test_long_stretch_is_sealed_in_parts(money: Money, pool: Pool, config: LedgerConfig) -> None:
    """A seal covers no more records than configured; a round goes on until nothing is left."""
    for _ in range(3):
        await money.earn("cora", 10)
    await Seals(pool, msgspec.structs.replace(config, seal_records_max=2)).round()
    covered = await pool.fetch(_COVERED)
    assert [row["records"] for row in covered] == [2, 2, 2]
    assert await violations(config) == []


async def test_two_who_seal_at_once(office: Office, money: Money, config: LedgerConfig) -> None:
    """Each seal is made by one of them, and the chain holds."""
    for viewer in ("ann", "bob", "cem", "dot"):
        await money.earn("cora", 10, viewer)
    await asyncio.gather(*(office.seals.round() for _ in range(4)))
    assert await violations(config) == []


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE journal_records SET details = 'x' WHERE kind = 'gift' AND viewer = 'ann'",
        "UPDATE journal_records SET at = at + interval '1 microsecond' WHERE kind = 'gift' AND viewer = 'ann'",
        "UPDATE journal_records SET reference = 'another reason' WHERE kind = 'grant' AND viewer = 'ann'",
        "UPDATE journal_records SET item = 'heart' WHERE kind = 'gift' AND viewer = 'ann'",
        "UPDATE journal_records SET recorded_at = at WHERE kind = 'gift' AND viewer = 'ann'",
        "UPDATE journal_records SET recorded_at = NULL WHERE kind = 'grant' AND viewer = 'ann'",
        "UPDATE seals SET hash = sha256('x') WHERE number = 1",
    ],
)
async def test_change_after_the_seal(
    office: Office, money: Money, pool: Pool, config: LedgerConfig, change: str
) -> None:
    """Also of a column that no sum depends on: the audit names partition and records."""
    await earned(office, money)
    assert await violations(config) == []
    await pool.execute(change)
    assert any("are not those that were sealed" in words for words in await violations(config))
