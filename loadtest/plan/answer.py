"""What a deployment needs, and what breaks first: sizes the parts, and looks at which load each limit is reached.

Pure. Each part is sized so that no processor of it is busier than the headroom allows. What the code of today cannot
spread (one Valkey server, one channel for all wallets) is not spread here either: the plan says where it ends.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from loadtest.plan.constants import Constants
from loadtest.plan.flows import Demand, Flows, Layout, Pacing, flows, gifts_in, rhythm_of, rooms_of, scaled
from loadtest.plan.model import Usage, delays_of, usage

GATEWAYS_MAX: Final = 1 << 15
SOCKETS_MAX: Final = 50_000
"""Of one gateway (edge.sessions_max)."""
TICK_SHARE_MAX: Final = 0.5
"""Part of its time in which a gateway may write ticks before it makes pauses longer (rooms.tick_share_permille_max)."""
SETTLES: Final = 6
SIZINGS: Final = 4
PARTITIONS_MAX: Final = 1_024
PARTITIONS: Final = 8
"""The default of ledger.partitions."""
FACTORS: Final = tuple(10 ** (step / 5) for step in range(-17, 6))
"""Of the load, at which limits are looked for."""


class Ground(Struct, frozen=True):
    """What is assumed of machines and networks.

    Attributes:
        headroom: the busiest that a processor, disk or network is meant to be.
        valkey_gb: memory for one Valkey server. A rewrite of its file may need as much again for a while.
        network_gbit: between Valkey and the gateways.
        postgres_cores: of the one PostgreSQL server.
        disk_mb: that a disk writes in a second.
        hours: for which rooms have been live.
    """

    headroom: float = 0.7
    valkey_gb: float = 64.0
    network_gbit: float = 10.0
    postgres_cores: float = 16.0
    disk_mb: float = 500.0
    hours: float = 4.0


class Asked(Struct, frozen=True):
    """A question.

    Attributes:
        gateways, partitions: as many, or as many as it takes.
        together: see `Layout`.
    """

    demand: Demand
    pacing: Pacing = Pacing()
    gateways: int | None = None
    partitions: int | None = None
    together: bool = False
    ground: Ground = Ground()


class Limit(Struct, frozen=True):
    """Something that ends.

    Attributes:
        share: of it that the load takes: 1 is all that the headroom leaves.
        breaks_at: the factor of the load at which it is reached, everything growing together; None beyond the factors
            that were looked at.
        helps: what an operator can do, or what would have to be built.
        built: whether the code of today can do that.
    """

    name: str
    share: float
    breaks_at: float | None
    helps: str
    built: bool


class Bounds(Struct, frozen=True):
    """The same figures by the lowest and by the highest constants of their intervals."""

    low: Usage
    high: Usage


class Sized(Struct, frozen=True):
    """A layout, and what goes on in it."""

    layout: Layout
    flows: Flows
    usage: Usage


class Step(Struct, frozen=True):
    """A load that is `factor` times what was asked for, on one Valkey server: what it uses of everything."""

    factor: float
    viewers: int
    layout: Layout
    usage: Usage
    shares: dict[str, float]


class Answer(Struct, frozen=True):
    """What is needed.

    Attributes:
        needed: with as many Valkey servers as it takes, whether or not the code can use them; where no number is enough
            (`enough`), with so many that more would not help.
        today: with one.
        limits: of today, those first that break first.
        climb: less and more of everything.
    """

    asked: Asked
    needed: Sized
    bounds: Bounds
    today: Sized
    limits: list[Limit]
    climb: list[Step]

    @property
    def enough(self) -> bool:
        """Whether there is a number of each part with which none is too busy."""
        headroom, layout, used = self.asked.ground.headroom * (1 + 1e-9), self.needed.layout, self.needed.usage
        busiest = max(used.primary, used.gateway / layout.gateways, used.worker / layout.workers)
        return busiest <= headroom

    @property
    def broken(self) -> list[Limit]:
        """Limits that this load passes."""
        return [limit for limit in self.limits if limit.share > 1]


def answer(asked: Asked, constants: Constants) -> Answer:
    """Size everything, and look for the limits."""
    today = sized(asked, constants, Layout(partitions=asked.partitions or PARTITIONS))
    needed = _needed(asked, constants, today)
    bounds = Bounds(
        *(
            usage(needed.flows, needed.layout, constants.drawn(where), asked.pacing.id_life_s)
            for where in ("low", "high")
        )
    )
    steps = climb_of(asked, constants)
    return Answer(asked, needed, bounds, today, limits_of(asked, today, steps, constants), steps)


def sized(asked: Asked, constants: Constants, base: Layout) -> Sized:
    """The fewest gateways and workers that keep to the headroom; all partitions have a worker each where that is not
    enough.

    Args:
        base: with the partitions and Valkey servers.
    """
    headroom, demand = asked.ground.headroom, asked.demand

    def found(gateways: int, workers: int) -> Sized:
        layout = msgspec.structs.replace(base, gateways=gateways, workers=workers, together=asked.together)
        return _settled(asked, constants, layout)

    def gateways_for(workers: int) -> int:
        def enough(number: int) -> bool:
            busy = found(number, workers).usage.gateway / number
            return busy <= headroom and demand.sockets / number <= SOCKETS_MAX

        fewest = _fewest(enough, GATEWAYS_MAX)
        if fewest is not None:
            return fewest
        # What all gateways hear takes more than one has: so many as the rest takes, and the limit says so.
        return max(math.ceil(found(1, workers).usage.gateway / headroom), math.ceil(demand.sockets / SOCKETS_MAX))

    def workers_for(gateways: int) -> int:
        def enough(number: int) -> bool:
            return found(gateways, number).usage.worker / number <= headroom

        return _fewest(enough, base.partitions) or base.partitions

    gateways, workers = 1, 1
    for _ in range(SIZINGS):
        # More workers tell rooms more often and in smaller parts, which gateways must hear, and the other way round.
        before = gateways, workers
        gateways = asked.gateways or gateways_for(workers)
        workers = workers_for(gateways)
        if (gateways, workers) == before:
            break
    return found(gateways, workers)


def _needed(asked: Asked, constants: Constants, today: Sized) -> Sized:
    """With as many Valkey servers and partitions as it takes, or as there may be."""
    headroom, found = asked.ground.headroom, today
    most = asked.partitions or PARTITIONS_MAX
    while found.layout.partitions <= most:
        primaries = found.layout.primaries
        if found.usage.primary <= headroom and found.usage.worker / found.layout.workers <= headroom:
            break
        if wallets_cores(found.flows, constants) > headroom:
            # One server has all of that channel, however many there are.
            break
        if found.usage.primary > headroom:
            wanted = math.ceil(primaries * found.usage.primary / headroom)
            primaries = min(max(primaries + 1, min(wanted, primaries * 4)), most)
        partitions = asked.partitions or min(max(found.layout.partitions, _power_of_two(primaries)), most)
        if (primaries, partitions) == (found.layout.primaries, found.layout.partitions):
            if asked.partitions or partitions * 2 > most:
                break
            partitions *= 2
        found = sized(asked, constants, Layout(primaries=primaries, partitions=partitions))
    return found


def _power_of_two(number: int) -> int:
    return 1 << max(number - 1, 0).bit_length()


def climb_of(asked: Asked, constants: Constants) -> list[Step]:
    """The same question for less and more of everything, with one Valkey server."""
    rows = []
    for factor in FACTORS:
        one = _times(asked, factor)
        found = sized(one, constants, Layout(partitions=one.partitions or PARTITIONS))
        rows.append(Step(factor, one.demand.viewers, found.layout, found.usage, shares_of(one, found, constants)))
    return rows


def limits_of(asked: Asked, today: Sized, steps: Sequence[Step], constants: Constants) -> list[Limit]:
    """Every limit of today's code at this load, ordered by the load at which each breaks."""
    found = [
        Limit(name, share, _crossing([(step.factor, step.shares[name]) for step in steps]), *_HELPS[name])
        for name, share in shares_of(asked, today, constants).items()
    ]
    return sorted(found, key=lambda limit: (limit.breaks_at or math.inf, -limit.share))


def wallets_cores(happens: Flows, constants: Constants) -> float:
    """What the channel of wallets takes of the one server that has it."""
    return happens.wallet_messages * constants.valkey["delivery"].value / 1e6


def _settled(asked: Asked, constants: Constants, layout: Layout) -> Sized:
    """Loops wait for Valkey, and Valkey's load depends on how often they go round: a few steps settle it.

    They wait as for a server that is as busy as the headroom lets it be, no longer: one that has more to do than it can
    has no steady state, and what it lacks is what is to be shown.
    """
    demand, pacing, hours = asked.demand, asked.pacing, asked.ground.hours
    rooms_in_batch, busy, commit_gifts = 1.0, 0.0, 1.0
    for _ in range(SETTLES):
        rhythm = rhythm_of(demand, layout, pacing, delays_of(constants, layout, rooms_in_batch, busy, commit_gifts))
        happens = flows(demand, layout, pacing, rhythm, hours)
        used = usage(happens, layout, constants, pacing.id_life_s)
        told = happens.tells / demand.gifts_per_s if demand.gifts_per_s else 1.0
        rooms_in_batch, busy = (rooms_in_batch + told) / 2, (busy + min(used.primary, asked.ground.headroom)) / 2
        commit_gifts = (commit_gifts + gifts_in(demand.gifts_per_s, rhythm.commits)) / 2
    return Sized(layout, happens, used)


def shares_of(asked: Asked, found: Sized, constants: Constants) -> dict[str, float]:
    """How much of each limit is used, the headroom being all."""
    partitions, ground = asked.partitions or PARTITIONS, asked.ground
    used, layout = found.usage, found.layout
    rooms = rooms_of(asked.demand)
    biggest = asked.demand.viewers * float(rooms.weight[0]) / layout.gateways
    pause_ms = min(
        asked.pacing.tick_ms * max(biggest / asked.pacing.tick_viewers, 1.0),
        max(asked.pacing.tick_ms_max, asked.pacing.tick_ms),
    )
    hottest = biggest * constants.gateway["frame"].value / 1e3 / pause_ms
    return {
        "valkey thread": used.primary / ground.headroom,
        "valkey memory": used.valkey_mb / 1024 / (ground.valkey_gb * ground.headroom),
        "valkey network": used.published_bytes * 8 / 1e9 / (ground.network_gbit * ground.headroom),
        "channel of wallets": wallets_cores(found.flows, constants) / ground.headroom,
        "wallets at every gateway": used.gateway_floor / ground.headroom,
        "workers": used.worker / (partitions * ground.headroom),
        "postgresql": used.postgres / (ground.postgres_cores * ground.headroom),
        "log of postgresql": used.wal_bytes / 2**20 / (ground.disk_mb * ground.headroom),
        "file of valkey": used.aof_bytes / 2**20 / (ground.disk_mb * ground.headroom),
        "hottest room": hottest / TICK_SHARE_MAX,
    }


_CHANNELS: Final = "channels of wallets for parts of the viewers, heard where those are, in the place of one for all"
_HELPS: Final = {
    "valkey thread": ("several Valkey servers, each with some partitions and rooms", False),
    "valkey memory": ("more memory; a lower ledger.id_window_ms (at the first start), rooms.history_facts_max", True),
    "valkey network": (f"a faster network; {_CHANNELS}", False),
    "channel of wallets": (_CHANNELS, False),
    "wallets at every gateway": (_CHANNELS, False),
    "workers": ("more ledger.partitions (at the first start): each has one worker", True),
    "postgresql": ("a larger server: the books are in one database", True),
    "log of postgresql": ("a faster disk for the log", True),
    "file of valkey": ("a faster disk", True),
    "hottest room": ("more gateways: each writes to fewer of its viewers", True),
}
"""What can be done about each limit, and whether it can be done with the code of today."""


def _times(asked: Asked, factor: float) -> Asked:
    return msgspec.structs.replace(asked, demand=scaled(asked.demand, factor))


def _crossing(shares: Sequence[tuple[float, float]]) -> float | None:
    """The factor at which a share passes 1, between those that were looked at."""
    for number, (factor, share) in enumerate(shares):
        if share > 1:
            if number == 0:
                return factor
            factor_before, before = shares[number - 1]
            return factor_before + (1 - before) / (share - before) * (factor - factor_before)
    return None


def _fewest(enough: Callable[[int], bool], most: int) -> int | None:
    """The smallest number that is enough, where more never is worse; None when `most` is not."""
    if not enough(most):
        return None
    low, high = 0, 1
    while not enough(high):
        low, high = high, min(high * 2, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
