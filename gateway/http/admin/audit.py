"""The whole audit, asked for over HTTP: the same as `giftwire audit --json`."""

import asyncio

from gateway.audit import audit_all
from gateway.http.operation import declare
from gateway.services import Services
from gateway.wire.http.admin import Audit, AuditInvariant
from ledger.audit import AuditReport


async def read_audit(services: Services) -> Audit:
    """Check every invariant over everything that is stored. Takes as long as there is to look at."""
    config = services.config

    def look() -> AuditReport:
        # A loop and connections of its own: sums over all records must not hold up this process's sockets.
        return asyncio.run(audit_all(config.ledger, config.rooms))

    report = await asyncio.to_thread(look)
    return Audit(
        report.ok,
        report.checked_at_ms,
        [
            AuditInvariant(found.id, found.title, found.ok, found.checked, found.violations)
            for found in report.invariants
        ],
        report.units,
    )


OPERATIONS = (declare("GET", "/v1/admin/audit", read_audit, tag="operators", roles=("operator",)),)
