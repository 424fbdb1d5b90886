"""From what happens to what it takes: processors, memory, bytes and rows, by the measured constants. Pure."""

from typing import Final

from msgspec import Struct

from loadtest.plan.constants import Constants, Costs
from loadtest.plan.flows import Delays, Flows, Layout, parts_of_commit

READ_SHARE: Final = 0.55
"""Of a gateway's cost for a gift: reading, price and guard; the rest is its answer (profile in docs/performance.md)."""
FLUSH_SHARE: Final = 0.3
"""Of a worker's cost for a gift: the books; the rest is the relay. `giftwire bench books` measures the former alone."""
WAKE_S: Final = 100e-6
"""From a message's being sent to its being read by a process that waits for it, on this machine or the next."""


class Usage(Struct, frozen=True):
    """What a deployment uses. Processors as cores, memory in MB, the rest a second.

    Attributes:
        gateway, worker, postgres: of all of them together.
        primary: the busiest Valkey server; `valkey` all of them.
        gateway_floor: what each gateway uses before it has a viewer: everything that all gateways hear.
        frame_bytes: to clients, of frames without TCP and IP around them.
        published_bytes: to gateways, from Valkey.
        gateway_mb: of all gateways; without what the kernel keeps for sockets.
        valkey_mb: of all servers.
    """

    gateway: float
    gateway_floor: float
    valkey: float
    primary: float
    worker: float
    postgres: float
    frame_bytes: float
    published_bytes: float
    aof_bytes: float
    wal_bytes: float
    rows: float
    gateway_mb: float
    valkey_mb: float
    worker_mb: float
    postgres_mb: float

    @property
    def cores(self) -> float:
        """All processors in use."""
        return self.gateway + self.valkey + self.worker + self.postgres


def usage(flows: Flows, layout: Layout, constants: Constants, id_life_s: float) -> Usage:
    """What these flows take.

    Where there are several Valkey servers, all but the channel of wallets is spread evenly over them: that is one
    channel, so one server has all of it.
    """
    memory = {name: one.value for name, one in constants.memory.items()}
    valkey = constants.valkey
    base_us = layout.primaries * valkey["base"].value
    wallets_us = flows.wallet_messages * valkey["delivery"].value
    spread_us = _sum(
        valkey,
        gift=flows.gifts,
        part=flows.commit_parts,
        batch=flows.batches,
        tell=flows.tells,
        delivery=flows.room_messages,
        call=flows.calls,
    )
    floor_us = floor_us_of(flows, layout, constants)
    return Usage(
        gateway=gateway_us(flows, layout.gateways, constants) / 1e6,
        gateway_floor=floor_us / 1e6,
        valkey=(base_us + wallets_us + spread_us) / 1e6,
        primary=((base_us + spread_us) / layout.primaries + wallets_us) / 1e6,
        worker=_sum(
            constants.worker,
            base=layout.workers,
            gift=flows.gifts,
            batch=flows.batches,
            tell=flows.tells,
            transaction=flows.postings,
        )
        / 1e6,
        postgres=_sum(constants.postgres, base=1, gift=flows.gifts, transaction=flows.postings) / 1e6,
        frame_bytes=_sum(
            constants.frame_bytes,
            gift=flows.gifts,
            frame=flows.frames,
            event=flows.events,
            board=flows.board_frames,
        ),
        published_bytes=_sum(
            constants.published_bytes,
            gift=flows.gifts,
            commit=flows.commits,
            fact=flows.facts,
            wallet=flows.wallet_changes,
        ),
        aof_bytes=_sum(
            constants.aof_bytes,
            gift=flows.gifts,
            part=flows.commit_parts,
            batch=flows.batches,
            tell=flows.tells,
            presence=flows.presences,
        ),
        wal_bytes=_sum(constants.wal_bytes, gift=flows.gifts, transaction=flows.postings),
        rows=_sum(constants.rows, gift=flows.gifts, transaction=flows.postings),
        gateway_mb=layout.gateways * memory["gateway_base_mb"] + flows.sockets * memory["socket_kb"] / 1024,
        valkey_mb=layout.primaries * memory["valkey_base_mb"]
        + (flows.gifts * id_life_s * memory["gift_id_bytes"] + flows.history_facts * memory["history_fact_bytes"])
        / 2**20,
        worker_mb=layout.workers * memory["worker_base_mb"],
        postgres_mb=memory["postgres_base_mb"],
    )


def gateway_us(flows: Flows, gateways: int, constants: Constants) -> float:
    """µs a second of all gateways."""
    return _sum(
        constants.gateway,
        base=gateways,
        socket=flows.sockets,
        gift=flows.gifts,
        commit=flows.commits,
        message=flows.room_messages + flows.wallet_messages,
        fact=flows.facts,
        wallet=flows.wallet_changes,
        tick=flows.ticks,
        frame=flows.frames,
        call=flows.calls,
    )


def floor_us_of(flows: Flows, layout: Layout, constants: Constants) -> float:
    """µs a second of one gateway on which nobody is: it hears of all wallets."""
    return _sum(
        constants.gateway,
        base=1,
        message=flows.wallet_messages / layout.gateways,
        wallet=flows.wallet_changes / layout.gateways,
    )


def delays_of(
    constants: Constants, layout: Layout, rooms_in_batch: float = 1.0, busy: float = 0.0, commit_gifts: float = 1.0
) -> Delays:
    """How long rounds of the loops take.

    Args:
        commit_gifts: gifts in a commit: in how many partitions they are.
        rooms_in_batch: rooms for each gift in a relay's batch: 1 where each gift is in another room.
        busy: part of the time in which Valkey works on what others asked for.
    """
    gateway, valkey, worker, postgres = constants.gateway, constants.valkey, constants.worker, constants.postgres
    fsync_s = sum(constants.fsync_ms) / len(constants.fsync_ms) / 1000
    held_up = 1 / max(1 - busy, 0.05)
    return Delays(
        commit_s=(gateway["commit"].value + valkey["part"].value * parts_of_commit(commit_gifts, layout) * held_up)
        / 1e6
        + fsync_s * held_up
        + 2 * WAKE_S,
        commit_gift_s=(valkey["gift"].value * held_up + gateway["gift"].value * (1 - READ_SHARE)) / 1e6,
        batch_s=(worker["batch"].value + valkey["batch"].value * held_up) / 1e6 + fsync_s * held_up + 4 * WAKE_S,
        batch_gift_s=(
            worker["gift"].value * (1 - FLUSH_SHARE)
            + (worker["tell"].value + valkey["tell"].value * held_up) * rooms_in_batch
        )
        / 1e6,
        transaction_s=(worker["transaction"].value + postgres["transaction"].value)
        * (layout.partitions / layout.workers)
        / 1e6
        + fsync_s
        + 10 * WAKE_S,
        transaction_gift_s=(worker["gift"].value * FLUSH_SHARE + postgres["gift"].value) / 1e6,
    )


def _sum(costs: Costs, **counts: float) -> float:
    """Costs times counts; every constant of the part that happens is named."""
    return sum(costs[name].value * count for name, count in counts.items())
