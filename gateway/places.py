"""Which place belongs to whom, kept in memory: a gift must not wait for PostgreSQL, nor fail when it is away.

An entry is asked for again when it is older than `FRESH_S`; while PostgreSQL does not answer, or takes long, the old
one goes on. What another process changed is seen after that time; `forget` makes a change of our own visible at once.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from ledger.directory import Place
from ledger.errors import LedgerUnavailable

FRESH_S: Final = 5.0
PLACES_MAX: Final = 100_000
KNOWN_WAIT_S: Final = 0.25
"""How long a place that is known waits for a new answer: a PostgreSQL that hangs would hold up every gift."""
_log = structlog.get_logger()


def room_place(room: str) -> str:
    """The ledger's name of a room."""
    return f"room:{room}"


def video_place(video: str) -> str:
    """The ledger's name of a recorded video."""
    return f"video:{video}"


class Places:
    """A bounded cache in front of the directory.

    Args:
        ask: the directory's own answer; None for a place that does not exist.
        clock_s: a monotonic clock.
    """

    def __init__(self, ask: Callable[[str], Awaitable[Place | None]], clock_s: Callable[[], float]) -> None:
        self._ask = ask
        self._clock_s = clock_s
        self._known: OrderedDict[str, tuple[Place | None, float]] = OrderedDict()
        self._asking: dict[str, asyncio.Task[Place | None]] = {}

    def peek(self, place: str) -> Place | None:
        """A place if it is known and fresh enough to sell in; None otherwise: then `find` it."""
        entry = self._known.get(place)
        if entry is None or entry[0] is None or self._clock_s() - entry[1] > FRESH_S:
            return None
        return entry[0]

    async def find(self, place: str) -> Place | None:
        """A place, or None when there is none.

        Raises:
            LedgerUnavailable: PostgreSQL is away and the place was never seen.
        """
        entry = self._known.get(place)
        if entry is not None and self._clock_s() - entry[1] <= FRESH_S:
            return entry[0]
        asking = self._asking.get(place)
        if asking is None:
            asking = self._asking[place] = asyncio.create_task(self._refresh(place), name=f"place-{place}")
            asking.add_done_callback(lambda _: self._asking.pop(place, None))
        if entry is not None and entry[0] is not None:
            done, _ = await asyncio.wait({asking}, timeout=KNOWN_WAIT_S)
            if not done:
                _log.warning("place_not_refreshed", place=place, error="PostgreSQL takes long")
                self._known[place] = (entry[0], self._clock_s())
                return entry[0]
        return await asyncio.shield(asking)

    def forget(self, place: str) -> None:
        """Ask again the next time."""
        self._known.pop(place, None)

    async def _refresh(self, place: str) -> Place | None:
        try:
            found = await self._ask(place)
        except LedgerUnavailable as exc:
            entry = self._known.get(place)
            if entry is None:
                raise
            _log.warning("place_not_refreshed", place=place, error=str(exc))
            found = entry[0]
        self._known[place] = (found, self._clock_s())
        self._known.move_to_end(place)
        while len(self._known) > PLACES_MAX:
            self._known.popitem(last=False)
        return found
