"""What is simulated, and what came of it: values only."""

from msgspec import Struct

from loadtest.plan.flows import Demand, Layout, Pacing, Rhythm


class Others(Struct, frozen=True):
    """What goes on beside the gifts that are simulated, when those are a part of a bigger deployment. All a second.

    Attributes:
        commits: at the same Valkey, of `commit_gifts` each.
        valkey_s, gateway_s: other work of the Valkey server and of the gateway, in pieces of `valkey_piece_s` and
            `gateway_piece_s`.
        journal_share: of the others' gifts, those that the same worker relays.
        tells_share: rooms that a relay tells, for each gift of the others.
        busy_rooms: how often a room is told something by gifts of the others.
    """

    commits: float = 0.0
    commit_gifts: float = 0.0
    valkey_s: float = 0.0
    valkey_piece_s: float = 50e-6
    gateway_s: float = 0.0
    gateway_piece_s: float = 100e-6
    journal_share: float = 0.0
    tells_share: float = 1.0
    busy_rooms: float = 0.0


class Setting(Struct, frozen=True):
    """What is simulated.

    Attributes:
        cores: that all share; None for a core for each process.
        generator: whether the load generator takes its part of the cores, and its time counts.
        seconds: in which gifts are sent; what is sent in the first `warm_s` of them is not looked at.
        weights: the part of each room, summing to 1, where they are not what the demand says.
        sockets: open, where they are not what the demand says.
        bursts: gifts that come at the same moment, on the average: 1 for a Poisson process.
    """

    demand: Demand
    layout: Layout = Layout()
    pacing: Pacing = Pacing()
    cores: int | None = None
    generator: bool = False
    seconds: float = 4.0
    warm_s: float = 0.5
    weights: list[float] | None = None
    sockets: float | None = None
    bursts: float = 1.0
    others: Others = Others()
    seed: int = 1


class Percentiles(Struct, frozen=True):
    """Of a latency, in ms; None without samples."""

    p50: float | None
    p99: float | None
    samples: int


class Simulated(Struct, frozen=True):
    """What came of it.

    Attributes:
        sent, accepted, told, booked: gifts, of those that are simulated; all that were sent have gone all the way.
        busy: of one core, by part, while gifts were sent.
        rhythm: rounds a second of the simulated loops.
        tells: rooms told, a second.
        took_s: until the last gift had gone all its way.
        booked_ms: from accepted to written into PostgreSQL.
    """

    sent: int
    accepted: int
    told: int
    booked: int
    accepted_ms: Percentiles
    overlay_ms: Percentiles
    viewer_ms: Percentiles
    booked_ms: Percentiles
    busy: dict[str, float]
    rhythm: Rhythm
    tells: float
    ticks: float
    frames: float
    took_s: float
