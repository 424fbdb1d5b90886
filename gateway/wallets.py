"""Which sessions show which wallet: tells every session of a viewer when something changed the balance."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from gateway.room.facts import WalletChange

if TYPE_CHECKING:
    from gateway.edge.session import Session


class Wallets:
    """The viewers that are connected to this process, with their sessions."""

    def __init__(self) -> None:
        self._sessions: dict[str, list[Session]] = {}

    def remember(self, session: "Session") -> None:
        """A viewer's session that was just greeted."""
        if session.identity is not None:
            self._sessions.setdefault(session.identity.user, []).append(session)

    def forget(self, session: "Session") -> None:
        """It is gone; one that was never remembered is fine."""
        if session.identity is None:
            return
        sessions = self._sessions.get(session.identity.user, [])
        if session in sessions:
            sessions.remove(session)
            if not sessions:
                del self._sessions[session.identity.user]

    def changed(self, changes: Iterable[WalletChange]) -> None:
        """Tell those who are concerned."""
        for change in changes:
            for session in self._sessions.get(change.viewer, ()):
                session.wallet_changed(change.record, change.balance_coins)
