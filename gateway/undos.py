"""How a gift is taken back, on one page: who may, what the ledger says, the reply."""

from typing import Final

from gateway.auth import Identity
from gateway.counting.metrics import REPLAYED, UNDONE, Metrics
from gateway.replies import refused
from gateway.wire.codes import Code
from gateway.wire.messages import Refused, Undo, Undone
from ledger.errors import LedgerUnavailable
from ledger.holds.undos import Undos
from ledger.ids import parse_id
from ledger.model import GiftUndone, UndoRefusal, ViewerId

CODES: Final[dict[UndoRefusal, Code]] = {
    UndoRefusal.NO_SUCH_GIFT: Code.NOT_FOUND,
    UndoRefusal.SETTLED: Code.UNDO_EXPIRED,
    UndoRefusal.UNKNOWN: Code.UNAVAILABLE,
}
_MESSAGES: Final[dict[Code, str]] = {
    Code.NOT_FOUND: "No gift of yours with this id was paid.",
    Code.UNAVAILABLE: "It is not known whether the gift was undone: ask again with the same id.",
}


class UndoDesk:
    """Where gifts are taken back, whichever way they were sent."""

    def __init__(self, undos: Undos, metrics: Metrics) -> None:
        self._undos = undos
        self._metrics = metrics

    async def undo(self, identity: Identity, command: Undo) -> Undone | Refused:
        """Take a gift of the caller's back, if its time is not over. The same again answers as a replay."""
        reply = await self._reply(identity, command)
        if isinstance(reply, Refused):
            self._metrics.undo_answered(reply.code)
        else:
            self._metrics.undo_answered(REPLAYED if reply.replay else UNDONE)
        return reply

    async def _reply(self, identity: Identity, command: Undo) -> Undone | Refused:
        if identity.role != "viewer":
            return _refuse(command, Code.NOT_ALLOWED, "Only a viewer's token can undo gifts.")
        try:
            outcome = await self._undos.undo(parse_id(command.id), ViewerId(identity.user))
        except LedgerUnavailable:
            return _refuse(command, Code.UNAVAILABLE)
        if isinstance(outcome, GiftUndone):
            return Undone(command.ref, command.id, outcome.coins, outcome.balance_coins, outcome.replay)
        return _refuse(command, CODES[outcome.refusal])


def _refuse(command: Undo, code: Code, message: str | None = None) -> Refused:
    return refused(code, message or _MESSAGES.get(code), ref=command.ref, id=command.id)
