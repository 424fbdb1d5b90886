"""Runs tables about holds: one operation a line, its outcome behind the bar, at times that the table sets."""

from typing import Final

from ledger.ids import new_id
from ledger.model import EndOutcome, EndRefused, Held, HoldEnd, HoldOrder, HoldOutcome, Partition, ViewerId
from tests.integration.ledger.guard_tables import GuardTable
from tests.integration.ledger.orders import now_ms
from tests.integration.ledger.subjects import Subject

_ENDS: Final = {"settle": HoldEnd.SETTLED, "void": HoldEnd.VOIDED, "expire": HoldEnd.EXPIRED}


class HoldTable:
    """Carries out a table on a ledger of one partition, or its twin.

    Operations: those of `GuardTable` (gifts without an outcome alone) · `hold VIEWER COINS ID LASTS_MS` ·
    `settle VIEWER ID [COINS]` · `void VIEWER ID` · `expire VIEWER ID` · `due` (ends all whose time is over) ·
    `wallet VIEWER` · `counted VIEWER` (coins of day, week and month).
    """

    def __init__(self, subject: Subject) -> None:
        self._ledger = subject.ledger
        self.guards = GuardTable(subject)
        self._ids: dict[str, bytes] = {}

    async def run(self, table: str) -> None:
        """Carry out every line, and compare."""
        for line in table.strip().splitlines():
            operation, _, expected = line.partition("|")
            verb, *words = operation.split()
            match verb:
                case "hold" | "settle" | "void" | "expire" | "due" | "wallet" | "counted":
                    told = await getattr(self, f"_{verb}")(*words)
                    assert told == " ".join(expected.split()), f"{operation.strip()}: {told}"
                case _:
                    await self.guards.run(line)

    async def _hold(self, viewer: str, coins: str, name: str, lasts_ms: str) -> str:
        hold_id = self._ids.setdefault(name, new_id(now_ms()))
        return _begun(await self._ledger.hold(HoldOrder(hold_id, ViewerId(viewer), int(coins), int(lasts_ms), name)))

    async def _settle(self, viewer: str, name: str, coins: str = "") -> str:
        return await self._end("settle", viewer, name, int(coins) if coins else None)

    async def _void(self, viewer: str, name: str) -> str:
        return await self._end("void", viewer, name, None)

    async def _expire(self, viewer: str, name: str) -> str:
        return await self._end("expire", viewer, name, None)

    async def _end(self, verb: str, viewer: str, name: str, coins: int | None) -> str:
        hold_id = self._ids.setdefault(name, new_id(now_ms()))
        return _ended(await self._ledger.end_hold(hold_id, ViewerId(viewer), _ENDS[verb], taken_coins=coins))

    async def _due(self) -> str:
        names = {hold_id: name for name, hold_id in self._ids.items()}
        due = await self._ledger.due_holds(Partition(0), 100)
        for hold_id, viewer in due:
            await self._ledger.end_hold(hold_id, viewer, HoldEnd.EXPIRED)
        return " ".join(names[hold_id] for hold_id, _ in due) or "none"

    async def _wallet(self, viewer: str) -> str:
        return str(await self._ledger.balance(viewer))

    async def _counted(self, viewer: str) -> str:
        return " ".join(str(coins) for _, coins in (await self._ledger.guard(viewer)).counted)


def _begun(outcome: HoldOutcome) -> str:
    if isinstance(outcome, Held):
        return f"{'replay' if outcome.replay else 'held'} {outcome.balance_coins}"
    if outcome.cap is not None:
        return f"{outcome.cap.limit} {outcome.cap.spent_coins}/{outcome.cap.coins}"
    number = "" if outcome.bound is None else str(outcome.bound.most)
    return f"{outcome.refusal.value} {outcome.reason}{number}".strip()


def _ended(outcome: EndOutcome) -> str:
    if isinstance(outcome, EndRefused):
        return outcome.refusal.value + ("" if outcome.coins is None else f" {outcome.coins}")
    again = "again " if outcome.replay else ""
    return f"{again}{outcome.end} {outcome.taken_coins}/{outcome.coins} {outcome.balance_coins}"
