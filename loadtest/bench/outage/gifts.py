"""Gifts at a steady rate for as long as it takes, and a book of them that stays small: a byte for each gift.

A gift whose outcome is not known (no answer since the socket was lost, or `unavailable`) is asked for again under the
same id until it has one. One that is refused is not sent again.
"""

import asyncio
import enum
import random
import time
from collections import Counter
from collections.abc import Sequence
from typing import Final

from gateway.wire.codec import Encoding
from gateway.wire.codes import Code
from gateway.wire.messages import Accepted, Refused, SendGift, Welcome
from loadtest.bench.outage.result import PhaseName
from loadtest.bench.overload.flood import FloodFailed
from loadtest.clients.connection import CONNECTING_MAX, Client, Line, Reply
from loadtest.record.latency import Latencies
from loadtest.script.naming import GiftIds, Run

GIFT: Final = "rose"
PROCESS: Final = 1
"""As which process of the run the gift ids are made."""
WAKE_S_MIN: Final = 0.002
LOOK_S: Final = 0.05
BURST_MAX: Final = 500
"""Gifts that are sent in one go, however late it is: answers must be read in between."""
WAITING_MAX: Final = 200_000
"""Gifts without an answer; a server that leaves more of them is not worth waiting for."""


class Fate(enum.IntEnum):
    """What became of a gift, as one byte."""

    WAITING = 0
    ACCEPTED = 1
    REFUSED = 2


class Tally:
    """Counts the gifts that were due in one phase."""

    def __init__(self, phase: PhaseName) -> None:
        self.phase = phase
        self.sent = 0
        self.accepted = 0
        self.refused: Counter[str] = Counter()
        self.asked_again: Counter[str] = Counter()
        self.latencies = Latencies()


class _Waiting:
    __slots__ = ("due_ns", "message", "tally")

    def __init__(self, message: SendGift, due_ns: int, tally: Tally) -> None:
        self.message = message
        self.due_ns = due_ns
        self.tally = tally


class Book:
    """What was sent and answered.

    Args:
        senders: how many; gift `n` is sent by sender `n % senders`.

    Attributes:
        fate: a byte for each gift, by its number.
        coins_of: paid, by sender.
        waiting: gifts without an answer, by number.
        late: how late gifts were sent.
        first_overloaded_ns, last_overloaded_ns: refusals as `overloaded`, by the monotonic clock; 0 for none.
        accepted_again_ns: when, after `watch_for_return`, somebody was accepted who had last been refused; else 0.
    """

    def __init__(self, senders: int) -> None:
        self.senders = senders
        self.fate = bytearray()
        self.coins_of = [0] * senders
        self.waiting: dict[int, _Waiting] = {}
        self.late = Latencies()
        self.tallies = [Tally(PhaseName.BEFORE)]
        self.sent = self.accepted = 0
        self.refused: Counter[str] = Counter()
        self.first_overloaded_ns = self.last_overloaded_ns = self.accepted_again_ns = 0
        self._overloaded_of = bytearray(senders)
        self._returned = False
        self._recent: list[tuple[Tally, int]] = []
        self._late: list[int] = []

    @property
    def tally(self) -> Tally:
        """Of the present phase."""
        return self.tallies[-1]

    def begin_phase(self, phase: PhaseName) -> None:
        """Gifts that are due from now on count for this one."""
        if phase is not self.tally.phase:
            self.tallies.append(Tally(phase))

    def watch_for_return(self) -> None:
        """PostgreSQL is back: from now on an acceptance after a refusal counts."""
        self._returned = True

    def add(self, message: SendGift, due_ns: int, now_ns: int) -> None:
        """Note a gift that is sent now.

        Raises:
            FloodFailed: too many have no answer.
        """
        if len(self.waiting) >= WAITING_MAX:
            raise FloodFailed(f"{WAITING_MAX:,} gifts have no answer")
        self.waiting[len(self.fate)] = _Waiting(message, due_ns, self.tally)
        self.fate.append(Fate.WAITING)
        self.tally.sent += 1
        self.sent += 1
        self._late.append(now_ns - due_ns)

    def accept(self, number: int, coins: int, now_ns: int) -> None:
        """It is paid."""
        gift = self.waiting.pop(number, None)
        if gift is None:
            return
        sender = number % self.senders
        self.fate[number] = Fate.ACCEPTED
        self.coins_of[sender] += coins
        self.accepted += 1
        gift.tally.accepted += 1
        self._recent.append((gift.tally, now_ns - gift.due_ns))
        if self._overloaded_of[sender]:
            self._overloaded_of[sender] = False
            if self._returned and not self.accepted_again_ns:
                self.accepted_again_ns = now_ns

    def refuse(self, number: int, code: str, now_ns: int) -> None:
        """It is refused for good."""
        gift = self.waiting.pop(number, None)
        if gift is None:
            return
        self.fate[number] = Fate.REFUSED
        self.refused[code] += 1
        gift.tally.refused[code] += 1
        if code == Code.OVERLOADED:
            self._overloaded_of[number % self.senders] = True
            self.last_overloaded_ns = now_ns
            self.first_overloaded_ns = self.first_overloaded_ns or now_ns

    def gather(self) -> Latencies:
        """Latencies of what was accepted since the last call; all samples go into their histograms."""
        recent = Latencies()
        recent.record_ns([took_ns for _, took_ns in self._recent])
        for tally in self.tallies:
            tally.latencies.record_ns([took_ns for other, took_ns in self._recent if other is tally])
        self._recent.clear()
        self.late.record_ns(self._late)
        self._late.clear()
        return recent


class _Giver(Client):
    """One sender."""

    def __init__(self, line: Line, name: str, token: str, number: int, book: Book) -> None:
        super().__init__(line, name, token)
        self._number = number
        self._book = book

    def on_welcome(self, welcome: Welcome) -> None:
        if not self.settled.done():
            self.settled.set_result(None)
        # After a lost socket: what was on its way may be paid or not.
        for number in [n for n in self._book.waiting if n % self._book.senders == self._number]:
            self._ask(number)

    def on_reply(self, message: Reply) -> None:
        ref, now_ns = message.ref, time.monotonic_ns()
        if not isinstance(ref, str) or not ref.isdigit():
            return
        number = int(ref)
        if isinstance(message, Accepted):
            self._book.accept(number, message.coins, now_ns)
        elif isinstance(message, Refused):
            gift = self._book.waiting.get(number)
            if gift is not None and message.code == Code.UNAVAILABLE:
                gift.tally.asked_again[message.code] += 1
                self.ask_again(message, lambda: self._ask(number))
            else:
                self._book.refuse(number, message.code, now_ns)

    def _ask(self, number: int) -> None:
        gift = self._book.waiting.get(number)
        if gift is not None:
            self.send(gift.message)


class SteadyGifts:
    """All senders, and the rate at which they give.

    Args:
        url: of the WebSocket.
        tokens: of the senders, in their order.
        rate: gifts a second.

    Attributes:
        line: what the connections share: reconnects, and faults in words.
    """

    def __init__(self, url: str, run: Run, tokens: Sequence[str], rate: float) -> None:
        self.book = Book(len(tokens))
        self.line = Line(url, Encoding.JSON, asyncio.Semaphore(CONNECTING_MAX), random.Random(0), [])
        self._run = run
        self._rate = rate
        self._ids = GiftIds(run, PROCESS)
        self._ended = asyncio.Event()
        self._givers = [
            _Giver(self.line, run.sender(number), token, number, self.book) for number, token in enumerate(tokens)
        ]

    async def open(self) -> None:
        """Connect everybody.

        Raises:
            ClientRefused: somebody was not let in.
        """
        await asyncio.gather(*(giver.open() for giver in self._givers))

    async def close(self) -> None:
        """Hang up."""
        self.line.closing = True
        await asyncio.gather(*(giver.close() for giver in self._givers))

    def end(self) -> None:
        """Send no more."""
        self._ended.set()

    async def give(self) -> None:
        """Send gifts at the rate until `end`: gift `n` is due `n / rate` seconds after the first, whatever happens.

        Raises:
            FloodFailed: too many have no answer.
        """
        start_ns = time.monotonic_ns()
        unix_minus_ns, room, senders = time.time_ns() - start_ns, self._run.room(0), len(self._givers)
        sent = 0
        while not self._ended.is_set():
            now_ns = time.monotonic_ns()
            due = min(int((now_ns - start_ns) * self._rate / 1e9) + 1, sent + BURST_MAX)
            for number in range(sent, due):
                due_ns = start_ns + int(number * 1e9 / self._rate)
                gift_id = self._ids.make(number, (due_ns + unix_minus_ns) // 1_000_000)
                message = SendGift(str(number), gift_id, GIFT, room=room)
                self.book.add(message, due_ns, now_ns)
                self._givers[number % senders].send(message)
            sent = due
            wait_s = (start_ns + sent * 1e9 / self._rate - time.monotonic_ns()) / 1e9
            await asyncio.sleep(max(wait_s, WAKE_S_MIN))

    async def answered(self, within_s: float) -> None:
        """Wait until every gift has its answer, or so long."""
        deadline_s = time.monotonic() + within_s
        while True:
            if not self.book.waiting or time.monotonic() > deadline_s:
                return
            await asyncio.sleep(LOOK_S)
