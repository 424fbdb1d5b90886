"""What is counted for one address or account, and the bounded table of them. Knows no address, no socket, no clock."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from msgspec import Struct

PRUNED_MAX: Final = 2
"""Of those with nothing to remember, so many are dropped for each that is new."""


class Rate(Struct, frozen=True):
    """So many a second over a longer time, and so many at once after a quiet time."""

    per_s: float
    burst: float


class Bucket:
    """Holds a rate's burst and fills steadily. Its whole state is when it will be full."""

    __slots__ = ("_full_at_s",)

    def __init__(self) -> None:
        self._full_at_s = 0.0

    def take(self, rate: Rate, now_s: float, count: int = 1) -> float:
        """Take so many; else say in how many seconds there will be as many, and take nothing. 0 when they were taken.

        Args:
            count: of more than the burst, as many as the burst.
        """
        full_at_s = max(self._full_at_s, now_s) + min(count, rate.burst) / rate.per_s
        over_s = full_at_s - now_s - rate.burst / rate.per_s
        # Sums of fractions: at the bound itself they may be a breath above it.
        if over_s > 1e-6:
            return over_s
        self._full_at_s = full_at_s
        return 0.0

    def drain(self, rate: Rate, now_s: float, taken: float) -> None:
        """Take so many, or all that there are."""
        full_at_s = max(self._full_at_s, now_s) + taken / rate.per_s
        self._full_at_s = min(full_at_s, now_s + rate.burst / rate.per_s)

    def is_full(self, now_s: float) -> bool:
        """Whether it remembers nothing."""
        return self._full_at_s <= now_s


class Counted(Protocol):
    """What a table holds."""

    @property
    def key(self) -> bytes | str:
        """Its name in the table."""

    def at_rest(self, now_s: float) -> bool:
        """Whether nothing of it needs to be remembered, when nothing of it is open."""


_Counted = TypeVar("_Counted", bound=Counted)


class Table(Generic[_Counted]):
    """Those with something open, and a bounded number of those without.

    Args:
        make: a new one of this name.
        idle_max: bound of those with nothing open; the one that was quiet the longest goes first.

    Attributes:
        forgotten: how many went that would have had to be remembered.
    """

    def __init__(self, make: Callable[[bytes | str], _Counted], idle_max: int) -> None:
        self.forgotten = 0
        self._make = make
        self._idle_max = idle_max
        self._open: dict[bytes | str, _Counted] = {}
        self._idle: OrderedDict[bytes | str, _Counted] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open) + len(self._idle)

    def get(self, key: bytes | str) -> _Counted | None:
        """The one with this name, if it is known."""
        return self._open.get(key) or self._idle.get(key)

    def of(self, key: bytes | str, now_s: float) -> _Counted:
        """The one with this name, which is made if it is not known."""
        found = self._open.get(key)
        if found is not None:
            return found
        found = self._idle.get(key)
        if found is None:
            self._prune(now_s)
            found = self._idle[key] = self._make(key)
        else:
            self._idle.move_to_end(key)
        return found

    def opened_keys(self) -> list[bytes | str]:
        """The names of those with something open, in no order."""
        return list(self._open)

    def opened(self, counted: _Counted) -> None:
        """It has something open from now on, and stays."""
        self._idle.pop(counted.key, None)
        self._open[counted.key] = counted

    def closed(self, counted: _Counted, now_s: float) -> None:
        """It has nothing open any more."""
        self._open.pop(counted.key, None)
        if not counted.at_rest(now_s):
            self._prune(now_s)
            self._idle[counted.key] = counted

    def _prune(self, now_s: float) -> None:
        for _ in range(PRUNED_MAX):
            oldest = next(iter(self._idle.values()), None)
            if oldest is None or not oldest.at_rest(now_s):
                break
            self._idle.popitem(last=False)
        while len(self._idle) >= self._idle_max:
            self._idle.popitem(last=False)
            self.forgotten += 1
