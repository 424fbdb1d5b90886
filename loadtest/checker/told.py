"""The books of all processes as one: what every command of the run was, and what became of it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct

from gateway.wire.codes import Code
from loadtest.checker.faults import FaultKind, Faults
from loadtest.record.columns import Answer, Commands, Undoing
from loadtest.script.naming import Run

DIAMONDS_PER_COIN: Final = 100
"""By the protocol: the whole value of a coin."""
BASIS_POINTS: Final = 10_000
ACCEPTED = (Answer.ACCEPTED, Answer.RECOVERED)


class Kind(Struct, frozen=True):
    """A kind of gift of the run, with the server's price.

    Attributes:
        combo: whether the run sends it as part of a combo.
    """

    gift: str
    price_coins: int
    combo: bool


class Told:
    """All commands of a run, found by key.

    Args:
        granted_coins: what each sender was given before the run, by number.
    """

    def __init__(
        self, run: Run, kinds: Sequence[Kind], granted_coins: dict[int, int], books: Sequence[Commands]
    ) -> None:
        self.run = run
        self.kinds = kinds
        self.granted_coins = granted_coins
        self.books = {book.process: book for book in books}

    def find(self, key: int) -> tuple[Commands, int] | None:
        """The book and row of a key; None when no command has it."""
        book = self.books.get(key >> 32)
        number = key & 0xFFFFFFFF
        return None if book is None or number >= len(book) else (book, number)

    @property
    def could_undo(self) -> bool:
        """Whether any gift could be undone for a while."""
        return any(book.undo_until_ms_max for book in self.books.values())

    def undone_keys_by_room(self) -> dict[int, set[int]]:
        """Keys of the gifts that were undone, by room."""
        by_room: dict[int, set[int]] = {}
        for book, number in self.accepted():
            if book.undoing[number] == Undoing.UNDONE:
                by_room.setdefault(book.room[number], set()).add(book.process << 32 | number)
        return by_room

    def undoers(self) -> set[int]:
        """Senders who undid something: their wallets do not only fall."""
        return {book.sender[number] for book, number in self.accepted() if book.undoing[number] == Undoing.UNDONE}

    def accepted(self) -> Iterator[tuple[Commands, int]]:
        """Every accepted gift, as book and row."""
        for book in self.books.values():
            for number, answer in enumerate(book.answer):
                if answer in ACCEPTED:
                    yield book, number

    def accepted_keys_by_room(self) -> dict[int, set[int]]:
        """Keys of the accepted gifts, by room."""
        by_room: dict[int, set[int]] = {}
        for book, number in self.accepted():
            by_room.setdefault(book.room[number], set()).add(book.process << 32 | number)
        return by_room

    def spent_by_sender(self, *, with_undone: bool = False) -> dict[int, int]:
        """Accepted coins of each sender who was granted any.

        Args:
            with_undone: as if nothing had been undone.
        """
        spent = dict.fromkeys(self.granted_coins, 0)
        for book, number in self.accepted():
            if book.undoing[number] == Undoing.UNDONE and not with_undone:
                continue
            sender = book.sender[number]
            spent[sender] = spent.get(sender, 0) + book.coins[number]
        return spent

    def diamonds_by_room(self, share_bp: Mapping[int, int]) -> dict[int, int]:
        """What the creator of each room earned, each gift split on its own: the creator's part is rounded down.

        Args:
            share_bp: the creator's share of a coin, by room.
        """
        diamonds: dict[int, int] = {}
        for book, number in self.accepted():
            if book.undoing[number] == Undoing.UNDONE:
                continue
            room = book.room[number]
            part = book.coins[number] * DIAMONDS_PER_COIN * share_bp.get(room, 0) // BASIS_POINTS
            diamonds[room] = diamonds.get(room, 0) + part
        return diamonds

    def describe(self, book: Commands, number: int) -> str:
        """A command in words, for a fault."""
        kind = self.kinds[book.kind[number]]
        sender, room = self.run.sender(book.sender[number]), self.run.room(book.room[number])
        return f"gift {book.process}/{number} ({book.count[number]} {kind.gift} by {sender} in {room})"


def check_answers(told: Told, faults: Faults) -> None:
    """Each command has one outcome, and the answers of a sender agree with each other and with the prices."""
    spent = told.spent_by_sender(with_undone=True)
    for book in told.books.values():
        for words in book.contradictions:
            faults.add(FaultKind.CONTRADICTION, f"process {book.process}: {words}")
        for number in range(len(book)):
            _check_answer(told, book, number, spent, faults)
    _check_reply_balances(told, faults)


def _check_answer(told: Told, book: Commands, number: int, spent: dict[int, int], faults: Faults) -> None:
    answer = book.answer[number]
    if book.fresh_accepts[number] > 1:
        times = book.fresh_accepts[number]
        faults.add(FaultKind.CHARGED_TWICE, f"{told.describe(book, number)} was accepted as new {times} times")
    if book.fresh_undos[number] > 1:
        times = book.fresh_undos[number]
        faults.add(FaultKind.UNDONE_TWICE, f"{told.describe(book, number)} was undone as new {times} times")
    price_coins = told.kinds[book.kind[number]].price_coins * book.count[number]
    if answer == Answer.PENDING or book.undoing[number] == Undoing.ASKED:
        faults.add(FaultKind.UNRESOLVED, told.describe(book, number))
    elif answer in ACCEPTED and book.coins[number] != price_coins:
        faults.add(
            FaultKind.CONTENT,
            f"{told.describe(book, number)} cost {book.coins[number]}, by its price {price_coins}",
        )
    elif answer == Answer.REFUSED and book.refusals.names[book.refusal[number]] == Code.INSUFFICIENT_COINS:
        # Wallets only fall during a run but for what is undone, so what would be left without that was there when the
        # gift was refused.
        sender = book.sender[number]
        left = told.granted_coins.get(sender, 0) - spent[sender]
        if left >= price_coins:
            faults.add(
                FaultKind.WRONGLY_REFUSED,
                f"{told.describe(book, number)} for {price_coins} was refused, {left} were there",
            )


def _check_reply_balances(told: Told, faults: Faults) -> None:
    steps: dict[int, list[tuple[int, int]]] = {}
    unknown = told.undoers()
    for book, number in told.accepted():
        sender = book.sender[number]
        if book.answer[number] == Answer.RECOVERED:
            unknown.add(sender)  # its balance is that of a later moment
        steps.setdefault(sender, []).append((book.balance[number], book.coins[number]))
    for sender, replies in steps.items():
        if sender in unknown:
            continue
        balance = told.granted_coins.get(sender, 0)
        for balance_told, coins in sorted(replies, reverse=True):
            balance -= coins
            if balance_told != balance:
                name = told.run.sender(sender)
                faults.add(FaultKind.REPLY_BALANCE, f"{name} was told {balance_told}, by arithmetic {balance}")
                break
