"""Repairs what is stored: the ledger brings its records back, and the rooms follow into a new epoch.

The rooms hear from the relay what they lack, each gift once, before any gateway runs: so nobody is shown an old gift as
a new one, and what clients knew of the rooms is answered by `recovered: false`.
"""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final

from gateway.audits.audit import audit_all
from gateway.audits.told_audit import every_room
from gateway.room.config import RoomConfig
from gateway.rooms.broker import Broker, open_broker
from gateway.rooms.relay import Relay
from ledger.config import LedgerConfig
from ledger.mending.reconcile import LedgersDiffer, reconcile
from ledger.mending.repair import Repair, repair
from ledger.office import Office, open_office
from ledger.service import Ledger, open_ledger

VIOLATIONS_TOLD: Final = 100


async def repair_all(
    ledger_config: LedgerConfig,
    room_config: RoomConfig,
    progress: Callable[[int, int], None] | None = None,
    *,
    audited: bool = True,
) -> Repair:
    """Bring the live ledger and the rooms to what the books say; raises as `ledger.mending.repair.repair`.

    Args:
        audited: let the audit look at everything before orders are let in; else live ledger and books are only compared
            once more, as far as the journal reaches.
    """
    async with _open_rooms(ledger_config, room_config, audited=audited) as rooms:
        return await repair(ledger_config, rooms, progress)


class _Rooms:
    """The rooms' part of a repair."""

    def __init__(
        self,
        ledger: Ledger,
        office: Office,
        broker: Broker,
        ledger_config: LedgerConfig,
        room_config: RoomConfig,
        *,
        audited: bool,
    ) -> None:
        self._audited = audited
        self._ledger = ledger
        self._office = office
        self._broker = broker
        self._ledger_config = ledger_config
        self._room_config = room_config

    async def require_nobody(self) -> None:
        gateways = await self._broker.gateways()
        if gateways:
            raise LedgersDiffer(f"{gateways} gateways run: stop every gateway and worker, then repair")

    async def begin(self, epoch: int) -> None:
        rooms = {*await self._broker.stored_rooms(), *await every_room(self._office.directory)}
        await self._broker.raise_epoch(sorted(rooms), epoch)
        # Caps and freezes before anybody can give: they stand in no record.
        await self._office.guards.tell_all()

    async def tell(self, epoch: int, before_ms: int | None) -> None:
        await Relay(self._ledger, self._broker, self._room_config, epoch=epoch).catch_up(before_ms)

    async def verify(self) -> list[str]:
        if not self._audited:
            return (await reconcile(self._ledger_config, whole=True)).losses
        report = await audit_all(self._ledger_config, self._room_config)
        violations = [f"{result.id}: {words}" for result in report.invariants for words in result.violations]
        return violations[:VIOLATIONS_TOLD] or ([] if report.ok else ["the audit found violations"])


@contextlib.asynccontextmanager
async def _open_rooms(ledger_config: LedgerConfig, room_config: RoomConfig, *, audited: bool) -> AsyncIterator[_Rooms]:
    ledger = open_ledger(ledger_config, any_server=True)
    broker = open_broker(ledger_config, room_config, any_server=True)
    office = await open_office(ledger_config, ledger)
    try:
        yield _Rooms(ledger, office, broker, ledger_config, room_config, audited=audited)
    finally:
        await office.close()
        await broker.stop()
        # It was never started: there is nothing to commit.
        await ledger.redis.aclose()
