"""Which place belongs to whom, kept in memory: a gift must not wait for PostgreSQL, nor fail when it is away.

An entry that is in use is asked for again in the background from `RENEW_S` on, so that no gift waits for it. One that
is older than `FRESH_S` is waited for, but while PostgreSQL does not answer, or takes long, the old one goes on. What
another process changed is seen after that time; `forget` makes a change of our own visible at once.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from ledger.directory import Place
from ledger.errors import LedgerUnavailable

FRESH_S: Final = 5.0
RENEW_S: Final = 2.5
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
        self._asking: dict[str, tuple[asyncio.Task[Place | None], float]] = {}

    def peek(self, place: str) -> Place | None:
        """A place if it is known and may be sold in without waiting; None otherwise: then `find` it.

        A place that was asked for longer ago than `KNOWN_WAIT_S`, without an answer, is not waited for again.
        """
        entry = self._known.get(place)
        if entry is None or entry[0] is None:
            return None
        now_s = self._clock_s()
        age_s = now_s - entry[1]
        if age_s <= RENEW_S:
            return entry[0]
        if age_s <= FRESH_S:
            self._ask_once(place)
            return entry[0]
        asking = self._asking.get(place)
        return entry[0] if asking is not None and now_s - asking[1] > KNOWN_WAIT_S else None

    async def find(self, place: str) -> Place | None:
        """A place, or None when there is none.

        Raises:
            LedgerUnavailable: PostgreSQL is away and the place was never seen.
        """
        entry = self._known.get(place)
        if entry is not None and self._clock_s() - entry[1] <= FRESH_S:
            return entry[0]
        asking = self._ask_once(place)
        if entry is not None and entry[0] is not None:
            done, _ = await asyncio.wait({asking}, timeout=KNOWN_WAIT_S)
            if not done:
                _log.warning("place_not_refreshed", place=place, error="PostgreSQL takes long")
                return entry[0]
        return await asyncio.shield(asking)

    def forget(self, place: str) -> None:
        """Ask again the next time; the answer to a question that was put before is not kept."""
        self._known.pop(place, None)
        self._asking.pop(place, None)

    def _ask_once(self, place: str) -> asyncio.Task[Place | None]:
        asking = self._asking.get(place)
        if asking is not None:
            return asking[0]
        task = asyncio.create_task(self._refresh(place), name=f"place-{place}")
        self._asking[place] = task, self._clock_s()
        task.add_done_callback(lambda _: self._answered(place, task))
        return task

    def _answered(self, place: str, task: asyncio.Task[Place | None]) -> None:
        asking = self._asking.get(place)
        is_kept = asking is not None and asking[0] is task
        if is_kept:
            del self._asking[place]
        if task.cancelled():
            return
        failure = task.exception()
        if failure is not None:
            # Whoever waits hears it too; in the background nobody does.
            _log.warning("place_not_refreshed", place=place, error=f"{type(failure).__name__}: {failure}")
        elif is_kept:
            self._known[place] = (task.result(), self._clock_s())
            self._known.move_to_end(place)
            while len(self._known) > PLACES_MAX:
                self._known.popitem(last=False)

    async def _refresh(self, place: str) -> Place | None:
        try:
            return await self._ask(place)
        except LedgerUnavailable as exc:
            entry = self._known.get(place)
            if entry is None:
                raise
            _log.warning("place_not_refreshed", place=place, error=str(exc))
            return entry[0]
