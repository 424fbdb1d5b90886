"""How many gifts may wait for a commit: as many as are paid before they have waited too long, by the rate of late.

A rate says what the ledger can do only while more gifts wait than one commit takes: with fewer it is what was asked
for, and a burst that could be paid would be refused by it. And it takes some looks to tell a ledger that is too slow
from one that stood still for a moment.
"""

from collections import deque
from typing import Final

LOOKS: Final = 10
"""Looks at what waits, in the time that a gift may wait."""
LEARNED_LOOKS: Final = 4
"""Looks in a row at which more waits than one commit takes, before the rate between them counts."""
CALM_LOOKS: Final = 2
"""Looks in a row at which no more waits than that, until as many are taken in again as may be at all."""
WAIT_AIM: Final = 0.4
"""Gifts are taken in for this part of the time for which one may wait; the rest is for the rate to sink."""
TAKEN_IN_MIN: Final = 512
"""So many gifts are taken in whatever the rate was: one that was nearly 0 must be able to rise again."""


class TakingIn:
    """The bound of what waits, as it is learned by looking.

    Args:
        waiting_max: gifts that may wait whatever the rate.
        wait_s_max: how long one may wait.
        commit_gifts_max: gifts that one commit takes.

    Attributes:
        bound: gifts that may wait now.
    """

    def __init__(self, waiting_max: int, wait_s_max: float, commit_gifts_max: int) -> None:
        self.bound = waiting_max
        self._waiting_max = waiting_max
        self._wait_s_max = wait_s_max
        self._commit_gifts_max = commit_gifts_max
        self._seen: deque[tuple[float, int]] = deque(maxlen=LEARNED_LOOKS)
        self._calm = 0

    def look(self, now_s: float, waiting: int, judged: int) -> None:
        """Learn from a look; `LOOKS` of them are due in `wait_s_max`.

        Args:
            now_s: of a monotonic clock.
            waiting: gifts that wait.
            judged: gifts that have been judged since the beginning.
        """
        if waiting <= self._commit_gifts_max:
            self._seen.clear()
            self._calm += 1
            if self._calm >= CALM_LOOKS:
                # How fast it was is no bound for what comes next.
                self.bound = self._waiting_max
            return
        self._calm = 0
        self._seen.append((now_s, judged))
        if len(self._seen) == LEARNED_LOOKS:
            (then_s, before), (now_s, after) = self._seen[0], self._seen[-1]
            aim = int((after - before) / (now_s - then_s) * self._wait_s_max * WAIT_AIM)
            self.bound = min(max(aim, TAKEN_IN_MIN), self._waiting_max)
