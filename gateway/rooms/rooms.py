"""The rooms of this gateway: opened when the first session enters, told by the broker, shown to sessions by ticks.

The room's rules are in `gateway.room`, without I/O; here are its timers, its reads of the history and its audience. A
room that misses facts heals from the history; where the history no longer holds them everybody is told (I7).
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Final

import structlog
from msgspec import UNSET, Struct

from gateway.counting.metrics import Metrics, Shed, Stage
from gateway.edge.config import EdgeConfig
from gateway.edge.fanout import RESYNC, Audience
from gateway.edge.session import Session
from gateway.places import Places, room_place
from gateway.replies import refused
from gateway.room.config import RoomConfig
from gateway.room.facts import RoomBatch, complete_events
from gateway.room.pace import Pace
from gateway.room.room import Hearing, Room
from gateway.rooms.broker import Broker
from gateway.rooms.overlay_acks import OverlayAcks
from gateway.rooms.resuming import Missed, Resuming
from gateway.tasks import end_all
from gateway.wire.codes import CloseCode, Code
from gateway.wire.messages import (
    Event,
    Events,
    GiftEvent,
    Join,
    Joined,
    LeaderboardEvent,
    RoomEvent,
    RoomState,
    SummaryEvent,
)
from ledger.errors import LedgerUnavailable
from ledger.guards.directory import Place

HEAL_FACTS_MAX: Final = 20_000
"""Facts that a room reads at a time when it was not told them."""
PRESENCE_SLICE: Final = 200
_log = structlog.get_logger()


class LocalRoom:
    """A room with its audience on this gateway.

    Attributes:
        healing: a task reads the history meanwhile; what comes in then is found there.
        waits_since_s: since when viewers have not been shown something (`time.perf_counter`); 0 for nothing.
        heal_again: more may have been missed since that task's last read began.
    """

    __slots__ = ("audience", "board_task", "core", "heal_again", "healing", "place", "timer", "waits_since_s")

    def __init__(self, place: Place, core: Room, audience: Audience) -> None:
        self.place = place
        self.core = core
        self.audience = audience
        self.timer: asyncio.TimerHandle | None = None
        self.healing = False
        self.heal_again = False
        self.board_task = False
        self.waits_since_s = 0.0


class RoomsConfig(Struct, frozen=True):
    """What the shell is told besides the room's own settings."""

    room: RoomConfig
    edge: EdgeConfig


class Rooms:
    """All rooms that somebody of this process is in.

    Args:
        spawn: runs a coroutine as a task that somebody owns.

    Attributes:
        pace: how long the pauses between ticks are now; somebody has to `look` at it.
    """

    def __init__(
        self,
        broker: Broker,
        places: Places,
        config: RoomsConfig,
        metrics: Metrics,
        now_ms: Callable[[], int],
        spawn: Callable[[Coroutine[None, None, None]], None],
    ) -> None:
        self._broker = broker
        self._places = places
        self._config = config
        self._metrics = metrics
        self._now_ms = now_ms
        self._spawn = spawn
        self._acks = OverlayAcks(broker, config.room, spawn)
        self._resuming = Resuming(broker, self._acks, config.room, now_ms)
        self.pace = Pace(config.room)
        self._gateway_id = secrets.token_hex(8)
        self._rooms: dict[str, LocalRoom] = {}
        self._opening: dict[str, asyncio.Task[LocalRoom | None]] = {}
        self._presence: asyncio.Task[None] | None = None
        self._counted: set[str] = set()
        self._before_ticks: Callable[[], None] = lambda: None

    def before_ticks(self, send: Callable[[], None]) -> None:
        """Call this before each slice of a tick: it sends what must not wait for one."""
        self._before_ticks = send

    def start(self) -> None:
        """Begin to tell others how many viewers are here."""
        self._presence = asyncio.create_task(self._tell_presence(), name="presence")

    async def stop(self) -> None:
        """No more ticks; what overlays acknowledged is saved."""
        await self._acks.save()
        await end_all(task for task in (self._presence, *self._opening.values()) if task is not None)
        for local in self._rooms.values():
            if local.timer is not None:
                local.timer.cancel()

    def __len__(self) -> int:
        return len(self._rooms)

    # Entering and leaving.

    async def enter(self, session: Session, join: Join) -> None:
        """Answer a `join`: the room's state, and what was missed since where the session stopped."""
        try:
            while True:
                local = self._rooms.get(join.room) or await self._opened(join.room)
                if local is None:
                    self._turn_away(session, join, Code.UNKNOWN_ROOM)
                    return
                if session.is_overlay and not local.audience.tells_all(session):
                    self._turn_away(session, join, Code.NOT_ALLOWED, "The overlay belongs to another creator.")
                    return
                if await self._admit(session, join, local):
                    return
        except LedgerUnavailable as exc:
            _log.warning("join_failed", room=join.room, error=f"{type(exc).__name__}: {exc}")
            self._turn_away(session, join, Code.UNAVAILABLE)

    def leave(self, session: Session, room: str) -> None:
        """Nothing more is told to the session; a room without an audience is closed."""
        if session.is_overlay:
            self._acks.save_soon()
        local = self._rooms.get(room)
        if local is None:
            return
        local.audience.remove(session)
        local.core.receivers = local.audience.viewers
        if len(local.audience) == 0:
            if local.timer is not None:
                local.timer.cancel()
            del self._rooms[room]
            self._metrics.rooms_held(len(self._rooms))
            self._spawn(self._close(room))

    def _turn_away(self, session: Session, join: Join, code: Code, message: str | None = None) -> None:
        """It is not in the room (any more): the room may have been opened for it alone, or hold it from before."""
        session.forget_room(join.room)
        self.leave(session, join.room)
        session.send(refused(code, message, ref=join.ref))

    def acknowledge(self, session: Session, room: str, seq: int) -> None:
        """A complete receiver has shown everything up to `seq`. Of an overlay it is kept, for the day on which its page
        has forgotten where it stopped."""
        local = self._rooms.get(room)
        if local is None or room not in session.rooms or seq > local.core.seq:
            return
        self._metrics.acknowledged(local.core.seq - seq)
        if session.is_overlay and session.revocable:
            self._acks.note(room, session.revocable, (local.core.epoch, seq))

    def show_present(self, session: Session) -> None:
        """Send what is now in each room of which the session is not told everything."""
        for room in session.rooms:
            local = self._rooms.get(room)
            if local is not None and session in local.audience and not local.audience.tells_all(session):
                session.send(self._present(local))

    # Told by the broker.

    def heard(self, batch: RoomBatch) -> None:
        """Take a batch from the broker."""
        local = self._rooms.get(batch.room)
        if local is None:
            return
        self._metrics.events_heard(len(batch.facts))
        self._metrics.stage_took(Stage.RELAY, (self._now_ms() - batch.facts[-1].at_ms) / 1000)
        heard = local.core.hear(batch)
        if heard.fresh is not None:
            self._show(local, heard.fresh)
        elif heard.hearing is Hearing.GAP and not local.healing:
            self._heal_soon(local)

    def lost(self) -> None:
        """The subscriptions were interrupted: every room looks at its history."""
        for local in self._rooms.values():
            local.heal_again = True
            if not local.healing:
                self._heal_soon(local)

    def place_changed(self, place: Place) -> None:
        """A room's title or creator was changed: with the creator, who is told every gift."""
        local = self._rooms.get(place.place.partition(":")[2])
        if local is None:
            return
        local.place = place
        for session in local.audience.give_to(place.creator):
            session.connection.close(CloseCode.INSUFFICIENT_STATE, "the room was given to another creator: join again")
        local.core.receivers = local.audience.viewers

    # Inside: opening.

    async def _opened(self, room: str) -> LocalRoom | None:
        opening = self._opening.get(room)
        if opening is None:
            opening = self._opening[room] = asyncio.create_task(self._open(room), name=f"open-{room}")
            opening.add_done_callback(lambda _: self._opening.pop(room, None))
        return await asyncio.shield(opening)

    async def _open(self, room: str) -> LocalRoom | None:
        place = await self._places.enter(room_place(room))
        if place is None:
            return None
        await self._broker.subscribe(room)
        try:
            snapshot = await self._broker.snapshot(room)
            board = await self._broker.board(room, self._config.room.board_entries_max)
        except LedgerUnavailable:
            await self._broker.unsubscribe(room)
            raise
        core = Room(room, self._config.room, epoch=snapshot.epoch, seq=snapshot.seq, pace=self.pace)
        core.put_board(board, snapshot.seq)
        core.tick(self._now_ms())

        def wrote(seconds: float, done: bool) -> None:
            self.pace.wrote(seconds)
            if done:
                self._tick_when_due(local)

        audience = Audience(
            place.creator,
            self._config.edge,
            self._metrics,
            self._now_ms,
            self.show_present,
            wrote,
            lambda: self._before_ticks(),
        )
        local = LocalRoom(place, core, audience)
        self._rooms[room] = local
        self._metrics.rooms_held(len(self._rooms))
        # What was published between the subscription and the snapshot, or while we read, is in the history.
        self._heal_soon(local)
        return local

    async def _close(self, room: str) -> None:
        if room not in self._rooms and room not in self._opening:
            await self._broker.unsubscribe(room)
            self._counted.discard(room)
            await self._broker.count_viewers(room, self._gateway_id, 0)
            if room in self._rooms or room in self._opening:
                # Somebody came meanwhile: the room must not stay deaf.
                await self._broker.subscribe(room)
                self.lost()

    async def _admit(self, session: Session, join: Join, local: LocalRoom) -> bool:
        """Give the session what it missed, then add it, without a hole between; False when the room was closed."""
        core = local.core
        missed = await self._missed(session, join, local)
        if self._rooms.get(join.room) is not local:
            return False
        if session.connection.is_closing or join.room not in session.rooms:
            self.leave(session, join.room)
            return True
        # After the last await: what follows is one step, so nothing is told in between.
        if join.since is not None and join.since.seq > core.shown_seq:
            self._tick(local)
        complete = local.audience.tells_all(session)
        seq = core.seq if complete else core.shown_seq
        whole = missed is not None and missed.whole
        if session.is_overlay and not whole and (join.since is not None or missed is not None):
            self._metrics.shed(Shed.MISSED)
        session.send(
            Joined(
                ref=join.ref,
                room=join.room,
                epoch=core.epoch,
                seq=seq,
                recovered=whole,
                state=self._state(local),
                resumed_from=UNSET if missed is None or missed.since == join.since else missed.since,
            )
        )
        if missed is not None:
            for message in self._resuming.messages(core, missed, seq, complete=complete):
                session.send(message)
        local.audience.add(session)
        core.receivers = local.audience.viewers
        if not complete and join.room not in self._counted:
            self._counted.add(join.room)
            self._spawn(self._count(join.room))
        return True

    async def _missed(self, session: Session, join: Join, local: LocalRoom) -> Missed | None:
        """What it missed since where it stopped; an overlay that does not know is asked for its acknowledgements.

        An overlay for which that is too much, or partly gone, is given the newest of it.
        """

        async def catch_up() -> None:
            await self._read_missing(local)

        if join.since is not None:
            missed = await self._resuming.since(local.core, join.since, catch_up)
            if missed is None and session.is_overlay:
                return await self._resuming.newest_since(local.core, join.since, catch_up)
            return missed
        if session.is_overlay and session.revocable:
            return await self._resuming.since_ack(local.core, session.revocable, catch_up)
        return None

    # Inside: showing.

    def _show(self, local: LocalRoom, fresh: RoomBatch) -> None:
        local.waits_since_s = local.waits_since_s or time.perf_counter()
        if local.audience.complete:
            local.audience.tell_complete(Events(fresh.room, fresh.epoch, fresh.last_seq, list(complete_events(fresh))))
        self._tick_when_due(local)

    def _tick_when_due(self, local: LocalRoom) -> None:
        due_ms = local.core.due_ms()
        if due_ms is None or local.timer is not None or local.audience.is_busy:
            return
        loop, wait_ms = asyncio.get_running_loop(), due_ms - self._now_ms()
        # A tick that is due still waits for the end of this round of the loop: what else came in it goes along.
        local.timer = loop.call_later(max(wait_ms, 0) / 1000, self._timer_ran, local)

    def _timer_ran(self, local: LocalRoom) -> None:
        local.timer = None
        self._tick(local)
        self._refresh_board_soon(local)

    def _tick(self, local: LocalRoom) -> None:
        began = time.perf_counter()
        if local.waits_since_s:
            self._metrics.stage_took(Stage.TICK, began - local.waits_since_s)
            local.waits_since_s = 0.0
        tick = local.core.tick(self._now_ms())
        if tick is None or not tick.events:
            return
        told = local.audience.tell_viewers(Events(local.core.name, tick.epoch, tick.seq, tick.events))
        state = [event for event in tick.events if isinstance(event, LeaderboardEvent | RoomEvent)]
        if state:
            local.audience.tell_complete(Events(local.core.name, tick.epoch, local.core.seq, list(state)))
        took_s = time.perf_counter() - began
        self.pace.wrote(took_s)
        self._metrics.ticked(took_s, told, merged=_merged(tick.events), slowed=self.pace.stretch > 1.0)

    def _refresh_board_soon(self, local: LocalRoom) -> None:
        if local.core.wants_board() and not local.board_task:
            local.board_task = True
            self._spawn(self._refresh_board(local))

    async def _refresh_board(self, local: LocalRoom) -> None:
        core, config = local.core, self._config.room
        try:
            while core.wants_board() and self._rooms.get(core.name) is local:
                # Not at once: the gifts of the next moments change the list too.
                await asyncio.sleep(config.board_ms / 1000)
                asked_seq = core.seq
                try:
                    entries = await self._broker.board(core.name, config.board_entries_max)
                except LedgerUnavailable as exc:
                    # It is wanted still, so it is asked for again; gifts are shown meanwhile.
                    _log.warning("board_not_read", room=core.name, error=f"{type(exc).__name__}: {exc}")
                    continue
                core.put_board(entries, asked_seq)
                self._tick_when_due(local)
        finally:
            local.board_task = False

    def _state(self, local: LocalRoom) -> RoomState:
        core, place = local.core, local.place
        return RoomState(
            room=core.name,
            title=place.title,
            creator=place.creator,
            creator_name=place.creator_name,
            viewers=max(core.viewers, local.audience.viewers),
            leaderboard=core.leaderboard,
            combo_window_ms=self._config.room.combo_window_ms,
        )

    def _present(self, local: LocalRoom) -> Events:
        core = local.core
        return Events(
            core.name,
            core.epoch,
            core.shown_seq,
            [LeaderboardEvent(core.leaderboard), RoomEvent(core.live, max(core.viewers, local.audience.viewers))],
        )

    # Inside: healing.

    def _heal_soon(self, local: LocalRoom) -> None:
        local.healing = True
        self._spawn(self._heal(local))

    async def _heal(self, local: LocalRoom) -> None:
        core, pause_s = local.core, 0.05
        try:
            while self._rooms.get(core.name) is local:
                try:
                    local.heal_again = False
                    if await self._read_missing(local) and not local.heal_again:
                        return
                except LedgerUnavailable as exc:
                    _log.warning("room_not_healed", room=core.name, error=f"{type(exc).__name__}: {exc}")
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, 1.0)
        finally:
            local.healing = False

    async def _read_missing(self, local: LocalRoom) -> bool:
        core = local.core
        found = await self._broker.since(core.name, core.epoch, core.seq, HEAL_FACTS_MAX)
        if found is None:
            await self._start_anew(local)
            # What came between the snapshot and now was refused: only another read shows whether anything did.
            return False
        for batch in found:
            heard = core.hear(batch)
            if heard.fresh is not None:
                self._show(local, heard.fresh)
        if found:
            self._metrics.resynced()
        return core.behind is None

    async def _start_anew(self, local: LocalRoom) -> None:
        core = local.core
        snapshot = await self._broker.snapshot(core.name)
        if (snapshot.epoch, snapshot.seq) == (core.epoch, core.seq):
            return
        _log.warning(
            "room_missed_events", room=core.name, at=[core.epoch, core.seq], now=[snapshot.epoch, snapshot.seq]
        )
        core.reset(snapshot.epoch, snapshot.seq)
        self._refresh_board_soon(local)
        for session in local.audience.sessions():
            if local.audience.tells_all(session):
                session.connection.close(CloseCode.INSUFFICIENT_STATE, "events were missed: join again")
            else:
                session.notify(RESYNC)
                session.send(self._present(local))

    # Inside: presence.

    async def _tell_presence(self) -> None:
        pause_s = self._config.room.presence_ms / 1000
        while True:
            await asyncio.sleep(pause_s)
            self._look_at_places()
            names = [name for name, local in self._rooms.items() if local.audience.viewers or name in self._counted]
            for start in range(0, len(names), PRESENCE_SLICE):
                await asyncio.gather(*(self._count(name) for name in names[start : start + PRESENCE_SLICE]))

    def _look_at_places(self) -> None:
        """What another process changed is known here once somebody read it, for a gift or ahead of one."""
        for name, local in list(self._rooms.items()):
            place = self._places.known(room_place(name))
            if place is not None and place is not local.place and place != local.place:
                self.place_changed(place)

    async def _count(self, room: str) -> None:
        local = self._rooms.get(room)
        if local is None:
            return
        try:
            viewers = await self._broker.count_viewers(room, self._gateway_id, local.audience.viewers)
        except LedgerUnavailable as exc:
            _log.warning("presence_not_told", room=room, error=f"{type(exc).__name__}: {exc}")
            return
        self._counted.add(room)
        local.core.put_state(viewers=viewers)
        self._tick_when_due(local)


def _merged(events: Sequence[Event]) -> int:
    """Gifts that are shown as a part of another event."""
    merged = 0
    for event in events:
        if isinstance(event, GiftEvent) and event.merged is not UNSET:
            merged += event.merged - 1
        elif isinstance(event, SummaryEvent):
            merged += event.gifts
    return merged
