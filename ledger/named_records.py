"""Journal records in words that people know, for sentences about what was lost or differs."""

from msgspec import Struct

from ledger.ids import format_id
from ledger.model import JournalRecord, Partition
from ledger.record_kinds import kind_of


class NamedRecord(Struct, frozen=True):
    """A record as people look for it. `kind` is that of the books, such as `gift`, `hold` or `grant`."""

    partition: Partition
    seq: int
    kind: str
    id: str
    viewer: str
    coins: int

    def __str__(self) -> str:
        return f"{self.kind} {self.id} of {self.viewer} ({self.coins} coins)"


def named(record: JournalRecord) -> NamedRecord:
    """A record in words that people know."""
    body = record.body
    return NamedRecord(record.partition, record.seq, kind_of(body), format_id(body.id), body.viewer, body.coins)
