"""A gateway of the simulation: reads gifts and commits them in groups, hears of rooms, shows overlays and viewers."""

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import simpy

from loadtest.plan.flows import Floats, parts_of_commit
from loadtest.plan.model import READ_SHARE, WAKE_S
from loadtest.plan.simulation.engine import Cores, Loop, Steps
from loadtest.plan.simulation.gifts import Gifts, first_of, joined
from loadtest.plan.simulation.setting import Setting

COMMITS_MAX: Final = 2
COMMIT_GIFTS_GOOD: Final = 64
"""Commits in flight, and how many gifts are worth a second one: as the batcher has it (ledger/live/batcher.py)."""
SCRIPT_S: Final = 5e-3
"""What one commit may take in the script; the rest waits for the next (ledger.script_time_ms_max)."""
SLICE_SOCKETS: Final = 400
"""Sockets that a slice of a tick writes (edge.fan_out_slice_max)."""
NEVER_S: Final = 1e9


class World(Protocol):
    """What a gateway is in: the parts that it hands on to."""

    setting: Setting
    env: simpy.Environment
    cores: Cores
    rng: np.random.Generator
    weights: Floats
    valkey: Loop
    counts: dict[str, int]

    def cost(self, part: str, /, **counts: float) -> float:
        """Seconds of a core."""

    def committed(self, gifts: Gifts) -> None:
        """They are in the journal, and on disk."""

    def answered(self, gifts: Gifts) -> None:
        """Their senders are told."""

    def sighted(self, at_s: Floats) -> None:
        """Overlays are told of gifts that were meant to be sent at these times."""

    def shown(self, count: float, at_s: Floats) -> None:
        """So many viewers are sent a frame with these gifts."""


class SimulatedGateway:
    """One gateway: reads gifts, commits them, hears rooms, writes ticks."""

    def __init__(self, world: World, number: int) -> None:
        self.foreign = 0
        self.waiting: dict[int, list[Floats]] = {}
        self.loop = Loop(world.env, world.cores, "gateway", WAKE_S)
        self._world = world
        self._number = number
        self._queue: deque[Gifts] = deque()
        self._waiting = 0
        self._in_flight = 0
        self._ticked_s: dict[int, float] = {}

    def read(self, gifts: Gifts) -> None:
        """Gifts came in."""
        world = self._world

        def read() -> None:
            self._queue.append(gifts)
            self._waiting += len(gifts)
            self._commit_when_due()

        self.loop.put(world.cost("gateway", gift=len(gifts) * READ_SHARE), read)

    def _commit_when_due(self) -> None:
        if not self._waiting or self._in_flight >= COMMITS_MAX:
            return
        if self._in_flight and self._waiting < COMMIT_GIFTS_GOOD:
            return
        world = self._world
        gift_s = world.cost("valkey", gift=1)
        most = min(world.setting.pacing.batch_gifts_max, max(int(SCRIPT_S / gift_s), 1) if gift_s else 1 << 30)
        gifts = joined(first_of(self._queue, most))
        self._waiting -= len(gifts)
        self._in_flight += 1
        world.counts["commits"] += 1

        def prepared() -> None:
            parts = parts_of_commit(len(gifts), world.setting.layout)
            world.valkey.put(world.cost("valkey", part=parts, gift=len(gifts)), committed)

        def committed() -> None:
            world.committed(gifts)
            self.loop.put(world.cost("gateway", gift=len(gifts) * (1 - READ_SHARE)), answered)

        def answered() -> None:
            self._in_flight -= 1
            world.answered(gifts)
            self._commit_when_due()

        self.loop.put(world.cost("gateway", commit=1), prepared)

    def hear(self, gifts: Gifts, rooms: npt.NDArray[np.int64]) -> None:
        """A relay's batch came: wallets to everybody, each room to the gateways that have it."""
        world = self._world
        demand, gateways = world.setting.demand, world.setting.layout.gateways
        foreign = int((gifts.room < 0).sum())
        self.foreign += foreign
        self.loop.put(world.cost("gateway", message=1, wallet=len(gifts) - foreign))
        # The overlay of a room is on one gateway; viewers are on all that are few enough for them.
        for room in rooms:
            at_s = gifts.at_s[gifts.room == room]
            has_overlay = int(room) % gateways == self._number
            viewers = demand.viewers * world.weights[room] / gateways
            if not has_overlay and viewers < 0.5:
                continue
            cost_s = world.cost("gateway", message=1, fact=at_s.size)
            self.loop.put(cost_s, self._told(int(room), at_s, viewers, has_overlay=has_overlay))

    def _told(self, room: int, at_s: Floats, viewers: float, *, has_overlay: bool) -> Callable[[], None]:
        def told() -> None:
            if has_overlay:
                self._world.sighted(at_s)
            if room not in self.waiting:
                self.waiting[room] = []
                self._world.env.process(self._tick_later(room, viewers))
            self.waiting[room].append(at_s)

        return told

    def _tick_later(self, room: int, viewers: float) -> Steps:
        world, pacing = self._world, self._world.setting.pacing
        now = world.env.now
        pause_ms = min(
            pacing.tick_ms * max(viewers / pacing.tick_viewers, 1.0), max(pacing.tick_ms_max, pacing.tick_ms)
        )
        ticked_s = self._ticked_s.get(room, -NEVER_S)
        busy = world.setting.others.busy_rooms
        if busy and now - ticked_s > pause_ms / 1e3 and world.rng.random() < -np.expm1(-busy * pause_ms / 1e3):
            # Gifts of others had it tick a moment ago.
            ticked_s = now - world.rng.random() * pause_ms / 1e3
        yield world.env.timeout(max(ticked_s + pause_ms / 1e3 - now, 0.0))
        self.loop.put(world.cost("gateway", tick=1), lambda: self._tick(room, viewers))

    def _tick(self, room: int, viewers: float) -> None:
        world = self._world
        self._ticked_s[room] = world.env.now
        at_s = np.concatenate(self.waiting.pop(room))
        world.counts["ticks"] += 1
        world.counts["frames"] += round(viewers)
        self._write(at_s, viewers)

    def _write(self, at_s: Floats, left: float) -> None:
        if left <= 0:
            return
        now = min(left, SLICE_SOCKETS)

        def written() -> None:
            self._world.shown(now, at_s)
            self._write(at_s, left - now)

        self.loop.put(self._world.cost("gateway", frame=now), written)
