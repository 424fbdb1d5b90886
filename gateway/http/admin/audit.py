"""The whole audit, asked for over HTTP: the same as `giftwire audit --json`."""

import asyncio
from typing import Final

from gateway.audits.audit import audit_all
from gateway.counting.metrics import Shed
from gateway.http.operation import declare
from gateway.http.problems import Problem
from gateway.services import Services
from gateway.wire.codes import Code
from gateway.wire.http.admin import Audit, AuditInvariant
from ledger.audits.audit import AuditReport

RETRY_AFTER_MS: Final = 10_000


async def read_audit(services: Services) -> Audit:
    """Check every invariant over everything that is stored. One runs at a time, as long as there is to look at."""
    config = services.config
    if services.auditing.locked():
        services.metrics.shed(Shed.AUDIT_RUNS)
        raise Problem(Code.RATE_LIMITED, "An audit runs already.", retry_after_ms=RETRY_AFTER_MS)

    def look() -> AuditReport:
        # A loop and connections of its own: sums over all records must not hold up this process's sockets.
        return asyncio.run(audit_all(config.ledger, config.rooms))

    async with services.auditing:
        report = await asyncio.shield(asyncio.to_thread(look))
    return Audit(
        report.ok,
        report.checked_at_ms,
        [
            AuditInvariant(found.id, found.title, found.ok, found.checked, found.violations)
            for found in report.invariants
        ],
        report.units,
    )


OPERATIONS = (
    declare("GET", "/v1/admin/audit", read_audit, tag="operators", roles=("operator",), refuses=(Code.RATE_LIMITED,)),
)
