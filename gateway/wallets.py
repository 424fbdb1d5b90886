"""Which sessions show which wallet: tells every session of a viewer when something changed the balance.

A session hears of changes from before its wallet is read for the welcome, so that nothing can fall between the two. And
after changes may have been missed, every wallet that is shown is read again.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final

import structlog

from gateway.admission.accounts import Accounts
from gateway.room.facts import WalletChange
from ledger.errors import LedgerUnavailable

if TYPE_CHECKING:
    from gateway.edge.session import Session

_log = structlog.get_logger()
READ_TOGETHER: Final = 500
"""After a loss so many wallets are read at a time; between them others have their turn."""
_PAUSE_S_MIN: Final = 0.05
_PAUSE_S_MAX: Final = 1.0


class Wallets:
    """The wallets of the viewers who are connected to this process.

    Args:
        read: coins in a viewer's wallet; raises `LedgerUnavailable`.
        spawn: runs a coroutine as a task that somebody owns.
    """

    def __init__(
        self,
        accounts: Accounts,
        read: Callable[[str], Coroutine[None, None, int]],
        spawn: Callable[[Coroutine[None, None, None]], None],
    ) -> None:
        self._accounts = accounts
        self._read = read
        self._spawn = spawn
        self._greeted: dict[str, list[Session]] = {}
        self._reading_again = False
        self._lost_again = False

    @contextlib.contextmanager
    def greeting(self, session: "Session", viewer: str) -> Iterator[None]:
        """While a session is not yet among its account's, it hears of changes all the same."""
        sessions = self._greeted.setdefault(viewer, [])
        sessions.append(session)
        try:
            yield
        finally:
            sessions.remove(session)
            if not sessions:
                del self._greeted[viewer]

    def changed(self, changes: Iterable[WalletChange]) -> None:
        """Tell those who are concerned."""
        for change in changes:
            for session in self._shown_by(change.viewer):
                session.wallet_changed(change.record, change.balance_coins)

    def lost(self) -> None:
        """Changes may have been missed: tell every wallet as it is now, as soon as it can be read."""
        self._lost_again = True
        if not self._reading_again:
            self._reading_again = True
            self._spawn(self._read_again())

    def _shown_by(self, viewer: str) -> "Iterable[Session]":
        sessions = self._accounts.sessions("viewer", viewer)
        if self._greeted:
            return [*sessions, *self._greeted.get(viewer, ())]
        return sessions

    async def _read_again(self) -> None:
        try:
            while self._lost_again:
                self._lost_again = False
                left = iter({*self._accounts.viewers(), *self._greeted})
                while viewers := list(islice(left, READ_TOGETHER)):
                    await self._tell_again(viewers)
        finally:
            self._reading_again = False

    async def _tell_again(self, viewers: list[str]) -> None:
        pause_s = _PAUSE_S_MIN
        while True:
            for viewer in viewers:
                for session in self._shown_by(viewer):
                    session.wallet_doubted()
            found = await asyncio.gather(*[self._read(viewer) for viewer in viewers], return_exceptions=True)
            unread: list[str] = []
            for viewer, coins in zip(viewers, found, strict=True):
                if isinstance(coins, LedgerUnavailable):
                    unread.append(viewer)
                elif isinstance(coins, BaseException):
                    _log.error("wallet_not_read", viewer=viewer, error=f"{type(coins).__name__}: {coins}")
                else:
                    for session in self._shown_by(viewer):
                        session.wallet_read(coins)
            if not unread:
                return
            _log.warning("wallets_not_read_again", wallets=len(unread))
            viewers = unread
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _PAUSE_S_MAX)
