"""What was told and what was seen, as columns of integers.

A run of a million gifts is a million rows here; as columns they cost about a hundred bytes a gift, are
appended to in a microsecond and cross process borders as blocks of bytes. Names are numbers into tables.
"""

import enum
from array import array
from typing import Final

NO_KEY: Final = -1
"""The key of an event without a gift id, such as the end of a combo."""
NO_NAME: Final = -1


class Answer(enum.IntEnum):
    """What is known of a command."""

    PENDING = 0
    ACCEPTED = 1
    """With `replay` false, once."""
    RECOVERED = 2
    """Only ever answered with `replay` true: the first answer was lost."""
    REFUSED = 3


class Undoing(enum.IntEnum):
    """What is known of the undoing of a gift."""

    NONE = 0
    """Nobody means to undo it."""
    ASKED = 1
    UNDONE = 2
    REFUSED = 3
    """It is paid for good."""


class ComboState(enum.IntEnum):
    """The combo's state in an event."""

    NONE = 0
    START = 1
    UPDATE = 2
    END = 3


class Names:
    """A table of names, numbered in order of first use."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        """The number of a name, a new one at first sight."""
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self.names)
            self.names.append(name)
        return number


class Commands:
    """Each gift that a process told, and what it heard back; the row is the gift's number in that process.

    `sender` and `room` number the run's population, `kind` the scenario's mix, `combo` the table `combos`.
    Times are `time.monotonic_ns`; `coins` and `balance` are as the reply said.
    """

    def __init__(self, process: int) -> None:
        self.process = process
        self.intended_ns = array("q")
        self.sent_ns = array("q")
        self.answered_ns = array("q")
        self.sender = array("i")
        self.room = array("i")
        self.kind = array("h")
        self.count = array("i")
        self.answer = array("b")
        self.refusal = array("b")
        self.refused_for_good = array("b")
        self.fresh_accepts = array("b")
        self.coins = array("q")
        self.balance = array("q")
        self.combo = array("i")
        self.combo_count = array("q")
        self.combos = Names()
        self.refusals = Names()
        self.undoing = array("b")
        self.fresh_undos = array("b")
        self.accepted_total = 0
        self.refused_total = 0
        self.undone_total = 0
        self.undo_until_ms_max = 0
        """Until when, by the server's clock, one of the gifts could be undone; 0 when none could."""
        self.contradictions: list[str] = []
        """Answers to the same id that cannot both be true."""

    def __len__(self) -> int:
        return len(self.sender)

    def tell(self, intended_ns: int, sender: int, room: int, kind: int, count: int) -> int:
        """A row for a gift about to be sent; returns its number."""
        number = len(self.sender)
        self.intended_ns.append(intended_ns)
        self.sent_ns.append(0)
        self.answered_ns.append(0)
        self.sender.append(sender)
        self.room.append(room)
        self.kind.append(kind)
        self.count.append(count)
        self.answer.append(Answer.PENDING)
        self.refusal.append(NO_NAME)
        self.refused_for_good.append(0)
        self.fresh_accepts.append(0)
        self.coins.append(0)
        self.balance.append(0)
        self.combo.append(NO_NAME)
        self.combo_count.append(0)
        self.undoing.append(Undoing.NONE)
        self.fresh_undos.append(0)
        return number

    def accept(
        self,
        number: int,
        now_ns: int,
        coins: int,
        balance: int,
        *,
        replay: bool,
        combo: str | None,
        combo_count: int,
    ) -> None:
        """The server said `accepted`.

        A fresh answer after a replay corrects the balance; a second replay changes nothing.
        """
        before = self.answer[number]
        if before == Answer.REFUSED and self.refused_for_good[number]:
            self.contradictions.append(f"gift {number} was refused for good, then accepted")
        if not replay:
            self.fresh_accepts[number] += 1
        elif before in (Answer.ACCEPTED, Answer.RECOVERED):
            if self.coins[number] != coins:
                self.contradictions.append(f"gift {number} cost {self.coins[number]}, its replay says {coins}")
            return
        self.answer[number] = Answer.RECOVERED if replay else Answer.ACCEPTED
        if before in (Answer.PENDING, Answer.REFUSED):
            self.answered_ns[number] = now_ns
            self.accepted_total += 1
            self.refused_total -= before == Answer.REFUSED
        self.coins[number] = coins
        self.balance[number] = balance
        if combo is not None:
            self.combo[number] = self.combos.number(combo)
            self.combo_count[number] = combo_count

    def refuse(self, number: int, now_ns: int, code: str, balance: int, *, for_good: bool) -> None:
        """The server said `refused`; `for_good` when the same command can never be accepted."""
        before = self.answer[number]
        if before in (Answer.ACCEPTED, Answer.RECOVERED):
            if for_good:
                self.contradictions.append(f"gift {number} was accepted, then refused with {code}")
            return
        if before == Answer.PENDING:
            self.answered_ns[number] = now_ns
            self.refused_total += 1
        self.answer[number] = Answer.REFUSED
        self.refused_for_good[number] = for_good
        self.refusal[number] = self.refusals.number(code)
        self.balance[number] = balance

    def can_undo(self, until_ms: int) -> None:
        """The server said until when a gift can be undone."""
        self.undo_until_ms_max = max(self.undo_until_ms_max, until_ms)

    def ask_to_undo(self, number: int) -> None:
        """An accepted gift is to be undone."""
        self.undoing[number] = Undoing.ASKED

    def undo(self, number: int, coins: int, *, replay: bool) -> None:
        """The server said `undone`."""
        before = self.undoing[number]
        if before == Undoing.REFUSED:
            self.contradictions.append(f"gift {number} was paid for good, then undone")
        if coins != self.coins[number]:
            self.contradictions.append(f"gift {number} cost {self.coins[number]}, {coins} came back")
        self.fresh_undos[number] += not replay
        self.undone_total += before != Undoing.UNDONE
        self.undoing[number] = Undoing.UNDONE

    def refuse_undo(self, number: int, code: str, *, too_late: bool) -> None:
        """The server will not undo it; nothing but `too_late` can be true of a gift that was accepted."""
        if self.undoing[number] == Undoing.UNDONE:
            self.contradictions.append(f"gift {number} was undone, then its undoing refused with {code}")
            return
        if not too_late:
            self.contradictions.append(f"gift {number} was accepted, then its undoing refused with {code}")
        self.undoing[number] = Undoing.REFUSED


class Sightings:
    """Each event that a complete receiver saw of one room, in order of arrival.

    `key` is the gift's (or NO_KEY, or `naming.FOREIGN`), `sender` numbers the table `senders`, `gift` the
    table `gifts`, `combo` the table `combos`; NO_NAME where there is none. `undone` is 1 where a gift that was
    seen before is taken back; `undo_until_ms` is 0 for a gift that cannot be.
    """

    def __init__(self, room: int) -> None:
        self.room = room
        self.key = array("q")
        self.seen_ns = array("q")
        self.epoch = array("q")
        self.seq = array("q")
        self.sender = array("i")
        self.gift = array("h")
        self.price = array("q")
        self.count = array("q")
        self.coins = array("q")
        self.at_ms = array("q")
        self.combo = array("i")
        self.combo_count = array("q")
        self.combo_coins = array("q")
        self.combo_state = array("b")
        self.undo_until_ms = array("q")
        self.undone = array("b")
        self.senders = Names()
        self.gifts = Names()
        self.combos = Names()
        self.gaps: list[str] = []
        """Where the server said, or the receiver noticed, that events are missing."""

    def __len__(self) -> int:
        return len(self.key)

    def see(
        self,
        *,
        key: int,
        seen_ns: int,
        epoch: int,
        seq: int,
        sender: str | None,
        gift: str,
        price: int,
        count: int,
        coins: int,
        at_ms: int,
        combo: tuple[str, int, int, ComboState] | None,
        undo_until_ms: int = 0,
        undone: bool = False,
    ) -> None:
        """Append one event; `combo` is id, running count, running coins and state."""
        self.key.append(key)
        self.seen_ns.append(seen_ns)
        self.epoch.append(epoch)
        self.seq.append(seq)
        self.sender.append(NO_NAME if sender is None else self.senders.number(sender))
        self.gift.append(self.gifts.number(gift))
        self.price.append(price)
        self.count.append(count)
        self.coins.append(coins)
        self.at_ms.append(at_ms)
        combo_id, combo_count, combo_coins, state = combo or (None, 0, 0, ComboState.NONE)
        self.combo.append(NO_NAME if combo_id is None else self.combos.number(combo_id))
        self.combo_count.append(combo_count)
        self.combo_coins.append(combo_coins)
        self.combo_state.append(state)
        self.undo_until_ms.append(undo_until_ms)
        self.undone.append(undone)
