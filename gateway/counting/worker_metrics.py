"""What the worker counts, as metrics. The worker answers no HTTP: it writes its numbers into the data folder, and every
gateway of the folder shows the same ones."""

from collections.abc import Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from gateway.run.duties import (
    AUDIT_DUTY,
    AUDITS,
    ROOMS_DUTY,
    VIOLATIONS_PREFIX,
    DutyCondition,
    DutyState,
    violations_of,
)

RUNNING: Final = "giftwire_worker_duty_running"
FAILURES: Final = "giftwire_worker_duty_failures"
NUMBER: Final = "giftwire_worker_duty_number"
_AUDIT: Final = {
    "giftwire_audit_rounds": (
        "rounds",
        1,
        "Times that the rolling audit looked at everything since the worker's start.",
    ),
    "giftwire_audit_checked": ("checked", 1, "Entries, records and balances that the rolling audit looked at."),
    "giftwire_audit_busy_seconds": ("busy_ms", 1000, "How long the rolling audit worked since the worker's start."),
}
VIOLATIONS: Final = "giftwire_audit_violations"
ROUND_AGE: Final = "giftwire_audit_round_age_seconds"
ROOMS_ROUND_AGE: Final = "giftwire_audit_rooms_round_age_seconds"
_SINCE: Final = "since_ms"


def worker_text(duties: Sequence[DutyState], now_ms: int) -> bytes:
    """The worker's metrics in Prometheus' text format; empty when no worker writes into this folder.

    Labels are bounded: the duties and what they count are named in the code.
    """
    if not duties:
        return b""
    registry = CollectorRegistry()
    running = Gauge(RUNNING, "Whether a duty is being done: 1, or 0 while it is not.", ["duty"], registry=registry)
    failures = Gauge(FAILURES, "How often a duty failed since the worker's start.", ["duty"], registry=registry)
    number = Gauge(
        NUMBER,
        "What a duty counted since the worker's start, or how much is in its hands now.",
        ["duty", "of"],
        registry=registry,
    )
    for duty in duties:
        running.labels(duty.name).set(duty.condition is DutyCondition.RUNNING)
        failures.labels(duty.name).set(duty.failures)
        if duty.name == AUDIT_DUTY:
            _show_audit(registry, duty, now_ms)
            continue
        if duty.name == ROOMS_DUTY:
            _show_age(registry, ROOMS_ROUND_AGE, "the rolling audit had last looked at every room", duty, now_ms)
        for of, value in duty.numbers.items():
            if not of.startswith(VIOLATIONS_PREFIX) and of != _SINCE:
                number.labels(duty.name, of).set(value)
    if any(duty.name in AUDITS for duty in duties):
        _show_violations(registry, duties)
    return generate_latest(registry)


def _show_audit(registry: CollectorRegistry, duty: DutyState, now_ms: int) -> None:
    for name, (of, divisor, text) in _AUDIT.items():
        Gauge(name, text, registry=registry).set(duty.numbers.get(of, 0) / divisor)
    _show_age(registry, ROUND_AGE, "the rolling audit had last looked at everything", duty, now_ms)


def _show_age(registry: CollectorRegistry, name: str, since: str, duty: DutyState, now_ms: int) -> None:
    age = Gauge(name, f"Time since {since}; since the worker's start before that.", registry=registry)
    age.set(max(0, now_ms - duty.numbers.get(_SINCE, now_ms)) / 1000)


def _show_violations(registry: CollectorRegistry, duties: Sequence[DutyState]) -> None:
    violations = Gauge(
        VIOLATIONS,
        "Contradictions that the rolling audit found in its last round, or in the present one where there are more.",
        ["invariant"],
        registry=registry,
    )
    for invariant, count in violations_of(duties).items():
        violations.labels(invariant).set(count)
