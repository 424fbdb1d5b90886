"""What can go wrong while the ledger works, as one tree. A refusal is not an error: it is returned."""

from ledger.model import Refusal


class LedgerError(Exception):
    """Root of the tree."""


class LedgerUnavailable(LedgerError):
    """Redis or PostgreSQL did not answer; nothing is known to be lost."""


class EpochAwaited(LedgerUnavailable):
    """The server was promoted, and a worker is about to begin a new epoch: nothing has to be done but to wait."""


class InvariantBroken(LedgerError):
    """Stored money contradicts itself. The writer stops; nothing is skipped.

    Attributes:
        invariant: its number, such as `I9`.
    """

    def __init__(self, invariant: str, message: str) -> None:
        super().__init__(f"{invariant}: {message}")
        self.invariant = invariant


class NotFound(LedgerError):
    """No such purchase, withdrawal, creator or place."""


class WrongState(LedgerError):
    """The state table does not allow this step from the present state."""


class IdConflict(LedgerError):
    """The id was used before with other content."""


class ValueRefused(LedgerError):
    """A name, text or amount is outside of what may be stored. Nothing was stored.

    Attributes:
        constraint: the rule's name in PostgreSQL, such as `creators_name_check`; empty where a type refused it.
    """

    def __init__(self, constraint: str, message: str) -> None:
        super().__init__(message)
        self.constraint = constraint


class LimitReached(LedgerError):
    """One more would be too many; the message says of what. Nothing was stored.

    Attributes:
        limit: how many there may be.
    """

    def __init__(self, limit: int, message: str) -> None:
        super().__init__(message)
        self.limit = limit


class AgeForbids(LedgerError):
    """The person's age, or that it is not known, forbids this. Nothing was stored.

    Attributes:
        refusal: UNDER_AGE, GUARDIAN_NEEDED or AGE_UNKNOWN.
        age: from which it is allowed; 0 with AGE_UNKNOWN.
    """

    def __init__(self, refusal: Refusal, age: int) -> None:
        super().__init__(f"{refusal.value}, {age}")
        self.refusal = refusal
        self.age = age


class UnknownRail(LedgerError):
    """No payment provider of that name is set up."""


class BadSignature(LedgerError):
    """A webhook was not signed by its provider, or too long ago. Nothing of it was believed."""


class BadEvent(LedgerError):
    """A webhook was signed by its provider, yet cannot be understood."""


class RailUnavailable(LedgerError):
    """A payment provider did not answer; the same id told again is safe."""


class RailRefused(LedgerError):
    """A payment provider answered that it will not do this; asking again does not help."""
