"""What can be found wrong, as a list that counts everything and keeps a few of each kind in words."""

import enum
from typing import Final

from msgspec import Struct

EXAMPLES_MAX: Final = 10
"""Faults of one kind that are kept in words; a broken server would fill the memory with them."""


class FaultKind(enum.StrEnum):
    """One thing that must not happen, each with the invariant of the design that it breaks."""

    LOST = "lost"
    """An accepted gift was not seen by a complete receiver (I5)."""
    DOUBLED = "doubled"
    """A gift was seen more than once (I5)."""
    GHOST = "ghost"
    """A refused gift was seen (I3)."""
    STRANGER = "stranger"
    """An event that no command of the run explains."""
    REORDERED = "reordered"
    """Events came in another order than their positions, or than their sender's payments."""
    UNDO = "undo"
    """What was undone was not shown so once, in its time and after its gift, or something else was shown so."""
    CONTENT = "content"
    """An event says something else than the command and its reply."""
    GAP = "gap"
    """A complete receiver was told of, or saw, a hole (I7)."""
    UNRESOLVED = "unresolved"
    """The outcome of a command could not be learned, even by telling it again."""
    CHARGED_TWICE = "charged_twice"
    """One id was accepted as new more than once (I3)."""
    UNDONE_TWICE = "undone_twice"
    """One gift was undone as new more than once (I3)."""
    CONTRADICTION = "contradiction"
    """Two answers to one id cannot both be true (I3)."""
    WRONGLY_REFUSED = "wrongly_refused"
    """Refused for lack of coins that were there."""
    REPLY_BALANCE = "reply_balance"
    """The balances told with `accepted` do not follow from each other."""
    COMBO_START = "combo_start"
    """A combo did not start with exactly one start event, or went on after its end."""
    COMBO_END = "combo_end"
    """A combo did not end with exactly one end event (I8)."""
    COMBO_TOTAL = "combo_total"
    """A combo's running totals are not the sum of its gifts (I6)."""
    COMBO_SPLIT = "combo_split"
    """Gifts inside the window are in different combos, gifts apart in the same, or a combo gift in none."""
    COMBO_REPLY = "combo_reply"
    """The combo told to the sender is not the one shown to the room."""
    VIEWER_SUM = "viewer_sum"
    """What a viewer was shown does not add up to what was accepted (I6)."""
    WALLET = "wallet"
    """A wallet is not grants less accepted coins (I1)."""
    PURCHASE = "purchase"
    """A purchase was not credited, not once, or not with its coins."""
    EARNINGS = "earnings"
    """A creator's live earnings are not its part of the accepted coins (I1)."""
    AUDIT = "audit"
    """The server's own audit found an invariant broken, or could not be had."""
    CLIENT = "client"
    """A client of the generator was cut off or met something that the protocol does not have."""
    VACUOUS = "vacuous"
    """There was nothing to judge, so nothing was shown to hold."""


class Fault(Struct, frozen=True):
    """One kind of fault: how often it was found, and some cases in words."""

    kind: FaultKind
    found: int
    examples: list[str]


class Faults:
    """Collects faults."""

    def __init__(self) -> None:
        self._found: dict[FaultKind, int] = {}
        self._examples: dict[FaultKind, list[str]] = {}

    def add(self, kind: FaultKind, example: str) -> None:
        """Count one fault; its words are kept while there is room."""
        self._found[kind] = self._found.get(kind, 0) + 1
        examples = self._examples.setdefault(kind, [])
        if len(examples) < EXAMPLES_MAX:
            examples.append(example)

    def count(self, kind: FaultKind) -> int:
        """How often this kind was found."""
        return self._found.get(kind, 0)

    def listed(self) -> list[Fault]:
        """All kinds found, in the order of `FaultKind`."""
        return [Fault(kind, self._found[kind], self._examples[kind]) for kind in FaultKind if kind in self._found]

    def __bool__(self) -> bool:
        return bool(self._found)
