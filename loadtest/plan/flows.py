"""How much of what happens a second: from viewers, rooms and gifts to commits, messages, ticks and frames.

Pure. It follows the code of gateway, relay and flusher: who waits for whom, who hears what, how ticks are paced. Rooms
differ by Zipf's law; gifts come by a Poisson process, in proportion to viewers; viewers are spread over gateways by
chance, as a load balancer does that knows nothing of rooms.
"""

import functools
import math
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct

EXACT_ROOMS: Final = 64
"""So many of the biggest rooms stand for themselves; those after them are taken together in groups of like size."""
GROUP_GROWTH: Final = 1.05
ROUNDS: Final = 60
CLOSE: Final = 1e-6
"""Steps to the fixed point of a loop that takes all that came while it worked."""

Floats = npt.NDArray[np.float64]


class Demand(Struct, frozen=True):
    """What is asked of a deployment.

    Attributes:
        viewers: connected, each in one room.
        rooms: live ones.
        gifts_per_s: all rooms together.
        room_skew: exponent of the Zipf law of rooms; 0 for rooms of one size.
        givers: different viewers who give within a short time; a tick adds up gifts of one giver and kind.
        kinds: of gifts that are given.
        senders_apart: connections that only give, beside the viewers (a load test has such).
        overlays_per_room: complete receivers of each room.
    """

    viewers: int
    rooms: int
    gifts_per_s: float
    room_skew: float = 1.0
    givers: int = 1_000
    kinds: int = 5
    senders_apart: int = 0
    overlays_per_room: int = 1

    @property
    def sockets(self) -> int:
        """All connections."""
        return self.viewers + self.senders_apart + self.rooms * self.overlays_per_room


class Layout(Struct, frozen=True):
    """Who shares the work.

    Attributes:
        primaries: Valkey servers; the code of today takes one.
        together: whether somebody sends the viewers of a room to as few gateways as hold them; else chance spreads
            them.
    """

    gateways: int = 1
    workers: int = 1
    primaries: int = 1
    partitions: int = 8
    together: bool = False


class Pacing(Struct, frozen=True):
    """The settings that pace the work, with the defaults of `rooms` and `ledger`.

    Attributes:
        id_life_s: for how long Valkey remembers the id of a gift, on the average.
    """

    tick_ms: float = 50
    tick_ms_max: float = 250
    tick_viewers: int = 2_000
    events_per_tick_max: int = 10
    board_ms: float = 1_000
    presence_ms: float = 2_000
    batch_gifts_max: int = 256
    relay_records_max: int = 4_000
    flush_interval_ms: float = 200
    flush_records_max: int = 5_000
    history_facts_max: int = 20_000
    id_life_s: float = 4_500


class Rhythm(Struct, frozen=True):
    """How often the loops go round, a second, in the whole deployment.

    Attributes:
        commits: of gifts, over all gateways.
        batches: reads of the relays that found records.
        transactions: of the flushers.
    """

    commits: float
    batches: float
    transactions: float


class Delays(Struct, frozen=True):
    """How long one round of a loop takes: at all, and more for each gift in it. In seconds."""

    commit_s: float
    commit_gift_s: float
    batch_s: float
    batch_gift_s: float
    transaction_s: float
    transaction_gift_s: float


class Rooms(Struct, frozen=True):
    """Groups of rooms of like size: how many are in each, and the part of all viewers that one of them has."""

    count: Floats
    weight: Floats


class Flows(Struct, frozen=True):
    """What happens a second, in the whole deployment.

    Attributes:
        tells: rooms that were told something, by batch.
        room_messages, facts: what gateways hear of rooms, each gateway of a room counted.
        wallet_messages, wallet_changes: what gateways hear of wallets; each gateway hears all of them.
        commit_parts: partitions in the commits: each writes its own entry, totals and ids.
        ticks: of rooms on gateways; `frames` go to viewers, with `events` shown in all of them.
        boards, presences: top lists asked for, and numbers of viewers told, by rooms on gateways.
        board_frames: top lists in frames.
        postings: partitions in the flusher's transactions.
        sockets: open.
        rooms_held: rooms on gateways: each counts once for each gateway that has it.
    """

    gifts: float
    commits: float
    commit_parts: float
    batches: float
    tells: float
    room_messages: float
    facts: float
    wallet_messages: float
    wallet_changes: float
    ticks: float
    frames: float
    events: float
    boards: float
    board_frames: float
    presences: float
    postings: float
    sockets: float
    rooms_held: float
    history_facts: float

    @property
    def deliveries(self) -> float:
        """Messages of Valkey's channels, each receiver counted."""
        return self.room_messages + self.wallet_messages

    @property
    def calls(self) -> float:
        """What gateways ask of Valkey for rooms."""
        return self.boards + self.presences


def rooms_of(demand: Demand) -> Rooms:
    """Rooms by Zipf's law, the biggest first; count times weight sums to 1."""
    return _rooms_of(demand.rooms, demand.room_skew)


@functools.lru_cache(maxsize=64)
def _rooms_of(rooms: int, room_skew: float) -> Rooms:
    edges = list(range(1, min(rooms, EXACT_ROOMS) + 2))
    while edges[-1] <= rooms:
        edges.append(min(max(int(edges[-1] * GROUP_GROWTH), edges[-1] + 1), rooms + 1))
    first, end = np.array(edges[:-1], dtype=float), np.array(edges[1:], dtype=float)
    count = end - first
    # The middle of a group stands for all of it; groups are so narrow that it makes no difference.
    weight = ((first + end - 1) / 2) ** -room_skew
    return Rooms(count, weight / (count * weight).sum())


def expanded(rooms: Rooms) -> Floats:
    """The weight of each single room."""
    weights = np.repeat(rooms.weight, rooms.count.astype(int))
    return np.asarray(weights / weights.sum())


def hearers(members: Floats, gateways: int, seats: float = 0.0) -> Floats:
    """On how many gateways a room of so many members has somebody, on the average.

    Args:
        seats: members that a gateway has, where those of a room are sent to as few as hold them; 0 where they are not.
    """
    if gateways <= 1:
        return np.minimum(members, 1.0)
    if seats:
        return np.minimum(np.minimum(members, np.maximum(members / seats, 1.0)), gateways)
    few = -gateways * np.expm1(members * math.log1p(-1 / gateways))
    return np.asarray(np.minimum(few, members))


def rounds_per_s(arrivals_per_s: float, fixed_s: float, each_s: float, most: float = math.inf) -> float:
    """How often a loop goes round that takes all that came while it worked, and rests when nothing did.

    Args:
        arrivals_per_s: by a Poisson process.
        fixed_s, each_s: how long a round takes, and longer for each arrival in it.
        most: arrivals in a round.

    Returns:
        Rounds a second; 0 without arrivals. Where the arrivals are more than it can take: as often as it can with the
        most in each round, or, without a bound, rounds that never end, which is 0.
    """
    if arrivals_per_s <= 0:
        return 0.0
    taken = 1.0
    for _ in range(ROUNDS):
        busy_s = fixed_s + each_s * taken
        cycle_s = busy_s + math.exp(-min(arrivals_per_s * busy_s, 700.0)) / arrivals_per_s
        wanted = arrivals_per_s * cycle_s
        if wanted >= most:
            return 1 / (fixed_s + each_s * most)
        if not math.isfinite(wanted) or wanted > 1e9:
            return 0.0
        if abs(wanted - taken) <= taken * CLOSE:
            break
        taken = (taken + wanted) / 2
    return arrivals_per_s / taken


def rhythm_of(demand: Demand, layout: Layout, pacing: Pacing, delays: Delays) -> Rhythm:
    """How often the loops go round when nothing else holds them up."""
    lanes, workers = layout.gateways * layout.primaries, layout.workers
    commits = lanes * rounds_per_s(
        demand.gifts_per_s / lanes, delays.commit_s, delays.commit_gift_s, pacing.batch_gifts_max
    )
    batches = workers * rounds_per_s(
        demand.gifts_per_s / workers, delays.batch_s, delays.batch_gift_s, pacing.relay_records_max
    )
    rest_s = pacing.flush_interval_ms / 1000 + delays.transaction_s
    transactions = workers * rounds_per_s(
        demand.gifts_per_s / workers, rest_s, delays.transaction_gift_s, pacing.flush_records_max
    )
    return Rhythm(commits, batches, transactions)


def flows(demand: Demand, layout: Layout, pacing: Pacing, rhythm: Rhythm, hours: float = 4.0) -> Flows:
    """Everything that happens a second.

    Args:
        rhythm: where it comes from is the caller's: `rhythm_of`, a simulation, or what was counted.
        hours: for which rooms have been live: their history grows until it is full.
    """
    rooms = rooms_of(demand)
    gateways, count, weight = layout.gateways, rooms.count, rooms.weight
    viewers, gifts = demand.viewers * weight, demand.gifts_per_s * weight
    seats = max(demand.sockets / gateways, 1.0) if layout.together else 0.0
    heard_by = hearers(viewers + demand.overlays_per_room, gateways, seats)
    watched_by = hearers(viewers, gateways, seats)
    batch_gifts = demand.gifts_per_s / rhythm.batches if rhythm.batches else 0.0
    told = rhythm.batches * -np.expm1(-batch_gifts * weight)
    boards = told / (1 + told * pacing.board_ms / 1000)
    ticks = _tick_rate(told + boards, _pause_s(viewers / np.maximum(watched_by, 1.0), pacing))
    frames = ticks * viewers
    givers = np.maximum(demand.givers * weight, 1.0) * demand.kinds
    a_tick = np.divide(gifts, ticks, out=np.zeros_like(gifts), where=ticks > 0)
    shown = shown_events(givers * -np.expm1(-a_tick / givers), pacing.events_per_tick_max)
    changes = demand.givers * -math.expm1(-batch_gifts / demand.givers) * rhythm.batches
    return Flows(
        gifts=demand.gifts_per_s,
        commits=rhythm.commits,
        commit_parts=rhythm.commits * parts_of_commit(gifts_in(demand.gifts_per_s, rhythm.commits), layout),
        batches=rhythm.batches,
        tells=float((count * told).sum()),
        room_messages=float((count * told * heard_by).sum()),
        facts=float((count * gifts * heard_by).sum()),
        wallet_messages=rhythm.batches * gateways,
        wallet_changes=changes * gateways,
        ticks=float((count * ticks * heard_by).sum()),
        frames=float((count * frames).sum()),
        events=float((count * frames * shown).sum()),
        boards=float((count * boards * heard_by).sum()),
        board_frames=float((count * boards * (viewers + demand.overlays_per_room)).sum()),
        presences=float((count * watched_by).sum()) / (pacing.presence_ms / 1000),
        postings=rhythm.transactions * touched(demand.gifts_per_s, rhythm.transactions, layout),
        sockets=float(demand.sockets),
        rooms_held=float((count * heard_by).sum()),
        history_facts=float((count * np.minimum(gifts * hours * 3600, pacing.history_facts_max)).sum()),
    )


def shown_events(mean: Floats, most: int) -> Floats:
    """Events in a tick for which so many are ready on the average: at most so many, and a summary of the others."""
    chance = np.exp(-mean)
    at_most = chance.copy()
    expected = 1 - at_most
    for number in range(1, most):
        chance = chance * mean / number
        at_most = at_most + chance
        expected = expected + np.maximum(1 - at_most, 0.0)
    at_most = at_most + chance * mean / most
    return np.asarray(expected + np.maximum(1 - at_most, 0.0))


def touched(gifts_per_s: float, transactions: float, layout: Layout) -> float:
    """Partitions that have a part in a transaction of a flusher, on the average."""
    return _touched(gifts_in(gifts_per_s, transactions), layout.partitions / layout.workers)


def parts_of_commit(gifts: float, layout: Layout) -> float:
    """Partitions that have a part in a commit of so many gifts, on the average; at least one, if it has a gift."""
    its_own = max(layout.partitions / layout.primaries, 1.0)
    return max(_touched(gifts, its_own), min(gifts, 1.0))


def gifts_in(gifts_per_s: float, rounds_per_s: float) -> float:
    """Gifts of a round; 0 without rounds."""
    return gifts_per_s / rounds_per_s if rounds_per_s else 0.0


def _touched(gifts: float, partitions: float) -> float:
    return partitions * -math.expm1(-gifts / partitions)


def scaled(demand: Demand, factor: float) -> Demand:
    """The same with so many times the viewers, rooms, givers and gifts."""
    return msgspec.structs.replace(
        demand,
        viewers=max(round(demand.viewers * factor), 0),
        rooms=max(round(demand.rooms * factor), 1),
        givers=max(round(demand.givers * factor), 1),
        gifts_per_s=demand.gifts_per_s * factor,
    )


def _pause_s(viewers_here: Floats, pacing: Pacing) -> Floats:
    """The shortest pause between two ticks of a room with so many viewers on a gateway."""
    pause_ms = pacing.tick_ms * np.maximum(viewers_here, pacing.tick_viewers) / pacing.tick_viewers
    return np.asarray(np.minimum(pause_ms, max(pacing.tick_ms, pacing.tick_ms_max)) / 1000)


def _tick_rate(told_per_s: Floats, pause_s: Floats) -> Floats:
    """Ticks a second where each comes at once when the pause is over, else with the next that is told."""
    rate = np.maximum(told_per_s, 1e-12)
    return np.asarray(np.where(told_per_s > 0, 1 / (pause_s + np.exp(-rate * pause_s) / rate), 0.0))
