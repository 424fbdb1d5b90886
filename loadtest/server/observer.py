"""Looks at the server while a run goes on, once a second: what its `/metrics` say, and what its processes use.

A look that fails leaves a hole in the time line and nothing else; so does a server that shows no metrics.
"""

import time
from typing import Final

import httpx
from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families

from loadtest.server.aside import Aside
from loadtest.server.local_server import LocalServer
from loadtest.server.procfs import cpu_by_part, pss_kb

LOOK_S: Final = 1.0
TIMEOUT_S: Final = 3.0


class Moment(Struct, frozen=True):
    """The server at one time; rates and CPU are over the time since the look before. None where it did not say.

    Attributes:
        at_s: since the first gift was meant to be sent.
        gifts_per_s: accepted, by its own count.
        queue_bytes: what waits to be sent to clients.
        books_behind_ms: the time between the last record that rooms were told and the last that is in the books.
        cpu: of one core, by part of the server.
        memory_mb: by part, pages that are shared divided among those who share them.
    """

    at_s: float
    gifts_per_s: float | None = None
    frames_per_s: float | None = None
    frame_bytes_per_s: float | None = None
    ticks_per_s: float | None = None
    queue_bytes: float | None = None
    books_behind_ms: float | None = None
    cpu: dict[str, float] = {}
    memory_mb: dict[str, float] = {}


class Counts(Struct, frozen=True):
    """What one scrape said."""

    at_ns: int
    gifts: float
    frames: float
    frame_bytes: float
    ticks: float
    queue_bytes: float
    books_behind_ms: float | None


class Observer(Aside):
    """Looks from `start_ns` on until the block ends. Use as a context.

    Args:
        http_url: origin of the server.
        local: its processes, where they are on this machine.
        start_ns: of the run, by the monotonic clock.

    Attributes:
        moments: in the order of time.
    """

    def __init__(self, http_url: str, local: LocalServer | None, start_ns: int) -> None:
        super().__init__("observer", TIMEOUT_S * 2)
        self.moments: list[Moment] = []
        self._http_url = http_url
        self._local = local
        self._start_ns = start_ns

    def go_on(self) -> None:
        """Look."""
        with httpx.Client(base_url=self._http_url, timeout=TIMEOUT_S, trust_env=False) as client:
            before, cpu_before, looked_ns = None, self._cpu(), time.monotonic_ns()
            while not self.ended.wait(LOOK_S):
                counts, cpu, now_ns = read_counts(client), self._cpu(), time.monotonic_ns()
                passed_s = (now_ns - looked_ns) / 1e9
                at_s = round((now_ns - self._start_ns) / 1e9, 2)
                # A process that was started anew counts from zero: its part has no share for that once.
                shares = {
                    part: round(max(used_s - cpu_before.get(part, 0.0), 0.0) / passed_s, 3)
                    for part, used_s in cpu.items()
                }
                self.moments.append(_moment(at_s, before, counts, shares, self._memory()))
                before, cpu_before, looked_ns = counts, cpu, now_ns

    def _cpu(self) -> dict[str, float]:
        return {} if self._local is None else cpu_by_part(self._local.family())

    def _memory(self) -> dict[str, float]:
        if self._local is None:
            return {}
        parts: dict[str, float] = {}
        for process in self._local.family():
            try:
                parts[process.part] = parts.get(process.part, 0.0) + pss_kb(process.pid) / 1024
            except OSError:
                continue
        return {part: round(megabytes, 1) for part, megabytes in parts.items()}


def read_counts(client: httpx.Client) -> Counts | None:
    """One scrape; None when there was no answer, or none that can be read."""
    try:
        response = client.get("/metrics")
        if not response.is_success:
            return None
        return counts_of(response.text, time.monotonic_ns())
    except (httpx.HTTPError, ValueError):
        return None


def counts_of(text: str, at_ns: int) -> Counts:
    """What a scrape's text says of gifts, frames and books; what is not in it counts as 0.

    Raises:
        ValueError: it is no such text.
    """
    if "giftwire_" not in text:
        raise ValueError("these are the metrics of something else, or none")
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "giftwire_gifts_total" and sample.labels.get("outcome") != "accepted":
                continue
            if sample.name == "giftwire_worker_duty_number":
                key = f"{sample.labels.get('duty')} {sample.labels.get('of')}"
            else:
                key = sample.name
            sums[key] = sums.get(key, 0.0) + sample.value
    told, booked = sums.get("relay last_at_ms", 0.0), sums.get("flusher last_at_ms", 0.0)
    return Counts(
        at_ns,
        sums.get("giftwire_gifts_total", 0.0),
        sums.get("giftwire_frames_sent_total", 0.0),
        sums.get("giftwire_frame_bytes_sent_total", 0.0),
        sums.get("giftwire_ticks_total", 0.0),
        sums.get("giftwire_queue_bytes", 0.0),
        max(told - booked, 0.0) if told and booked else None,
    )


def _moment(
    at_s: float, before: Counts | None, now: Counts | None, cpu: dict[str, float], memory_mb: dict[str, float]
) -> Moment:
    if now is None:
        return Moment(at_s, cpu=cpu, memory_mb=memory_mb)

    if before is None:
        return Moment(at_s, None, None, None, None, now.queue_bytes, now.books_behind_ms, cpu, memory_mb)
    passed_s = (now.at_ns - before.at_ns) / 1e9

    def rate(earlier: float, later: float) -> float | None:
        # A counter that fell is that of a server that began anew.
        return round((later - earlier) / passed_s, 1) if later >= earlier else None

    return Moment(
        at_s,
        rate(before.gifts, now.gifts),
        rate(before.frames, now.frames),
        rate(before.frame_bytes, now.frame_bytes),
        rate(before.ticks, now.ticks),
        now.queue_bytes,
        now.books_behind_ms,
        cpu,
        memory_mb,
    )
