"""Every Redis key of the ledger is spelled here and nowhere else.

A partition's keys share one hash tag, so that a script that is given them runs on one node of a cluster. Values:

| key | type | holds |
|---|---|---|
| wallets | hash | viewer → coins |
| earnings | hash | creator → diamonds of this stripe |
| totals | hash | fields of `Total`: numbers of records, a clock, sums of coins and diamonds |
| combos | hash | viewer NUL combo key → id, count, coins, deadline |
| guards | hash | viewer → gift rate, coins counted in day, week and month, freeze, caps (`lua/parts/guards.lua`) |
| given_today | hash | `day` → number of the day (UTC) that it is of; viewer NUL creator → coins |
| credits | hash | id of a grant or purchase → digest, balance after |
| reversals | hash | id of a refund → digest, balance after, coins taken |
| holds | hash | id of an open hold + viewer → digest, balance after, deadline, coins, time, counted or not, reference |
| hold_deadlines | zset | id of an open hold + viewer, by deadline |
| hold_counts | hash | viewer → how many of its holds are open |
| ended_holds | hash | id of an ended hold + viewer → how, coins taken, balance after, time, then as it was in `holds` |
| open_gifts | hash | id of a gift that may be undone + viewer → what it is (`lua/parts/open_gifts.lua`) |
| undo_deadlines | zset | the same ids + viewers, by when they may be undone no more |
| undo_counts | hash | viewer → how many of its gifts may be undone |
| undone_gifts | hash | id of an undone gift + viewer → coins, balance after, time |
| windows_shut | hash | viewer → until when its gifts are paid at once: a refund waits, or it has just taken one back |
| ids | hash, one a time bucket, expires | gift id + viewer → digest, coins |
| journal | stream | the records, in order; entry id = epoch-seq of its last record |
| relay | string | how far the relay has told the rooms: epoch-seq |
"""

import enum
import zlib
from typing import Final

from ledger.live.tags import tags
from ledger.model import Partition

_PREFIX: Final = "gw"


class Total(enum.StrEnum):
    """Fields of a partition's totals; integers.

    In coins: the wallets sum to coins_in - spent - reversed - held - charged, gifts that may be undone to held_gifts,
    and those with the open holds to held. In diamonds: the stripes sum to earned; earned + commission is 100 for each
    coin of spent. `seq` is that of the last record, `flushed` that of the last one known to be in PostgreSQL, and
    `came_seq` that of the last one by which coins came into a wallet or left it otherwise than by paying (a credit, a
    refund, the end of a hold, an undone gift). `clock` is the latest time any commit saw. A partition without an epoch,
    or with epoch 0, takes no orders. `id_buckets` alone is text: when each bucket of ids that was begun expires.
    """

    EPOCH = "epoch"
    SEQ = "seq"
    CAME_SEQ = "came_seq"
    CLOCK = "clock"
    COINS_IN = "coins_in"
    SPENT = "spent"
    REVERSED = "reversed"
    """What refunds and charge-backs took from wallets."""
    HELD = "held"
    HELD_GIFTS = "held_gifts"
    CHARGED = "charged"
    """What was taken of holds that were settled."""
    EARNED = "earned"
    COMMISSION = "commission"
    FLUSHED = "flushed"
    ID_BUCKETS = "id_buckets"
    """In ms, with spaces between, each until `clock` has passed it. A bucket that stands here and is not there was
    forgotten before its time, since the server's clock ran ahead: ids of its time are refused."""


class PartitionKeys:
    """The keys of one partition, as bytes ready to be sent."""

    __slots__ = (
        *("_base", "combos", "credits", "earnings", "given_today", "guards", "journal", "relay", "reversals"),
        *("ended_holds", "hold_counts", "hold_deadlines", "holds", "totals", "wallets"),
        *("open_gifts", "undo_counts", "undo_deadlines", "undone_gifts", "windows_shut"),
    )

    def __init__(self, tag: str) -> None:
        base = f"{_PREFIX}:{{{tag}}}:"
        self._base = base
        self.wallets = f"{base}wallets".encode()
        self.earnings = f"{base}earnings".encode()
        self.totals = f"{base}totals".encode()
        self.combos = f"{base}combos".encode()
        self.guards = f"{base}guards".encode()
        self.given_today = f"{base}given_today".encode()
        self.credits = f"{base}credits".encode()
        self.reversals = f"{base}reversals".encode()
        self.holds = f"{base}holds".encode()
        self.hold_deadlines = f"{base}hold_deadlines".encode()
        self.hold_counts = f"{base}hold_counts".encode()
        self.ended_holds = f"{base}ended_holds".encode()
        self.open_gifts = f"{base}open_gifts".encode()
        self.undo_deadlines = f"{base}undo_deadlines".encode()
        self.undo_counts = f"{base}undo_counts".encode()
        self.undone_gifts = f"{base}undone_gifts".encode()
        self.windows_shut = f"{base}windows_shut".encode()
        self.journal = f"{base}journal".encode()
        self.relay = f"{base}relay".encode()

    def ids(self, bucket: int) -> bytes:
        """The gift ids whose time lies in this bucket (time // bucket length)."""
        return f"{self._base}ids:{bucket}".encode()

    def channel(self, name: str) -> bytes:
        """A sharded pub/sub channel in this partition's slot."""
        return f"{self._base}channel:{name}".encode()


class Keys:
    """The keys of a deployment and who lives in which partition.

    Args:
        partitions: fixed when the deployment is made; another number would look for wallets in the wrong places.
    """

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self._by_partition = tuple(PartitionKeys(tag) for tag in tags(partitions))

    def of(self, partition: Partition) -> PartitionKeys:
        """Keys of a partition."""
        return self._by_partition[partition]

    def all(self) -> list[tuple[Partition, PartitionKeys]]:
        """Every partition with its keys, in order."""
        return [(Partition(index), keys) for index, keys in enumerate(self._by_partition)]

    def partition_of(self, viewer: str) -> Partition:
        """The partition of a viewer: CRC-32 of the name, modulo the number of partitions."""
        return Partition(zlib.crc32(viewer.encode()) % self.partitions)


DEPLOYMENT: Final = f"{_PREFIX}:deployment".encode()
"""A hash that pins what must not change once there is money: `partitions`, `id_bucket_ms`, `id_window_ms`; the `server`
on which the ledger runs; and `repair_epoch` while a repair is under way."""
FIRST_EPOCH: Final = "1"
"""Of a partition that is used for the first time."""
SERVER: Final = "server"
"""Field of the deployment: the replication id of the server on which the ledger ran last."""
REPAIR_EPOCH: Final = "repair_epoch"
"""Field of the deployment: under which epoch the repair that has begun and not ended will let orders in again."""
