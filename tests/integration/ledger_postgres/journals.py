"""Writes journals as the money scripts would, without them: for tests of what reads a journal."""

import struct
import time
from collections import defaultdict

from redis.asyncio import Redis

from ledger.ids import new_id
from ledger.live.journal import encode_body
from ledger.live.keys import Keys
from ledger.model import Body, Cause, ComboTotals, CreatorId, CreditBody, GiftBody, JournalRecord, Partition, ViewerId


class JournalWriter:
    """Keeps wallets, makes records in order and appends them to the streams when told to."""

    def __init__(self, redis: Redis, keys: Keys, epoch: int = 1) -> None:
        self.records: list[JournalRecord] = []
        self.wallets: defaultdict[str, int] = defaultdict(int)
        self._redis = redis
        self._keys = keys
        self._epoch = epoch
        self._seqs: defaultdict[Partition, int] = defaultdict(int)
        self._waiting: defaultdict[Partition, list[JournalRecord]] = defaultdict(list)

    def credit(
        self, viewer: str, coins: int, cause: Cause = Cause.GRANT, credit_id: bytes | None = None
    ) -> JournalRecord:
        """Coins come in."""
        self.wallets[viewer] += coins
        return self._add(viewer, CreditBody(credit_id or new_id(_now_ms()), ViewerId(viewer), coins, cause, "why"))

    def gift(
        self,
        viewer: str,
        coins: int,
        *,
        creator: str = "cora",
        gift_id: bytes | None = None,
        combo: ComboTotals | None = None,
        commission_bp: int = 5_000,
    ) -> JournalRecord:
        """Coins are spent."""
        self.wallets[viewer] -= coins
        commission = coins * 100 * commission_bp // 10_000
        body = GiftBody(
            gift_id or new_id(_now_ms()),
            ViewerId(viewer),
            CreatorId(creator),
            "room:demo",
            "rose",
            coins,
            1,
            coins,
            coins * 100 - commission,
            commission,
            "room:demo|rose" if combo else "",
            5_000 if combo else 0,
            b'{"name":"Ada","level":3}',
        )
        return self._add(viewer, body, combo)

    async def send(self, records_per_entry: int = 16) -> None:
        """Append what waits, so many records to a stream entry, and note the last seq as the scripts do."""
        pipeline = self._redis.pipeline(transaction=False)
        for partition, records in self._waiting.items():
            keys = self._keys.of(partition)
            for start in range(0, len(records), records_per_entry):
                part = records[start : start + records_per_entry]
                last = part[-1]
                fields = {"t": str(last.at_ms), "d": b"".join(map(_after, part)), "r": _bodies(part)}
                pipeline.xadd(keys.journal, fields, id=f"{last.epoch}-{last.seq}")  # type: ignore[arg-type]
                pipeline.hset(keys.totals, mapping={"seq": last.seq, "epoch": last.epoch})
            await pipeline.execute()
        self._waiting.clear()

    def _add(self, viewer: str, body: Body, combo: ComboTotals | None = None) -> JournalRecord:
        partition = self._keys.partition_of(viewer)
        self._seqs[partition] += 1
        record = JournalRecord(
            partition, self._epoch, self._seqs[partition], _now_ms(), self.wallets[viewer], combo, body
        )
        self._waiting[partition].append(record)
        self.records.append(record)
        return record


def _after(record: JournalRecord) -> bytes:
    combo = record.combo or ComboTotals(bytes(16), 0, 0)
    return struct.pack(">ddd16s", record.wallet_after, combo.count, combo.coins, combo.id)


def _bodies(records: list[JournalRecord]) -> bytes:
    return b"\xdd" + struct.pack(">I", len(records)) + b"".join(encode_body(record.body) for record in records)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
