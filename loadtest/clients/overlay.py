"""An overlay: sees every gift of its room, acknowledges, and resumes where it was."""

import asyncio
import time
from typing import Final

from msgspec import UNSET

from gateway.wire.messages import (
    Ack,
    Events,
    GiftEvent,
    Join,
    Joined,
    Notice,
    Position,
    Refused,
    UndoneEvent,
    Welcome,
)
from loadtest.clients.connection import Client, Line, Payload, Reply
from loadtest.record.columns import NO_KEY, ComboState, Sightings
from loadtest.script.naming import GiftKeys, id_time_ms

ACK_EVERY_S: Final = 0.5
RECENT_MAX: Final = 500
"""Samples kept between two reports, for the live view alone."""
_STATES: Final = {"start": ComboState.START, "update": ComboState.UPDATE, "end": ComboState.END}


class OverlayClient(Client):
    """One overlay of one room, and the book of what it saw."""

    def __init__(self, line: Line, name: str, token: str, room: str, sightings: Sightings, keys: GiftKeys) -> None:
        super().__init__(line, name, token)
        self.sightings = sightings
        self.room = room
        self.gifts_seen = 0
        self.undone_seen = 0
        self.combos_open: set[str] = set()
        self.combo_window_ms = 0
        self.epoch = 0
        self.seq = 0
        self._keys = keys
        self._joined_once = False
        self._recent: list[tuple[int, str]] = []
        self._acked_seq = 0
        self._ack_timer: asyncio.TimerHandle | None = None

    def on_welcome(self, welcome: Welcome) -> None:
        """Enter the room: the first time from now on, later from the last event known."""
        self._join()

    def _join(self) -> None:
        since = Position(self.epoch, self.seq) if self._joined_once else None
        self.send(Join(ref="join", room=self.room, since=since))

    def on_reply(self, message: Reply) -> None:
        """Entered, or kept out."""
        if isinstance(message, Refused):
            if not self.ask_again(message, self._join):
                self.give_up(f"join refused: {message.code} {message.message}")
        elif isinstance(message, Joined):
            if self._joined_once:
                if not message.recovered:
                    self.sightings.gaps.append(
                        f"not recovered from {self.epoch}-{self.seq}: now {message.epoch}-{message.seq}"
                    )
                    begin = message if message.resumed_from is UNSET else message.resumed_from
                    self.epoch, self.seq = begin.epoch, begin.seq
                return
            self._joined_once = True
            self.epoch, self.seq = message.epoch, message.seq
            self.combo_window_ms = message.state.combo_window_ms
            self._acknowledge()
            self.settled.set_result(None)

    def on_events(self, events: Events, payload: Payload) -> None:
        """Write each gift, and what was undone, into the book."""
        now_ns = time.monotonic_ns()
        for event in events.events:
            if isinstance(event, GiftEvent) and event.test is not True:
                self._see(event, events.epoch, now_ns)
            elif isinstance(event, UndoneEvent):
                self._see_undone(event, events.epoch, now_ns)
        if (events.epoch, events.seq) < (self.epoch, self.seq):
            self.sightings.gaps.append(f"went back from {self.epoch}-{self.seq} to {events.epoch}-{events.seq}")
        self.epoch, self.seq = events.epoch, events.seq

    def on_notice(self, notice: Notice) -> None:
        """A resync means that something was missed."""
        if notice.code == "resync":
            self.sightings.gaps.append(f"told of a gap: {notice.message}")

    def recent_latencies_ms(self, unix_minus_monotonic_ns: int) -> list[float]:
        """Intended send to here, of gifts seen since the last call; as exact as the ms inside an id."""
        recent, self._recent = self._recent, []
        return [(seen_ns + unix_minus_monotonic_ns) / 1e6 - id_time_ms(gift_id) for seen_ns, gift_id in recent]

    async def close(self) -> None:
        """Stop acknowledging and close."""
        if self._ack_timer is not None:
            self._ack_timer.cancel()
        await super().close()

    def _see(self, event: GiftEvent, epoch: int, now_ns: int) -> None:
        combo = None
        if event.combo is not UNSET:
            combo = (event.combo.id, event.combo.count, event.combo.coins, _STATES[event.combo.state])
            if event.combo.state == "end":
                self.combos_open.discard(event.combo.id)
            else:
                self.combos_open.add(event.combo.id)
        key = NO_KEY if event.id is UNSET else self._keys.key(event.id)
        if key != NO_KEY:
            self.gifts_seen += 1
            if len(self._recent) < RECENT_MAX and event.id is not UNSET:
                self._recent.append((now_ns, event.id))
        self.sightings.see(
            key=key,
            seen_ns=now_ns,
            epoch=epoch,
            seq=event.seq,
            sender=None if event.sender is None else event.sender.id,
            gift=event.gift,
            price=event.price_coins,
            count=event.count,
            coins=event.coins,
            at_ms=event.at_ms,
            combo=combo,
            undo_until_ms=0 if event.undo_until_ms is UNSET else event.undo_until_ms,
        )

    def _see_undone(self, event: UndoneEvent, epoch: int, now_ns: int) -> None:
        self.undone_seen += 1
        self.sightings.see(
            key=self._keys.key(event.id),
            seen_ns=now_ns,
            epoch=epoch,
            seq=event.seq,
            sender=None if event.sender is None else event.sender.id,
            gift=event.gift,
            price=event.price_coins,
            count=event.count,
            coins=event.coins,
            at_ms=event.at_ms,
            combo=None,
            undone=True,
        )

    def _acknowledge(self) -> None:
        if self.seq != self._acked_seq and self.send(Ack(room=self.room, seq=self.seq)):
            self._acked_seq = self.seq
        self._ack_timer = asyncio.get_running_loop().call_later(ACK_EVERY_S, self._acknowledge)
