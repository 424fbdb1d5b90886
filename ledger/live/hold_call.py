"""What goes into `lua/hold.lua` and `lua/end_hold.lua`, what their answers mean, and a hold as it is stored."""

import struct
from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from ledger.config import LedgerConfig
from ledger.errors import InvariantBroken
from ledger.ids import ID_BYTES, digest_of
from ledger.live.gift_call import read_refusal
from ledger.live.journal import HOLD_ENDS, encode_body, encode_hold_end
from ledger.live.keys import PartitionKeys
from ledger.model import (
    Bound,
    BoundReached,
    EndOutcome,
    EndRefusal,
    EndRefused,
    GiftRefused,
    Held,
    HoldBody,
    HoldEnd,
    HoldEnded,
    HoldOrder,
    HoldOutcome,
    Refusal,
    ViewerId,
)

_ACCEPTED, _REPLAY = 0, 1
_REFUSALS: Final = {
    3: Refusal.ID_CONFLICT,
    6: Refusal.UNKNOWN,
    30: Refusal.TOO_MANY_HOLDS,
    31: Refusal.TOO_MANY_HOLDS,
}
_BOUNDS: Final = {30: Bound.VIEWER_HOLDS, 31: Bound.PARTITION_HOLDS}
_NO_BALANCE: Final = frozenset({Refusal.ID_CONFLICT, Refusal.UNKNOWN})
_ENDS: Final = tuple(HOLD_ENDS)
_END_REFUSALS: Final = {2: EndRefusal.NO_SUCH_HOLD, 3: EndRefusal.TOO_MANY_COINS, 4: EndRefusal.NOT_DUE}
_ALL_COINS: Final = -1
_OPEN: Final = struct.Struct(">8sddddB")
_ENDED: Final = struct.Struct(">Bddd")


class OpenHold(Struct, frozen=True):
    """An open hold as the live ledger stores it.

    Attributes:
        balance_coins: the wallet right after it began.
        counted: whether caps counted its coins, so that what comes back is to be given back to them.
    """

    id: bytes
    viewer: ViewerId
    coins: int
    balance_coins: int
    begun_ms: int
    expires_ms: int
    counted: bool
    digest: bytes
    reference: str


class EndedHold(Struct, frozen=True):
    """A hold that ended lately, as the live ledger remembers it: as it was while it was open, and its end."""

    hold: OpenHold
    ended: HoldEnded


def hold_body(order: HoldOrder) -> HoldBody:
    """A hold's record."""
    return HoldBody(order.id, order.viewer, order.coins, order.lasts_ms, order.reference)


def hold_field(hold_id: bytes, viewer: str) -> bytes:
    """Under what the live ledger stores a hold."""
    return hold_id + viewer.encode()


def end_number(end: HoldEnd) -> int:
    """How a hold ended, as the scripts number it."""
    return _ENDS.index(end) + 1


def hold_keys(keys: PartitionKeys) -> tuple[bytes, ...]:
    """The keys of both scripts."""
    return (
        *(keys.wallets, keys.totals, keys.guards, keys.holds),
        *(keys.hold_deadlines, keys.hold_counts, keys.ended_holds, keys.journal),
    )


def hold_words(order: HoldOrder, config: LedgerConfig, until_ms: int) -> tuple[Any, ...]:
    """The arguments of `lua/hold.lua`."""
    body = encode_body(hold_body(order))
    return (
        *(hold_field(order.id, order.viewer), digest_of(body), order.viewer, order.coins, order.lasts_ms, body),
        *(until_ms, config.viewer_holds_max, config.partition_holds_max, config.journal_records_max),
        *(config.gift_coins_max, config.day_coins_max, config.week_coins_max, config.month_coins_max),
        *(order.reference, int(config.counts_spending), int(config.ages_known)),
    )


def read_hold_answer(answer: Sequence[Any]) -> HoldOutcome:
    """The outcome."""
    status, wallet, at_ms, first, second = answer
    if status in (_ACCEPTED, _REPLAY):
        return Held(wallet, at_ms, replay=status == _REPLAY)
    if status not in _REFUSALS:
        return read_refusal(status, wallet, first, second, at_ms)
    refusal = _REFUSALS[status]
    bound = BoundReached(_BOUNDS[status], first) if status in _BOUNDS else None
    return GiftRefused(refusal, None if refusal in _NO_BALANCE else wallet, bound=bound)


def end_words(hold_id: bytes, viewer: ViewerId, end: HoldEnd, taken_coins: int | None) -> tuple[Any, ...]:
    """The arguments of `lua/end_hold.lua`; all coins are taken when `taken_coins` is None."""
    taken = _ALL_COINS if taken_coins is None else taken_coins
    return (
        *(hold_field(hold_id, viewer), viewer, end_number(end), taken if end is HoldEnd.SETTLED else 0),
        *(encode_hold_end(hold_id, viewer), *HOLD_ENDS.values()),
    )


def read_end_answer(answer: Sequence[int]) -> EndOutcome:
    """The outcome."""
    status, how, coins, taken, wallet, at_ms = answer
    if status in (_ACCEPTED, _REPLAY):
        return HoldEnded(_ENDS[how - 1], coins, taken, wallet, at_ms, replay=status == _REPLAY)
    refusal = _END_REFUSALS[status]
    return EndRefused(refusal, None if refusal is EndRefusal.NO_SUCH_HOLD else coins)


def read_open_hold(field: bytes, value: bytes) -> OpenHold:
    """A field of `holds`.

    Raises:
        InvariantBroken: it holds something else (I4).
    """
    try:
        digest, wallet, expires_ms, coins, begun_ms, counted = _OPEN.unpack_from(value)
        hold_id, viewer = field[:ID_BYTES], ViewerId(field[ID_BYTES:].decode())
        reference = value[_OPEN.size :].decode()
    except (struct.error, UnicodeDecodeError) as exc:
        raise InvariantBroken("I4", f"hold {field!r} is damaged: {exc}") from exc
    amounts = (int(coins), int(wallet), int(begun_ms), int(expires_ms))
    return OpenHold(hold_id, viewer, *amounts, bool(counted), digest, reference)


def read_ended_hold(field: bytes, value: bytes) -> EndedHold:
    """A field of `ended_holds`.

    Raises:
        InvariantBroken: it holds something else (I4).
    """
    hold = read_open_hold(field, value[_ENDED.size :])
    how, taken, wallet, at_ms = _ENDED.unpack_from(value)
    return EndedHold(hold, HoldEnded(_ENDS[how - 1], hold.coins, int(taken), int(wallet), int(at_ms), replay=True))


def pack_open_hold(hold: OpenHold) -> bytes:
    """The other way round: what `holds` stores."""
    amounts = (hold.balance_coins, hold.expires_ms, hold.coins, hold.begun_ms)
    return _OPEN.pack(hold.digest, *amounts, int(hold.counted)) + hold.reference.encode()
