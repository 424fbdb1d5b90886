"""The whole audit: what the ledger finds in its own stores, and whether the rooms were told what was paid."""

import msgspec

from gateway.audits.room_audit import RoomCheck
from gateway.audits.told_audit import audit_told
from gateway.room.config import RoomConfig
from ledger.audits.audit import AuditReport, Progress, Step, audit
from ledger.config import LedgerConfig
from ledger.invariants import InvariantResult


async def audit_all(
    ledger_config: LedgerConfig, room_config: RoomConfig, progress: Progress | None = None
) -> AuditReport:
    """Check every invariant that stored data can prove.

    Args:
        progress: hears before each step; the rooms are the last one.

    Raises:
        LedgerUnavailable: a server does not answer.
        LedgerError: what is stored does not fit the configuration or this code.
    """
    steps = 0

    def told(step: Step) -> None:
        nonlocal steps
        steps = step.steps + 1
        if progress is not None:
            progress(Step(step.words, step.done, steps))

    report = await audit(ledger_config, told)
    if progress is not None:
        progress(Step("the rooms", steps - 1, steps))
    found = [*report.invariants, *map(_result, await audit_told(ledger_config, room_config))]
    found.sort(key=lambda result: int(result.id[1:]))
    return msgspec.structs.replace(report, ok=all(result.ok for result in found), invariants=found)


def _result(check: RoomCheck) -> InvariantResult:
    return InvariantResult(
        id=check.id, title=check.title, ok=check.ok, checked=check.checked, violations=check.violations
    )
