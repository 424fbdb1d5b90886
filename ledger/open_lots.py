"""The lots of one viewer that have coins left, as short as the flusher can keep them: no gift is remembered. No I/O.

It takes the same movements as `lots.Lots` and spends the same coins first (a test compares the two over random lives).
All that it is for: to say of each gift, as it is written, how much less its coins are worth than paid ones.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from ledger.commission import BASIS_POINTS, share
from ledger.errors import InvariantBroken
from ledger.ids import format_id
from ledger.lots import CoinsCame, CoinsReversed, GiftPaid, Lots, Movement
from ledger.model import Cause


class Worth(NamedTuple):
    """What a credit's coins that were not paid for are worth, and how many of a purchase's are its bonus."""

    bonus_coins: int
    worth_bp: int


class Less(NamedTuple):
    """What a gift is worth less than it would be of paid coins.

    Attributes:
        coins: how many of its coins are worth less.
        creator, agency: diamonds that they do not have.
    """

    coins: int
    creator: int
    agency: int


NOTHING_LESS: Final = Less(0, 0, 0)


class OpenLot(Struct, array_like=True):
    """Coins of one purchase or grant that are left, all worth the same. Mutable: the flusher spends them."""

    id: str
    coins: int
    worth_bp: int


class OpenLots:
    """The open lots of one viewer in the order in which they are spent.

    Attributes:
        debt_coins: as of `Lots`.
    """

    __slots__ = ("debt_coins", "lots")

    def __init__(self, lots: Iterable[OpenLot] = (), debt_coins: int = 0) -> None:
        self.lots = deque(lots)
        self.debt_coins = debt_coins

    @property
    def discounted(self) -> bool:
        """Whether any of the coins left are worth less than paid ones."""
        return any(lot.worth_bp < BASIS_POINTS for lot in self.lots)

    def add(self, movement: Movement) -> None:
        """Take the next movement; raises as `pay`."""
        match movement:
            case CoinsCame(id=id_, cause=cause, coins=coins, bonus_coins=bonus, worth_bp=worth_bp):
                self.come(id_, cause, coins, Worth(bonus, worth_bp))
            case GiftPaid(coins=coins, creator_diamonds=creator, agency_diamonds=agency):
                self.pay(movement.id, coins, creator, agency)
            case CoinsReversed(purchase=purchase, taken_coins=taken):
                self.reverse(purchase, taken)

    def come(self, credit_id: bytes, cause: Cause, coins: int, worth: Worth | None) -> None:
        """Coins came in; without a worth all of them are worth what paid ones are."""
        name = format_id(credit_id)
        cheap = 0
        if worth is not None and worth.worth_bp < BASIS_POINTS:
            cheap = worth.bonus_coins if cause is Cause.PURCHASE else coins
        if coins > cheap:
            self.lots.append(OpenLot(name, coins - cheap, BASIS_POINTS))
        if worth is not None and cheap:
            self.lots.append(OpenLot(name, cheap, worth.worth_bp))
        self.debt_coins -= self._take(self.debt_coins)

    def pay(self, gift_id: bytes, coins: int, creator_diamonds: int, agency_diamonds: int) -> Less:
        """A gift spends coins; by how much less it is worth.

        Raises:
            InvariantBroken: it spends coins that never came (I9).
        """
        paid = cheap = creator = agency = 0
        while paid < coins:
            if not self.lots:
                raise InvariantBroken("I9", f"gift {format_id(gift_id)} spent {coins - paid} coins of no lot")
            lot = self.lots[0]
            part = min(lot.coins, coins - paid)
            if lot.worth_bp < BASIS_POINTS:
                span = (coins, paid, paid + part)
                cheap += part
                creator += share(creator_diamonds, *span) - share(creator_diamonds, *span, lot.worth_bp)
                agency += share(agency_diamonds, *span) - share(agency_diamonds, *span, lot.worth_bp)
            paid += part
            self._spend(lot, part)
        return Less(cheap, creator, agency)

    def reverse(self, purchase: bytes, taken_coins: int) -> None:
        """A refund of this purchase took coins: of its own first, from their end, then those that are spent next."""
        name, taken = format_id(purchase), taken_coins
        for lot in reversed(self.lots):
            if lot.id == name:
                coins = min(lot.coins, taken)
                lot.coins -= coins
                taken -= coins
        self.lots = deque(lot for lot in self.lots if lot.coins)
        self.debt_coins += taken - self._take(taken)

    def _take(self, coins: int) -> int:
        taken = 0
        while self.lots and taken < coins:
            part = min(self.lots[0].coins, coins - taken)
            taken += part
            self._spend(self.lots[0], part)
        return taken

    def _spend(self, lot: OpenLot, coins: int) -> None:
        lot.coins -= coins
        if not lot.coins:
            self.lots.popleft()


def open_lots_of(lots: Lots) -> OpenLots:
    """The same from a whole walk: what is left, neighbours of one credit and worth put together."""
    found: list[OpenLot] = []
    for lot in lots.all:
        name = format_id(lot.id)
        if found and (found[-1].id, found[-1].worth_bp) == (name, lot.worth_bp):
            found[-1].coins += lot.left
        elif lot.left:
            found.append(OpenLot(name, lot.left, lot.worth_bp))
    return OpenLots(found, lots.debt_coins)


def encode_lots(lots: OpenLots) -> str:
    """Open lots as a row keeps them."""
    return msgspec.json.encode(list(lots.lots)).decode()


def decode_lots(stored: str, debt_coins: int) -> OpenLots:
    """Open lots from a row."""
    return OpenLots(msgspec.json.decode(stored, type=list[OpenLot]), debt_coins)
