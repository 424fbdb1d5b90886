"""What can go wrong while the ledger works, as one tree. A refusal is not an error: it is returned."""


class LedgerError(Exception):
    """Root of the tree."""


class LedgerUnavailable(LedgerError):
    """Redis or PostgreSQL did not answer; nothing is known to be lost."""


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
