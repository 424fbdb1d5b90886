"""Lots as tables worked out by hand, and what is true of any life of a wallet."""

import dataclasses
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvariantBroken
from ledger.lots.lots import (
    CoinsCame,
    CoinsHeld,
    CoinsReversed,
    GiftPaid,
    HeldPart,
    HoldOver,
    Lot,
    LotKind,
    Lots,
    Movement,
    Part,
    walk,
)
from ledger.lots.open_lots import encode_lots, open_lots_of
from ledger.model import Cause

TABLES = {
    "one lot, one gift": """
        buy A 100            | A 100 = 100 + 0 + 0
        gift g 30            | A 100 = 70 + 30 + 0
    """,
    "bonus behind the paid coins": """
        buy A 100+20         | A 100 = 100 + 0 + 0, A+ 20 = 20 + 0 + 0
        gift g 110           | A 100 = 0 + 100 + 0, A+ 20 = 10 + 10 + 0
    """,
    "first in, first out": """
        grant A 10           | A 10 = 10 + 0 + 0
        buy B 10             | A 10 = 10 + 0 + 0, B 10 = 10 + 0 + 0
        gift g 15            | A 10 = 0 + 10 + 0, B 10 = 5 + 5 + 0
    """,
    "a refund takes what is left of its own lot first": """
        buy A 10             | A 10 = 10 + 0 + 0
        buy B 10             | A 10 = 10 + 0 + 0, B 10 = 10 + 0 + 0
        back r B 10 takes 10 | A 10 = 10 + 0 + 0, B 10 = 0 + 0 + 10
        gift g 10            | A 10 = 0 + 10 + 0, B 10 = 0 + 0 + 10
    """,
    "then other lots, then a debt that later coins pay": """
        buy A 100            | A 100 = 100 + 0 + 0
        gift g 100           | A 100 = 0 + 100 + 0
        buy B 30             | A 100 = 0 + 100 + 0, B 30 = 30 + 0 + 0
        back r A 100 takes 100 | A 100 = 0 + 100 + 0, B 30 = 0 + 0 + 30, owes 70, r: g[0:100]
        buy C 50             | A 100 = 0 + 100 + 0, B 30 = 0 + 0 + 30, C 50 = 0 + 0 + 50, owes 20, r: g[0:100]
        buy D 50+5           | A 100 = 0 + 100 + 0, B 30 = 0 + 0 + 30, C 50 = 0 + 0 + 50, D 50 = 30 + 0 + 20, \
D+ 5 = 5 + 0 + 0, r: g[0:100]
    """,
    "refunds return gifts from the last one backwards": """
        buy A 100+10         | A 100 = 100 + 0 + 0, A+ 10 = 10 + 0 + 0
        gift g 60            | A 100 = 40 + 60 + 0, A+ 10 = 10 + 0 + 0
        gift h 45            | A 100 = 0 + 100 + 0, A+ 10 = 5 + 5 + 0
        back r A 20 takes 5  | A 100 = 0 + 100 + 0, A+ 10 = 0 + 5 + 5, r: h[40:45] h[30:40]
        back s A 90 takes 0  | A 100 = 0 + 100 + 0, A+ 10 = 0 + 5 + 5, r: h[40:45] h[30:40], s: h[0:30] g[0:60]
    """,
    "coins that another refund took paid for no gift": """
        buy A 100            | A 100 = 100 + 0 + 0
        gift g 20            | A 100 = 80 + 20 + 0
        buy B 50             | A 100 = 80 + 20 + 0, B 50 = 50 + 0 + 0
        back r B 50 takes 50 | A 100 = 80 + 20 + 0, B 50 = 0 + 0 + 50
        gift h 10            | A 100 = 70 + 30 + 0, B 50 = 0 + 0 + 50
        back s A 100 takes 70 | A 100 = 0 + 30 + 70, B 50 = 0 + 0 + 50, s: h[0:10] g[0:20]
    """,
    "coins of a hold go back to where they came from, but for those that were taken": """
        buy A 10             | A 10 = 10 + 0 + 0
        buy B 10             | A 10 = 10 + 0 + 0, B 10 = 10 + 0 + 0
        hold h 15            | A 10 = 0 + 10 + 0, B 10 = 5 + 5 + 0
        gift g 3             | A 10 = 0 + 10 + 0, B 10 = 2 + 8 + 0
        end h 4              | A 10 = 6 + 4 + 0, B 10 = 7 + 3 + 0
        gift i 7             | A 10 = 0 + 10 + 0, B 10 = 6 + 4 + 0
    """,
    "holds that end in any order give their coins back in order": """
        grant A 1            | A 1 = 1 + 0 + 0
        hold h 1             | A 1 = 0 + 1 + 0
        grant B 2            | A 1 = 0 + 1 + 0, B 2 = 2 + 0 + 0
        hold i 2             | A 1 = 0 + 1 + 0, B 2 = 0 + 2 + 0
        end h 0              | A 1 = 1 + 0 + 0, B 2 = 0 + 2 + 0
        end i 1              | A 1 = 1 + 0 + 0, B 2 = 1 + 1 + 0
        gift g 2             | A 1 = 0 + 1 + 0, B 2 = 0 + 2 + 0
    """,
    "a refund finds coins in a hold; those come back all the same, and pay a debt first": """
        buy A 10             | A 10 = 10 + 0 + 0
        gift g 4             | A 10 = 6 + 4 + 0
        hold h 6             | A 10 = 0 + 10 + 0
        back r A 8 takes 8   | A 10 = 0 + 10 + 0, owes 8, r: g[2:4]
        end h 1              | A 10 = 0 + 5 + 5, owes 3, r: g[2:4]
    """,
    "a refund that never makes a debt, of coins in a hold": """
        buy A 10             | A 10 = 10 + 0 + 0
        hold h 10            | A 10 = 0 + 10 + 0
        grant B 3            | A 10 = 0 + 10 + 0, B 3 = 3 + 0 + 0
        back r A 10 takes 3  | A 10 = 0 + 10 + 0, B 3 = 0 + 0 + 3
        end h 0              | A 10 = 10 + 0 + 0, B 3 = 0 + 0 + 3
    """,
}


def _id(name: str) -> bytes:
    return name.encode().rjust(16, b"\0")


def _movement(words: list[str]) -> Movement:
    match words:
        case ["buy", name, amount]:
            coins, _, bonus = amount.partition("+")
            return CoinsCame(_id(name), Cause.PURCHASE, int(coins) + int(bonus or 0), int(bonus or 0))
        case ["grant", name, amount]:
            return CoinsCame(_id(name), Cause.GRANT, int(amount))
        case ["gift", name, amount]:
            return GiftPaid(_id(name), "cora", "room:demo", int(amount), int(amount) * 50)
        case ["hold", name, amount]:
            return CoinsHeld(_id(name), int(amount))
        case ["end", name, taken]:
            return HoldOver(_id(name), int(taken))
        case ["back", name, purchase, coins, "takes", taken]:
            return CoinsReversed(_id(name), _id(purchase), int(coins), int(taken))
    raise ValueError(words)


def _name(id_bytes: bytes) -> str:
    return id_bytes.lstrip(b"\0").decode()


def _words(lots: Lots) -> str:
    words = [
        f"{_name(lot.id)}{'+' if lot.kind is LotKind.BONUS else ''} {lot.coins} = {lot.left} + {lot.spent} +"
        f" {lot.reversed}"
        for lot in lots.all
    ]
    if lots.debt_coins:
        words.append(f"owes {lots.debt_coins}")
    for refund, parts in lots.returned.items():
        if parts:
            spans = (f"{_name(part.gift.id)}[{part.first}:{part.first + part.coins}]" for part in parts)
            words.append(f"{_name(refund)}: {' '.join(spans)}")
    return ", ".join(words)


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_lots_by_table(table: str) -> None:
    """Worked out by hand: coins = left + spent + reversed of each lot, the debt, and what each refund returns."""
    lots = Lots()
    for line in table.strip().splitlines():
        movement, expected = line.split("|")
        lots.add(_movement(movement.split()))
        assert _words(lots) == expected.strip()


def test_gift_of_coins_that_never_came() -> None:
    """The books would contradict themselves, and that is said."""
    with pytest.raises(InvariantBroken, match="I9"):
        walk([_movement(["grant", "A", "5"]), _movement(["gift", "g", "6"])])


def test_end_of_a_hold_that_never_began() -> None:
    """Likewise."""
    with pytest.raises(InvariantBroken, match="I9"):
        walk([_movement(["grant", "A", "5"]), _movement(["end", "h", "5"])])


def test_refund_of_a_purchase_that_never_came() -> None:
    """Likewise."""
    with pytest.raises(InvariantBroken, match="I9"):
        walk([_movement(["back", "r", "A", "5", "takes", "5"])])


def test_left_behind() -> None:
    """Coins that are spent after those of a purchase, its bonus not among them."""
    lots = walk([_movement(line.split()) for line in ("grant A 7", "buy B 10+2", "grant C 5", "gift g 9", "buy D 3")])
    assert [lots.left_behind(_id(name)) for name in "ABCDE"] == [18, 8, 3, 0, 0]
    assert lots.left_coins == 18


@dataclasses.dataclass
class Life:
    """A wallet's movements, with the wallet and what of each purchase is not refunded kept by plain sums."""

    movements: list[Movement] = dataclasses.field(default_factory=list)
    wallet: int = 0
    refundable: dict[bytes, int] = dataclasses.field(default_factory=dict)
    held: dict[bytes, int] = dataclasses.field(default_factory=dict)

    def step(self, what: int, amount: int, bonus: int, commission: int) -> None:
        """One more movement, of those that the wallet allows."""
        name = len(self.movements).to_bytes(16, "big")
        if what == 0:
            self.movements.append(CoinsCame(name, Cause.GRANT, amount))
            self.wallet += amount
        elif what == 1:
            self.movements.append(CoinsCame(name, Cause.PURCHASE, amount + bonus, bonus))
            self.wallet += amount + bonus
            self.refundable[name] = amount + bonus
        elif what == 2 and self.refundable:
            purchase = list(self.refundable)[bonus % len(self.refundable)]
            coins = min(amount, self.refundable[purchase])
            taken = coins if commission % 2 else max(0, min(coins, self.wallet))
            if coins:
                self.refundable[purchase] -= coins
                self.movements.append(CoinsReversed(name, purchase, coins, taken))
                self.wallet -= taken
        elif what == 3 and self.held:
            hold = list(self.held)[bonus % len(self.held)]
            coins = self.held.pop(hold)
            taken = coins * commission // 100
            self.movements.append(HoldOver(hold, taken))
            self.wallet += coins - taken
        elif what == 4 and 0 < amount <= self.wallet:
            self.movements.append(CoinsHeld(name, amount))
            self.held[name] = amount
            self.wallet -= amount
        elif 0 < amount <= self.wallet:
            diamonds = amount * 100 * (100 - commission) // 100
            self.movements.append(GiftPaid(name, "cora", "room:demo", amount, diamonds))
            self.wallet -= amount


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """Any life of up to sixty movements."""
    life = Life()
    steps = st.tuples(st.integers(0, 7), st.integers(1, 40), st.integers(0, 9), st.integers(0, 100))
    for step in draw(st.lists(steps, max_size=60)):
        life.step(*step)
    return life


def _parts(lots: Lots) -> list[Part]:
    return [part for lot in lots.all for part, _ in lot.gift_parts()]


@given(lives())
def test_lots_add_up(life: Life) -> None:
    """Each lot is what is left, spent and reversed of it; all lots together are the wallet, or owe what it owes."""
    lots = walk(life.movements)
    for lot in lots.all:
        assert lot.coins == lot.left + lot.spent + lot.reversed
        assert min(lot.left, lot.spent, lot.reversed, lot.returned) >= 0
        assert sum(part.coins for part in lot.parts) == lot.spent - lot.returned
    assert lots.left_coins == max(0, life.wallet)
    assert lots.debt_coins == max(0, -life.wallet)


@given(lives())
def test_gifts_are_wholly_paid(life: Life) -> None:
    """The parts of a gift cover each of its coins once, and their diamonds are the gift's."""
    spans: defaultdict[bytes, list[Part]] = defaultdict(list)
    for part in _parts(walk(life.movements)):
        spans[part.gift.id].append(part)
    gifts = [movement for movement in life.movements if isinstance(movement, GiftPaid)]
    assert spans.keys() == {gift.id for gift in gifts}
    for gift in gifts:
        parts = sorted(spans[gift.id], key=lambda part: part.first)
        ends = [0, *(part.first + part.coins for part in parts)]
        assert [part.first for part in parts] == ends[:-1]
        assert ends[-1] == gift.coins
        assert sum(part.creator_diamonds for part in parts) == gift.creator_diamonds
        assert sum(part.commission_diamonds for part in parts) == gift.coins * 100 - gift.creator_diamonds


@given(lives())
def test_refunds_return_what_was_spent(life: Life) -> None:
    """A refund returns gifts for those of its coins that were not left, as far as the purchase has paid for any."""
    lots = Lots()
    for movement in life.movements:
        mine: list[Lot] = lots.of(movement.purchase) if isinstance(movement, CoinsReversed) else []
        left, spent = sum(lot.left for lot in mine), sum(lot.spent - lot.returned for lot in mine)
        before, held = sum(lot.returned for lot in mine), _held_coins(mine)
        lots.add(movement)
        if isinstance(movement, CoinsReversed):
            returned = sum(lot.returned for lot in mine) - before
            assert returned == min(spent, max(0, movement.coins - left))
            gifts = sum(part.coins for part in lots.returned[movement.id])
            assert returned - gifts == held - _held_coins(mine)


@given(lives())
def test_holds_leave_what_was_taken(life: Life) -> None:
    """Of a hold that ended the first coins stay, as many as were taken; of an open one all do. Each is there once."""
    taken = {movement.id: movement.taken_coins for movement in life.movements if isinstance(movement, HoldOver)}
    begun = {movement.id: movement.coins for movement in life.movements if isinstance(movement, CoinsHeld)}
    covered: defaultdict[bytes, set[int]] = defaultdict(set)
    for lot in walk(life.movements).all:
        for part in (*lot.parts, *lot.returned_parts):
            if isinstance(part, HeldPart):
                coins = set(range(part.first, part.first + part.coins))
                assert not coins & covered[part.hold]
                covered[part.hold] |= coins
    assert dict(covered) == {
        hold: set(range(taken.get(hold, coins))) for hold, coins in begun.items() if taken.get(hold, coins)
    }


def _held_coins(lots: list[Lot]) -> int:
    return sum(part.coins for lot in lots for part in lot.parts if isinstance(part, HeldPart))


@given(lives())
def test_lots_are_spent_in_order(life: Life) -> None:
    """A coin is spent only when every lot before it has nothing left; the same life gives the same lots."""
    lots = Lots()
    for movement in life.movements:
        before = [lot.spent for lot in lots.all]
        lots.add(movement)
        if isinstance(movement, GiftPaid | CoinsHeld):
            spent = [place for place, lot in enumerate(lots.all) if lot.spent > before[place]]
            assert all(lot.left == 0 for lot in lots.all[: spent[-1]])
    assert _words(lots) == _words(walk(life.movements))


@given(lives())
def test_lots_that_remember_only_what_is_refunded(life: Life) -> None:
    """They hold, owe and return the same, and say of each gift as it is paid what the whole walk says of it later; of
    lots that no refund is of nothing is left but what is held."""
    refunded = {movement.purchase for movement in life.movements if isinstance(movement, CoinsReversed)}
    whole, short = walk(life.movements), Lots(refunded)
    paid: list[Part] = []
    for movement in life.movements:
        short.add(movement)
        paid += short.paid
    assert [(lot.id, lot.left, lot.spent, lot.reversed, lot.returned) for lot in short.all] == [
        (lot.id, lot.left, lot.spent, lot.reversed, lot.returned) for lot in whole.all
    ]
    assert (short.debt_coins, short.returned) == (whole.debt_coins, whole.returned)
    assert _worths(paid) == _worths([part for lot in whole.all for part, _ in lot.gift_parts() if not part.held])
    for lot in short.all:
        if lot.id not in refunded:
            assert all(isinstance(part, HeldPart) or part.held for part in lot.parts)
    assert (encode_lots(open_lots_of(short)), short.open_holds) == (encode_lots(open_lots_of(whole)), whole.open_holds)


def _worths(parts: list[Part]) -> dict[tuple[bytes, int], int]:
    """By gift and worth of a coin, how many coins."""
    coins: defaultdict[tuple[bytes, int], int] = defaultdict(int)
    for part in parts:
        coins[part.gift.id, part.worth_bp] += part.coins
    return dict(coins)
