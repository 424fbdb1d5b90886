"""What goes into one call of `lua/gift.lua`, and what its answer means.

Pure, and the hot path of the ledger: the columns and the packed answer look as they do because a Lua table, a script
argument or a call of `struct.pack` for each gift cost more than the payment itself (docs/decisions/0005).
"""

import struct
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct, structs

from ledger.config import LedgerConfig
from ledger.errors import InvariantBroken
from ledger.guards.periods import resets_at_ms
from ledger.live.guard_state import limits_of
from ledger.live.keys import Keys, PartitionKeys
from ledger.model import (
    AMOUNT_MAX,
    Bound,
    BoundReached,
    CapPassed,
    ComboTotals,
    GiftAccepted,
    GiftOrder,
    GiftOutcome,
    GiftRefused,
    Limit,
    Partition,
    Refusal,
)

_AFTER: Final = struct.Struct(">ddd16s")
_PAID: Final = struct.Struct(">d")
_NO_ID: Final = bytes(16)
_ID_BYTES: Final = 16
_REPLAY: Final = 1
_OTHER_FIELDS: Final = 5
_REFUSALS: Final = {
    2: Refusal.INSUFFICIENT_COINS,
    3: Refusal.ID_CONFLICT,
    4: Refusal.ID_EXPIRED,
    5: Refusal.AMOUNT_OVERFLOW,
    7: Refusal.OVERLOADED,
    8: Refusal.FROZEN,
    9: Refusal.OWN_GIFT,
    10: Refusal.BARRED,
    16: Refusal.RATE_LIMITED,
    17: Refusal.UNDER_AGE,
    18: Refusal.GUARDIAN_NEEDED,
    19: Refusal.AGE_UNKNOWN,
    20: Refusal.OWN_CAPS_NEEDED,
}
_LIMITS: Final = {11: Limit.GIFT, 12: Limit.DAY, 13: Limit.WEEK, 14: Limit.MONTH, 15: Limit.CREATOR_DAY}
_OWN_GIFT: Final = 9
_BARRED: Final = 10
_ONE: Final = (1,)
_ARRAY_OF_ONE: Final = b"\xdc\x00\x01"
_STRING_OF_16: Final = b"\xb0"
_encoder = msgspec.msgpack.Encoder()


class PreparedGift:
    """An order with everything that the script needs worked out.

    Attributes:
        bucket: which time bucket of ids this one falls into.
        id_field, id_value: under what the script remembers the id, and what: digest of the content, coins paid.
            Both are MessagePack strings already: Lua's decoder does not know its type for bytes.
        body: its journal record, as the script copies it.
        bar: the status with which the script refuses it unless its id is known; 0 for none.
    """

    __slots__ = ("bar", "body", "bucket", "id_field", "id_value", "order", "partition")

    def __init__(
        self, order: GiftOrder, partition: Partition, bucket: int, stamp: bytes, body: bytes, own_gifts: bool = False
    ) -> None:
        """`stamp` is the id (16 bytes) and the digest of the content (8 bytes)."""
        self.order = order
        self.bar = _BARRED if order.barred else 0
        if str(order.viewer) == order.creator and not own_gifts:
            self.bar = _OWN_GIFT
        self.partition = partition
        self.bucket = bucket
        self.id_field = _string(stamp[:_ID_BYTES] + order.viewer.encode())
        self.id_value = b"%b%b%b" % (_STRING_OF_16, stamp[_ID_BYTES:], _PAID.pack(order.coins))
        self.body = body


def bucket_life_ms(config: LedgerConfig) -> int:
    """How long after its beginning a bucket of ids is remembered.

    An id of its last ms is taken until the window has passed; one bucket more is margin for the clock.
    """
    return 2 * config.id_bucket_ms + config.id_window_ms


Group = Sequence[PreparedGift]
"""Gifts of one partition, in the order in which they are to be judged."""


class Rules(Struct, frozen=True, array_like=True):
    """The limits that the script applies, in its order."""

    window_ms: int
    ahead_ms: int
    time_s_max: float
    unflushed_max: int
    amount_max: int
    gift_coins_max: int
    day_coins_max: int
    week_coins_max: int
    month_coins_max: int
    rate_ms: float
    burst_ms: float
    ages_known: bool
    open_gifts_max: int

    @classmethod
    def of(cls, config: LedgerConfig) -> "Rules":
        """As configured."""
        rate_ms = 60_000 / config.gifts_per_minute if config.gifts_per_minute else 0
        return cls(
            config.id_window_ms,
            config.id_ahead_ms,
            config.script_time_ms_max / 1000,
            config.journal_records_max,
            AMOUNT_MAX,
            config.gift_coins_max,
            config.day_coins_max,
            config.week_coins_max,
            config.month_coins_max,
            rate_ms,
            rate_ms * config.gifts_burst,
            config.ages_known,
            config.partition_holds_max,
        )


class GiftCall:
    """Makes calls and reads answers.

    Args:
        keys: where partitions live.
        config: the limits, and the width of the buckets in which ids are remembered.
    """

    def __init__(self, keys: Keys, config: LedgerConfig) -> None:
        self._keys = keys
        self._rules = Rules.of(config)
        self._bucket_ms = config.id_bucket_ms
        self._bucket_life_ms = bucket_life_ms(config)

    def words(self, groups: Sequence[Group]) -> tuple[list[bytes], list[bytes]]:
        """The keys and the arguments of a call for these groups, each of another partition."""
        names: list[bytes] = []
        columns: list[tuple[Any, ...]] = []
        args: list[bytes] = [b""]
        for group in groups:
            first = group[0]
            keys = self._keys.of(first.partition)
            names += (keys.wallets, keys.earnings, keys.totals, keys.combos, keys.journal, keys.guards)
            if len(group) == 1:
                names.append(keys.ids(first.bucket))
                if first.order.creator_day_coins_max is not None:
                    names.append(keys.given_today)
                if first.order.undo_ms:
                    names += _window_keys(keys)
                columns.append(_single(first, first.bucket * self._bucket_ms + self._bucket_life_ms))
                args.append(first.body)
                continue
            buckets = list(dict.fromkeys([gift.bucket for gift in group]))
            names += map(keys.ids, buckets)
            if any(gift.order.creator_day_coins_max is not None for gift in group):
                names.append(keys.given_today)
            windows = any(gift.order.undo_ms for gift in group)
            if windows:
                names += _window_keys(keys)
            expiries = [bucket * self._bucket_ms + self._bucket_life_ms for bucket in buckets]
            columns.append(_columns(group, buckets, expiries, windows))
            args.append(b"".join([gift.body for gift in group]))
        args[0] = _encoder.encode((self._rules, columns))
        return names, args


def read_answer(groups: Sequence[Group], answer: Sequence[Any]) -> list[list[GiftOutcome]]:
    """The outcomes of each group, in order; fewer than gifts where the script's time was up before the rest."""
    return [_read_group(group, *reply) for group, reply in zip(groups, answer, strict=True)]


def read_refusal(status: int, wallet: int, first: int, second: Any, now_ms: int) -> GiftRefused:
    """What a status says that is no payment and no replay; other scripts that judge as this one have the same ones."""
    outcome = _other(status, wallet, first, second, now_ms)
    if isinstance(outcome, GiftAccepted):
        raise InvariantBroken("I3", f"status {status} is no refusal")
    return outcome


def _columns(group: Group, buckets: list[int], expiries: list[int], windows: bool) -> tuple[Any, ...]:
    orders = [gift.order for gift in group]
    viewers: dict[str, int] = {}
    creators: dict[str, int] = {}
    viewer_of = [viewers.setdefault(order.viewer, len(viewers) + 1) for order in orders]
    creator_of = [creators.setdefault(order.creator, len(creators) + 1) for order in orders]
    fields = [gift.id_field for gift in group]
    combos = any(order.combo_key for order in orders)
    given = any(order.creator_day_coins_max is not None for order in orders)
    return (
        expiries,
        list(viewers),
        list(creators),
        viewer_of,
        creator_of,
        [order.coins for order in orders],
        [order.creator_diamonds for order in orders],
        [order.commission_diamonds for order in orders],
        [1] * len(group) if len(buckets) == 1 else [buckets.index(gift.bucket) + 1 for gift in group],
        [order.id_ms for order in orders],
        _array(fields),
        _array([gift.id_value for gift in group]),
        [len(gift.body) for gift in group],
        [_combo_field(order) for order in orders] if combos else [],
        [order.combo_window_ms for order in orders] if combos else [],
        [order.count for order in orders] if combos else [],
        len(set(fields)) < len(fields),
        [gift.bar for gift in group] if any(gift.bar for gift in group) else [],
        [_given_field(order) for order in orders] if given else [],
        [order.creator_day_coins_max or 0 for order in orders] if given else [],
        [order.undo_ms for order in orders] if windows else [],
    )


def _window_keys(keys: PartitionKeys) -> tuple[bytes, ...]:
    return keys.open_gifts, keys.undo_deadlines, keys.undo_counts, keys.windows_shut


def _string(content: bytes) -> bytes:
    size = len(content)
    return b"\xd9%c%b" % (size, content) if size < 256 else b"\xda%b%b" % (size.to_bytes(2), content)


def _array(encoded: list[bytes]) -> msgspec.Raw:
    return msgspec.Raw(b"\xdc" + len(encoded).to_bytes(2) + b"".join(encoded))


def _single(gift: PreparedGift, expiry_ms: int) -> tuple[Any, ...]:
    # The columns of a group of one. At ordinary load nearly every group is: 3 us a gift in `_columns`, 1 us here.
    order = gift.order
    combo = bool(order.combo_key)
    return (
        (expiry_ms,),
        (order.viewer,),
        (order.creator,),
        _ONE,
        _ONE,
        (order.coins,),
        (order.creator_diamonds,),
        (order.commission_diamonds,),
        _ONE,
        (order.id_ms,),
        msgspec.Raw(_ARRAY_OF_ONE + gift.id_field),
        msgspec.Raw(_ARRAY_OF_ONE + gift.id_value),
        (len(gift.body),),
        (_combo_field(order),) if combo else (),
        (order.combo_window_ms,) if combo else (),
        (order.count,) if combo else (),
        False,
        (gift.bar,) if gift.bar else (),
        () if order.creator_day_coins_max is None else (_given_field(order),),
        () if order.creator_day_coins_max is None else (order.creator_day_coins_max,),
        (order.undo_ms,) if order.undo_ms else (),
    )


def _combo_field(order: GiftOrder) -> str:
    return f"{order.viewer}\0{order.combo_key}" if order.combo_key else ""


def _given_field(order: GiftOrder) -> str:
    return "" if order.creator_day_coins_max is None else f"{order.viewer}\0{order.creator}"


def _read_group(
    group: Group,
    epoch: int,
    now_ms: int,
    seq: int,
    judged: int,
    after: bytes,
    others: Sequence[Any],
    held: Sequence[int] = (),
) -> list[GiftOutcome]:
    if len(after) // _AFTER.size + len(others) // _OTHER_FIELDS != judged or judged > len(group):
        raise InvariantBroken("I3", f"{judged} of {len(group)} gifts were judged, and the answer tells of others")
    outcomes: list[GiftOutcome] = []
    other = dict(_others(others, now_ms)) if others else {}
    seq -= len(after) // _AFTER.size
    records = _AFTER.iter_unpack(after)
    for place in range(1, judged + 1):
        if other and place in other:
            outcomes.append(other[place])
            continue
        wallet, count, coins, combo_id = next(records)
        seq += 1
        combo = None if combo_id == _NO_ID else ComboTotals(combo_id, int(count), int(coins))
        outcomes.append(GiftAccepted(group[place - 1].order.coins, int(wallet), epoch, seq, now_ms, combo, False))
    for place, until_ms in zip(held[::2], held[1::2], strict=True):
        paid = outcomes[place - 1]
        if not isinstance(paid, GiftAccepted):
            raise InvariantBroken("I3", f"gift {place} is held, and was not accepted")
        outcomes[place - 1] = structs.replace(paid, undo_until_ms=until_ms)
    return outcomes


def _others(others: Sequence[Any], now_ms: int) -> list[tuple[int, GiftOutcome]]:
    found = []
    for start in range(0, len(others), _OTHER_FIELDS):
        place, status, wallet, first, second = others[start : start + _OTHER_FIELDS]
        found.append((place, _other(status, wallet, first, second, now_ms)))
    return found


def _other(status: int, wallet: int, first: int, second: Any, now_ms: int) -> GiftOutcome:
    if status == _REPLAY:
        return GiftAccepted(first, wallet, 0, 0, 0, None, replay=True, undo_until_ms=second)
    limit = _LIMITS.get(status)
    if limit is not None:
        cap = CapPassed(limit, first, second, resets_at_ms(limit, now_ms))
        return GiftRefused(Refusal.LIMIT_EXCEEDED, wallet, cap=cap)
    match _REFUSALS[status]:
        case Refusal.RATE_LIMITED as refusal:
            return GiftRefused(refusal, wallet, retry_after_ms=first)
        case Refusal.ID_EXPIRED as refusal:
            return GiftRefused(refusal, wallet, window_ms=(first, second))
        case Refusal.AMOUNT_OVERFLOW as refusal:
            return GiftRefused(refusal, wallet, bound=BoundReached(Bound.AMOUNT, first))
        case Refusal.OVERLOADED as refusal:
            return GiftRefused(refusal, wallet, bound=BoundReached(Bound.BOOKS_LAG, first))
        case Refusal.FROZEN as refusal:
            return GiftRefused(refusal, wallet, reason=second.decode())
        case Refusal.UNDER_AGE | Refusal.GUARDIAN_NEEDED as refusal:
            return GiftRefused(refusal, wallet, age=first)
        case Refusal.OWN_CAPS_NEEDED as refusal:
            return GiftRefused(refusal, wallet, caps_needed=limits_of(first))
        case refusal:
            return GiftRefused(refusal, wallet)
