"""A piece of a big deployment that can be simulated: one gateway, one Valkey server, one worker; the rest as a din.

What the piece does not do itself (other gateways' commits, rooms that others tell, ticks of gifts that came elsewhere)
is work that comes by chance, so that the piece's own gifts wait for it as they would.
"""

from typing import Final

import msgspec
import numpy as np

from loadtest.plan.answer import Asked, Sized
from loadtest.plan.constants import Constants
from loadtest.plan.flows import Demand, Floats, Layout, expanded, hearers, parts_of_commit, rooms_of
from loadtest.plan.model import gateway_us
from loadtest.plan.simulation.gateway import SLICE_SOCKETS
from loadtest.plan.simulation.setting import Others, Setting, Simulated
from loadtest.plan.simulation.simulate import Overrun, simulate

STEADY_MAX: Final = 0.98
"""A processor that is busier than this has no steady state worth a percentile."""
PIECE_S_MIN: Final = 50e-6
GIFTS_AIM: Final = 4_000
SECONDS: Final = (1.5, 6.0)
"""So many gifts of the piece are aimed at, in no fewer and no more seconds."""
ROOMS_MAX: Final = 20_000
"""Of the piece: those after the biggest are as good as alike."""


def times_at(asked: Asked, found: Sized, constants: Constants, *, seed: int = 1) -> Simulated:
    """Latencies in a deployment.

    Raises:
        Overrun: a part of it has more to do than it can.
    """
    layout, used = found.layout, found.usage
    loads = {
        "a gateway": used.gateway / layout.gateways,
        "a Valkey server": used.primary,
        "a worker": used.worker / layout.workers,
    }
    for part, load in loads.items():
        if load > STEADY_MAX:
            raise Overrun(f"{part} would have to use {load:.1f} cores, and can use one")
    return simulate(piece_of(asked, found, constants, seed=seed), constants)


def piece_of(asked: Asked, found: Sized, constants: Constants, *, seed: int = 1) -> Setting:
    """The piece. Its gifts are those of one gateway that go to one Valkey server."""
    demand, layout, happens, pacing = asked.demand, found.layout, found.flows, asked.pacing
    gateways, primaries, workers = layout.gateways, layout.primaries, layout.workers
    here = demand.gifts_per_s / primaries
    # With several servers a gateway's gifts go to all of them. All are sent to this one: it has far more of others.
    ours = demand.gifts_per_s / gateways if primaries == 1 else min(demand.gifts_per_s / gateways, here / 2)
    commits = happens.commits / primaries
    commit_gifts = here / commits if commits else 1.0
    own_commits = ours / commit_gifts
    own = msgspec.structs.replace(
        demand, viewers=max(round(demand.viewers / gateways), 1), rooms=min(demand.rooms, ROOMS_MAX), gifts_per_s=ours
    )
    weights = _rooms_here(demand, layout) if layout.together else expanded(rooms_of(own))
    # A gift is more often in a big room: viewers here of the room of a gift, on the average.
    watchers = own.viewers * float((weights**2).sum())
    valkey, gateway = constants.valkey, constants.gateway
    own_gateway_us = (
        ours * (gateway["gift"].value + gateway["fact"].value + gateway["wallet"].value)
        + own_commits * gateway["commit"].value
        + ours * (gateway["tick"].value + watchers * gateway["frame"].value)
    )
    base_us = gateway["base"].value + happens.sockets / gateways * gateway["socket"].value
    other_gateway_us = gateway_us(happens, gateways, constants) / gateways - own_gateway_us - base_us
    relayed = min(demand.gifts_per_s / workers, here)
    tells_share = happens.tells / demand.gifts_per_s if demand.gifts_per_s else 1.0
    by_relay_us = happens.batches / workers * valkey["batch"].value + relayed * tells_share * valkey["tell"].value
    parts = commits * parts_of_commit(commit_gifts, layout)
    own_valkey_us = valkey["base"].value + here * valkey["gift"].value + parts * valkey["part"].value + by_relay_us
    others = Others(
        commits=max(commits - own_commits, 0.0),
        commit_gifts=commit_gifts,
        valkey_s=max(found.usage.primary - own_valkey_us / 1e6, 0.0),
        valkey_piece_s=PIECE_S_MIN,
        gateway_s=max(other_gateway_us, 0.0) / 1e6,
        gateway_piece_s=max(min(watchers, SLICE_SOCKETS) * gateway["frame"].value / 1e6, PIECE_S_MIN),
        journal_share=min(max(relayed - ours, 0.0) / max(here - ours, 1e-9), 1.0),
        tells_share=tells_share,
        busy_rooms=_busy(asked, found),
    )
    seconds = min(max(GIFTS_AIM / max(ours, 1e-9), SECONDS[0]), SECONDS[1])
    return Setting(
        demand=own,
        weights=weights.tolist(),
        sockets=happens.sockets / gateways,
        layout=Layout(partitions=max(layout.partitions // primaries, 1), workers=workers),
        pacing=pacing,
        seconds=seconds,
        warm_s=min(0.3, seconds / 5),
        others=others,
        seed=seed,
    )


def _busy(asked: Asked, found: Sized) -> float:
    """How often the room of a gift is told something, on the average over gifts."""
    rooms = rooms_of(asked.demand)
    gifts = asked.demand.gifts_per_s * rooms.weight
    batches = found.flows.batches
    told = gifts if not batches else batches * -np.expm1(-gifts / batches)
    return float((rooms.count * rooms.weight * told).sum())


def _rooms_here(demand: Demand, layout: Layout) -> Floats:
    """The parts of a gateway's viewers that its rooms have, where rooms are kept together: some of each size."""
    rooms = rooms_of(demand)
    viewers = demand.viewers * rooms.weight
    heard_by = hearers(viewers, layout.gateways, max(demand.sockets / layout.gateways, 1.0))
    edges = np.cumsum(rooms.count * heard_by / layout.gateways)
    chosen = np.searchsorted(edges, np.arange(0.5, max(edges[-1], 1.0)))
    weights = (rooms.weight / np.maximum(heard_by, 1e-9))[np.minimum(chosen, len(edges) - 1)]
    return np.asarray(weights / weights.sum())
