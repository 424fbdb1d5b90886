"""How far each overlay has shown each room, kept outside of the page: OBS forgets its pages' storage, or is replaced.

An acknowledgement belongs to the overlay's token, not to a connection: whoever opens a page with that token goes on
where its screens were. Acknowledgements come with every gift, so they are gathered and saved at most every
`ack_save_ms`, and when an overlay goes; what a gateway that is killed had not saved yet is shown again.
"""

import asyncio
from collections.abc import Callable, Coroutine

import structlog

from gateway.room.config import RoomConfig
from gateway.rooms.broker import Broker, BrokerUnavailable

_log = structlog.get_logger()
Shown = tuple[int, int]
"""Epoch and seq."""


class OverlayAcks:
    """The acknowledgements of this process's overlays.

    Args:
        spawn: runs a coroutine as a task that somebody owns.
    """

    def __init__(
        self, broker: Broker, config: RoomConfig, spawn: Callable[[Coroutine[None, None, None]], None]
    ) -> None:
        self._broker = broker
        self._config = config
        self._spawn = spawn
        self._unsaved: dict[tuple[str, str], Shown] = {}
        self._on_the_way: dict[tuple[str, str], Shown] = {}
        self._one_at_a_time = asyncio.Lock()
        self._saving = False

    def note(self, room: str, token: str, shown: Shown) -> None:
        """An overlay has shown everything up to here; saved soon.

        Args:
            token: the id of its token.
        """
        self._put(room, token, shown)
        if not self._saving:
            self._saving = True
            self._spawn(self._save_later())

    def save_soon(self) -> None:
        """An overlay has gone, and may come back elsewhere at once: its page was loaded again."""
        if self._unsaved:
            self._spawn(self.save())

    async def kept(self, room: str, token: str) -> Shown | None:
        """How far the screens of a token have shown a room; None when they never said, or too long ago.

        Raises:
            BrokerUnavailable: the server does not answer.
        """
        unsaved = self._unsaved.get((room, token))
        on_the_way = self._on_the_way.get((room, token))
        saved = await self._broker.kept_ack(room, token)
        return max((shown for shown in (unsaved, on_the_way, saved) if shown is not None), default=None)

    async def save(self) -> None:
        """Save what was noted now; what cannot be saved is kept for the next time."""
        async with self._one_at_a_time:
            unsaved, self._unsaved = self._unsaved, {}
            if not unsaved:
                return
            self._on_the_way = unsaved
            try:
                await self._broker.keep_acks([(room, token, shown) for (room, token), shown in unsaved.items()])
            except BrokerUnavailable as exc:
                _log.warning("acks_not_saved", acks=len(unsaved), error=str(exc))
                for (room, token), shown in unsaved.items():
                    self._put(room, token, shown)
            finally:
                self._on_the_way = {}

    async def _save_later(self) -> None:
        try:
            while self._unsaved:
                await asyncio.sleep(self._config.ack_save_ms / 1000)
                await self.save()
        finally:
            self._saving = False

    def _put(self, room: str, token: str, shown: Shown) -> None:
        """Two screens of one token may be at different places: what one of them has shown was shown."""
        known = self._unsaved.get((room, token))
        self._unsaved[room, token] = shown if known is None else max(known, shown)
