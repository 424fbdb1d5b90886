"""Which coins paid for which gift: a viewer's movements in order, walked through with a queue of lots. No I/O.

Coins are spent first in, first out. The bonus coins of a purchase are a lot of their own right behind its paid coins.
A refund takes coins off the end of its purchase: first what is left of it, then those that were spent last. The same
movements always give the same lots, so nothing of this is stored with a gift (docs/decisions/0007).
"""

import enum
from collections import deque
from collections.abc import Iterable

from msgspec import Struct

from ledger.commission import BASIS_POINTS, share
from ledger.errors import InvariantBroken
from ledger.ids import format_id
from ledger.model import DIAMONDS_PER_COIN, Cause


class LotKind(enum.StrEnum):
    """What the coins of a lot are."""

    PAID = "paid"
    BONUS = "bonus"
    GRANTED = "granted"


class CoinsCame(Struct, frozen=True):
    """A purchase or a grant came into the wallet; `coins` includes `bonus_coins`.

    Attributes:
        worth_bp: what a coin that was not paid for (of the bonus, or of the grant) is worth to the creators that it is
            given to, in basis points of a paid one.
    """

    id: bytes
    cause: Cause
    coins: int
    bonus_coins: int = 0
    at_ms: int = 0
    worth_bp: int = BASIS_POINTS


class GiftPaid(Struct, frozen=True):
    """A gift left the wallet. The diamonds are what creator and agency have of it if all its coins were paid for."""

    id: bytes
    creator: str
    place: str
    coins: int
    creator_diamonds: int
    at_ms: int = 0
    agency_diamonds: int = 0


class CoinsReversed(Struct, frozen=True):
    """A refund or charge-back.

    Attributes:
        id: the refund's.
        purchase: whose coins are refunded.
        coins: how many of them.
        taken_coins: what the wallet gave for them, at most `coins`; what it did not hold is a debt.
    """

    id: bytes
    purchase: bytes
    coins: int
    taken_coins: int


Movement = CoinsCame | GiftPaid | CoinsReversed


class Part(Struct, frozen=True):
    """The coins from `first` up to `first + coins` of a gift, counted from 0, that one lot paid."""

    gift: GiftPaid
    first: int
    coins: int
    worth_bp: int = BASIS_POINTS

    @property
    def creator_diamonds(self) -> int:
        """The creator's share of these coins; over all parts of a gift they sum to what its creator got."""
        last = self.first + self.coins
        return share(self.gift.creator_diamonds, self.gift.coins, self.first, last, self.worth_bp)

    @property
    def commission_diamonds(self) -> int:
        """The platform's share of these coins, with what they are worth less to the creator."""
        return self.coins * DIAMONDS_PER_COIN - self.creator_diamonds

    @property
    def less(self) -> tuple[int, int]:
        """By how many diamonds creator and agency have less of these coins than of paid ones."""
        creator, agency, last = self.gift.creator_diamonds, self.gift.agency_diamonds, self.first + self.coins
        return (
            share(creator, self.gift.coins, self.first, last) - self.creator_diamonds,
            share(agency, self.gift.coins, self.first, last)
            - share(agency, self.gift.coins, self.first, last, self.worth_bp),
        )


class Lot:
    """Coins of one purchase or grant. At any time coins = left + spent + reversed.

    Attributes:
        left: not spent yet.
        spent: paid for gifts.
        reversed: taken out of the wallet by refunds of this purchase, or of others whose coins were gone.
        returned: those of `spent` that were refunded since.
        worth_bp: what one of its coins is worth to creators, in basis points of a paid one.
    """

    __slots__ = (
        *("at_ms", "coins", "id", "kind", "left", "parts", "returned", "returned_parts", "reversed", "spent"),
        "worth_bp",
    )

    def __init__(self, lot_id: bytes, kind: LotKind, coins: int, at_ms: int, worth_bp: int = BASIS_POINTS) -> None:
        self.id = lot_id
        self.worth_bp = worth_bp
        self.kind = kind
        self.coins = self.left = coins
        self.at_ms = at_ms
        self.spent = self.reversed = self.returned = 0
        self.parts: list[Part] = []
        """What its spent coins that are not refunded paid for, in order."""
        self.returned_parts: list[Part] = []
        """What its refunded coins had paid for, the last one first."""

    def all_parts(self) -> list[tuple[Part, bool]]:
        """Everything that its coins paid for, in order, each with whether those coins were refunded since."""
        return [(part, False) for part in self.parts] + [(part, True) for part in reversed(self.returned_parts)]


class Lots:
    """The lots of one viewer after the movements so far. Time and memory are linear in their number."""

    def __init__(self) -> None:
        self.all: list[Lot] = []
        """Every lot, in the order in which they are spent."""
        self.debt_coins = 0
        """What refunds took that no lot could give; coins that come in pay it first."""
        self.returned: dict[bytes, list[Part]] = {}
        """For each refund the parts of gifts that its coins had paid for, the last one first."""
        self._open: deque[Lot] = deque()
        self._by_id: dict[bytes, list[Lot]] = {}

    @property
    def left_coins(self) -> int:
        """What all lots have left: the wallet, when nothing is owed."""
        return sum(lot.left for lot in self._open)

    def of(self, lot_id: bytes) -> list[Lot]:
        """The lots of a purchase or grant: its coins, then its bonus; none when it has not come in."""
        return self._by_id.get(lot_id, [])

    def left_behind(self, lot_id: bytes) -> int:
        """Coins left that will be spent after those of this purchase or grant."""
        lots = self.of(lot_id)
        if not lots:
            return 0
        return sum(lot.left for lot in self.all[self.all.index(lots[-1]) + 1 :])

    def add(self, movement: Movement) -> None:
        """Take the next movement.

        Raises:
            InvariantBroken: it spends or reverses coins that never came (I9).
        """
        match movement:
            case CoinsCame():
                self._come(movement)
            case GiftPaid():
                self._pay(movement)
            case CoinsReversed():
                self._reverse(movement)

    def _come(self, came: CoinsCame) -> None:
        if came.cause is Cause.PURCHASE:
            lots = [Lot(came.id, LotKind.PAID, came.coins - came.bonus_coins, came.at_ms)]
        else:
            lots = [Lot(came.id, LotKind.GRANTED, came.coins, came.at_ms, came.worth_bp)]
        if came.bonus_coins:
            lots.append(Lot(came.id, LotKind.BONUS, came.bonus_coins, came.at_ms, came.worth_bp))
        self._by_id[came.id] = lots
        self.all += lots
        self._open += lots
        self.debt_coins -= self._take(self.debt_coins)

    def _pay(self, gift: GiftPaid) -> None:
        paid = 0
        while paid < gift.coins:
            if not self._open:
                raise InvariantBroken("I9", f"gift {format_id(gift.id)} spent {gift.coins - paid} coins of no lot")
            lot = self._open[0]
            coins = min(lot.left, gift.coins - paid)
            if coins:
                lot.parts.append(Part(gift, paid, coins, lot.worth_bp))
                lot.left -= coins
                lot.spent += coins
                paid += coins
            if not lot.left:
                self._open.popleft()

    def _reverse(self, reversal: CoinsReversed) -> None:
        lots = self.of(reversal.purchase)
        if not lots:
            raise InvariantBroken("I9", f"{format_id(reversal.purchase)} was refunded before it came in")
        left, taken = sum(lot.left for lot in lots), reversal.taken_coins
        for lot in reversed(lots):
            coins = min(lot.left, taken)
            lot.left -= coins
            lot.reversed += coins
            taken -= coins
        self.debt_coins += taken - self._take(taken)
        self.returned[reversal.id] = _return(lots, max(0, reversal.coins - left))

    def _take(self, coins: int) -> int:
        """Take coins that no gift is paid with from the lots that would be spent next; how many there were."""
        taken = 0
        while self._open and (taken < coins or not self._open[0].left):
            lot = self._open[0]
            part = min(lot.left, coins - taken)
            lot.left -= part
            lot.reversed += part
            taken += part
            if not lot.left:
                self._open.popleft()
        return taken


def walk(movements: Iterable[Movement]) -> Lots:
    """The lots after these movements, in order; raises as `Lots.add`."""
    lots = Lots()
    for movement in movements:
        lots.add(movement)
    return lots


def _return(lots: list[Lot], coins: int) -> list[Part]:
    """Take the last parts, worth so many coins or all there are, off what these lots paid for."""
    returned: list[Part] = []
    for lot in reversed(lots):
        while coins and lot.parts:
            part = lot.parts.pop()
            kept = max(0, part.coins - coins)
            if kept:
                lot.parts.append(Part(part.gift, part.first, kept, part.worth_bp))
            gone = Part(part.gift, part.first + kept, part.coins - kept, part.worth_bp)
            returned.append(gone)
            lot.returned_parts.append(gone)
            lot.returned += gone.coins
            coins -= gone.coins
    return returned
