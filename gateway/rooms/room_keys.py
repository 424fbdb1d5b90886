"""Every Redis key of a room is spelled here and nowhere else.

A room's keys share one hash tag, so that a script that is given them runs on one node of a cluster. Values:

| key | type | holds |
|---|---|---|
| meta | hash | epoch, seq, and for each partition `p<partition>` → seq of the last journal record told |
| history | stream | batches of facts (field `b`); entry id = epoch-seq of its last fact |
| combos | hash | viewer NUL combo key → id of the open combo (16 bytes) and its end, ready to be told |
| board | sorted set | viewer → coins |
| names | hash | viewer → level, space, name, for the board |
| ack:<token> | string, expires | epoch-seq up to which the screens of an overlay token have shown the room |
| presence | hash, expires | gateway → viewers that it has and until when that counts |
| channel | sharded pub/sub | the batches, as they are appended to the history |
"""

import functools
from typing import Final

_PREFIX: Final = "gw:{r:"
_META: Final = "}:meta"

EVERY_META: Final = f"{_PREFIX}*{_META}".encode()
"""A pattern that matches the meta key of every room, for SCAN."""

LOOKED_AT: Final = b"gw:{audit}:looked_at"
"""A hash: partition → the last record whose gift was looked for in its room's history."""

WALLETS_CHANNEL: Final = b"gw:{wallets}:channel"
"""A sharded channel for the wallet changes of all partitions."""


class RoomKeys:
    """The keys of one room, as bytes ready to be sent."""

    __slots__ = ("_base", "board", "channel", "combos", "history", "meta", "names", "presence")

    def __init__(self, room: str) -> None:
        base = f"{_PREFIX}{room}}}:"
        self._base = base
        self.meta = f"{base}meta".encode()
        self.history = f"{base}history".encode()
        self.combos = f"{base}combos".encode()
        self.board = f"{base}board".encode()
        self.names = f"{base}names".encode()
        self.presence = f"{base}presence".encode()
        self.channel = f"{base}channel".encode()

    def ack(self, token: str) -> bytes:
        """The key of what one overlay token's screens acknowledged."""
        return f"{self._base}ack:{token}".encode()


@functools.lru_cache(maxsize=4096)
def keys_of(room: str) -> RoomKeys:
    """The keys of a room; those of rooms asked for lately are kept."""
    return RoomKeys(room)


def room_of_meta(key: bytes) -> str:
    """The room whose meta key this is."""
    return key.decode().removeprefix(_PREFIX).removesuffix(_META)


def combo_field(viewer: str, combo_key: str) -> str:
    """The field of an open combo."""
    return f"{viewer}\0{combo_key}"
