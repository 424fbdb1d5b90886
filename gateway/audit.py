"""The whole audit: what the ledger finds in its own stores, and whether the rooms were told what was paid."""

from collections.abc import Callable

import msgspec

from gateway.room.config import RoomConfig
from gateway.room_audit import RoomCheck
from gateway.told_audit import audit_told
from ledger.audit import AuditReport, audit
from ledger.config import LedgerConfig
from ledger.invariants import InvariantResult


async def audit_all(
    ledger_config: LedgerConfig, room_config: RoomConfig, progress: Callable[[str], None] | None = None
) -> AuditReport:
    """Check every invariant that stored data can prove.

    Args:
        progress: hears what is looked at next.

    Raises:
        LedgerUnavailable: a server does not answer.
        LedgerError: what is stored does not fit the configuration or this code.
    """
    report = await audit(ledger_config, progress)
    if progress is not None:
        progress("rooms")
    found = [*report.invariants, *map(_result, await audit_told(ledger_config, room_config))]
    found.sort(key=lambda result: int(result.id[1:]))
    return msgspec.structs.replace(report, ok=all(result.ok for result in found), invariants=found)


def _result(check: RoomCheck) -> InvariantResult:
    return InvariantResult(
        id=check.id, title=check.title, ok=check.ok, checked=check.checked, violations=check.violations
    )
