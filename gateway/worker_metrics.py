"""What the worker counts, as metrics. The worker answers no HTTP: it writes its numbers into the data folder, and every
gateway of the folder shows the same ones."""

from collections.abc import Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from gateway.run.duties import DutyCondition, DutyState

RUNNING: Final = "giftwire_worker_duty_running"
FAILURES: Final = "giftwire_worker_duty_failures"
NUMBER: Final = "giftwire_worker_duty_number"


def worker_text(duties: Sequence[DutyState]) -> bytes:
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
        for of, value in duty.numbers.items():
            number.labels(duty.name, of).set(value)
    return generate_latest(registry)
