"""What the leading process and the agents tell each other, through pipes of this machine."""

from msgspec import Struct

from gateway.wire.codec import Encoding
from gateway.wire.messages import Limits
from loadtest.record.columns import Commands, Sightings
from loadtest.record.frames import FrameBook, Watch
from loadtest.record.latency import Latencies
from loadtest.record.purchase_book import PurchaseBook
from loadtest.script.naming import Run
from loadtest.script.scenario import Scenario


class Member(Struct, frozen=True):
    """A user of this process: number in its population, its token, the number of its room."""

    number: int
    token: str
    room: int


class Assignment(Struct, frozen=True):
    """What one process is to do.

    Attributes:
        process: its number in the run.
        slice_index, slices: which part of the sendings is its own, when it has senders.
    """

    process: int
    run: Run
    url: str
    encoding: Encoding
    scenario: Scenario
    slice_index: int
    slices: int
    senders: list[Member]
    overlays: list[Member]
    viewers: list[Member]
    buyers: list[Member]


class Begin(Struct, frozen=True):
    """Send from this time on (monotonic clock, which all processes of a machine share)."""

    start_ns: int
    unix_minus_monotonic_ns: int


class Begun(Struct, frozen=True):
    """The process counts from here on: what is sent to its clients after this is in its books."""


class Finish(Struct, frozen=True):
    """Close everything and hand over the books."""


class Ready(Struct, frozen=True):
    """All clients of the process stand ready."""

    limits: Limits | None


class Failed(Struct, frozen=True):
    """The process cannot do its part."""

    reason: str


class Progress(Struct, frozen=True):
    """Where a process stands; counts are since the start, samples since the last progress.

    Attributes:
        told, accepted, undone, refused, unanswered: gifts of its senders; `done` when all are told. Purchases of its
            buyers that are not at their end are among the unanswered.
        undo_until_ms: until when, by the server's clock, one of them could be undone; 0 when none could.
        seen: gifts, and gifts undone, by room, as the overlay saw them that is the furthest behind.
        overlay_seqs, viewer_seqs: by room, the position of its overlay that is the furthest behind (same for
            viewers
            who still count).
        combos_open: by the overlays' books.
    """

    process: int
    told: int
    accepted: int
    undone: int
    refused: int
    unanswered: int
    undo_until_ms: int
    done: bool
    seen: dict[int, int]
    overlay_seqs: dict[int, int]
    viewer_seqs: dict[int, int]
    combos_open: int
    frames: int
    accepted_ms: list[float]
    overlay_ms: list[float]
    lag_ms: float
    reconnects: int


class Harvest(Struct):
    """The books of a process.

    Attributes:
        loop_lag: how late a 10 ms timer of its loop rang.
        combo_window_ms: as the server told its overlays; 0 without any.
        cpu_s, frames, bytes_received: from begin to finish, in `wall_s`.
    """

    process: int
    commands: Commands | None
    purchases: PurchaseBook | None
    sightings: list[Sightings]
    books: list[FrameBook]
    watches: dict[int, list[Watch]]
    faults: list[str]
    combo_window_ms: int
    loop_lag: Latencies
    cpu_s: float
    wall_s: float
    frames: int
    bytes_received: int
    reconnects: int
