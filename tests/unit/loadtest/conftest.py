"""A small run with a perfect server, as books: a test breaks one thing in it, and the checker must notice."""

from array import array
from dataclasses import dataclass, field

import pytest

from gateway.wire.messages import Event, Events, GiftEvent, Sender, SummaryEvent, UndoneEvent
from loadtest.checker.faults import FaultKind
from loadtest.checker.judge import MoneyRead, Seen, Verdict, judge
from loadtest.checker.told import Kind, Told
from loadtest.record.columns import NO_KEY, ComboState, Commands, Sightings
from loadtest.record.frames import FrameBook, Watch
from loadtest.script.naming import Run

ROSE, CHAMPAGNE, COMBO_ROSE = 0, 1, 2
GRANTED = 1_000
WINDOW_MS = 5_000
SHARE_BP = 5_000


@dataclass
class PerfectRun:
    """A run in one room that grows gift by gift; all books agree until a test touches them."""

    run: Run = field(default_factory=lambda: Run(7))
    kinds: tuple[Kind, ...] = (
        Kind("rose", 1, combo=False),
        Kind("champagne", 25, combo=False),
        Kind("heart", 2, combo=True),
    )
    commands: Commands = field(default_factory=lambda: Commands(3))
    sightings: Sightings = field(default_factory=lambda: Sightings(0))
    book: FrameBook = field(default_factory=lambda: FrameBook(0))
    watch: Watch = field(default_factory=lambda: Watch(0, 1, 0))
    wallets: dict[int, int | None] = field(default_factory=lambda: {0: GRANTED, 1: GRANTED})
    diamonds: int = 0
    audit: list[str] | None = field(default_factory=list)
    client_faults: list[str] = field(default_factory=list)
    seq: int = 0
    at_ms: int = 1_000

    def tell(self, sender: int = 0, kind: int = ROSE, count: int = 1) -> int:
        """A command without an answer."""
        number = self.commands.tell(1_000_000, sender, 0, kind, count)
        self.commands.sent_ns[number] = 1_000_000
        return number

    def accept(self, number: int, combo: tuple[str, int] | None = None) -> int:
        """A fresh `accepted`, paid from the sender's wallet."""
        sender = self.commands.sender[number]
        coins = self.kinds[self.commands.kind[number]].price_coins * self.commands.count[number]
        wallet = (self.wallets[sender] or 0) - coins
        self.wallets[sender] = wallet
        self.diamonds += coins * SHARE_BP // 100
        combo_id, combo_count = combo or (None, 0)
        self.commands.accept(number, 2_000_000, coins, wallet, replay=False, combo=combo_id, combo_count=combo_count)
        return coins

    def see(
        self,
        number: int,
        *,
        seq: int | None = None,
        coins: int | None = None,
        combo: tuple[str, int, int, ComboState] | None = None,
        undo_until_ms: int = 0,
        undone: bool = False,
    ) -> None:
        """The overlay is shown a gift, or that it is undone."""
        self.seq = self.seq + 1 if seq is None else seq
        kind = self.kinds[self.commands.kind[number]]
        count = self.commands.count[number]
        self.sightings.see(
            key=self.commands.process << 32 | number,
            seen_ns=3_000_000,
            epoch=1,
            seq=self.seq,
            sender=self.run.sender(self.commands.sender[number]),
            gift=kind.gift,
            price=kind.price_coins,
            count=count,
            coins=kind.price_coins * count if coins is None else coins,
            at_ms=self.at_ms,
            combo=combo,
            undo_until_ms=undo_until_ms,
            undone=undone,
        )

    def see_combo_end(self, combo: tuple[str, int, int]) -> None:
        """The overlay is shown the end of a combo."""
        self.seq += 1
        self.sightings.see(
            key=NO_KEY,
            seen_ns=3_000_000,
            epoch=1,
            seq=self.seq,
            sender=self.run.sender(0),
            gift="heart",
            price=2,
            count=0,
            coins=0,
            at_ms=self.at_ms,
            combo=(*combo, ComboState.END),
        )

    def show(self, *events: Event) -> None:
        """The viewer is shown a frame."""
        payload = f"frame {len(self.book.frames)}".encode()
        number = self.book.add(payload, Events(room="r", epoch=1, seq=self.seq, events=list(events)))
        self.watch.frames.append(number)
        self.watch.seen_ns.append(4_000_000)

    def shown_gift(self, sender: int, gift: str, price: int, count: int, merged: int = 1) -> GiftEvent:
        """A gift event as viewers get it."""
        name = self.run.sender(sender)
        event = GiftEvent(self.seq, Sender(name, name), "c", gift, price, count, price * count, self.at_ms)
        return event if merged == 1 else _merged(event, merged)

    def give(self, sender: int = 0, kind: int = ROSE, count: int = 1) -> int:
        """A whole gift: told, accepted, seen by the overlay, shown to the viewer."""
        number = self.tell(sender, kind, count)
        self.accept(number)
        self.see(number)
        self.show(self.shown_gift(sender, self.kinds[kind].gift, self.kinds[kind].price_coins, count))
        return number

    def hold(self, sender: int = 0, kind: int = CHAMPAGNE) -> int:
        """A whole gift that can be undone for a second."""
        number = self.tell(sender, kind)
        self.accept(number)
        self.commands.can_undo(self.at_ms + 1_000)
        self.see(number, undo_until_ms=self.at_ms + 1_000)
        self.show(self.shown_gift(sender, self.kinds[kind].gift, self.kinds[kind].price_coins, 1))
        return number

    def undo(self, number: int) -> None:
        """An accepted gift is undone: asked for and answered, its coins are back."""
        sender, coins = self.commands.sender[number], self.commands.coins[number]
        self.commands.ask_to_undo(number)
        self.commands.undo(number, coins, replay=False)
        self.wallets[sender] = (self.wallets[sender] or 0) + coins
        self.diamonds -= coins * SHARE_BP // 100

    def take_back(self, number: int) -> None:
        """A whole undoing: answered, seen by the overlay, shown to the viewer."""
        self.undo(number)
        self.see(number, undone=True)
        self.show_undone(number)

    def show_undone(self, number: int) -> None:
        """The viewer is shown that a gift is undone."""
        kind, name = self.kinds[self.commands.kind[number]], self.run.sender(self.commands.sender[number])
        coins = kind.price_coins
        event = UndoneEvent(self.seq, f"{number}", Sender(name, name), "c", kind.gift, coins, 1, coins, self.at_ms)
        self.show(event)

    def give_combo(self, combo: str, lengths: int, *, ended: bool = True) -> list[int]:
        """A whole combo of hearts by sender 0, 100 ms apart."""
        numbers = []
        for count in range(1, lengths + 1):
            number = self.tell(0, COMBO_ROSE)
            self.accept(number, (combo, count))
            state = ComboState.START if count == 1 else ComboState.UPDATE
            self.see(number, combo=(combo, count, 2 * count, state))
            self.show(self.shown_gift(0, "heart", 2, 1))
            self.at_ms += 100
            numbers.append(number)
        self.at_ms += WINDOW_MS + 1
        if ended:
            self.see_combo_end((combo, lengths, 2 * lengths))
        return numbers

    def verdict(self) -> Verdict:
        """What the checker says of the books as they are now."""
        told = Told(self.run, self.kinds, {0: GRANTED, 1: GRANTED}, [self.commands])
        money = MoneyRead(self.wallets, {0: self.diamonds}, {0: SHARE_BP}, self.audit)
        return judge(told, [self.sightings], [Seen(self.book, [self.watch])], WINDOW_MS, money, self.client_faults)

    def kinds_found(self) -> list[FaultKind]:
        """The kinds of fault that the checker finds."""
        return [fault.kind for fault in self.verdict().faults]

    def drop_seen(self, row: int) -> None:
        """Take an event away from the overlay, as if it had never come."""
        for name, column in vars(self.sightings).items():
            if isinstance(column, array):
                del column[row]
                setattr(self.sightings, name, column)

    def swap_seen(self, row: int) -> None:
        """Exchange two neighbouring events at the overlay, positions and all but the order of arrival."""
        for column in vars(self.sightings).values():
            if isinstance(column, array):
                column[row], column[row + 1] = column[row + 1], column[row]


def _merged(event: GiftEvent, merged: int) -> GiftEvent:
    return GiftEvent(
        event.seq,
        event.sender,
        event.to,
        event.gift,
        event.price_coins,
        event.count,
        event.coins,
        event.at_ms,
        merged=merged,
    )


@pytest.fixture
def perfect() -> PerfectRun:
    """A run before its first gift."""
    return PerfectRun()


@pytest.fixture
def summary() -> type[SummaryEvent]:
    """The event that stands for gifts merged away."""
    return SummaryEvent
