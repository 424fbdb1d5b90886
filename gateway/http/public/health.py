"""Whether the process runs, whether it can do its work, and what it counted."""

import asyncio
import time
from collections.abc import Awaitable

from starlette.responses import Response

from gateway.counting.metrics import MEDIA_TYPE
from gateway.counting.worker_metrics import worker_text
from gateway.http.operation import declare
from gateway.http.problems import Problem
from gateway.run.duties import DutyCondition, read_duties, violations_of
from gateway.run.keeping.folder import RUN
from gateway.services import Services
from gateway.wire.codes import Code
from gateway.wire.http.public import Health, Readiness
from ledger.errors import LedgerUnavailable
from ledger.live.promotion import ServerPromoted


async def health() -> Health:
    """Tell that the process runs; asks nobody else."""
    return Health("ok")


async def readiness(services: Services) -> Readiness:
    """Tell whether the process can do its work: 200, or 503 with what is missing."""
    missing = await missing_of(services)
    if missing:
        raise Problem(Code.UNAVAILABLE, f"Not ready: {', '.join(missing)}.", missing=missing)
    return Readiness("ready")


async def missing_of(services: Services) -> dict[str, str]:
    """What a process cannot do its work without, with why; empty when it can."""
    missing = {}
    timeout_s = services.config.http.ready_timeout_ms / 1000
    valkey, postgres = await asyncio.gather(
        _fault(services.ledger.ping(), timeout_s), _fault(services.office.ping(), timeout_s)
    )
    if valkey:
        missing["valkey"] = valkey
    if postgres:
        missing["postgres"] = postgres
    missing.update(_duties_missing(services))
    return missing


async def metrics(services: Services) -> Response:
    """Tell what the gateways of this data folder counted together, and its worker, in Prometheus' text format."""
    try:
        duties = read_duties(services.config.data_dir / RUN)
    except (OSError, ValueError):
        duties = []
    text = services.shared_metrics.text() + worker_text(duties, time.time_ns() // 1_000_000)
    return Response(text, headers={"Cache-Control": "no-store"}, media_type=MEDIA_TYPE)


async def _fault(ping: Awaitable[None], timeout_s: float) -> str:
    try:
        async with asyncio.timeout(timeout_s):
            await ping
    except LedgerUnavailable as exc:
        return "was promoted" if isinstance(exc.__cause__, ServerPromoted) else "does not answer"
    except TimeoutError:
        return f"did not answer within {timeout_s:g} s"
    return ""


def _duties_missing(services: Services) -> dict[str, str]:
    """What the worker of our own folder does not do; a worker elsewhere writes no file here, and is not asked for."""
    try:
        duties = read_duties(services.config.data_dir / RUN)
    except (OSError, ValueError):
        return {"worker": "its duties cannot be read"}
    missing = {
        f"worker.{duty.name}": duty.condition.value for duty in duties if duty.condition is not DutyCondition.RUNNING
    }
    # Only the numbers: who and how much is in the log, which not everybody may read.
    if broken := [invariant for invariant, count in violations_of(duties).items() if count]:
        missing["invariants"] = f"{', '.join(broken)} violated"
    return missing


OPERATIONS = (
    declare("GET", "/healthz", health, tag="health", counted=False),
    declare("GET", "/readyz", readiness, tag="health", counted=False),
    declare("GET", "/metrics", metrics, tag="health", counted=False, media_type="text/plain"),
)
