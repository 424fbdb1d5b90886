"""What one process counts, and the only place where metrics are named.

`METRICS` is the table of all of them; `Metrics` has one short method for each thing that happens, so that callers know
no metric and no label. Labels come from closed sets: a value outside of its set is counted as `other`, so that nothing
a client sends can make a new time series. Base units in names (Prometheus' rules).
"""

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from gateway.counting.shared_metrics import Family, families_of
from gateway.wire.codes import CloseCode, Code
from ledger.live.batcher import BatcherStats

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
OTHER: Final = "other"
ACCEPTED: Final = "accepted"
REPLAYED: Final = "replayed"
HELD: Final = "held"
UNDONE: Final = "undone"

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_ROLES: Final = frozenset({"viewer", "creator", "overlay", "agency", "operator"})
_OUTCOMES: Final = frozenset({ACCEPTED, REPLAYED, *Code})
_CLOSES: Final = frozenset({"1000", "1001", "1002", "1003", "1006", "1007", "1009", *(str(code) for code in CloseCode)})
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE"})
_STATUSES: Final = frozenset({"2xx", "3xx", "4xx", "5xx"})

Way = Literal["websocket", "http"]
_Kind = TypeVar("_Kind", Counter, Gauge, Histogram)


class Shed(enum.StrEnum):
    """Why something was not sent, or not taken."""

    TICK_SKIPPED = "tick_skipped"
    """A viewer's queue was over its bound: the next tick heals."""
    SLOW_CONSUMER = "slow_consumer"
    """A connection was closed because it did not keep up."""
    RATE_LIMITED = "rate_limited"
    """A command came faster than its connection may send."""
    SESSIONS_MAX = "sessions_max"
    """A connection came when the process held all that it may."""
    IN_FLIGHT_MAX = "in_flight_max"
    """A gift came while too many of its connection waited for their outcome."""
    QUEUE_MAX = "queue_max"
    """A connection that asked for more while too much waited for it already was closed."""
    PACED = "paced"
    """A connection sent far more than it may, and was not read for a while."""
    FRAMES_MAX = "frames_max"
    """A connection was closed for a flood of frames that say nothing."""
    CONNECTIONS_MAX = "connections_max"
    """An HTTP connection came when the process held all that it may."""
    HEAD_TOO_LARGE = "head_too_large"
    """The head of a request was over its bound."""
    NOT_HTTP = "not_http"
    """What came on a new connection is no HTTP."""
    REQUEST_LATE = "request_late"
    """The head or the body of a request was not there in time."""
    ADDRESS_CONNECTIONS = "address_connections"
    """A connection came from an address that has as many open as it may."""
    ADDRESS_CONNECTS = "address_connects"
    """A connection came faster than its address may open them."""
    ADDRESS_REQUESTS = "address_requests"
    """A hello or an HTTP request came faster than its address may ask."""
    ACCOUNT_SESSIONS = "account_sessions"
    """A connection was closed since its account opened more than it may have."""
    ACCOUNT_RATE = "account_rate"
    """A command came faster than its account may send, over all of its connections."""
    MISSED = "missed"
    """An overlay came back and was not given all that it had missed: that was too much, too old, or gone."""
    AUDIT_RUNS = "audit_runs"
    """An audit was asked for while one ran."""


class Stage(enum.StrEnum):
    """A part of the way of a gift that a gateway sees. Each is measured once a commit, batch or tick, by what waited
    longest in it: that costs the same however many gifts and sockets there are."""

    BATCH = "batch"
    """From the first gift's being handed in to the beginning of its commit."""
    COMMIT = "commit"
    """From there to the ledger's answer."""
    REPLY = "reply"
    """From the first answer of a moment until all of that moment are written."""
    RELAY = "relay"
    """From the ledger's commit to this gateway, by the clocks of both."""
    TICK = "tick"
    """From there to the tick that shows it."""
    WRITE = "write"
    """From the beginning of a tick until the last viewer is written to."""


class Metric(NamedTuple):
    """One row of the table.

    Attributes:
        labels: with the closed set of values of each; None where the code's own tables bound them (routes).
    """

    kind: type[Counter] | type[Gauge] | type[Histogram]
    name: str
    text: str
    labels: Mapping[str, frozenset[str] | None] = MappingProxyType({})
    buckets: tuple[float, ...] = ()


SOCKETS: Final = Metric(Gauge, "giftwire_sockets", "Open WebSockets.")
SOCKETS_OPENED: Final = Metric(Counter, "giftwire_sockets_opened_total", "WebSockets taken.")
SOCKETS_CLOSED: Final = Metric(
    Counter, "giftwire_sockets_closed_total", "WebSockets that we closed, by close code.", {"code": _CLOSES}
)
SESSIONS: Final = Metric(Gauge, "giftwire_sessions", "Sessions that said hello, by role.", {"role": _ROLES})
FRAMES: Final = Metric(
    Counter, "giftwire_frames_sent_total", "Frames of rooms written to sockets; replies are not counted."
)
FRAME_BYTES: Final = Metric(
    Counter, "giftwire_frame_bytes_sent_total", "Bytes of the frames of rooms written to sockets."
)
FRAMES_READ: Final = Metric(Counter, "giftwire_frames_read_total", "Frames read from sockets.")
READS_WAITED: Final = Metric(
    Counter,
    "giftwire_reads_waited_total",
    "Times that what a client sent had to wait since others, or itself, had been read enough for the moment.",
)
BYTES_SAVED: Final = Metric(
    Counter, "giftwire_frame_bytes_saved_total", "Bytes that frames to rooms were shorter for being compressed."
)
SHED: Final = Metric(
    Counter, "giftwire_shed_total", "What was not sent or not taken, by reason.", {"reason": frozenset(Shed)}
)
BAD_TOKENS: Final = Metric(
    Counter,
    "giftwire_bad_tokens_total",
    "Tokens that were not valid, by the way they came.",
    {"way": frozenset({"websocket", "http"})},
)
ADDRESSES: Final = Metric(Gauge, "giftwire_addresses", "Addresses that are counted.")
FORGOTTEN: Final = Metric(
    Counter,
    "giftwire_addresses_forgotten_total",
    "Addresses that were no longer remembered since too many others were quiet for less long.",
)
GIFTS: Final = Metric(
    Counter,
    "giftwire_gifts_total",
    "Gifts by outcome and by the way they came.",
    {"outcome": _OUTCOMES, "way": frozenset({"websocket", "http"})},
)
GIFT_SECONDS: Final = Metric(
    Histogram, "giftwire_gift_seconds", "From a gift's arrival to its reply.", buckets=_SECONDS
)
UNDOS: Final = Metric(
    Counter,
    "giftwire_undos_total",
    "Requests to undo a gift, by outcome: undone, replayed, or the refusal's code.",
    {"outcome": frozenset({UNDONE, REPLAYED, *Code})},
)
HOLDS: Final = Metric(
    Counter,
    "giftwire_holds_total",
    "Requests to hold coins, by outcome: held, replayed, or the refusal's code.",
    {"outcome": frozenset({HELD, REPLAYED, *Code})},
)
HOLD_ENDS: Final = Metric(
    Counter,
    "giftwire_hold_ends_total",
    "Requests to end a hold, by what was asked and outcome: how it ended, replayed, or the refusal's code.",
    {
        "asked": frozenset({"settle", "void"}),
        "outcome": frozenset({"settled", "voided", "expired", REPLAYED, *Code}),
    },
)
QUEUE_BYTES: Final = Metric(Gauge, "giftwire_queue_bytes", "Bytes that wait to be sent, of all WebSockets.")
LOOP_LAG: Final = Metric(
    Histogram,
    "giftwire_loop_lag_seconds",
    "How late a timer of the event loop rang, ten times a second.",
    buckets=_SECONDS,
)
TICKS: Final = Metric(Counter, "giftwire_ticks_total", "Ticks of rooms.")
TICKS_SLOWED: Final = Metric(
    Counter, "giftwire_ticks_slowed_total", "Ticks after pauses that were stretched, since ticks took too much time."
)
MERGED: Final = Metric(
    Counter, "giftwire_merged_gifts_total", "Gifts that viewers were shown as a part of another event, by room's tick."
)
STAGE_SECONDS: Final = Metric(
    Histogram,
    "giftwire_stage_seconds",
    "How long the stages of a gift's way took, each by what waited longest in it: for a commit and in it (batch,"
    " commit; once a commit), until replies are written (reply; once a round of the event loop), from the commit to"
    " this gateway by the clocks of both (relay; once a batch that is heard), from there to the tick that shows it"
    " (tick), and until the last viewer is written to (write; once a tick).",
    {"stage": frozenset(Stage)},
    _SECONDS,
)
TICK_SECONDS: Final = Metric(Histogram, "giftwire_tick_seconds", "Time that one tick took.", buckets=_SECONDS)
TICK_SOCKETS: Final = Metric(Counter, "giftwire_tick_sockets_total", "Sockets that ticks were written to.")
ROOMS: Final = Metric(Gauge, "giftwire_rooms", "Rooms that this process holds.")
EVENTS: Final = Metric(Counter, "giftwire_events_total", "Events of rooms that came in from the channels.")
RESYNCS: Final = Metric(Counter, "giftwire_resyncs_total", "Times that a room was read again after a gap.")
ACK_LAG: Final = Metric(
    Histogram,
    "giftwire_ack_lag_events",
    "Events that an overlay had not shown yet when it acknowledged.",
    buckets=(0.0, 1.0, 10.0, 100.0, 1_000.0, 10_000.0),
)
COMMITS: Final = Metric(Counter, "giftwire_commits_total", "Commits of gifts: calls of the money script.")
COMMIT_GIFTS: Final = Metric(
    Counter,
    "giftwire_commit_gifts_total",
    "Gifts by how they fared with commits: judged; left for the next one; refused since as many waited as may; refused"
    " since they had waited as long as they may; refused since Valkey's memory is full; with an outcome that is not"
    " known; or with one whose hearer failed.",
    {"outcome": frozenset({"judged", "left", "overloaded", "late", "full", "unknown", "not_told"})},
)
WINDOWS: Final = Metric(
    Counter,
    "giftwire_undo_windows_total",
    "Gifts that were to be undoable for a while: opened, or left out since too many were open or a refund waited.",
    {"outcome": frozenset({"opened", "left_out"})},
)
COMMIT_RETRIES: Final = Metric(
    Counter, "giftwire_commit_retries_total", "Commits that were told again because the answer was lost."
)
REQUESTS: Final = Metric(
    Counter,
    "giftwire_http_requests_total",
    "HTTP requests by route, method and class of the status.",
    {"route": None, "method": _METHODS, "status": _STATUSES},
)
REQUEST_SECONDS: Final = Metric(
    Histogram, "giftwire_http_request_seconds", "Time to answer an HTTP request, by route.", {"route": None}, _SECONDS
)

METRICS: Final = (
    *(SOCKETS, SOCKETS_OPENED, SOCKETS_CLOSED, SESSIONS, FRAMES, FRAME_BYTES, BYTES_SAVED, SHED, GIFTS, GIFT_SECONDS),
    *(FRAMES_READ, READS_WAITED, QUEUE_BYTES, LOOP_LAG, BAD_TOKENS, ADDRESSES, FORGOTTEN),
    *(UNDOS, HOLDS, HOLD_ENDS),
    *(TICKS, TICKS_SLOWED, TICK_SECONDS, TICK_SOCKETS, STAGE_SECONDS, MERGED, ROOMS, EVENTS, RESYNCS, ACK_LAG),
    *(COMMITS, COMMIT_GIFTS, COMMIT_RETRIES, WINDOWS, REQUESTS, REQUEST_SECONDS),
)


class Metrics:
    """The counters of one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        made = {metric.name: _make(metric, self._registry) for metric in METRICS}
        self._made = made
        self._risen: dict[Counter, int] = {}
        self._turned_away = 0
        # Looked up once: what stands on the hot path must not look labels up.
        self._sockets = _gauge(made[SOCKETS.name])
        self._opened = _counter(made[SOCKETS_OPENED.name])
        self._frames = _counter(made[FRAMES.name])
        self._frame_bytes = _counter(made[FRAME_BYTES.name])
        self._bytes_saved = _counter(made[BYTES_SAVED.name])
        self._ticks = _counter(made[TICKS.name])
        self._tick_sockets = _counter(made[TICK_SOCKETS.name])
        self._merged = _counter(made[MERGED.name])
        self._stages = {stage: _histogram(made[STAGE_SECONDS.name].labels(stage)) for stage in Stage}
        self._events = _counter(made[EVENTS.name])
        self._tick_seconds = _histogram(made[TICK_SECONDS.name])
        self._gift_seconds = _histogram(made[GIFT_SECONDS.name])
        self._gift_outcomes = {
            outcome: self._counter(GIFTS, outcome=outcome, way="websocket") for outcome in (ACCEPTED, Code.OVERLOADED)
        }

    def families(self, commits: BatcherStats) -> list[Family]:
        """Everything that was counted.

        Args:
            commits: what the batcher counts by itself, since a commit must not wait for us.
        """
        self._rise(self._gift_outcomes[Code.OVERLOADED], self._turned_away)
        self._rise(self._counter(COMMITS), commits.commits)
        self._rise(self._counter(COMMIT_RETRIES), commits.retries)
        for outcome, count in (
            ("judged", commits.gifts),
            ("left", commits.not_judged),
            ("overloaded", commits.overloaded),
            ("late", commits.late),
            ("full", commits.full),
            ("unknown", commits.unknown),
            ("not_told", commits.not_told),
        ):
            self._rise(self._counter(COMMIT_GIFTS, outcome=outcome), count)
        self._rise(self._counter(WINDOWS, outcome="opened"), commits.windows_opened)
        self._rise(self._counter(WINDOWS, outcome="left_out"), commits.windows_left_out)
        return families_of(self._registry)

    # Sockets and sessions.

    def socket_opened(self) -> None:
        """A WebSocket was taken."""
        self._sockets.inc()
        self._opened.inc()

    def socket_gone(self) -> None:
        """A WebSocket ended, whoever ended it."""
        self._sockets.dec()

    def socket_closed(self, code: int) -> None:
        """We closed a WebSocket with this code."""
        self._counter(SOCKETS_CLOSED, code=str(int(code))).inc()

    def session_begun(self, role: str) -> None:
        """Somebody said hello."""
        self._gauge(SESSIONS, role=role).inc()

    def session_ended(self, role: str) -> None:
        """A session that said hello ended."""
        self._gauge(SESSIONS, role=role).dec()

    def frames_sent(self, frames: int, bytes_sent: int) -> None:
        """Frames were written; a fan-out tells many at once."""
        self._frames.inc(frames)
        self._frame_bytes.inc(bytes_sent)

    def frames_read(self, frames: int, waited: int) -> None:
        """So many frames were read until now, and so often some of them had to wait for a later round."""
        self._rise(self._counter(FRAMES_READ), frames)
        self._rise(self._counter(READS_WAITED), waited)

    def bytes_saved(self, saved: int) -> None:
        """Frames were written compressed, which made them so many bytes shorter."""
        self._bytes_saved.inc(saved)

    def shed(self, reason: Shed, times: int = 1) -> None:
        """Something was not sent or not taken."""
        self._counter(SHED, reason=reason).inc(times)

    def queued(self, bytes_waiting: int) -> None:
        """So much waits to be sent now."""
        self._gauge(QUEUE_BYTES).set(bytes_waiting)

    def bad_token(self, way: Way) -> None:
        """A token was not valid."""
        self._counter(BAD_TOKENS, way=way).inc()

    def addresses_counted(self, addresses: int, forgotten: int) -> None:
        """So many addresses are counted now, and so many were forgotten since the start."""
        self._gauge(ADDRESSES).set(addresses)
        self._rise(self._counter(FORGOTTEN), forgotten)

    def loop_was_late(self, seconds: float) -> None:
        """A timer of the event loop rang so late."""
        _histogram(self._made[LOOP_LAG.name]).observe(seconds)

    # Gifts.

    def gift_turned_away(self) -> None:
        """A gift on a WebSocket was refused as overloaded before anything was done for it: that must cost little."""
        self._turned_away += 1

    def gift_answered(self, outcome: str, seconds: float, way: Way = "websocket") -> None:
        """A gift got its reply: `accepted`, `replayed` or a refusal's code."""
        counter = self._gift_outcomes.get(outcome) if way == "websocket" else None
        (counter or self._counter(GIFTS, outcome=outcome, way=way)).inc()
        self._gift_seconds.observe(seconds)

    def undo_answered(self, outcome: str) -> None:
        """A gift was to be undone: `undone`, `replayed` or a refusal's code."""
        self._counter(UNDOS, outcome=outcome).inc()

    # Holds.

    def hold_answered(self, outcome: str) -> None:
        """Coins were to be held: `held`, `replayed` or a refusal's code."""
        self._counter(HOLDS, outcome=outcome).inc()

    def hold_end_answered(self, asked: str, outcome: str) -> None:
        """A hold was to be settled or voided: how it ended, `replayed` or a refusal's code."""
        self._counter(HOLD_ENDS, asked=asked, outcome=outcome).inc()

    def committed(self, waited_s: float, took_s: float) -> None:
        """A commit of gifts was answered, or its outcome given up.

        Args:
            waited_s: how long the first of its gifts had waited for it.
        """
        self.stage_took(Stage.BATCH, waited_s)
        self.stage_took(Stage.COMMIT, took_s)

    # Rooms.

    def ticked(self, seconds: float, sockets: int, *, merged: int, slowed: bool) -> None:
        """A room's tick was written to so many sockets.

        Args:
            merged: gifts that it shows as a part of another event.
            slowed: its pause was stretched.
        """
        self._ticks.inc()
        self._merged.inc(merged)
        if slowed:
            self._counter(TICKS_SLOWED).inc()
        self._tick_sockets.inc(sockets)
        self._tick_seconds.observe(seconds)

    def stage_took(self, stage: Stage, seconds: float) -> None:
        """Gifts took so long for a part of their way; clocks that disagree count as no time."""
        self._stages[stage].observe(max(seconds, 0.0))

    def rooms_held(self, rooms: int) -> None:
        """So many rooms are held now."""
        self._gauge(ROOMS).set(rooms)

    def events_heard(self, events: int) -> None:
        """Events came in from the channels."""
        self._events.inc(events)

    def resynced(self) -> None:
        """A room was read again after a gap."""
        self._counter(RESYNCS).inc()

    def acknowledged(self, lag_events: int) -> None:
        """An overlay acknowledged while so many events were newer."""
        _histogram(self._made[ACK_LAG.name]).observe(lag_events)

    # HTTP.

    def request_answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """An HTTP request was answered. `route` is the route's pattern, never the path that was asked for."""
        self._counter(REQUESTS, route=route, method=method, status=f"{status // 100}xx").inc()
        _histogram(self._made[REQUEST_SECONDS.name].labels(route=route)).observe(seconds)

    def _rise(self, counter: Counter, to: int) -> None:
        counter.inc(to - self._risen.get(counter, 0))
        self._risen[counter] = to

    def _counter(self, metric: Metric, **labels: str) -> Counter:
        return _counter(_labelled(metric, self._made[metric.name], labels))

    def _gauge(self, metric: Metric, **labels: str) -> Gauge:
        return _gauge(_labelled(metric, self._made[metric.name], labels))


def _make(metric: Metric, registry: CollectorRegistry) -> MetricWrapperBase:
    if metric.kind is Histogram:
        return Histogram(metric.name, metric.text, tuple(metric.labels), registry=registry, buckets=metric.buckets)
    return metric.kind(metric.name, metric.text, tuple(metric.labels), registry=registry)


def _labelled(metric: Metric, made: MetricWrapperBase, labels: dict[str, str]) -> MetricWrapperBase:
    if not labels:
        return made
    bounded = {name: _bounded(metric.labels[name], value) for name, value in labels.items()}
    return made.labels(**bounded)


def _bounded(values: frozenset[str] | None, value: str) -> str:
    return value if values is None or value in values else OTHER


def _counter(made: MetricWrapperBase) -> Counter:
    return _of(Counter, made)


def _gauge(made: MetricWrapperBase) -> Gauge:
    return _of(Gauge, made)


def _histogram(made: MetricWrapperBase) -> Histogram:
    return _of(Histogram, made)


def _of(kind: type[_Kind], made: MetricWrapperBase) -> _Kind:
    if not isinstance(made, kind):
        raise TypeError(f"the table of metrics has no {kind.__name__} here")
    return made
