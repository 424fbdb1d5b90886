"""What goes into `lua/undo_gift.lua` and `lua/settle_gifts.lua`, what they answer, and an open gift as stored."""

import struct
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from ledger.errors import InvariantBroken
from ledger.live.journal import encode_body
from ledger.live.keys import PartitionKeys
from ledger.model import GiftBody, GiftUndone, UndoOutcome, UndoRefusal, UndoRefused

SHUT_MS: Final = 120_000
"""While a refund waits for a viewer's open gifts, its new ones are paid at once: for so long since the refund asked."""
_DONE, _HAD_BEEN = 0, 1
_REFUSALS: Final = {2: UndoRefusal.SETTLED, 3: UndoRefusal.NO_SUCH_GIFT}
_OPEN: Final = struct.Struct(">dddddBH")
_UNDONE: Final = struct.Struct(">ddd")
_BY_CAPS, _BY_CREATORS_CAP = 1, 2
_decoder = msgspec.msgpack.Decoder(GiftBody)


class OpenGift(Struct, frozen=True):
    """A gift that may be undone, as the live ledger stores it.

    Attributes:
        body: as its record would be if it had been paid at once.
        until_ms: from then on it can only be paid.
        by_caps, by_creators_cap: whether the caps of the viewer, and the creator's of a day, counted it.
    """

    body: GiftBody
    given_ms: int
    until_ms: int
    by_caps: bool
    by_creators_cap: bool


def gift_field(gift_id: bytes, viewer: str) -> bytes:
    """Under what the live ledger stores a gift."""
    return gift_id + viewer.encode()


def undo_keys(keys: PartitionKeys) -> tuple[bytes, ...]:
    """The keys of `lua/settle_gifts.lua`, and the first ones of `lua/undo_gift.lua`."""
    return (
        *(keys.wallets, keys.earnings, keys.totals, keys.guards, keys.given_today),
        *(keys.open_gifts, keys.undo_deadlines, keys.undo_counts, keys.undone_gifts, keys.journal),
    )


def read_undo_answer(answer: Sequence[int]) -> UndoOutcome:
    """The outcome."""
    status, coins, wallet, at_ms = answer
    if status in (_DONE, _HAD_BEEN):
        return GiftUndone(coins, wallet, at_ms, replay=status == _HAD_BEEN)
    return UndoRefused(_REFUSALS[status])


def pack_open_gift(gift: OpenGift) -> bytes:
    """What `open_gifts` stores."""
    body, creator = gift.body, gift.body.creator.encode()
    counted = _BY_CAPS * gift.by_caps + _BY_CREATORS_CAP * gift.by_creators_cap
    amounts = (gift.until_ms, body.coins, body.creator_diamonds, body.commission_diamonds, gift.given_ms)
    return _OPEN.pack(*amounts, counted, len(creator)) + creator + encode_body(body)


def read_open_gift(field: bytes, value: bytes) -> OpenGift:
    """A field of `open_gifts`.

    Raises:
        InvariantBroken: it holds something else (I4).
    """
    try:
        until_ms, coins, creator, commission, given_ms, counted, size = _OPEN.unpack_from(value)
        name, packed = value[_OPEN.size : _OPEN.size + size], value[_OPEN.size + size :]
        body = _decoder.decode(packed)
    except (struct.error, msgspec.DecodeError) as exc:
        raise InvariantBroken("I4", f"open gift {field!r} is damaged: {exc}") from exc
    amounts = (body.coins, body.creator_diamonds, body.commission_diamonds, body.creator.encode())
    if (coins, creator, commission, name) != amounts or gift_field(body.id, body.viewer) != field:
        raise InvariantBroken("I4", f"open gift {field!r} is damaged: it is of {int(coins)} coins for {name!r}")
    given_by = (bool(counted & _BY_CAPS), bool(counted & _BY_CREATORS_CAP))
    return OpenGift(body, int(given_ms), int(until_ms), *given_by)


def pack_undone(undone: GiftUndone) -> bytes:
    """What `undone_gifts` stores."""
    return _UNDONE.pack(undone.coins, undone.balance_coins, undone.at_ms)
