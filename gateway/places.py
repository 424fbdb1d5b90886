"""Which place belongs to whom, kept in memory: a gift must not wait for PostgreSQL, nor fail when it is away.

An entry that is in use is asked for again in the background from `RENEW_S` on, so that no gift waits for it. One that
is older than `FRESH_S` is waited for, but while PostgreSQL does not answer, or takes long, the old one goes on. What
another process changed is seen after that time; `forget` makes a change of our own visible at once.

Who enters a room takes no money, so a place may be older for that. It is read ahead, a page of many places at a time: a
crowd that lost another gateway and comes here, to rooms that nobody here was in, asks PostgreSQL nothing.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from ledger.errors import LedgerUnavailable
from ledger.guards.directory import Place

FRESH_S: Final = 5.0
RENEW_S: Final = 2.5
ENTER_S: Final = 60.0
"""How old a place may be for whoever enters it."""
AHEAD_S: Final = 20.0
"""How often places are read ahead."""
AHEAD_WAIT_S: Final = 2.0
"""How long that may take: a gateway starts without PostgreSQL too."""
AHEAD_MAX: Final = 20_000
"""Places that are read ahead; rooms beyond are asked for when somebody enters."""
PLACES_MAX: Final = 100_000
KNOWN_WAIT_S: Final = 0.25
"""How long a place that is known waits for a new answer: a PostgreSQL that hangs would hold up every gift."""
Page = Callable[[str], Awaitable[Sequence[Place]]]
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
        self._forgotten: set[str] = set()

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

    def known(self, place: str) -> Place | None:
        """A place as it was read last, however long ago."""
        entry = self._known.get(place)
        return None if entry is None else entry[0]

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

    async def enter(self, place: str) -> Place | None:
        """A place for somebody who enters it, which may be older than one that is sold in; None when there is none.

        Raises:
            LedgerUnavailable: PostgreSQL is away and the place was never seen.
        """
        entry = self._known.get(place)
        if entry is not None and entry[0] is not None and self._clock_s() - entry[1] <= ENTER_S:
            return entry[0]
        return await self.find(place)

    async def keep_ahead(self, page: Page) -> None:
        """Look ahead again and again, until cancelled."""
        while True:
            await asyncio.sleep(AHEAD_S)
            await self.look_ahead(page)

    async def look_ahead(self, page: Page) -> None:
        """Get to know up to `AHEAD_MAX` places before anybody asks for them, as far as PostgreSQL answers in time.

        Args:
            page: the places behind a name, in the order of their names; empty after the last.
        """
        try:
            async with asyncio.timeout(AHEAD_WAIT_S):
                await self._read_ahead(page)
        except (LedgerUnavailable, TimeoutError) as exc:
            _log.warning("places_not_read_ahead", error=f"{type(exc).__name__}: {exc}")

    def forget(self, place: str) -> None:
        """Ask again the next time; the answer to a question that was put before is not kept."""
        self._forgotten.add(place)
        self._known.pop(place, None)
        self._asking.pop(place, None)

    async def _read_ahead(self, page: Page) -> None:
        after, read = "", 0
        while read < AHEAD_MAX:
            self._forgotten.clear()
            asked_s = self._clock_s()
            found = await page(after)
            for place in found:
                known = self._known.get(place.place)
                if place.place not in self._forgotten and (known is None or known[1] <= asked_s):
                    self._put(place.place, place, asked_s)
            if not found:
                return
            after, read = found[-1].place, read + len(found)

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
            self._put(place, task.result(), self._clock_s())

    def _put(self, place: str, known: Place | None, asked_s: float) -> None:
        self._known[place] = (known, asked_s)
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
