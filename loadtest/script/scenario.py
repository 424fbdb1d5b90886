"""What a load test does, as TOML: who takes part, what is sent at which rate, and which limits must hold.

Values only. A scenario is read, checked and scaled here; `workload` turns it into intended send times.
"""

import math
from importlib import resources
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

BUILT_IN: Final = (
    "hot_room",
    "many_rooms",
    "combo_storm",
    "dear_gifts",
    "whale",
    "slow_viewers",
    "reconnect_storm",
    "purchase_rush",
    "mixed_evening",
    "soak",
)

Share = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=0, le=1_000_000)]


class ScenarioError(Exception):
    """The scenario cannot be run as written; the message names every fault."""


class Phase(Struct, frozen=True, forbid_unknown_fields=True):
    """A stretch of the run whose rate moves in a straight line.

    Attributes:
        share: of the whole duration.
        start, end: factors of the scenario's rate at both ends.
    """

    share: Positive
    start: Annotated[float, Meta(ge=0)]
    end: Annotated[float, Meta(ge=0)]


class Mix(Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of gift and how often it is sent.

    Attributes:
        gift: id in the server's catalogue.
        weight: relative to the other kinds.
        count_max: a gift is sent 1 to this many times in one command, evenly.
        combo: whether it is sent as part of a combo.
        whale: sent by whales, and by them only.
    """

    gift: str
    weight: Positive = 1.0
    count_max: Annotated[int, Meta(ge=1, le=9_999)] = 1
    combo: bool = False
    whale: bool = False


class Population(Struct, frozen=True, forbid_unknown_fields=True):
    """Who takes part.

    Attributes:
        rooms: each with its own creator.
        room_skew: exponent of the Zipf law by which senders and viewers choose rooms; 0 is even.
        senders: viewers who send; raised when the rate would pass what one connection may send.
        viewers: who only watch.
        overlays_per_room: complete receivers; the verdict needs at least one.
        poor_share: share of the senders who run out of coins, so that refusals are tested too.
    """

    rooms: Annotated[int, Meta(ge=1, le=10_000)] = 1
    room_skew: Annotated[float, Meta(ge=0, le=4)] = 0.0
    senders: Annotated[int, Meta(ge=1, le=100_000)] = 50
    viewers: Count = 0
    overlays_per_room: Annotated[int, Meta(ge=1, le=10)] = 1
    poor_share: Share = 0.0


class Bursts(Struct, frozen=True, forbid_unknown_fields=True):
    """Arrivals come as runs of the same gift by the same sender.

    Attributes:
        length_mean: gifts in a run (geometric); 1 means single gifts.
        interval_ms: between the gifts of a run.
    """

    length_mean: Annotated[float, Meta(ge=1, le=1_000)] = 1.0
    interval_ms: Positive = 150.0


class Whales(Struct, frozen=True, forbid_unknown_fields=True):
    """Few senders who give what others do not: what the mix marks as theirs, single gifts at a rate of their own.

    Attributes:
        senders: the first so many of the senders.
        rate_per_s: gifts per second of all of them, which the phases do not change; it stands in no other rate.
    """

    senders: Count = 0
    rate_per_s: Positive = 1.0


class Buying(Struct, frozen=True, forbid_unknown_fields=True):
    """Viewers who buy coins at the sandbox of a demo server: they send no gifts.

    Attributes:
        rate_per_s: purchases begun a second at a phase factor of 1.
        packages: of the catalogue; each purchase is of one of them, evenly.
    """

    buyers: Count = 0
    rate_per_s: Positive = 1.0
    packages: Annotated[tuple[str, ...], Meta(min_length=1)] = ("coins_100",)


class Drops(Struct, frozen=True, forbid_unknown_fields=True):
    """Sockets that clients lose without a word, at random times; each comes back by itself and asks for what it missed.

    Attributes:
        overlays_per_s, viewers_per_s, senders_per_s: of all clients of that kind together.
    """

    overlays_per_s: Annotated[float, Meta(ge=0, le=10_000)] = 0.0
    viewers_per_s: Annotated[float, Meta(ge=0, le=10_000)] = 0.0
    senders_per_s: Annotated[float, Meta(ge=0, le=10_000)] = 0.0


class Slow(Struct, frozen=True, forbid_unknown_fields=True):
    """Viewers on bad lines: small buffers, and again and again they read nothing for a while.

    Attributes:
        viewers_share: of the viewers.
        stall_ms, read_ms: how long such a viewer reads nothing, and then reads on, on the average.
    """

    viewers_share: Share = 0.0
    stall_ms: Positive = 3_000.0
    read_ms: Positive = 200.0


class Thresholds(Struct, frozen=True, forbid_unknown_fields=True):
    """Limits that decide the exit code beside the verdict; an absent one is not looked at.

    Attributes:
        accepted_p99_ms, overlay_p99_ms, viewer_p99_ms: from the intended send time.
        shed_share_max: of gifts that were refused for lack of capacity (overloaded, unavailable, rate
            limited).
        viewers_lost_share_max: of viewers who were closed or told of a gap, the slow ones left out.
        credited_p99_ms: from the intended beginning of a purchase until its coins are there.
        lag_p99_ms: of the generator itself; past it the numbers are not the server's.
    """

    accepted_p99_ms: Positive | None = None
    overlay_p99_ms: Positive | None = None
    viewer_p99_ms: Positive | None = None
    credited_p99_ms: Positive | None = None
    shed_share_max: Share = 0.0
    viewers_lost_share_max: Share = 0.0
    lag_p99_ms: Positive = 20.0


class Scenario(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole load test.

    Attributes:
        rate_per_s: gifts per second that a phase factor of 1 stands for.
        duration_s: how long gifts are sent; joining before and draining after come on top.
        repeat_share: share of the gifts that are told twice with the same id, as a client does whose reply is
            lost.
        undo_share: share of the gifts that can be undone that their senders take back, some of them too late.
        poisson: whether arrivals are random; else evenly spaced.
    """

    name: str
    summary: str
    rate_per_s: Positive
    duration_s: Positive
    phases: list[Phase]
    mix: list[Mix]
    population: Population = Population()
    bursts: Bursts = Bursts()
    drops: Drops = Drops()
    slow: Slow = Slow()
    whales: Whales = Whales()
    buying: Buying = Buying()
    thresholds: Thresholds = Thresholds()
    repeat_share: Share = 0.0
    undo_share: Share = 0.0
    poisson: bool = True
    seed: int = 1

    @property
    def rate_peak_per_s(self) -> float:
        """The highest rate of any phase."""
        return self.rate_per_s * max(max(phase.start, phase.end) for phase in self.phases)


def load_scenario(name: str) -> Scenario:
    """Read a built-in scenario by name, or a TOML file by path.

    Raises:
        ScenarioError: there is none, it is not TOML, or it contradicts itself.
    """
    try:
        source = _source(name)
        scenario = msgspec.toml.decode(source, type=Scenario)
    except FileNotFoundError as exc:
        raise ScenarioError(f"there is no scenario {name}; built in are {', '.join(sorted(BUILT_IN))}") from exc
    except OSError as exc:
        raise ScenarioError(f"cannot read {name}: {exc}") from exc
    except msgspec.DecodeError as exc:
        raise ScenarioError(f"{name}: {exc}") from exc
    faults = _faults(scenario)
    if faults:
        raise ScenarioError(f"{name}: " + "; ".join(faults))
    return scenario


def scale(
    scenario: Scenario,
    *,
    duration_s: float | None = None,
    rate_per_s: float | None = None,
    viewers: int | None = None,
    seed: int | None = None,
) -> Scenario:
    """The same scenario, longer, faster, fuller or with other luck."""
    population = scenario.population
    if viewers is not None:
        population = msgspec.structs.replace(population, viewers=viewers)
    return msgspec.structs.replace(
        scenario,
        duration_s=scenario.duration_s if duration_s is None else duration_s,
        rate_per_s=scenario.rate_per_s if rate_per_s is None else rate_per_s,
        seed=scenario.seed if seed is None else seed,
        population=population,
    )


def with_senders_for(scenario: Scenario, commands_per_second_max: int) -> Scenario:
    """The same scenario with enough senders for its peak, each at half of what a connection may send."""
    repeats = 1 + scenario.repeat_share
    needed = math.ceil(scenario.rate_peak_per_s * repeats / max(commands_per_second_max / 2, 1))
    senders = max(scenario.population.senders, needed)
    return msgspec.structs.replace(scenario, population=msgspec.structs.replace(scenario.population, senders=senders))


def _source(name: str) -> bytes:
    if name in BUILT_IN:
        return (resources.files("loadtest.script") / "scenarios" / f"{name}.toml").read_bytes()
    return Path(name).read_bytes()


def _faults(scenario: Scenario) -> list[str]:
    faults = []
    if not scenario.phases:
        faults.append("phases: at least one is needed")
    elif not math.isclose(sum(phase.share for phase in scenario.phases), 1.0, abs_tol=1e-6):
        faults.append("phases: their shares must sum to 1")
    elif scenario.rate_peak_per_s == 0:
        faults.append("phases: no phase sends anything")
    if all(mix.whale for mix in scenario.mix):
        faults.append("mix: at least one gift is needed, beside those of whales")
    if any(mix.whale for mix in scenario.mix) != bool(scenario.whales.senders):
        faults.append("whales: they need senders, and gifts in the mix that are theirs")
    if scenario.whales.senders >= scenario.population.senders:
        faults.append("whales: there must be other senders too")
    names = [mix.gift for mix in scenario.mix]
    faults += [f"mix: {name} stands twice" for name in sorted({n for n in names if names.count(n) > 1})]
    return faults
