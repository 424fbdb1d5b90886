"""Who is here, by account: the sessions of each, how many there may be, and how fast they may command together.

An account is a user in a role: a creator's overlays are not counted with the viewer of the same name.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gateway.admission.config import AdmissionConfig
from gateway.admission.counts import Bucket, Rate, Table
from gateway.auth import Identity
from gateway.counting.metrics import Metrics, Shed
from gateway.wire.messages import Role

if TYPE_CHECKING:
    from gateway.edge.session import Session


class AccountCount:
    """One account.

    Attributes:
        sessions: in the order in which they came.
    """

    __slots__ = ("commands", "key", "sessions")

    def __init__(self, key: bytes | str) -> None:
        self.key = key
        self.sessions: list[Session] = []
        self.commands = Bucket()

    def at_rest(self, now_s: float) -> bool:
        """Whether it has been quiet for long enough."""
        return self.commands.is_full(now_s)


class Accounts:
    """The accounts of one process.

    Args:
        clock_s: a monotonic clock.
    """

    def __init__(self, config: AdmissionConfig, metrics: Metrics, clock_s: Callable[[], float]) -> None:
        self._metrics = metrics
        self._clock_s = clock_s
        self._sessions_max = config.account_sessions_max
        self._commands = Rate(config.account_commands_per_s_max, config.account_commands_burst_max)
        self._table: Table[AccountCount] = Table(AccountCount, config.idle_counted_max)

    def enter(self, session: "Session", identity: Identity) -> "Session | None":
        """Count a session that was just greeted; gives the oldest of its account when there is now one too many.

        The oldest goes and not the new one: the person is where they came last, and what they left may be a socket that
        nobody has noticed to be dead, which would lock them out until the heartbeat finds it.
        """
        count = self._of(identity)
        if not count.sessions:
            self._table.opened(count)
        count.sessions.append(session)
        if len(count.sessions) <= self._sessions_max:
            return None
        self._metrics.shed(Shed.ACCOUNT_SESSIONS)
        return count.sessions.pop(0)

    def leave(self, session: "Session", identity: Identity) -> None:
        """It is gone; one that had to go before is fine."""
        count = self._table.get(_key(identity.role, identity.user))
        if count is None or session not in count.sessions:
            return
        count.sessions.remove(session)
        if not count.sessions:
            self._table.closed(count, self._clock_s())

    def sessions(self, role: Role, user: str) -> "Sequence[Session]":
        """Those of an account, in the order in which they came."""
        count = self._table.get(_key(role, user))
        return () if count is None else count.sessions

    def viewers(self) -> list[str]:
        """The viewers who are here, in no order."""
        return [key for key in map(str, self._table.opened_keys()) if _is_viewer(key)]

    def command(self, identity: Identity, count: int = 1) -> float:
        """Count a command, or one that counts as so many: 0, or for how many seconds it is refused."""
        wait_s = self._of(identity).commands.take(self._commands, self._clock_s(), count)
        if wait_s:
            self._metrics.shed(Shed.ACCOUNT_RATE)
        return wait_s

    def _of(self, identity: Identity) -> AccountCount:
        return self._table.of(_key(identity.role, identity.user), self._clock_s())


def _key(role: Role, user: str) -> str:
    # No name holds a blank.
    return user if role == "viewer" else f"{role} {user}"


def _is_viewer(key: str) -> bool:
    return " " not in key
