"""What gifts are worth: against an oracle that lays every single coin into a row, over random lives of a wallet."""

from typing import Final, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from ledger.errors import InvariantBroken
from ledger.ids import format_id
from ledger.lots.lots import (
    CoinsCame,
    CoinsHeld,
    CoinsReversed,
    GiftHeld,
    GiftPaid,
    GiftSettled,
    GiftTakenBack,
    HoldOver,
    Lots,
    Movement,
)
from ledger.lots.open_lots import OpenLots, Worth, decode_lots, encode_lots, open_lots_of
from ledger.model import Cause

WORTHS: Final = (0, 1, 2_500, 3_333, 9_999, 10_000)


class Coin(NamedTuple):
    """One coin: of which credit, whether of its second lot, what it is worth, and the how manieth that ever came."""

    credit: bytes
    bonus: bool
    worth_bp: int
    number: int


class Purse:
    """The oracle: a row of single coins. It shares no code and no arithmetic with what it judges."""

    def __init__(self) -> None:
        self.coins: list[Coin] = []
        self.debt = self.came = 0
        self.held: dict[bytes, list[Coin]] = {}
        """By open hold, and by open gift, in order."""
        self.spent: dict[bytes, list[tuple[bytes, int, Coin]]] = {}
        """By credit, in the order in which they were given: gift, place in the gift, the coin."""

    def come(self, credit: bytes, paid: int, bonus: int, worth_bp: int, *, granted: bool) -> None:
        for number in range(paid + bonus):
            worth = worth_bp if granted or number >= paid else 10_000
            self.coins.append(Coin(credit, number >= paid, worth, self.came + number))
        self.came += paid + bonus
        self.pay_debt()

    def pay_debt(self) -> None:
        pays = min(self.debt, len(self.coins))
        self.coins, self.debt = self.coins[pays:], self.debt - pays

    def end(self, hold: bytes, taken: int) -> None:
        """All but the first coins of a hold are in the row again, each in its place."""
        back = set(self.held.pop(hold)[taken:])
        self.coins = sorted([*self.coins, *back], key=lambda coin: coin.number)
        for credit, spent in self.spent.items():
            self.spent[credit] = [one for one in spent if one[0] != hold or one[2] not in back]
        self.pay_debt()

    def pay(self, gift: bytes, coins: int) -> list[Coin]:
        given, self.coins = self.coins[:coins], self.coins[coins:]
        for place, coin in enumerate(given):
            self.spent.setdefault(coin.credit, []).append((gift, place, coin))
        return given

    def reverse(self, credit: bytes, coins: int, taken: int) -> list[tuple[bytes, int, Coin]]:
        """The coins of gifts that go back, last first."""
        mine = [place for place, coin in enumerate(self.coins) if coin.credit == credit]
        left = len(mine)
        gone = set(mine[max(0, left - taken) :])
        self.coins = [coin for place, coin in enumerate(self.coins) if place not in gone]
        rest = taken - len(gone)
        more = min(rest, len(self.coins))
        self.coins, self.debt = self.coins[more:], self.debt + rest - more
        # The bonus is the later lot, and each lot's coins were given in order.
        given = self.spent.get(credit, [])
        ordered = sorted(given, key=lambda one: one[2].bonus)
        back = min(max(0, coins - left), len(ordered))
        returned = ordered[len(ordered) - back :][::-1]
        self.spent[credit] = ordered[: len(ordered) - back]
        return returned


def worth_of(diamonds: int, coins: int, places: dict[int, int]) -> int:
    """What these coins of a gift are worth, place by place: the n-th coin raises the rounded value of the first n."""
    total = 0
    for place, worth_bp in places.items():
        before, after = diamonds * place // coins, diamonds * (place + 1) // coins
        total += after * worth_bp // 10_000 - before * worth_bp // 10_000
    return total


class Life:
    """A random life of a wallet, told to all three at once."""

    def __init__(self) -> None:
        self.purse, self.lots, self.open = Purse(), Lots(), OpenLots()
        self.gifts: dict[bytes, tuple[int, int, int]] = {}
        self.open_gifts: dict[bytes, GiftPaid] = {}
        self._number = 0

    def next_id(self) -> bytes:
        self._number += 1
        return self._number.to_bytes(16, "big")

    def tell(self, movement: Movement) -> None:
        self.lots.add(movement)
        self.open.add(movement)

    def assert_agreed(self) -> None:
        """All three hold the same coins in the same order, and the queue survives its row."""
        row = [(format_id(coin.credit), coin.worth_bp) for coin in self.purse.coins]
        walked = open_lots_of(self.lots)
        for one in (self.open, walked, decode_lots(encode_lots(self.open), self.open.debt_coins)):
            assert [(lot.id, lot.worth_bp) for lot in one.lots for _ in range(lot.coins)] == row
            assert one.debt_coins == self.purse.debt
            assert one.lots == walked.lots
        held = [coin for coins in self.purse.held.values() for coin in coins]
        assert self.open.discounted == any(coin.worth_bp < 10_000 for coin in [*self.purse.coins, *held])
        assert self.lots.left_coins == len(row)


def come(life: Life, data: st.DataObject) -> None:
    credit, worth_bp = life.next_id(), data.draw(st.sampled_from(WORTHS))
    if data.draw(st.booleans()):
        coins = data.draw(st.integers(1, 30))
        life.purse.come(credit, coins, 0, worth_bp, granted=True)
        life.tell(CoinsCame(credit, Cause.GRANT, coins, worth_bp=worth_bp))
    else:
        paid, bonus = data.draw(st.integers(1, 30)), data.draw(st.integers(0, 12))
        life.purse.come(credit, paid, bonus, worth_bp, granted=False)
        life.tell(CoinsCame(credit, Cause.PURCHASE, paid + bonus, bonus, worth_bp=worth_bp))


def give(life: Life, data: st.DataObject) -> None:
    if not life.purse.coins or life.purse.debt:
        return
    coins = data.draw(st.integers(1, len(life.purse.coins)))
    creator, agency = data.draw(st.integers(0, 100 * coins)), data.draw(st.integers(0, 20 * coins))
    gift = life.next_id()
    given = life.purse.pay(gift, coins)
    life.gifts[gift] = (coins, creator, agency)
    life.lots.add(GiftPaid(gift, "cora", "room:demo", coins, creator, 0, agency))
    less = life.open.pay(gift, coins, creator, agency)
    places = {place: coin.worth_bp for place, coin in enumerate(given)}
    assert less.coins == sum(coin.worth_bp < 10_000 for coin in given)
    assert creator - less.creator == worth_of(creator, coins, places)
    assert agency - less.agency == worth_of(agency, coins, places)
    parts = [part for lot in life.lots.all for part, _ in lot.gift_parts() if part.gift.id == gift]
    assert sum(part.less[0] for part in parts) == less.creator
    assert sum(part.less[1] for part in parts) == less.agency
    assert sum(part.creator_diamonds for part in parts) == creator - less.creator
    assert 0 <= less.creator <= creator


def hold_gift(life: Life, data: st.DataObject) -> None:
    if life.purse.coins and not life.purse.debt:
        coins, gift = data.draw(st.integers(1, len(life.purse.coins))), life.next_id()
        creator, agency = data.draw(st.integers(0, 100 * coins)), data.draw(st.integers(0, 20 * coins))
        life.purse.held[gift] = life.purse.pay(gift, coins)
        life.open_gifts[gift] = GiftPaid(gift, "cora", "room:demo", coins, creator, 1, agency)
        life.tell(GiftHeld(life.open_gifts[gift]))


def settle_gift(life: Life, data: st.DataObject) -> None:
    """A gift is worth what the coins are that were held for it, whatever was spent since."""
    if not life.open_gifts:
        return
    name = data.draw(st.sampled_from(sorted(life.open_gifts)))
    gift = structs.replace(life.open_gifts.pop(name), at_ms=9)
    given, (coins, creator, agency) = (
        life.purse.held.pop(name),
        (gift.coins, gift.creator_diamonds, gift.agency_diamonds),
    )
    life.gifts[name] = (coins, creator, agency)
    life.lots.add(GiftSettled(gift))
    less = life.open.settle_gift(name, coins, creator, agency)
    places = {place: coin.worth_bp for place, coin in enumerate(given)}
    assert less.coins == sum(coin.worth_bp < 10_000 for coin in given)
    assert creator - less.creator == worth_of(creator, coins, places)
    assert agency - less.agency == worth_of(agency, coins, places)
    parts = [part for lot in life.lots.all for part, _ in lot.gift_parts() if part.gift.id == name]
    assert all(not part.held and part.gift.at_ms == 9 for part in parts)
    assert sum(part.less[0] for part in parts) == less.creator


def undo_gift(life: Life, data: st.DataObject) -> None:
    if life.open_gifts:
        name = data.draw(st.sampled_from(sorted(life.open_gifts)))
        del life.open_gifts[name]
        life.purse.end(name, 0)
        life.tell(GiftTakenBack(name))


def refund(life: Life, data: st.DataObject) -> None:
    if life.open_gifts:
        return  # A refund waits for them.
    bought = [lot for lot in life.lots.all if lot.kind == "paid"]
    if not bought:
        return
    lot = data.draw(st.sampled_from(bought))
    of = life.lots.of(lot.id)
    undone = sum(one.left + sum(part.coins for part in one.parts) for one in of)
    if not undone:
        return
    coins = data.draw(st.integers(1, undone))
    taken = data.draw(st.integers(0, coins))
    name = life.next_id()
    returned = life.purse.reverse(lot.id, coins, taken)
    life.tell(CoinsReversed(name, lot.id, coins, taken))
    for gift in {gift for gift, _, _ in returned} & life.gifts.keys():
        value, creator, _ = life.gifts[gift]
        expected = {place: coin.worth_bp for of_gift, place, coin in returned if of_gift == gift}
        parts = [part for part in life.lots.returned[name] if part.gift.id == gift]
        assert sum(part.creator_diamonds for part in parts) == worth_of(creator, value, expected)


def hold(life: Life, data: st.DataObject) -> None:
    if life.purse.coins and not life.purse.debt:
        coins, name = data.draw(st.integers(1, len(life.purse.coins))), life.next_id()
        life.purse.held[name] = life.purse.pay(name, coins)
        life.tell(CoinsHeld(name, coins))


def end(life: Life, data: st.DataObject) -> None:
    if life.purse.held.keys() - life.open_gifts.keys():
        name = data.draw(st.sampled_from(sorted(life.purse.held.keys() - life.open_gifts.keys())))
        taken = data.draw(st.integers(0, len(life.purse.held[name])))
        life.purse.end(name, taken)
        life.tell(HoldOver(name, taken))


STEPS: Final = [*[come, come, give, give, hold, hold, end, refund], *[hold_gift, hold_gift, settle_gift, undo_gift]]


@given(st.data())
def test_any_life_against_single_coins(data: st.DataObject) -> None:
    """Gifts are worth what their coins are, one by one, and refunds take back exactly that: all three agree."""
    life = Life()
    for step in data.draw(st.lists(st.sampled_from(STEPS), max_size=30)):
        step(life, data)
        life.assert_agreed()


def test_coins_of_one_credit_that_are_worth_the_same_are_one() -> None:
    """A bonus that is worth as much as the paid coins needs no lot of its own here."""
    lots = OpenLots()
    lots.come(bytes(16), Cause.PURCHASE, 12, Worth(2, 10_000))
    assert [(lot.coins, lot.worth_bp) for lot in lots.lots] == [(12, 10_000)]
    lots.come(bytes(15) + b"\1", Cause.PURCHASE, 12, Worth(2, 0))
    assert [(lot.coins, lot.worth_bp) for lot in lots.lots] == [(12, 10_000), (10, 10_000), (2, 0)]


def test_hold_and_gift_of_one_id_are_two() -> None:
    """Ids of holds and of gifts are chosen by two people: one that ends leaves the other as it is."""
    lots, walked, gift = OpenLots(), Lots(), GiftPaid(bytes(16), "cora", "room:demo", 3, 300)
    came: Movement = CoinsCame(b"c" * 16, Cause.GRANT, 9, worth_bp=0)
    for movement in (came, CoinsHeld(bytes(16), 4), GiftHeld(gift), HoldOver(bytes(16), 0), GiftSettled(gift)):
        lots.add(movement)
        walked.add(movement)
        assert lots.lots == open_lots_of(walked).lots
    assert [(lot.coins, lot.in_holds) for lot in lots.lots] == [(6, [])]


def test_held_gift_whose_coins_were_refunded_meanwhile_is_a_contradiction() -> None:
    """A refund waits for open gifts; one that did not would leave coins that nobody gives back."""
    lots, gift = Lots(), GiftPaid(bytes(16), "cora", "room:demo", 9, 900)
    lots.add(CoinsCame(b"c" * 16, Cause.PURCHASE, 10))
    lots.add(GiftHeld(gift))
    lots.add(CoinsReversed(b"r" * 16, b"c" * 16, 10, 1))
    assert lots.returned[b"r" * 16] == []
    with pytest.raises(InvariantBroken, match="9 coins, 0 were held"):
        lots.add(GiftSettled(gift))
