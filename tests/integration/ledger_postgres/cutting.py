"""Makes the first volume of empty books small, so that a test fills several."""

from ledger.books.postgres import Pool

_CUT = """
ALTER TABLE journal_records_volumes DETACH PARTITION journal_records_v1;
ALTER TABLE entries_volumes DETACH PARTITION entries_v1;
ALTER TABLE journal_records_volumes ATTACH PARTITION journal_records_v1 FOR VALUES FROM (1) TO ({end});
ALTER TABLE entries_volumes ATTACH PARTITION entries_v1 FOR VALUES FROM (1) TO ({end});
UPDATE volumes SET end_seq = {end} WHERE number = 1;
"""


async def cut_first_volume(pool: Pool, records: int) -> None:
    """The first volume is for so many records of each partition."""
    await pool.execute(_CUT.format(end=records + 1))


async def detach_records(pool: Pool, number: int) -> None:
    """As an operator would."""
    await pool.execute(f"ALTER TABLE journal_records_volumes DETACH PARTITION journal_records_v{number}")
