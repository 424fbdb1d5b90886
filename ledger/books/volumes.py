"""The books in volumes: tables of journal records and entries for so many record numbers of every partition.

A volume is made ahead by a duty of the worker, and by the flusher itself where the duty was away: no flush waits for
somebody. PostgreSQL keeps an id unique within a volume; `IdGuard` says which ids of a batch have to be looked for in
the older ones.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import structlog
from msgspec import Struct

from ledger.books.postgres import Connection, Pool, connected
from ledger.books.rows import ms_of, uuid_of
from ledger.config import LedgerConfig
from ledger.errors import InvariantBroken
from ledger.model import GiftBody, HeldGiftBody, JournalRecord, Partition
from ledger.record_kinds import kind_of

_log = structlog.get_logger()
_LOCK: Final = 0x67_69_66_76
"""Advisory lock of whoever makes a volume."""
_ID_TIME_BYTES: Final = 6
_GIVEN: Final = frozenset({GiftBody, HeldGiftBody})
_ALL_IDS: Final = b"\xff" * 17
"""Above every id."""
# What somebody detached is not in the books, so nothing is written there.
_VOLUMES: Final = """
SELECT number, first_seq, end_seq FROM volumes
WHERE to_regclass('entries_v' || number) IN (SELECT inhrelid FROM pg_inherits) ORDER BY number
"""
_LAST: Final = "SELECT number, first_seq, end_seq FROM volumes ORDER BY number DESC LIMIT 1"
_MAKE: Final = """
CREATE TABLE journal_records_v{number} (
    LIKE journal_records INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE INCLUDING COMPRESSION,
    PRIMARY KEY (partition, seq)
);
CREATE UNIQUE INDEX journal_records_v{number}_id ON journal_records_v{number} (id, viewer, kind);
CREATE TABLE entries_v{number} (
    LIKE entries INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE INCLUDING COMPRESSION,
    PRIMARY KEY (account_id, number)
);
ALTER TABLE journal_records_volumes ATTACH PARTITION journal_records_v{number}
    FOR VALUES FROM ({first_seq}) TO ({end_seq});
ALTER TABLE entries_volumes ATTACH PARTITION entries_v{number} FOR VALUES FROM ({first_seq}) TO ({end_seq});
INSERT INTO volumes (number, first_seq, end_seq) VALUES ({number}, {first_seq}, {end_seq});
"""
_HIGHEST: Final = "SELECT coalesce(max(seq), 0) FROM positions WHERE partition >= 0"
_BEGAN: Final = """
SELECT r.partition, r.at FROM unnest($1::smallint[], $2::bigint[]) AS first (partition, seq)
JOIN journal_records r ON r.partition = first.partition AND r.seq = first.seq
"""
_TWICE: Final = """
SELECT n.partition, n.seq, n.kind, r.seq AS before
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::smallint[], $5::bigint[]) AS n (id, viewer, kind, partition, seq)
JOIN journal_records r ON r.id = n.id AND r.viewer = n.viewer AND r.kind = n.kind
WHERE (r.partition, r.seq) <> (n.partition, n.seq) ORDER BY r.seq LIMIT 1
"""


class Volume(Struct, frozen=True):
    """Records from `first_seq` to before `end_seq` of every partition."""

    number: int
    first_seq: int
    end_seq: int


class VolumesStats(Struct):
    """What the duty did since the start.

    Attributes:
        volumes: how many there are.
        ahead_records: record numbers that are free in made volumes, for the partition that is furthest.
    """

    rounds: int = 0
    made: int = 0
    volumes: int = 0
    ahead_records: int = 0


class Volumes:
    """The duty; several workers may do it at once."""

    def __init__(self, pool: Pool, config: LedgerConfig) -> None:
        self.stats = VolumesStats()
        self._pool = pool
        self._config = config

    async def run(self) -> None:
        """See every `volumes_interval_ms` that a whole volume is ahead, until cancelled.

        Raises:
            LedgerUnavailable: PostgreSQL does not answer; begin again after a while.
        """
        while True:
            await self.round()
            await asyncio.sleep(self._config.volumes_interval_ms / 1000)

    async def round(self) -> int:
        """Make what is missing.

        Returns:
            How many volumes were made.
        """
        async with connected(self._pool) as connection:
            highest = int(await connection.fetchval(_HIGHEST))
            made = await make_volumes(connection, highest + self._config.volume_records, self._config.volume_records)
            volumes = await read_volumes(connection)
        if made:
            _log.info("volumes_made", numbers=[volume.number for volume in made], end_seq=made[-1].end_seq)
        self.stats.rounds += 1
        self.stats.made += len(made)
        self.stats.volumes = len(volumes)
        self.stats.ahead_records = max(0, volumes[-1].end_seq - 1 - highest) if volumes else 0
        return len(made)


class IdGuard:
    """Finds ids of gifts and credits that older volumes have already, where a volume's own index cannot know.

    A record is not older than its id by more than `ahead_ms`. So a gift whose id was made later than that after its
    partition began this volume is in no older one; few others are left once a volume has begun. Whatever is no gift may
    have an id of any age, and is always looked for.
    """

    def __init__(self, ahead_ms: int) -> None:
        self._ahead_ms = ahead_ms
        self._volumes: Sequence[Volume] = ()
        self._began_ms: dict[tuple[Partition, int], int] = {}

    async def load(self, connection: Connection, positions: Mapping[Partition, int], volumes: Sequence[Volume]) -> None:
        """Read when partitions began the volumes that they are in."""
        self._volumes = volumes
        within = [(partition, volume_of(volumes, seq)) for partition, seq in positions.items()]
        begun = [(partition, volume) for partition, volume in within if volume is not None]
        rows = await connection.fetch(
            _BEGAN, [partition for partition, _ in begun], [volume.first_seq for _, volume in begun]
        )
        began = {row["partition"]: ms_of(row["at"]) for row in rows}
        self._began_ms = {
            (partition, volume.number): began[partition] for partition, volume in begun if partition in began
        }

    def volumes_are(self, volumes: Sequence[Volume]) -> None:
        """There are more volumes now."""
        self._volumes = volumes

    def suspects(
        self, records: Sequence[JournalRecord], before: Mapping[Partition, int], lasts: Mapping[Partition, int]
    ) -> list[JournalRecord]:
        """Records of a batch whose ids may be in another volume.

        Args:
            before: the last record of each partition before the batch.
            lasts: the last ones of the batch.
        """
        bounds = {partition: self._bound(partition, before[partition] + 1, last) for partition, last in lasts.items()}
        if not any(bounds.values()):
            return []
        return [
            record
            for record in records
            if (bound := bounds[record.partition]) and (type(record.body) not in _GIVEN or record.body.id < bound)
        ]

    def wrote(
        self, records: Sequence[JournalRecord], before: Mapping[Partition, int], lasts: Mapping[Partition, int]
    ) -> None:
        """The batch is in the books: remember which partitions began a volume with it, and when."""
        for partition, last in lasts.items():
            volume = volume_of(self._volumes, last)
            if volume is not None and before[partition] < volume.first_seq:
                self._began_ms[partition, volume.number] = next(
                    record.at_ms
                    for record in records
                    if record.partition == partition and record.seq == volume.first_seq
                )

    def _bound(self, partition: Partition, first: int, last: int) -> bytes:
        """Ids of gifts below it are looked for; empty where there is no older volume."""
        if not self._volumes or last < self._volumes[0].end_seq:
            return b""
        volume = volume_of(self._volumes, last)
        began_ms = None if volume is None else self._began_ms.get((partition, volume.number))
        if began_ms is None or volume is None or first < volume.first_seq:
            return _ALL_IDS
        return (began_ms + self._ahead_ms).to_bytes(_ID_TIME_BYTES, "big")


async def read_volumes(connection: Connection) -> list[Volume]:
    """The volumes that are in the books, in order."""
    return [Volume(*row) for row in await connection.fetch(_VOLUMES)]


def volume_of(volumes: Sequence[Volume], seq: int) -> Volume | None:
    """The volume of a record."""
    return next((volume for volume in reversed(volumes) if volume.first_seq <= seq < volume.end_seq), None)


async def make_volumes(connection: Connection, seq: int, records: int) -> list[Volume]:
    """Make volumes until record `seq` has its place; outside of a transaction.

    Writers go on meanwhile, and who reads as well: attaching a table waits for neither.

    Args:
        records: how many records of each partition one volume is for.
    """
    made: list[Volume] = []
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        found = await connection.fetchrow(_LAST)
        if found is None:
            raise InvariantBroken("I9", "the books have no volume")
        last = Volume(*found)
        while last.end_seq <= seq:
            last = Volume(last.number + 1, last.end_seq, last.end_seq + records)
            await connection.execute(_MAKE.format(number=last.number, first_seq=last.first_seq, end_seq=last.end_seq))
            made.append(last)
    return made


async def refuse_known_ids(connection: Connection, suspects: Sequence[JournalRecord]) -> None:
    """See that none of these, which this transaction wrote, has its id in another volume.

    Raises:
        InvariantBroken: one does (I3).
    """
    if not suspects:
        return
    row = await connection.fetchrow(
        _TWICE,
        [uuid_of(record.body.id) for record in suspects],
        [record.body.viewer for record in suspects],
        [kind_of(record.body) for record in suspects],
        [record.partition for record in suspects],
        [record.seq for record in suspects],
    )
    if row is not None:
        raise InvariantBroken(
            "I3",
            f"record {row['seq']} of partition {row['partition']}: the id of this {row['kind']} is that of record"
            f" {row['before']}",
        )
