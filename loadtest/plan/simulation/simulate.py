"""A simulation of gateways, group commit, Valkey, relay, flusher and PostgreSQL, event by event.

Every gift goes its way: sent, read by its gateway, committed with those that came meanwhile, read from the journal by
the relay, told to its room, shown by an overlay and in a tick. Costs are the measured constants; what has no cost waits
for no one. On one machine all processes share its cores with the load generator; in a plan each has its own.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

import numpy as np
import simpy

from loadtest.plan.constants import Constants
from loadtest.plan.flows import Floats, Rhythm, expanded, parts_of_commit, rooms_of
from loadtest.plan.model import FLUSH_SHARE, WAKE_S
from loadtest.plan.simulation.engine import Cores, Loop, Steps, SyncedLoop
from loadtest.plan.simulation.gateway import SimulatedGateway
from loadtest.plan.simulation.gifts import Gifts, Samples, first_of, joined
from loadtest.plan.simulation.setting import Setting, Simulated

FLUSH_SLICE_S: Final = 1.3e-3
"""For which the flusher keeps the worker's event loop at a stretch (docs/performance.md)."""
BASE_PER_S: Final = 200.0
"""Pieces a second in which what a process does anyway is done."""
CLIENT_SHARE: Final = 0.6
"""Of the generator's cost for a gift: sending it; the rest is its answer."""
DRAIN_FACTOR: Final = 1.5
DRAIN_S: Final = 1.0
"""By then all that was sent must have arrived: else more came than could be done."""
_PARTS: Final = ("gateway", "valkey", "worker", "postgres", "generator")


def simulate(setting: Setting, constants: Constants) -> Simulated:
    """Send gifts for some seconds, and go on until all have arrived.

    The same setting and constants give the same answer.

    Raises:
        Overrun: what is asked is more than the parts can do, so that it would take for ever.
    """
    return _Simulation(setting, constants).run()


class Overrun(Exception):
    """Gifts come faster than they can be handled: there is no steady state, and no percentile."""


class _Simulation:
    """One run. Parts are event loops; what happens when a job is done is said where it is given."""

    def __init__(self, setting: Setting, constants: Constants) -> None:
        self.setting = setting
        self.env = simpy.Environment()
        self.cores = Cores(self.env, setting.cores)
        self.rng = np.random.default_rng(setting.seed)
        self._us = {part: {name: one.value / 1e6 for name, one in constants.part(part).items()} for part in _PARTS}
        self._fsync_s = np.array(constants.fsync_ms) / 1e3
        self.accepted, self.overlay, self.viewer, self.booked = (Samples(setting.warm_s) for _ in range(4))
        self.counts = dict.fromkeys(("sent", "accepted", "told", "booked", "commits", "tells", "ticks", "frames"), 0)
        self.counts |= {"batches": 0, "transactions": 0}
        demand, layout = setting.demand, setting.layout
        self.weights = expanded(rooms_of(demand)) if setting.weights is None else np.array(setting.weights)
        self.valkey: Loop = SyncedLoop(self.env, self.cores, "valkey", WAKE_S, self._sync_s)
        self.worker = Loop(self.env, self.cores, "worker", WAKE_S)
        self.gateways = [SimulatedGateway(self, number) for number in range(layout.gateways)]
        self.journal: list[Gifts] = []
        self.unbooked: deque[Gifts] = deque()
        self.relay_waits = True
        self.viewers_client = self._client("viewers")
        self.overlays_client = self._client("overlays")
        self.senders_client = self._client("senders")
        self.finished = False

    def cost(self, part: str, /, **counts: float) -> float:
        """Seconds of a core."""
        costs = self._us[part]
        return sum(costs[name] * count for name, count in counts.items())

    def run(self) -> Simulated:
        env, setting = self.env, self.setting
        for part, loop in (("valkey", self.valkey), ("worker", self.worker)):
            env.process(self._background(loop, self._us[part]["base"], 0.0))
        sockets = setting.demand.sockets if setting.sockets is None else setting.sockets
        base = self._us["gateway"]["base"] + self._us["gateway"]["socket"] * sockets / len(self.gateways)
        for gateway in self.gateways:
            env.process(self._background(gateway.loop, base, 0.0))
        clients = (self.senders_client, self.overlays_client, self.viewers_client)
        for client in clients:
            if isinstance(client, Loop):
                env.process(self._background(client, self._us["generator"]["base"], 0.0))
        others = setting.others
        env.process(self._background(self.valkey, others.valkey_s, others.valkey_piece_s))
        env.process(self._background(self.gateways[0].loop, others.gateway_s, others.gateway_piece_s))
        if others.commits:
            env.process(self._other_commits())
        env.process(self._postgres_base())
        env.process(self._flusher())
        env.process(self._send())
        env.run(until=setting.seconds)
        busy = {part: float(used_s) / setting.seconds for part, used_s in self.cores.busy_s.items()}
        counts = dict(self.counts)
        while not self._all_arrived():
            if env.now > setting.seconds * DRAIN_FACTOR + DRAIN_S:
                raise Overrun(f"{self.counts['sent'] - self.counts['accepted']} gifts still wait to be accepted")
            env.run(until=env.now + 0.1)
        self.finished = True
        return self._result(busy, counts)

    # Sending.

    def _send(self) -> Steps:
        """Poisson arrivals, thinned to the moments at which a process of the generator wakes."""
        setting, env = self.setting, self.env
        rate = setting.demand.gifts_per_s / setting.bursts
        total = self.rng.poisson(rate * setting.seconds)
        at_s = np.sort(self.rng.uniform(0, setting.seconds, total))
        if setting.bursts > 1:
            at_s = np.repeat(at_s, self.rng.geometric(1 / setting.bursts, total))
        rooms = self.rng.choice(len(self.weights), at_s.size, p=self.weights)
        gateways = self.rng.integers(0, len(self.gateways), at_s.size)
        # Arrivals within so little of each other are handed on in one event; their times stay their own.
        step_s = min(5e-5, 0.5 / max(rate, 1.0))
        first = 0
        while first < at_s.size:
            now = max(at_s[first], env.now)
            if now > env.now:
                yield env.timeout(now - env.now)
            end = max(int(np.searchsorted(at_s, env.now + step_s)), first + 1)
            self.counts["sent"] += end - first
            chosen = gateways[first:end]
            for number in np.unique(chosen):
                ours = chosen == number
                gifts = Gifts(at_s[first:end][ours], rooms[first:end][ours])
                self._sent(self.gateways[int(number)], gifts)
            first = end

    def _sent(self, gateway: "SimulatedGateway", gifts: Gifts) -> None:
        cost_s = self._client_cost("gift") * CLIENT_SHARE * len(gifts)
        self.senders_client.put(cost_s, lambda: gateway.read(gifts))

    def answered(self, gifts: Gifts) -> None:
        """The sender has its answers."""

        def heard() -> None:
            self.counts["accepted"] += len(gifts)
            self.accepted.add(gifts.at_s, self.env.now)

        self.senders_client.put(self._client_cost("gift") * (1 - CLIENT_SHARE) * len(gifts), heard)

    # The journal, the relay and the books.

    def committed(self, gifts: Gifts) -> None:
        """The gifts are in the journal."""
        gifts.accepted_s = self.env.now
        self.journal.append(gifts)
        self.unbooked.append(gifts)
        if self.relay_waits:
            self.relay_waits = False
            self.worker.put(0.0, self._relay)

    def _relay(self) -> None:
        """Read what there is, tell it, read again."""
        batch, self.journal = self.journal, []
        if not batch:
            self.relay_waits = True
            return
        self.counts["batches"] += 1
        gifts = joined(batch)
        foreign = gifts.room < 0
        rooms = np.unique(gifts.room[~foreign])
        told = len(rooms) + round(int(foreign.sum()) * self.setting.others.tells_share)
        self.counts["tells"] += told
        cost_s = self.cost("worker", batch=1, tell=told, gift=len(gifts) * (1 - FLUSH_SHARE))
        deliveries = len(rooms) * self._hearers + len(self.gateways)
        valkey_s = self.cost("valkey", batch=0.5, tell=told, delivery=deliveries)

        def worked() -> None:
            self.valkey.put(valkey_s, published)

        def published() -> None:
            for gateway in self.gateways:
                gateway.hear(gifts, rooms)
            # Reading what came meanwhile is a round trip of its own.
            self.valkey.put(self.cost("valkey", batch=0.5), lambda: self.worker.put(0.0, self._relay), writes=False)

        self.worker.put(cost_s, worked)

    def _flusher(self) -> Steps:
        pacing, env = self.setting.pacing, self.env
        while True:
            if not self.unbooked:
                yield env.timeout(pacing.flush_interval_ms / 1e3)
                continue
            batch = first_of(self.unbooked, pacing.flush_records_max)
            gifts = joined(batch)
            self.counts["transactions"] += 1
            parts = self.setting.layout.partitions / self.setting.layout.workers
            postings = parts * -np.expm1(-len(gifts) / parts)
            yield self._worked(self.cost("worker", gift=len(gifts) * FLUSH_SHARE, transaction=postings))
            yield from self.cores.work("postgres", self.cost("postgres", gift=len(gifts), transaction=postings))
            yield env.timeout(self._sync_s())
            self.counts["booked"] += len(gifts)
            for one in batch:
                self.booked.add(np.full(int((one.room >= 0).sum()), one.accepted_s), env.now)
            if len(gifts) < pacing.flush_records_max // 2:
                yield env.timeout(pacing.flush_interval_ms / 1e3)

    def _worked(self, seconds: float) -> simpy.Event:
        """Happens when the worker has done so much for the flusher, a stretch at a time."""
        done = self.env.event()

        def stretch(left_s: float) -> None:
            if left_s <= 0:
                done.succeed()
            else:
                now_s = min(left_s, FLUSH_SLICE_S)
                self.worker.put(now_s, lambda: stretch(left_s - now_s))

        stretch(seconds)
        return done

    # What else goes on.

    def _background(self, loop: Loop, used: float, piece_s: float) -> Steps:
        """Work of so much of a core in pieces that come by chance; with a piece of 0, so many a second."""
        if used <= 0:
            return
        piece_s = piece_s or used / BASE_PER_S
        while not self.finished:
            yield self.env.timeout(self.rng.exponential(piece_s / used))
            loop.put(piece_s, writes=False)

    def _postgres_base(self) -> Steps:
        used = self._us["postgres"]["base"]
        while used and not self.finished:
            yield self.env.timeout(self.rng.exponential(1 / BASE_PER_S))
            yield from self.cores.work("postgres", used / BASE_PER_S)

    def _other_commits(self) -> Steps:
        others, ours = self.setting.others, 0.0
        parts = parts_of_commit(others.commit_gifts, self.setting.layout)
        cost_s = self.cost("valkey", part=parts, gift=others.commit_gifts)
        while not self.finished:
            yield self.env.timeout(self.rng.exponential(1 / others.commits))
            ours += others.commit_gifts * others.journal_share
            number = int(ours)
            ours -= number
            done = None
            if number and self.env.now < self.setting.seconds:
                gifts = Gifts(np.full(number, -1.0), np.full(number, -1))

                def done(gifts: Gifts = gifts) -> None:
                    self.counts["accepted"] += len(gifts)
                    self.committed(gifts)

                self.counts["sent"] += number
            self.valkey.put(cost_s, done)

    # Inside.

    @property
    def _hearers(self) -> float:
        demand, gateways = self.setting.demand, len(self.gateways)
        members = demand.viewers / demand.rooms + demand.overlays_per_room
        return float(min(gateways, members))

    def _client(self, part: str) -> "Loop | Nobody":
        return Loop(self.env, self.cores, part, WAKE_S) if self.setting.generator else Nobody()

    def _client_cost(self, name: str) -> float:
        return self._us["generator"][name] if self.setting.generator else 0.0

    def shown(self, count: float, at_s: Floats) -> None:
        """A slice of a tick has been written to so many viewers: they see these gifts."""

        def seen() -> None:
            self.viewer.add(at_s, self.env.now, count)

        self.viewers_client.put(self._client_cost("frame") * count, seen)

    def sighted(self, at_s: Floats) -> None:
        """Overlays were told of these gifts."""

        def seen() -> None:
            self.counts["told"] += at_s.size
            self.overlay.add(at_s, self.env.now)

        self.overlays_client.put(self._client_cost("sighting") * at_s.size, seen)

    def _sync_s(self) -> float:
        return float(np.interp(self.rng.random(), np.linspace(0, 1, self._fsync_s.size), self._fsync_s))

    def _all_arrived(self) -> bool:
        counts = self.counts
        ours = counts["told"] + self._foreign_told >= counts["sent"]
        return counts["accepted"] == counts["sent"] == counts["booked"] and ours and not self._ticks_due

    @property
    def _foreign_told(self) -> int:
        return sum(gateway.foreign for gateway in self.gateways[:1])

    @property
    def _ticks_due(self) -> bool:
        return any(gateway.waiting for gateway in self.gateways)

    def _result(self, busy: dict[str, float], counts: dict[str, int]) -> Simulated:
        seconds = self.setting.seconds
        foreign = self._foreign_told
        return Simulated(
            sent=self.counts["sent"] - foreign,
            accepted=self.counts["accepted"] - foreign,
            told=self.counts["told"],
            booked=self.counts["booked"] - foreign,
            accepted_ms=self.accepted.percentiles(),
            overlay_ms=self.overlay.percentiles(),
            viewer_ms=self.viewer.percentiles(),
            booked_ms=self.booked.percentiles(),
            busy=busy,
            rhythm=Rhythm(counts["commits"] / seconds, counts["batches"] / seconds, counts["transactions"] / seconds),
            tells=counts["tells"] / seconds,
            ticks=counts["ticks"] / seconds,
            frames=counts["frames"] / seconds,
            took_s=self.env.now,
        )


class Nobody:
    """Clients that cost nothing and wait for nothing."""

    def put(self, _cost_s: float, done: Callable[[], None] | None = None) -> None:
        if done is not None:
            done()
