"""Viewers who send gifts, and the desk that sends for all of them at the intended times."""

import asyncio
import itertools
import random
import time
from collections.abc import Iterator
from typing import Final

from msgspec import UNSET

from gateway.wire.codes import Code
from gateway.wire.messages import Accepted, Refused, SendGift, Undo, Undone, Welcome
from loadtest.clients.connection import Client, Line, Payload, Reply
from loadtest.record.columns import Commands, Undoing
from loadtest.script.naming import GiftIds
from loadtest.script.workload import Sending
from loadtest.server.alarm import Alarm

WAKE_APART_NS: Final = 250_000
"""The desk wakes no more often than this; at high rates one wake sends several gifts, at most this late."""
BURST_MAX: Final = 256
"""Gifts sent in one wake, however late the desk is: answers must be read in between."""
DRAWN_AHEAD_MAX: Final = 1_000_000
"""Sendings held in memory before the run begins, about 150 bytes each; later ones are drawn on the way."""
RETRY_FIRST_S: Final = 0.05
UNANSWERED_RETRY_S: Final = 2.0
UNDO_LATEST: Final = 1.2
"""The last moment for which an undo is drawn, in windows: some must come too late."""
_UNDO_REF: Final = "u"
"""How the `ref` of an undo begins; that of a gift is its number alone."""


class SenderDesk:
    """Sends each gift at its time and keeps the book of commands and answers.

    Args:
        commands: the book.
        ids: of this process.
        senders: the clients by their number in the population.
        rooms: room name by number; `room_of` the room number of each sender.
        kinds: catalogue id and combo flag of each kind of the mix.
        row: the sendings, in order of time.
        undo_share: of the gifts that can be undone.
        seed: decides which of them are, and when.
    """

    def __init__(
        self,
        commands: Commands,
        ids: GiftIds,
        rooms: list[str],
        room_of: dict[int, int],
        kinds: list[tuple[str, bool]],
        row: Iterator[Sending],
        undo_share: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.commands = commands
        self.senders: dict[int, SenderClient] = {}
        self.done = False
        self.last_due_ns = 0
        self._ids = ids
        self._rooms = rooms
        self._room_of = room_of
        self._kinds = kinds
        # Drawn before the run, so that drawing takes no time from sending.
        self._row = itertools.chain(list(itertools.islice(row, DRAWN_AHEAD_MAX)), row)
        self._next: Sending | None = next(self._row, None)
        self._start_ns = 0
        self._unix_minus_monotonic_ns = 0
        self._alarm: Alarm | None = None
        self._undo_share = undo_share
        self._seed = seed

    def begin(self, start_ns: int, unix_minus_monotonic_ns: int) -> None:
        """Send from this monotonic time on; the difference turns it into the time inside an id."""
        self._start_ns = start_ns
        self._unix_minus_monotonic_ns = unix_minus_monotonic_ns
        self._alarm = Alarm(asyncio.get_running_loop(), self._send_due)
        self._set_alarm()

    def message(self, number: int, ref: str) -> SendGift:
        """The command with this number, as it was or will be sent; the same each time."""
        commands = self.commands
        gift, combo = self._kinds[commands.kind[number]]
        at_ms = (commands.intended_ns[number] + self._unix_minus_monotonic_ns) // 1_000_000
        return SendGift(
            ref=ref,
            id=self._ids.make(number, at_ms),
            gift=gift,
            room=self._rooms[commands.room[number]],
            count=commands.count[number],
            combo=combo,
        )

    def undo_message(self, number: int) -> Undo:
        """The undoing of the gift with this number; the same each time."""
        return Undo(f"{_UNDO_REF}{number}", self.message(number, "").id)

    def undo_after_s(self, number: int, until_ms: int) -> float | None:
        """How long from now a gift that was accepted is to be undone, drawn once for each gift; None for never."""
        if self._undo_share == 0.0 or self.commands.undoing[number] != Undoing.NONE:
            return None
        draw = random.Random(f"{self._seed}:undo:{self._ids.key(number)}")
        if draw.random() >= self._undo_share:
            return None
        left_ms = until_ms - (time.monotonic_ns() + self._unix_minus_monotonic_ns) // 1_000_000
        return draw.uniform(0, UNDO_LATEST) * max(left_ms, 0) / 1000

    def unanswered(self) -> list[int]:
        """Numbers of the gifts of which an outcome is not known, or is not asked for yet."""
        return [number for client in self.senders.values() for number in (*client.waiting, *client.undoing)]

    def tell_again(self) -> None:
        """Ask after every outcome that has been missing for a while, with the same id."""
        before_ns = time.monotonic_ns() - int(UNANSWERED_RETRY_S * 1e9)
        for client in self.senders.values():
            for number in [n for n in client.waiting if self.commands.sent_ns[n] < before_ns]:
                client.tell_again(number)
            for number in [n for n, sent_ns in client.undoing.items() if sent_ns is not None and sent_ns < before_ns]:
                client.tell_undo(number)

    def stop(self) -> None:
        """Send no more."""
        self.done = True
        if self._alarm is not None:
            self._alarm.close()

    def _send_due(self) -> None:
        commands, ids, kinds = self.commands, self._ids, self._kinds
        rooms, room_of, start_ns = self._rooms, self._room_of, self._start_ns
        sending = self._next
        now_ns = time.monotonic_ns()
        for _ in range(BURST_MAX):
            if sending is None:
                break
            due_ns = start_ns + int(sending.at_s * 1e9)
            if due_ns > now_ns:
                break
            room, kind = room_of[sending.sender], sending.kind
            number = commands.tell(due_ns, sending.sender, room, kind, sending.items)
            gift, combo = kinds[kind]
            # Encoded here and not by `message`: this is the hot path, about 6 us a gift with its system call.
            client = self.senders[sending.sender]
            client.waiting[number] = 0
            command = SendGift(
                ref=str(number),
                id=ids.make(number, (due_ns + self._unix_minus_monotonic_ns) // 1_000_000),
                gift=gift,
                room=rooms[room],
                count=sending.items,
                combo=combo,
            )
            client.send(command)
            if sending.repeated:
                client.send(command)
            now_ns = commands.sent_ns[number] = time.monotonic_ns()
            self.last_due_ns = due_ns
            sending = next(self._row, None)
        self._next = sending
        self._set_alarm()

    def _set_alarm(self) -> None:
        if self._next is None:
            self.stop()
        elif self._alarm is not None:
            due_ns = self._start_ns + int(self._next.at_s * 1e9)
            self._alarm.set(max(due_ns, time.monotonic_ns() + WAKE_APART_NS))


class SenderClient(Client):
    """One viewer who sends. It does not join the room: what it shows is the business of the other clients."""

    def __init__(self, line: Line, name: str, token: str, desk: SenderDesk) -> None:
        super().__init__(line, name, token)
        self.waiting: dict[int, int] = {}
        """Numbers of the commands without a known outcome → how often they were told again."""
        self.undoing: dict[int, int | None] = {}
        """Numbers of the gifts to be undone → when the server was last told (monotonic ns); None while not due."""
        self._desk = desk

    def on_frame(self, payload: Payload) -> None:
        """The hot path: most frames are `accepted`."""
        message = self.decode(payload)
        if type(message) is not Accepted:
            self.dispatch(message, payload)
            return
        number, combo = int(message.ref), message.combo
        if combo is UNSET:
            combo_id, combo_count = None, 0
        else:
            combo_id, combo_count = combo.id, combo.count
        self._desk.commands.accept(
            number,
            time.monotonic_ns(),
            message.coins,
            message.balance_coins,
            replay=message.replay,
            combo=combo_id,
            combo_count=combo_count,
        )
        self.waiting.pop(number, None)
        if message.undo_until_ms is not UNSET:
            self._can_undo(number, message.undo_until_ms)

    def on_welcome(self, welcome: Welcome) -> None:
        """Ready; after a reconnect, ask after everything whose answer may have been lost."""
        if not self.settled.done():
            self.settled.set_result(None)
            return
        for number in list(self.waiting):
            self.tell_again(number)
        for number in [n for n, sent_ns in self.undoing.items() if sent_ns is not None]:
            self.tell_undo(number)

    def tell_again(self, number: int) -> None:
        """Send a command again with the same id, if it is still without a known outcome."""
        if number in self.waiting and self.send(self._desk.message(number, str(number))):
            self.waiting[number] += 1

    def tell_undo(self, number: int) -> None:
        """Ask for a gift to be undone, for the first time or again, while no answer is known."""
        if number in self.undoing:
            self.undoing[number] = time.monotonic_ns()
            self.send(self._desk.undo_message(number))

    def on_reply(self, message: Reply) -> None:
        """Write what was undone, or a refusal, into the book."""
        if isinstance(message, Undone):
            number = int(message.ref.removeprefix(_UNDO_REF))
            self._desk.commands.undo(number, message.coins, replay=message.replay)
            self.undoing.pop(number, None)
        elif isinstance(message, Refused):
            self._refused(message, time.monotonic_ns())

    def _can_undo(self, number: int, until_ms: int) -> None:
        self._desk.commands.can_undo(until_ms)
        pause_s = self._desk.undo_after_s(number, until_ms)
        if pause_s is not None:
            self._desk.commands.ask_to_undo(number)
            self.undoing[number] = None
            asyncio.get_running_loop().call_later(pause_s, self.tell_undo, number)

    def _undo_refused(self, message: Refused, number: int) -> None:
        if message.retryable:
            told_ms = 0 if message.retry_after_ms is UNSET else message.retry_after_ms
            asyncio.get_running_loop().call_later(max(told_ms / 1000, RETRY_FIRST_S), self.tell_undo, number)
            return
        self._desk.commands.refuse_undo(number, message.code, too_late=message.code == Code.UNDO_EXPIRED)
        self.undoing.pop(number, None)

    def _refused(self, message: Refused, now_ns: int) -> None:
        if message.ref is not UNSET and message.ref.startswith(_UNDO_REF):
            self._undo_refused(message, int(message.ref.removeprefix(_UNDO_REF)))
            return
        if message.ref is UNSET or not message.ref.isdigit():
            self.give_up(f"refused: {message.code} {message.message}")
            return
        number = int(message.ref)
        tries = self.waiting.get(number, 0)
        if message.code == Code.UNAVAILABLE or (message.retryable and tries > 0):
            # It may have been charged: by this telling, or by an earlier one whose answer was lost. Only the id tells.
            if number in self.waiting:
                told_ms = 0 if message.retry_after_ms is UNSET else message.retry_after_ms
                pause_s = max(told_ms / 1000, RETRY_FIRST_S * 2 ** min(tries, 5))
                asyncio.get_running_loop().call_later(pause_s, self.tell_again, number)
            return
        balance = 0 if message.balance_coins is UNSET else message.balance_coins
        self._desk.commands.refuse(number, now_ns, message.code, balance, for_good=not message.retryable)
        self.waiting.pop(number, None)
