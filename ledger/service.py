"""What others may call of the live ledger: pay for gifts, credit coins, read balances. Order in, outcome out."""

import asyncio
import struct
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Final

import structlog
from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError, RedisError

from ledger.config import LedgerConfig
from ledger.errors import LedgerError, LedgerUnavailable
from ledger.ids import ID_BYTES, digest_of
from ledger.live.batcher import Batcher, Told
from ledger.live.durability import check_server
from ledger.live.guard_state import GuardSettings, LiveGuard, pack_settings, read_guard
from ledger.live.hold_call import EndedHold, OpenHold, hold_field, read_ended_hold, read_open_hold
from ledger.live.journal import JournalReader, Position, encode_body, encode_reversal, gift_body
from ledger.live.keys import DEPLOYMENT, FIRST_EPOCH, REPAIR_EPOCH, Keys, Total
from ledger.live.promotion import note_server
from ledger.live.redis_client import connect
from ledger.live.scripts import PreparedGift, Scripts
from ledger.live.wallet_reads import WalletReads
from ledger.model import (
    AMOUNT_MAX,
    UNDO_MS_MAX,
    CreditBody,
    CreditOrder,
    CreditOutcome,
    CreditRefused,
    EndOutcome,
    EndRefusal,
    EndRefused,
    GiftAccepted,
    GiftOrder,
    GiftOutcome,
    GiftRefused,
    HoldEnd,
    HoldOrder,
    HoldOutcome,
    Partition,
    Refusal,
    ReversalBody,
    ReversalOrder,
    ReversalOutcome,
    UndoOutcome,
    UndoRefusal,
    UndoRefused,
    ViewerId,
)

SERVER_VERSION_MIN: Final = (7, 0)
"""Of Redis, or of the Redis that a Valkey says it equals: sharded channels, and MINID of XTRIM."""
_COMBO: Final = struct.Struct(">16sddd")
_log = structlog.get_logger()


class OpenCombo(Struct, frozen=True):
    """A combo as its partition remembers it.

    Attributes:
        deadline_ms: a gift after this time opens a new combo.
    """

    partition: Partition
    viewer: str
    combo_key: str
    id: bytes
    count: int
    coins: int
    deadline_ms: int


class WrongDeployment(LedgerError):
    """Money is stored under a setting that cannot change, and the configuration has another value of it."""


class ServerTooOld(LedgerError):
    """The server lacks commands that the ledger or the rooms need."""


class RepairUnfinished(LedgerError):
    """A repair of the live ledger has begun and not ended: nothing may be paid until it has."""


def pinned(config: LedgerConfig) -> dict[str, int]:
    """What is fixed once money is stored: under another width an id is looked for in another bucket; with a longer
    window, after its bucket went."""
    return {name: int(getattr(config, name)) for name in ("partitions", "id_bucket_ms", "id_window_ms")}


async def require_pinned(redis: Redis, config: LedgerConfig) -> None:
    """See that what this data has pinned is what the configuration says.

    Raises:
        WrongDeployment: it is not.
        redis.RedisError, OSError: the server does not answer.
    """
    wanted = pinned(config)
    stored: Any = await redis.hmget(DEPLOYMENT, list(wanted))
    for (name, value), there in zip(wanted.items(), stored, strict=True):
        if there is not None and int(there) != value:
            raise WrongDeployment(f"this data has {name} = {int(there)}, the configuration says {value}")


class Ledger:
    """The live ledger on one Redis or Valkey server.

    Every method may raise `LedgerUnavailable` when the server does not answer, except `give`, `submit`, `credit`,
    `reverse`, `hold`, `end_hold` and `undo`, which answer UNKNOWN.
    """

    def __init__(self, redis: Redis, config: LedgerConfig) -> None:
        self.keys = Keys(config.partitions)
        self.redis = redis
        self._config = config
        self._own_gifts = config.own_gifts
        self._durability = config.durability
        self._scripts = Scripts(redis, self.keys, config)
        self._wallet_reads = WalletReads(redis, self.keys)
        self.batcher = Batcher(self._scripts, config)

    async def start(self) -> None:
        """Check that the server is new enough and the stored layout is ours, then take orders.

        Raises:
            ServerTooOld: it is older than SERVER_VERSION_MIN; nothing was written.
            NotDurable: the server's settings do not keep what the configured durability promises.
            WrongDeployment: money is stored under another number of partitions, or another memory of gift ids.
            RepairUnfinished: see there.
            LedgerUnavailable: the server does not answer, is a replica, or was promoted and has no new epoch yet.
        """
        try:
            require_version(await self.redis.info("server"))
            await check_server(self.redis, self._durability)
            for name, value in pinned(self._config).items():
                await self.redis.hsetnx(DEPLOYMENT, name, str(value))
            await require_pinned(self.redis, self._config)
            if await self.redis.hexists(DEPLOYMENT, REPAIR_EPOCH):
                raise RepairUnfinished("a repair of the live ledger was begun: `giftwire reconcile --repair` ends it")
            await note_server(self.redis)
            await self._begin_epochs()
        except (RedisError, OSError) as exc:
            raise LedgerUnavailable(f"Redis does not answer: {exc}") from exc
        self.batcher.start()

    async def _begin_epochs(self) -> None:
        # A server that lost its data while we run has no epochs then, and takes no orders into empty wallets.
        pipeline = self.redis.pipeline(transaction=False)
        for _, keys in self.keys.all():
            pipeline.hsetnx(keys.totals, Total.EPOCH, FIRST_EPOCH)
        await pipeline.execute()

    async def stop(self) -> None:
        """Commit what waits, then let go of the server."""
        await self.batcher.stop()
        await self._wallet_reads.aclose()
        await self._scripts.aclose()
        await self.redis.aclose()

    def submit(self, order: GiftOrder, told: Told) -> None:
        """Pay for a gift in the next commit. `told` hears the outcome once, never later than the retry time allows."""
        if order.undo_ms:
            told = self._noting_windows(order, told)
        self.batcher.submit(self._prepare(order), told)

    async def give(self, order: GiftOrder) -> GiftOutcome:
        """Pay for a gift and wait for the outcome. Cancelling the wait does not take the gift back."""
        outcome: asyncio.Future[GiftOutcome] = asyncio.get_running_loop().create_future()

        def told(result: GiftOutcome) -> None:
            if not outcome.done():
                outcome.set_result(result)

        self.submit(order, told)
        return await outcome

    async def credit(self, order: CreditOrder, *, until_ms: int = AMOUNT_MAX) -> CreditOutcome:
        """Put coins into a wallet, once for the order's id while the id is remembered.

        An id is remembered until its record has been in PostgreSQL for `credit_ids_kept_ms`; callers ask PostgreSQL
        first.

        Args:
            until_ms: by the server's clock; when an unknown id comes later it may have been forgotten since the caller
                asked, and the outcome is UNKNOWN.
        """
        if not order.coins > 0:
            raise ValueError("a credit is of at least one coin")
        body = encode_body(CreditBody(order.id, order.viewer, order.coins, order.cause, order.reference))
        digest = digest_of(body)
        call = self._scripts.credit(order.viewer, order.coins, order.id, digest, body, until_ms)
        try:
            # Shielded: a command that is cancelled in flight leaves its answer behind for the next one to read.
            return await asyncio.shield(call)
        except (RedisError, OSError) as exc:
            # Also a server that is full, or cannot write to its disk: it says so before it has done anything.
            _log.warning("credit_unknown", error=f"{type(exc).__name__}: {exc}")
            return CreditRefused(Refusal.UNKNOWN)

    async def reverse(
        self,
        order: ReversalOrder,
        *,
        most: int,
        keep: int,
        until_ms: int = AMOUNT_MAX,
        came_seq: int | None = None,
    ) -> ReversalOutcome:
        """Take coins of a refund from the wallet, once for the order's id; remembered and asked for as in `credit`.

        Args:
            most: coins to take, 0 to the order's.
            keep: what the wallet must not fall below; a negative number lets it owe so much.
            until_ms: as in `credit`.
            came_seq: as it was read before `most` and `keep` were worked out from what the wallet then had; when coins
                have come since, the outcome is UNKNOWN. None where they do not depend on it.
        """
        if not 0 <= most <= order.coins:
            raise ValueError(f"of {order.coins} coins {most} are to be taken")
        body = encode_reversal(ReversalBody(order.id, order.viewer, order.purchase, order.coins, order.kind, 0))
        content, bounds = (order.viewer, order.id, digest_of(body), body), (most, keep, until_ms, came_seq)
        call = self._scripts.reverse(*content, *bounds)
        try:
            return await asyncio.shield(call)
        except (RedisError, OSError) as exc:
            _log.warning("reversal_unknown", error=f"{type(exc).__name__}: {exc}")
            return CreditRefused(Refusal.UNKNOWN)

    async def hold(self, order: HoldOrder, *, until_ms: int = AMOUNT_MAX) -> HoldOutcome:
        """Put coins aside, once for the order's id; remembered and asked for as in `credit`.

        Args:
            until_ms: as in `credit`.
        """
        if not (order.coins > 0 and order.lasts_ms > 0):
            raise ValueError("a hold is of at least one coin and one millisecond")
        try:
            return await asyncio.shield(self._scripts.hold(order, until_ms))
        except OutOfMemoryError as exc:
            # Asked once, and the script's first write was refused: nothing was done.
            _log.warning("hold_refused", error=str(exc))
            return GiftRefused(Refusal.OVERLOADED, bound=await self._scripts.memory_bound())
        except (RedisError, OSError) as exc:
            _log.warning("hold_unknown", error=f"{type(exc).__name__}: {exc}")
            return GiftRefused(Refusal.UNKNOWN)

    async def end_hold(
        self, hold_id: bytes, viewer: ViewerId, end: HoldEnd, *, taken_coins: int | None = None
    ) -> EndOutcome:
        """End a hold. One that has ended already answers how, whatever was asked; from its deadline on it only expires.

        An end is remembered as the ids of credits are; NO_SUCH_HOLD of an old hold says that the books have its end.

        Args:
            end: EXPIRED only where its time is over.
            taken_coins: with SETTLED, how many of its coins are taken; all when None.
        """
        if taken_coins is not None and (taken_coins < 1 or end is not HoldEnd.SETTLED):
            raise ValueError(f"{taken_coins} coins cannot be taken of a hold that is {end}")
        try:
            return await asyncio.shield(self._scripts.end_hold(hold_id, viewer, end, taken_coins))
        except (RedisError, OSError) as exc:
            _log.warning("hold_end_unknown", error=f"{type(exc).__name__}: {exc}")
            return EndRefused(EndRefusal.UNKNOWN)

    async def undo(self, gift_id: bytes, viewer: ViewerId) -> UndoOutcome:
        """Undo a gift of this viewer; one that was undone already answers so. From its deadline on it is settled.

        That it was undone is remembered as the ids of credits are: SETTLED and NO_SUCH_GIFT of an old gift say only
        that the books have its end.

        Raises:
            ValueError: the id is not of 16 bytes.
        """
        if len(gift_id) != ID_BYTES:
            raise ValueError("a gift's id has 16 bytes")
        try:
            return await asyncio.shield(self._scripts.undo_gift(gift_id, viewer))
        except (RedisError, OSError) as exc:
            _log.warning("undo_unknown", error=f"{type(exc).__name__}: {exc}")
            return UndoRefused(UndoRefusal.UNKNOWN)

    async def settle_gifts(self, partition: Partition, limit: int) -> int:
        """Pay gifts of a partition whose time to be undone is over, at most `limit`; how many were."""
        return int(await self._read(asyncio.shield(self._scripts.settle_gifts(partition, limit))))

    async def open_gifts(self, partitions: Sequence[Partition]) -> int:
        """How many gifts of these partitions may be undone, or wait to be settled."""
        pipeline = self.redis.pipeline(transaction=False)
        for partition in partitions:
            pipeline.hlen(self.keys.of(partition).open_gifts)
        return sum(await self._read(pipeline.execute()))

    async def find_hold(self, hold_id: bytes, viewer: str) -> OpenHold | EndedHold | None:
        """A hold that is open or ended lately."""
        keys, field = self.keys.of(self.keys.partition_of(viewer)), hold_field(hold_id, viewer)
        pipeline = self.redis.pipeline(transaction=True)
        holds: Any = keys.holds
        ended: Any = keys.ended_holds
        name: Any = field
        pipeline.hget(holds, name)
        pipeline.hget(ended, name)
        is_open, has_ended = await self._read(pipeline.execute())
        if is_open is not None:
            return read_open_hold(field, is_open)
        return None if has_ended is None else read_ended_hold(field, has_ended)

    async def due_holds(self, partition: Partition, limit: int) -> list[tuple[bytes, ViewerId]]:
        """Holds of a partition whose time is over, by id and viewer, at most `limit`, the oldest deadlines first."""
        deadlines: Any = self.keys.of(partition).hold_deadlines
        now_ms = await self.partition_now_ms(partition)
        fields: Any = await self._read(self.redis.zrangebyscore(deadlines, "-inf", now_ms, start=0, num=limit))
        return [(field[:ID_BYTES], ViewerId(field[ID_BYTES:].decode())) for field in fields]

    async def open_holds(self, partitions: Sequence[Partition]) -> int:
        """How many holds of these partitions are open."""
        pipeline = self.redis.pipeline(transaction=False)
        for partition in partitions:
            pipeline.hlen(self.keys.of(partition).holds)
        return sum(await self._read(pipeline.execute()))

    async def ping(self) -> None:
        """See that the server answers."""
        await self._read(self.redis.ping())

    async def now_ms(self) -> int:
        """The server's clock."""
        seconds, micros = await self._read(self.redis.time())
        return int(seconds * 1000 + micros // 1000)

    async def balance(self, viewer: str) -> int:
        """Coins in a viewer's wallet; 0 for a viewer never heard of."""
        return await self._wallet_reads.balance(viewer)

    async def came_seq(self, partition: Partition) -> int:
        """The last record of a partition by which coins came into a wallet, or left it otherwise than by paying."""
        totals: Any = self.keys.of(partition).totals
        came, last = await self._read(self.redis.hmget(totals, [Total.CAME_SEQ, Total.SEQ]))
        # Not noted yet: it may be any, so also the last.
        return int(came or last or 0)

    async def knows_credit(self, credit_id: bytes, viewer: str) -> bool:
        """Whether a grant or purchase came in and is remembered, as in `credit`."""
        credits_: Any = self.keys.of(self.keys.partition_of(viewer)).credits
        name: Any = credit_id
        return bool(await self._read(self.redis.hexists(credits_, name)))

    async def guard(self, viewer: str) -> LiveGuard:
        """A viewer's freeze, own caps and counted coins, as the money script sees them."""
        keys = self.keys.of(self.keys.partition_of(viewer))
        return read_guard(await self._read(self.redis.hget(keys.guards, viewer)))

    async def set_guards(self, settings: Sequence[tuple[str, GuardSettings]]) -> None:
        """From now on gifts of these viewers are judged by these settings, unless newer ones are there already."""
        await self._read(self._scripts.set_guards([(viewer, pack_settings(one)) for viewer, one in settings]))

    async def set_counts(self, partition: Partition, counts: Sequence[tuple[str, bytes]]) -> None:
        """Set what viewers of a partition have spent; see `guard_counts` for when that may be done."""
        await self._read(self._scripts.set_counts(partition, counts))

    async def set_given(self, partition: Partition, day: int, given: Sequence[tuple[str, str, int]]) -> None:
        """Set what viewers of a partition gave creators on a day; see `guard_counts` for when that may be done."""
        await self._read(self._scripts.set_given(partition, day, given))

    async def partition_now_ms(self, partition: Partition) -> int:
        """The time by which gifts of a partition are judged: the server's, which never goes back there."""
        clock: Any = await self._read(self.redis.hget(self.keys.of(partition).totals, Total.CLOCK))
        return max(await self.now_ms(), int(clock or 0))

    async def live_earnings(self, creator: str) -> int:
        """Diamonds that a creator has earned by gifts so far: the sum of its stripes, for display only."""
        pipeline = self.redis.pipeline(transaction=False)
        for _, keys in self.keys.all():
            pipeline.hget(keys.earnings, creator)
        return sum(int(stripe or 0) for stripe in await self._read(pipeline.execute()))

    async def open_combos(self, partition: Partition) -> list[OpenCombo]:
        """Combos of a partition whose end has not been told, in no order."""
        stored = await self._read(self.redis.hgetall(self.keys.of(partition).combos))
        return [_open_combo(partition, field, value) for field, value in stored.items()]

    async def forget_combo(self, partition: Partition, viewer: str, combo_key: str, combo_id: bytes) -> None:
        """The combo's end has been told: drop it, unless a newer one has taken its place."""
        await self.forget_combos([(partition, viewer, combo_key, combo_id)])

    async def forget_combos(self, ended: Sequence[tuple[Partition, str, str, bytes]]) -> None:
        """The ends of several combos have been told; each is (partition, viewer, combo key, combo id)."""
        combos = [(partition, f"{viewer}\0{key}".encode(), combo_id) for partition, viewer, key, combo_id in ended]
        await self._read(self._scripts.forget_combos(combos))

    def journal_reader(
        self, positions: Mapping[Partition, Position], partitions: Sequence[Partition] | None = None
    ) -> JournalReader:
        """Reads the records of these partitions, each from its position; a missing one begins at the first record.

        Args:
            partitions: every one when None.
        """
        every = [partition for partition, _ in self.keys.all()]
        return JournalReader(self.redis, self.keys, every if partitions is None else partitions, positions)

    async def relay_positions(self) -> dict[Partition, Position]:
        """How far the rooms were told of each partition, as `save_relay_positions` noted it."""
        every = self.keys.all()
        stored = await self._read(self.redis.mget([keys.relay for _, keys in every]))
        return {partition: Position.parse(value) for (partition, _), value in zip(every, stored, strict=True) if value}

    async def save_relay_positions(self, positions: Mapping[Partition, Position]) -> None:
        """The rooms were told up to here. A position only rises: the journal behind it may be gone.

        It never passes the last record: on a server that lost its end, others will stand in those places.
        """
        await self._read(self._scripts.note_relayed(positions))

    async def trim(self, partition: Partition, epoch: int, seq: int, flushed_seq: int) -> int:
        """Drop journal entries up to (epoch, seq); see `Scripts.trim`."""
        return int(await self._read(self._scripts.trim(partition, epoch, seq, flushed_seq)))

    def _noting_windows(self, order: GiftOrder, told: Told) -> Told:
        if order.combo_key or not 0 < order.undo_ms <= UNDO_MS_MAX:
            raise ValueError(f"a gift of combo {order.combo_key!r} cannot be undone for {order.undo_ms} ms")

        def note(outcome: GiftOutcome) -> None:
            if isinstance(outcome, GiftAccepted) and not outcome.replay:
                self.batcher.stats.windows_opened += outcome.undo_until_ms > 0
                self.batcher.stats.windows_left_out += outcome.undo_until_ms == 0
            told(outcome)

        return note

    def _prepare(self, order: GiftOrder) -> PreparedGift:
        body = gift_body(order)
        return PreparedGift(
            order,
            self.keys.partition_of(order.viewer),
            self._scripts.bucket_of(order.id_ms),
            order.id + body.digest,
            encode_body(body),
            self._own_gifts,
        )

    @staticmethod
    async def _read(call: Awaitable[Any]) -> Any:
        try:
            return await call
        except (RedisError, OSError) as exc:
            raise LedgerUnavailable(f"Redis does not answer: {exc}") from exc


def require_version(server: Mapping[str, Any]) -> None:
    """Look at what `INFO server` says.

    Raises:
        ServerTooOld: it is older than SERVER_VERSION_MIN, or names no version.
    """
    told = str(server.get("redis_version", "0"))
    parts = tuple(int(part) for part in told.split(".")[:2] if part.isdecimal())
    if parts < SERVER_VERSION_MIN:
        wanted = ".".join(map(str, SERVER_VERSION_MIN))
        raise ServerTooOld(f"the server says that it is Redis {told}; Redis {wanted} or a Valkey is needed")


def open_ledger(config: LedgerConfig, *, any_server: bool = False) -> Ledger:
    """A ledger on the configured server; call `start` before use and `stop` after.

    Args:
        any_server: for who looks or repairs, and is not started: see `redis_client.connect`.
    """
    return Ledger(connect(config, any_server=any_server), config)


def _open_combo(partition: Partition, field: bytes, value: bytes) -> OpenCombo:
    viewer, _, combo_key = field.decode().partition("\0")
    combo_id, count, coins, deadline_ms = _COMBO.unpack(value)
    return OpenCombo(partition, viewer, combo_key, combo_id, int(count), int(coins), int(deadline_ms))
