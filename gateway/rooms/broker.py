"""What joins the gateways and the relay: rooms are told here, and heard and read here.

The contract. A batch is appended to its room's history and published in one step, as the same bytes, so whoever missed
the one can read the other. Batches of a room are published in the order of their seq. A subscription that was lost is
taken up again and `on_lost` told, and every room must then be healed from its history.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.room.config import RoomConfig
from gateway.room.facts import (
    GiftFact,
    RoomBatch,
    WalletChange,
    decode_batch,
    decode_wallets,
    encode_wallets,
)
from gateway.rooms.room_channels import Channels
from gateway.rooms.room_keys import EVERY_META, WALLETS_CHANNEL, keys_of, room_of_meta
from gateway.rooms.room_scripts import ComboEnding, RoomScripts, RoomTelling
from gateway.wire.messages import TopEntry
from ledger.config import LedgerConfig
from ledger.errors import LedgerUnavailable
from ledger.live.redis_client import connect

_T = TypeVar("_T")
_ROOMS_SCANNED: Final = 1_000


class BrokerUnavailable(LedgerUnavailable):
    """Redis does not answer about rooms, or refuses to: it is loading, or full."""


class RoomSnapshot(Struct, frozen=True):
    """How far a room is.

    Attributes:
        epoch, seq: of the last fact told; 0, 0 for a room that was never told anything.
        oldest_seq: of the first fact that the history still holds; seq + 1 when it holds none.
    """

    epoch: int
    seq: int
    oldest_seq: int


class Broker:
    """Rooms on one server. `start` and `stop` are for those who hear; reading and telling work without.

    Every method raises `BrokerUnavailable` when the server does not answer.
    """

    def __init__(self, redis: Redis, config: RoomConfig) -> None:
        self.channels: Channels | None = None
        self._redis = redis
        self._config = config
        self._scripts = RoomScripts(redis, config)

    # Hearing.

    async def start(
        self,
        on_batch: Callable[[RoomBatch], None],
        on_wallets: Callable[[list[WalletChange]], None],
        on_lost: Callable[[], None],
    ) -> None:
        """Hear wallets from now on, and rooms once they are subscribed to.

        Args:
            on_batch, on_wallets: called from the read loop; they must not block.
            on_lost: something may have been missed, and reading is possible again: heal every room.
        """

        def on_message(channel: bytes, payload: bytes) -> None:
            if channel == WALLETS_CHANNEL:
                on_wallets(decode_wallets(payload))
            else:
                on_batch(decode_batch(payload))

        self.channels = Channels(self._redis, self._config, on_message, on_lost)
        await self._ask(self.channels.start())
        await self._ask(self.channels.subscribe(WALLETS_CHANNEL))

    async def stop(self) -> None:
        """Hear no more and let go of the server."""
        if self.channels is not None:
            await self.channels.stop()
        await self._redis.aclose()

    async def subscribe(self, room: str) -> None:
        """Hear a room's batches; a snapshot taken after this returns leaves no hole before the first of them."""
        if self.channels is not None:
            await self._ask(self.channels.subscribe(keys_of(room).channel))

    async def unsubscribe(self, room: str) -> None:
        """Hear a room no more; a batch or two may still come."""
        if self.channels is not None:
            await self.channels.unsubscribe(keys_of(room).channel)

    # Reading.

    async def snapshot(self, room: str) -> RoomSnapshot:
        """How far a room is, at one moment."""
        keys = keys_of(room)
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.hmget(keys.meta, "epoch", "seq")
        pipeline.xrange(keys.history, count=1)
        meta, entries = await self._ask(pipeline.execute())
        epoch, seq = _position(meta)
        oldest = _batches(entries)
        return RoomSnapshot(epoch, seq, oldest[0].first_seq if oldest else seq + 1)

    async def since(self, room: str, epoch: int, after_seq: int, limit: int) -> list[RoomBatch] | None:
        """The facts after a position, in order and without a hole, as they were published.

        Args:
            epoch, after_seq: where the reader stands; 0, 0 for the very beginning.
            limit: at most so many facts; when fewer come back, there were no more at that moment.

        Returns:
            None when the history cannot prove that nothing is missing: it no longer reaches back so far, or the
            room's epoch is another, or the reader is ahead of the room.
        """
        found: list[RoomBatch] = []
        last_seq, left = after_seq, limit
        while left > 0:
            page = await self._page(room, epoch, last_seq, goes_on=bool(found))
            if page is None:
                return None
            for batch in page:
                fresh = batch.after(last_seq)
                if fresh is None:
                    continue
                if fresh.first_seq != last_seq + 1:
                    return None
                part = fresh if len(fresh.facts) <= left else _cut(fresh, left)
                found.append(part)
                epoch, last_seq, left = part.epoch, part.last_seq, left - len(part.facts)
                if left == 0:
                    return found
            if len(page) < self._config.history_page_entries:
                break
        return found

    async def board(self, room: str, limit: int | None = None) -> list[TopEntry]:
        """The viewers who gave most in a room, highest first; anonymous gifts are not counted."""
        keys = keys_of(room)
        last = (limit or self._config.board_entries_max) - 1
        rows: Any = await self._ask(self._redis.zrange(keys.board, 0, last, desc=True, withscores=True))
        if not rows:
            return []
        names: Any = await self._ask(self._redis.hmget(keys.names, [viewer for viewer, _ in rows]))
        return [_top_entry(viewer, coins, name) for (viewer, coins), name in zip(rows, names, strict=True)]

    async def count_viewers(self, room: str, gateway_id: str, count: int) -> int:
        """Note how many viewers of a room this gateway has; returns those of all gateways that noted theirs lately.

        Must be repeated every `presence_ms`; a gateway that stops counts for nothing after `presence_life_ms`.
        """
        return await self._ask(self._scripts.presence(room, gateway_id, count))

    async def kept_ack(self, room: str, token: str) -> tuple[int, int] | None:
        """Epoch and seq up to which the screens of an overlay token have shown a room, if that is known."""
        kept: Any = await self._ask(self._redis.get(keys_of(room).ack(token)))
        if kept is None:
            return None
        epoch, _, seq = kept.partition(b"-")
        return int(epoch), int(seq)

    async def keep_acks(self, acks: Sequence[tuple[str, str, tuple[int, int]]]) -> None:
        """Keep how far the screens of overlay tokens have shown rooms: room, token's id, (epoch, seq) of each.

        A position only goes forward; it is forgotten after `ack_life_ms`.
        """
        for start in range(0, len(acks), self._config.endings_max):
            await self._ask(self._scripts.keep_acks(acks[start : start + self._config.endings_max]))

    # Telling.

    async def tell(self, rooms: Sequence[RoomTelling], wallets: Sequence[WalletChange] = ()) -> None:
        """Append what is new to each room's history and publish it; publish the wallet changes.

        A fact is told once, however often it comes: of a partition, a room takes only records after the last it took.
        So a room must be given the records of a partition in their order, and after a failure all of them again.
        Wallet changes may be published again.
        """
        publish = (WALLETS_CHANNEL, encode_wallets(list(wallets))) if wallets else None
        rounds = list(_rounds(rooms, self._config.tell_facts_max))
        for index, part in enumerate(rounds or ([[]] if publish else [])):
            await self._ask(self._scripts.tell(part, publish if index == 0 else None))

    async def end_combos(self, endings: Sequence[ComboEnding]) -> int:
        """Tell rooms that combos have ended, each once; one that is not open there (any more) is passed over.

        Returns:
            How many ends were told.
        """
        told = 0
        for start in range(0, len(endings), self._config.endings_max):
            part = endings[start : start + self._config.endings_max]
            told += sum(seq > 0 for seq in await self._ask(self._scripts.end_combos(part)))
        return told

    async def test_gift(self, room: str, fact: GiftFact) -> tuple[int, int]:
        """Show a gift that nobody paid: it gets a place in the history, and is on no board and in no combo.

        Returns:
            Its epoch and seq.
        """
        shown = msgspec.structs.replace(fact, id=b"", combo=None, test=True)
        return await self._ask(self._scripts.test_gift(room, shown))

    # Repairing.

    async def raise_epoch(self, rooms: Sequence[str], epoch: int) -> None:
        """Let rooms go on in a later epoch: who knows a position of an earlier one cannot resume from it."""
        for start in range(0, len(rooms), self._config.endings_max):
            await self._ask(self._scripts.raise_epoch(rooms[start : start + self._config.endings_max], epoch))

    async def stored_rooms(self) -> list[str]:
        """Every room that was ever told anything, in no order."""
        rooms: list[str] = []
        cursor = 0
        while True:
            page: Any = await self._ask(self._redis.scan(cursor, match=EVERY_META, count=_ROOMS_SCANNED))
            cursor, names = page
            rooms += [room_of_meta(name) for name in names]
            if cursor == 0:
                return rooms

    async def gateways(self) -> int:
        """How many gateways hear this server now."""
        channel: Any = WALLETS_CHANNEL
        found: Any = await self._ask(self._redis.pubsub_shardnumsub(channel))
        return int(found[0][1])

    # Helpers.

    async def _page(self, room: str, epoch: int, after_seq: int, *, goes_on: bool) -> list[RoomBatch] | None:
        keys = keys_of(room)
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.hmget(keys.meta, "epoch", "seq")
        start = f"{epoch}-{after_seq + 1}" if epoch else "-"
        pipeline.xrange(keys.history, min=start, count=self._config.history_page_entries)
        meta, entries = await self._ask(pipeline.execute())
        room_epoch, room_seq = _position(meta)
        if after_seq == room_seq and (goes_on or epoch == room_epoch):
            return []
        trusted = goes_on or epoch == room_epoch or (epoch, after_seq) == (0, 0)
        page = _batches(entries)
        if not trusted or after_seq > room_seq or not page or page[0].first_seq > after_seq + 1:
            return None
        return page

    @staticmethod
    async def _ask(call: Awaitable[_T]) -> _T:
        try:
            return await call
        except (RedisError, OSError) as exc:
            raise BrokerUnavailable(f"Redis did not do it: {type(exc).__name__}: {exc}") from exc


def open_broker(ledger: LedgerConfig, config: RoomConfig, *, any_server: bool = False) -> Broker:
    """A broker on the ledger's server, with connections of its own; call `stop` after use.

    Args:
        any_server: for a repair: see `redis_client.connect`.
    """
    timeout_s, connections_max = config.broker_timeout_ms / 1000, config.broker_connections_max
    redis = connect(ledger, connections_max=connections_max, timeout_s=timeout_s, any_server=any_server)
    return Broker(redis, config)


def _rounds(rooms: Sequence[RoomTelling], facts_max: int) -> list[list[RoomTelling]]:
    """Calls that may go together: each room at most once in a round, since its second part needs its first."""
    rounds: list[list[RoomTelling]] = []
    for room in rooms:
        for number, start in enumerate(range(0, len(room.tellings), facts_max)):
            if number == len(rounds):
                rounds.append([])
            part = room.tellings[start : start + facts_max]
            rounds[number].append(room if len(part) == len(room.tellings) else RoomTelling(room.room, room.epoch, part))
    return rounds


def _cut(batch: RoomBatch, facts: int) -> RoomBatch:
    return RoomBatch(batch.room, batch.epoch, batch.first_seq, batch.facts[:facts])


def _position(meta: list[bytes | None]) -> tuple[int, int]:
    return int(meta[0] or 0), int(meta[1] or 0)


def _batches(entries: Any) -> list[RoomBatch]:
    return [decode_batch(fields[b"b"]) for _, fields in entries]


def _top_entry(viewer: bytes, coins: float, name: bytes | None) -> TopEntry:
    level, _, shown = name.decode().partition(" ") if name else ("0", "", viewer.decode())
    return TopEntry(viewer.decode(), shown, int(coins), int(level))
