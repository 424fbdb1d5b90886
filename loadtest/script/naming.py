"""Names and gift ids of one run.

Every run names its own rooms, creators and users, so that runs against the same server do not mix. A gift id
is a UUIDv7 whose time is the intended send time and whose random part is the run, the process and the number
of the gift: whoever sees the id knows which command it was, without a table of ids.
"""

import secrets
from typing import Final

from msgspec import Struct

PROCESS_MAX: Final = 0xFFF
FOREIGN: Final = -2
"""The key of an id that this run did not make."""


class Run(Struct, frozen=True):
    """One run's names.

    Attributes:
        nonce: 30 random bits; different from run to run, so that ids never meet.
    """

    nonce: int

    @property
    def prefix(self) -> str:
        """What all names of this run begin with."""
        return f"lt{self.nonce:08x}"

    def room(self, number: int) -> str:
        """Name of a room."""
        return f"{self.prefix}-r{number}"

    def creator(self, room: int) -> str:
        """Who earns in a room."""
        return f"{self.prefix}-c{room}"

    def sender(self, number: int) -> str:
        """A user who sends."""
        return f"{self.prefix}-s{number}"

    def buyer(self, number: int) -> str:
        """A user who buys."""
        return f"{self.prefix}-b{number}"

    def viewer(self, number: int) -> str:
        """A user who watches."""
        return f"{self.prefix}-v{number}"


def new_run() -> Run:
    """Names that no run has used."""
    return Run(secrets.randbits(30))


class GiftIds:
    """Makes and reads the gift ids of one process of a run.

    A key is `process << 32 | number`: small enough for a column of integers, unique in the run.
    """

    def __init__(self, run: Run, process: int) -> None:
        if not 0 <= process <= PROCESS_MAX:
            raise ValueError(f"a process is numbered 0 to {PROCESS_MAX}")
        self._base = process << 32
        self._middle = f"-7{process:03x}-{_tail(run)}"

    def make(self, number: int, at_ms: int) -> str:
        """The id of this process's gift `number`, meant to be sent at `at_ms` (Unix time)."""
        return f"{at_ms >> 16:08x}-{at_ms & 0xFFFF:04x}{self._middle}{number:08x}"

    def key(self, number: int) -> int:
        """The key of this process's gift `number`."""
        return self._base | number


class GiftKeys:
    """Reads the keys out of gift ids of any process of a run."""

    def __init__(self, run: Run) -> None:
        self._tail = _tail(run)

    def key(self, gift_id: str) -> int:
        """The key of an id, or FOREIGN."""
        if gift_id[19:28] != self._tail:
            return FOREIGN
        return int(gift_id[15:18], 16) << 32 | int(gift_id[28:], 16)


def id_time_ms(gift_id: str) -> int:
    """The time inside an id: the intended send time of a gift of ours."""
    return int(gift_id[:8] + gift_id[9:13], 16)


def _tail(run: Run) -> str:
    # xxxxxxxx-xxxx-7ppp-VVVV-nnnn########: variant bits and the nonce; the last eight digits number the gift.
    return f"{0x8000 | run.nonce >> 16:04x}-{run.nonce & 0xFFFF:04x}"


def grant_id(now_ms: int) -> str:
    """A fresh UUIDv7 for a call that is not a gift."""
    high, low = secrets.randbits(12), secrets.randbits(62) | 1 << 63
    digits = f"{now_ms:012x}7{high:03x}{low:016x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
