"""The relay: reads the journal of every partition and tells the rooms; ends combos; tells wallets.

Rooms take each record once, however often it is told (`Broker.tell`), and the relay notes how far it is only after it
told them. So it may be killed anywhere: it comes back to the noted position and tells again. A combo is ended when
every gift before its deadline is known to have been told; the room does that once, and then the ledger forgets it.
"""

import asyncio
import math
from collections.abc import Sequence
from operator import attrgetter
from typing import Final

import msgspec
import structlog
from msgspec import Struct

from gateway.room.config import RoomConfig
from gateway.room.deadlines import ComboDeadlines, OpenEnd
from gateway.room.facts import (
    ComboFact,
    ComboState,
    GiftDetails,
    GiftFact,
    WalletChange,
    decode_details,
    end_of,
    room_of,
)
from gateway.rooms.broker import Broker
from gateway.rooms.room_scripts import ComboEnding, RoomTelling, Telling
from ledger.errors import InvariantBroken, LedgerError
from ledger.live.journal import Batch, JournalReader, Position
from ledger.model import GiftBody, GiftSettledBody, GiftUndoneBody, HeldGiftBody, JournalRecord, Partition
from ledger.service import Ledger, OpenCombo

_log = structlog.get_logger()
_by_time: Final = attrgetter("at_ms")
_Told = GiftBody | HeldGiftBody | GiftUndoneBody
_TOLD: Final = (GiftBody, HeldGiftBody, GiftUndoneBody)
"""Of what rooms are told, the most frequent first."""


class RelayOvertaken(LedgerError):
    """Another relay told the rooms more than this one knows."""


class RelayStats(Struct):
    """Counts since the start, for metrics.

    Attributes:
        gifts: records told to rooms, told again ones included.
        passed_over: gifts given elsewhere than in a room.
        undone: records of gifts that were taken back, among those told.
        settled: records of gifts that were told before and are paid for good: nobody is told.
        unreadable: gifts whose details could not be read; they were told as anonymous.
        ended: ends of combos that were told.
        last_at_ms: commit time of the newest record told, 0 before the first.
        open_combos: combos that wait for their deadline.
    """

    batches: int = 0
    gifts: int = 0
    passed_over: int = 0
    undone: int = 0
    settled: int = 0
    unreadable: int = 0
    credits: int = 0
    ended: int = 0
    last_at_ms: int = 0
    open_combos: int = 0


class Relay:
    """Relays partitions. `run` is one duty; two relays of a partition at once do no harm, but the work twice.

    Args:
        ledger: its connections are used for reading; one is held while waiting for records.
        broker: need not be started.
        epoch: rooms are told in this one at least, also what is older.
    """

    def __init__(self, ledger: Ledger, broker: Broker, config: RoomConfig, *, epoch: int = 0) -> None:
        self.stats = RelayStats()
        self._epoch = epoch
        self._ledger = ledger
        self._broker = broker
        self._config = config
        self._deadlines = ComboDeadlines()
        self._unsaved: dict[Partition, Position] = {}
        self._saved_s = 0.0

    async def run(self, partitions: Sequence[Partition] | None = None) -> None:
        """Relay until cancelled, from the noted positions on. May be run again after it failed, or for others.

        Args:
            partitions: every one when None.

        Raises:
            LedgerUnavailable, redis.RedisError, OSError: the server did not answer.
            InvariantBroken: the journal is damaged or has a hole.
            RelayOvertaken: another relay is ahead, and the journal behind it is gone; to be run again.
        """
        reader = await self._begin(partitions)
        try:
            await self._relay_on(reader)
        except InvariantBroken as exc:
            stored = await self._ledger.relay_positions()
            if any(stored.get(partition, Position()) > position for partition, position in reader.positions.items()):
                raise RelayOvertaken(f"another relay is ahead: {exc}") from exc
            raise

    async def catch_up(self, before_ms: int | None = None) -> None:
        """Tell all that the journal holds now, end the combos that are due, note how far that is, and return.

        Args:
            before_ms: records from this time on may follow that the journal does not hold; combos are ended only where
                their deadline lies before it. None where it holds all that there is.

        Raises:
            LedgerUnavailable, redis.RedisError, OSError: the server did not answer; to be run again.
            InvariantBroken: the journal is damaged or has a hole.
        """
        reader, caught_up, entries_max = await self._begin(), False, self._config.relay_entries_max
        while not caught_up:
            batch = await reader.read(block_ms=None, entries_max=entries_max)
            await self._relay(batch)
            if batch.caught_up_to_ms is not None:
                caught_up_to_ms = batch.caught_up_to_ms
                await self._end_combos(caught_up_to_ms if before_ms is None else min(before_ms, caught_up_to_ms))
                caught_up = True
            entries_max = self._next_entries_max(entries_max, len(batch.records))
        if self._unsaved:
            await self._save()

    async def _relay_on(self, reader: JournalReader) -> None:
        entries_max, block_ms = self._config.relay_entries_max, None
        while not _cancelled():
            batch = await reader.read(block_ms=block_ms, entries_max=entries_max)
            await self._relay(batch)
            if batch.caught_up_to_ms is not None:
                await self._end_combos(batch.caught_up_to_ms)
            if self._unsaved and self._save_in_ms() <= 0:
                await self._save()
            entries_max = self._next_entries_max(entries_max, len(batch.records))
            # Only a read that does not wait says how far it caught up, so every wait is followed by such a one.
            idle = not batch.records and block_ms is None
            block_ms = self._wait_ms(batch.caught_up_to_ms) if idle else None
        raise asyncio.CancelledError

    async def _begin(self, partitions: Sequence[Partition] | None = None) -> JournalReader:
        positions = await self._ledger.relay_positions()
        self._deadlines = ComboDeadlines()
        self._unsaved = {}
        reader = self._ledger.journal_reader(positions, partitions)
        for partition in reader.positions:
            for combo in await self._ledger.open_combos(partition):
                self._deadlines.note(_open_end(combo))
        return reader

    async def _relay(self, batch: Batch) -> None:
        if not batch.records:
            return
        records = sorted(batch.records, key=_by_time)
        rooms: dict[str, list[JournalRecord]] = {}
        for record in records:
            body = record.body
            if isinstance(body, _TOLD):
                room = room_of(body.place)
                if body.combo_key and record.combo is not None:
                    self._deadlines.note(_noted(record, body, room))
                if room is not None:
                    rooms.setdefault(room, []).append(record)
                else:
                    self.stats.passed_over += 1
            elif isinstance(body, GiftSettledBody):
                self.stats.settled += 1
            else:
                self.stats.credits += 1
        tellings = [self._room_telling(room, told) for room, told in rooms.items()]
        await self._broker.tell(tellings, _wallet_changes(records))
        for record in records:
            self._unsaved[record.partition] = batch.positions[record.partition]
        self.stats.batches += 1
        self.stats.last_at_ms = records[-1].at_ms

    def _room_telling(self, room: str, records: Sequence[JournalRecord]) -> RoomTelling:
        self.stats.gifts += len(records)
        tellings = [self._telling(record, record.body) for record in records if isinstance(record.body, _TOLD)]
        return RoomTelling(room, max(self._epoch, *(record.epoch for record in records)), tellings)

    def _telling(self, record: JournalRecord, body: _Told) -> Telling:
        details = self._details(body)
        combo = record.combo
        undone = isinstance(body, GiftUndoneBody)
        self.stats.undone += undone
        fact = GiftFact(
            record.partition,
            record.seq,
            body.id,
            body.viewer,
            details.name,
            details.level,
            details.anonymous,
            body.creator,
            body.item,
            body.unit_coins,
            body.count,
            body.coins,
            record.at_ms,
            None if combo is None else ComboFact(combo.id, combo.count, combo.coins, _state(combo.id, body.id)),
            None if undone else details.message,
            False,
            record.at_ms + body.undo_ms if isinstance(body, HeldGiftBody) else 0,
            undone,
        )
        if combo is None:
            return Telling(fact)
        return Telling(fact, body.combo_key, end_of(fact, record.at_ms + body.combo_window_ms))

    def _details(self, body: _Told) -> GiftDetails:
        try:
            return decode_details(body.details)
        except msgspec.DecodeError as exc:
            # The gift is paid and must be shown; whom it may name is unknown, so it names nobody.
            self.stats.unreadable += 1
            _log.error("gift_details_unreadable", gift=body.id.hex(), error=str(exc))
            return GiftDetails(body.viewer, 0, anonymous=True)

    async def _end_combos(self, caught_up_to_ms: int) -> None:
        due = self._deadlines.due(caught_up_to_ms)
        self.stats.open_combos = len(self._deadlines)
        size = self._config.endings_max
        for part in (due[start : start + size] for start in range(0, len(due), size)):
            endings = [
                ComboEnding(end.room, end.epoch, end.viewer, end.combo_key, end.combo_id)
                for end in part
                if end.room is not None
            ]
            self.stats.ended += await self._broker.end_combos(endings)
            await self._ledger.forget_combos(
                [(Partition(end.partition), end.viewer, end.combo_key, end.combo_id) for end in part]
            )

    async def _save(self) -> None:
        self._saved_s = asyncio.get_running_loop().time()
        await self._ledger.save_relay_positions(self._unsaved)
        self._unsaved = {}

    def _save_in_ms(self) -> int:
        since_s = asyncio.get_running_loop().time() - self._saved_s
        return math.ceil(self._config.relay_save_ms - since_s * 1000)

    def _wait_ms(self, caught_up_to_ms: int | None) -> int:
        """How long to wait for a record: until a combo can be ended or the position is to be noted; never for ever."""
        wait_ms = self._config.relay_idle_ms
        next_ms = self._deadlines.next_ms()
        if next_ms is not None and caught_up_to_ms is not None:
            wait_ms = min(wait_ms, next_ms - caught_up_to_ms + 1)
        if self._unsaved:
            wait_ms = min(wait_ms, self._save_in_ms())
        return max(1, wait_ms)

    def _next_entries_max(self, entries_max: int, records: int) -> int:
        if records > self._config.relay_records_max:
            return max(1, entries_max // 2)
        return min(self._config.relay_entries_max, entries_max * 2)


def _cancelled() -> bool:
    """Whether somebody cancelled this task. `asyncio.wait_for`, with which redis-py sends, may swallow a cancellation
    that comes as the sending ends (Python 3.11), and then nothing would stop the relay.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _state(combo_id: bytes, gift_id: bytes) -> ComboState:
    return ComboState.START if combo_id == gift_id else ComboState.UPDATE


def _noted(record: JournalRecord, body: _Told, room: str | None) -> OpenEnd:
    combo_id = body.id if record.combo is None else record.combo.id
    deadline_ms = record.at_ms + body.combo_window_ms
    return OpenEnd(record.partition, body.viewer, body.combo_key, combo_id, room, record.epoch, deadline_ms)


def _open_end(combo: OpenCombo) -> OpenEnd:
    """A combo that was open when the relay began. The gateway's combo keys begin with the place."""
    room = room_of(combo.combo_key.partition("|")[0])
    return OpenEnd(combo.partition, combo.viewer, combo.combo_key, combo.id, room, 0, combo.deadline_ms)


def _wallet_changes(records: Sequence[JournalRecord]) -> list[WalletChange]:
    """The newest wallet of each viewer."""
    newest = {record.body.viewer: record for record in records}
    return [WalletChange(viewer, record.seq, record.wallet_after) for viewer, record in newest.items()]
