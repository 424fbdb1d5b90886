"""Journal records as the books hold them: the way back from rows to what came out of the journal."""

from typing import Final

from ledger.books.copy_rows import RECORD_COLUMNS, read_record
from ledger.books.postgres import Connection
from ledger.model import JournalRecord, Partition

_RECORDS: Final = f"""
SELECT {", ".join(RECORD_COLUMNS)} FROM journal_records WHERE partition = $1 AND seq BETWEEN $2 AND $3 ORDER BY seq
"""  # noqa: S608 - column names of ours


async def stored_records(connection: Connection, partition: Partition, first: int, last: int) -> list[JournalRecord]:
    """The records of a partition from `first` to `last`, as far as the books have them."""
    if last < first:
        return []
    return [read_record(row) for row in await connection.fetch(_RECORDS, partition, first, last)]
