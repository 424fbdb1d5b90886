"""Runs tables about gifts that may be undone: one operation a line, its outcome behind the bar."""

from ledger.ids import new_id
from ledger.model import (
    GiftUndone,
    Partition,
    RefundKind,
    ReversalOrder,
    ReversalOutcome,
    ReversalWaits,
    Reversed,
    UndoOutcome,
    ViewerId,
)
from tests.integration.ledger.hold_tables import HoldTable
from tests.integration.ledger.orders import now_ms
from tests.integration.ledger.subjects import Subject


class UndoTable:
    """Carries out a table on a ledger of one partition, or its twin.

    Operations: those of `HoldTable` (a gift with `undo=MS` may be undone for so long) · `undo VIEWER ID` ·
    `pay [LIMIT]` (settles what is due) · `open` (how many may be undone) · `take VIEWER COINS ID` (of a refund) ·
    `earned CREATOR`.
    """

    def __init__(self, subject: Subject) -> None:
        self._ledger = subject.ledger
        self._holds = HoldTable(subject)
        self._refunds: dict[str, bytes] = {}

    async def run(self, table: str) -> None:
        """Carry out every line, and compare."""
        commit: list[str] = []
        for line in table.strip().splitlines():
            operation, _, expected = line.partition("|")
            verb, *words = operation.split()
            commit.append(line)
            if verb == "&":
                continue
            match verb:
                case "undo" | "pay" | "open" | "take" | "earned":
                    told = await getattr(self, f"_{verb}")(*words)
                    assert told == " ".join(expected.split()), f"{operation.strip()}: {told}"
                case "give":
                    await self._holds.guards.run("\n".join(commit))
                case _:
                    await self._holds.run(line)
            commit.clear()

    async def _undo(self, viewer: str, name: str) -> str:
        return _undone(await self._ledger.undo(self._holds.guards.id_of(name), ViewerId(viewer)))

    async def _pay(self, limit: str = "100") -> str:
        return str(await self._ledger.settle_gifts(Partition(0), int(limit)))

    async def _open(self) -> str:
        return str(await self._ledger.open_gifts([Partition(0)]))

    async def _earned(self, creator: str) -> str:
        return str(await self._ledger.live_earnings(creator))

    async def _take(self, viewer: str, coins: str, name: str) -> str:
        refund = self._refunds.setdefault(name, new_id(now_ms()))
        order = ReversalOrder(refund, ViewerId(viewer), bytes(16), int(coins), RefundKind.REFUND)
        return _taken(await self._ledger.reverse(order, most=int(coins), keep=0))


def _undone(outcome: UndoOutcome) -> str:
    if isinstance(outcome, GiftUndone):
        return f"{'again ' if outcome.replay else ''}undone {outcome.coins} {outcome.balance_coins}"
    return outcome.refusal.value


def _taken(outcome: ReversalOutcome) -> str:
    if isinstance(outcome, Reversed):
        return f"{'again ' if outcome.replay else ''}took {outcome.taken_coins} {outcome.balance_coins}"
    return f"waits for {outcome.open_gifts}" if isinstance(outcome, ReversalWaits) else outcome.refusal.value
