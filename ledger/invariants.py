"""What is always true of the money, each with its number; and how a check tells what it found.

Tests, the audit, the fault runs and the load tester cite these numbers. I5 to I8 are about rooms: the ledger gives
their texts, and others check them.
"""

import enum
from typing import Final

from msgspec import Struct

VIOLATIONS_MAX: Final = 100
"""So many violations of one invariant are named; the others are only counted."""


class Invariant(enum.StrEnum):
    """The numbers."""

    I1 = "I1"
    I2 = "I2"
    I3 = "I3"
    I4 = "I4"
    I5 = "I5"
    I6 = "I6"
    I7 = "I7"
    I8 = "I8"
    I9 = "I9"
    I10 = "I10"


TITLES: Final = {
    Invariant.I1: "In each unit all accounts sum to zero, in every partition and in the books",
    Invariant.I2: "No wallet is below zero, unless a refund or charge-back made a debt",
    Invariant.I3: "One id charges or credits at most once",
    Invariant.I4: "What was accepted is still there: the journal has no gap and no end before the books",
    Invariant.I5: "Every accepted gift appears in its room's history exactly once",
    Invariant.I6: "Merging conserves counts and coins",
    Invariant.I7: "No client misses an event without being told",
    Invariant.I8: "Every combo that starts ends, with one end event",
    Invariant.I9: "The books hold each journal record exactly once, and every wallet is what they say",
    Invariant.I10: "Money leaves only by a withdrawal that walked its states, and never more than was earned",
}


class InvariantResult(Struct, frozen=True):
    """What became of one invariant.

    Attributes:
        checked: how many things were looked at.
        violations: sentences that name account and record; at most VIOLATIONS_MAX, and one that counts the rest.
    """

    id: str
    title: str
    ok: bool
    checked: int
    violations: list[str]


class Findings:
    """Gathers what checks look at and what they find."""

    def __init__(self, invariants: tuple[Invariant, ...]) -> None:
        self._checked = dict.fromkeys(invariants, 0)
        self._found: dict[Invariant, list[str]] = {invariant: [] for invariant in invariants}
        self._unnamed = dict.fromkeys(invariants, 0)

    def count(self, invariant: Invariant, things: int) -> None:
        """So many things more were looked at."""
        self._checked[invariant] += things

    def violate(self, invariant: Invariant, words: str) -> None:
        """Something contradicts the invariant."""
        if len(self._found[invariant]) < VIOLATIONS_MAX:
            self._found[invariant].append(words)
        else:
            self._unnamed[invariant] += 1

    def results(self) -> list[InvariantResult]:
        """One for each invariant, in order."""
        results = []
        for invariant, found in self._found.items():
            more = self._unnamed[invariant]
            violations = [*found, f"and {more} more"] if more else found
            results.append(
                InvariantResult(invariant.value, TITLES[invariant], not found, self._checked[invariant], violations)
            )
        return results
