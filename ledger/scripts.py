"""The Lua scripts, one typed call each. Lua sources are under `lua/`; their headers say what goes in and out."""

import hashlib
import struct
from collections.abc import Iterator, Sequence
from importlib import resources
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from ledger.config import LedgerConfig
from ledger.errors import InvariantBroken
from ledger.keys import Keys
from ledger.model import (
    AMOUNT_MAX,
    ComboTotals,
    CreditAccepted,
    CreditOutcome,
    CreditRefused,
    GiftAccepted,
    GiftOrder,
    GiftOutcome,
    GiftRefused,
    Partition,
    Refusal,
)

_OUTCOME: Final = struct.Struct(">Bdddd16s")
_NO_ID: Final = bytes(16)
_ACCEPTED, _REPLAY, _NOT_JUDGED = 0, 1, 6
_REFUSALS: Final = {
    2: Refusal.INSUFFICIENT_COINS,
    3: Refusal.ID_CONFLICT,
    4: Refusal.ID_EXPIRED,
    5: Refusal.AMOUNT_OVERFLOW,
    7: Refusal.OVERLOADED,
}
_encoder = msgspec.msgpack.Encoder()


class Script:
    """One Lua file: called by its SHA-1, loaded again when the server has forgotten it."""

    def __init__(self, name: str) -> None:
        self._source = (resources.files("ledger") / "lua" / f"{name}.lua").read_bytes()
        self._sha = hashlib.sha1(self._source, usedforsecurity=False).hexdigest()

    async def call(self, redis: Redis, keys: Sequence[bytes], args: Sequence[Any]) -> Any:
        """Run it. NOSCRIPT is answered before anything ran, so loading and asking again is safe."""
        try:
            return await redis.evalsha(self._sha, len(keys), *keys, *args)
        except NoScriptError:
            await redis.script_load(self._source)
            return await redis.evalsha(self._sha, len(keys), *keys, *args)


class PreparedGift:
    """An order with everything that the script needs worked out.

    Attributes:
        stamp: id (16 bytes) and digest of the content (8 bytes).
        bucket: which time bucket of ids this one falls into.
    """

    __slots__ = ("body", "bucket", "order", "partition", "stamp")

    def __init__(self, order: GiftOrder, partition: Partition, bucket: int, stamp: bytes, body: bytes) -> None:
        self.order = order
        self.partition = partition
        self.bucket = bucket
        self.stamp = stamp
        self.body = body


class Scripts:
    """Typed calls of the ledger's scripts against one server.

    Args:
        redis: as `redis_client.connect` makes it.
    """

    def __init__(self, redis: Redis, keys: Keys, config: LedgerConfig) -> None:
        self._redis = redis
        self._keys = keys
        self._bucket_ms = config.id_bucket_ms
        # An id of a bucket's last ms is taken until the window has passed; one bucket more is margin for the clock.
        self._bucket_life_ms = 2 * config.id_bucket_ms + config.id_window_ms
        self._rules = (
            config.id_window_ms,
            config.id_ahead_ms,
            config.script_time_ms_max / 1000,
            config.journal_records_max,
            AMOUNT_MAX,
        )
        self._gift = Script("gift")
        self._credit = Script("credit")
        self._trim = Script("trim")
        self._forget_combo = Script("forget_combo")

    def bucket_of(self, id_ms: int) -> int:
        """The time bucket of an id."""
        return id_ms // self._bucket_ms

    async def gift(self, gifts: Sequence[PreparedGift]) -> list[GiftOutcome | None]:
        """Pay for several gifts in one call, each judged on its own; None where the script's time was up before it.

        Returns:
            One outcome a gift, in the order given. Nothing is raised for a refusal.

        Raises:
            redis.RedisError, OSError: it is not known which were paid; asking again with the same ids tells.
        """
        order: list[int] = []
        key_names: list[bytes] = []
        groups: list[tuple[list[int], list[tuple[Any, ...]]]] = []
        args: list[bytes] = [b""]
        for members in _by_partition(gifts):
            keys = self._keys.of(gifts[members[0]].partition)
            buckets: dict[int, int] = {}
            rows = []
            for index in members:
                gift = gifts[index]
                bucket = buckets.setdefault(gift.bucket, len(buckets) + 1)
                rows.append(_row(gift.order, bucket))
                args += (gift.stamp, gift.body)
            order += members
            key_names += (keys.wallets, keys.earnings, keys.totals, keys.combos, keys.journal)
            key_names += (keys.ids(bucket) for bucket in buckets)
            groups.append(([bucket * self._bucket_ms + self._bucket_life_ms for bucket in buckets], rows))
        args[0] = _encoder.encode((self._rules, groups))
        now_ms, epochs, packed = await self._gift.call(self._redis, key_names, args)
        return _read_outcomes(gifts, order, [len(rows) for _, rows in groups], now_ms, epochs, packed)

    async def credit(self, viewer: str, coins: int, credit_id: bytes, digest: bytes, body: bytes) -> CreditOutcome:
        """Put coins into a wallet, once for the id.

        Raises:
            redis.RedisError, OSError: not known whether it was done; asking again with the same id tells.
        """
        keys = self._keys.of(self._keys.partition_of(viewer))
        status, wallet = await self._credit.call(
            self._redis,
            (keys.wallets, keys.totals, keys.credits, keys.journal),
            (credit_id, digest, viewer, coins, body, AMOUNT_MAX),
        )
        if status in (_ACCEPTED, _REPLAY):
            return CreditAccepted(balance_coins=wallet, replay=status == _REPLAY)
        return CreditRefused(_REFUSALS[status])

    async def trim(self, partition: Partition, epoch: int, seq: int, flushed_seq: int) -> int:
        """Drop journal entries that end at or before (epoch, seq); note that PostgreSQL holds up to `flushed_seq`.

        Returns:
            How many journal entries went.
        """
        keys = self._keys.of(partition)
        return int(await self._trim.call(self._redis, (keys.journal, keys.totals), (epoch, seq, flushed_seq)))

    async def forget_combo(self, partition: Partition, field: bytes, combo_id: bytes) -> bool:
        """Forget a combo whose end has been told; False when a newer one has its place, or it was gone."""
        keys = self._keys.of(partition)
        return bool(await self._forget_combo.call(self._redis, (keys.combos,), (field, combo_id)))


def _by_partition(gifts: Sequence[PreparedGift]) -> Iterator[list[int]]:
    members: dict[Partition, list[int]] = {}
    for index, gift in enumerate(gifts):
        members.setdefault(gift.partition, []).append(index)
    return iter(members.values())


def _row(order: GiftOrder, bucket: int) -> tuple[Any, ...]:
    return (
        order.viewer,
        order.creator,
        order.coins,
        order.creator_diamonds,
        order.commission_diamonds,
        bucket,
        order.id_ms,
        order.combo_key,
        order.combo_window_ms,
    )


def _read_outcomes(
    gifts: Sequence[PreparedGift],
    order: Sequence[int],
    group_sizes: Sequence[int],
    now_ms: int,
    epochs: Sequence[int],
    packed: bytes,
) -> list[GiftOutcome | None]:
    if len(packed) != _OUTCOME.size * len(gifts):
        raise InvariantBroken("I3", f"{len(gifts)} gifts were told, {len(packed)} bytes of outcomes came back")
    epoch_of = [epoch for epoch, size in zip(epochs, group_sizes, strict=True) for _ in range(size)]
    outcomes: list[GiftOutcome | None] = [None] * len(gifts)
    for index, epoch, values in zip(order, epoch_of, _OUTCOME.iter_unpack(packed), strict=True):
        outcomes[index] = _outcome(gifts[index].order, epoch, now_ms, *values)
    return outcomes


def _outcome(
    order: GiftOrder, epoch: int, now_ms: int, status: int, wallet: float, seq: float, *combo: Any
) -> GiftOutcome | None:
    if status == _ACCEPTED:
        count, coins, combo_id = combo
        totals = None if combo_id == _NO_ID else ComboTotals(combo_id, int(count), int(coins))
        return GiftAccepted(order.coins, int(wallet), epoch, int(seq), now_ms, totals, replay=False)
    if status == _REPLAY:
        return GiftAccepted(int(seq), int(wallet), 0, 0, now_ms, None, replay=True)
    if status == _NOT_JUDGED:
        return None
    return GiftRefused(_REFUSALS[status], int(wallet))
