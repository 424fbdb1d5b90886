"""Which coins paid for which gift: a viewer's movements in order, walked through with a queue of lots. No I/O.

Coins are spent first in, first out; those of a hold as if they were spent, until they go back to where they came from.
The bonus coins of a purchase are a lot of their own right behind its paid coins. A refund takes coins off the end of
its purchase: first what is left of it, then those that were spent last. The same movements always give the same lots,
so nothing of this is stored with a gift (docs/decisions/0007).
"""

import enum
from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from msgspec import Struct, structs

from ledger.commission import BASIS_POINTS, residue_share, share
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
    """A gift left the wallet. The diamonds are what creator and agency have of it if all its coins were paid for, and
    what its division left."""

    id: bytes
    creator: str
    place: str
    coins: int
    creator_diamonds: int
    at_ms: int = 0
    agency_diamonds: int = 0
    residue_diamonds: int = 0


class CoinsHeld(Struct, frozen=True):
    """Coins left the wallet for a hold."""

    id: bytes
    coins: int
    at_ms: int = 0


class HoldOver(Struct, frozen=True):
    """A hold ended; all but the first `taken_coins` of its coins came back into the wallet."""

    id: bytes
    taken_coins: int


class GiftHeld(Struct, frozen=True):
    """A gift left the wallet that may be undone; its coins are as held as those of a hold."""

    gift: GiftPaid


class GiftSettled(Struct, frozen=True):
    """A gift that was held is paid; `gift.at_ms` is when."""

    gift: GiftPaid


class GiftTakenBack(Struct, frozen=True):
    """A gift that was held was undone; its coins came back into the wallet."""

    id: bytes


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


Movement = CoinsCame | GiftPaid | CoinsHeld | HoldOver | GiftHeld | GiftSettled | GiftTakenBack | CoinsReversed


class Part(Struct, frozen=True):
    """The coins from `first` up to `first + coins` of a gift, counted from 0, that one lot paid.

    Attributes:
        held: the gift may be undone still.
    """

    gift: GiftPaid
    first: int
    coins: int
    worth_bp: int = BASIS_POINTS
    held: bool = False

    @property
    def creator_diamonds(self) -> int:
        """The creator's share of these coins; over all parts of a gift they sum to what its creator got."""
        last = self.first + self.coins
        return share(self.gift.creator_diamonds, self.gift.coins, self.first, last, self.worth_bp)

    @property
    def commission_diamonds(self) -> int:
        """The platform's share of these coins, with what they are worth less to the creator, and with the residue."""
        return self.coins * DIAMONDS_PER_COIN - self.creator_diamonds

    @property
    def residue_diamonds(self) -> int:
        """What of the platform's share is the residue; over all parts of a gift it sums to what the gift left."""
        gift = self.gift
        if not gift.residue_diamonds:
            return 0
        ends = (self.first, self.first + self.coins)
        return residue_share(gift.creator_diamonds, gift.residue_diamonds, gift.coins, *ends)

    @property
    def less(self) -> tuple[int, int]:
        """By how many diamonds creator and agency have less of these coins than of paid ones."""
        creator, agency, last = self.gift.creator_diamonds, self.gift.agency_diamonds, self.first + self.coins
        return (
            share(creator, self.gift.coins, self.first, last) - self.creator_diamonds,
            share(agency, self.gift.coins, self.first, last)
            - share(agency, self.gift.coins, self.first, last, self.worth_bp),
        )


class HeldPart(Struct, frozen=True):
    """The coins from `first` up to `first + coins` of a hold, counted from 0, that came from one lot."""

    hold: bytes
    first: int
    coins: int


AnyPart = Part | HeldPart


class HeldBy(NamedTuple):
    """What holds coins: a gift that may be undone, or a hold. The two may have one id."""

    is_gift: bool
    id: bytes


class Lot:
    """Coins of one purchase or grant. At any time coins = left + spent + reversed.

    Attributes:
        left: not spent yet.
        place: in the order in which lots are spent.
        spent: paid for gifts, or in a hold, or taken of one.
        reversed: taken out of the wallet by refunds of this purchase, or of others whose coins were gone.
        returned: those of `spent` that were refunded since.
        worth_bp: what one of its coins is worth to creators, in basis points of a paid one.
    """

    __slots__ = (
        *("at_ms", "coins", "id", "kind", "left", "parts", "place", "returned", "returned_parts", "reversed"),
        *("spent", "worth_bp"),
    )

    def __init__(
        self, lot_id: bytes, kind: LotKind, coins: int, at_ms: int, place: int, worth_bp: int = BASIS_POINTS
    ) -> None:
        self.place = place
        self.id = lot_id
        self.worth_bp = worth_bp
        self.kind = kind
        self.coins = self.left = coins
        self.at_ms = at_ms
        self.spent = self.reversed = self.returned = 0
        self.parts: list[AnyPart] = []
        """What its spent coins that are not refunded paid for, in order."""
        self.returned_parts: list[AnyPart] = []
        """What its refunded coins had paid for, the last one first."""

    def gift_parts(self) -> list[tuple[Part, bool]]:
        """The gifts that its coins paid for, in order, each with whether those coins were refunded since."""
        parts = [(part, False) for part in self.parts] + [(part, True) for part in reversed(self.returned_parts)]
        return [(part, returned) for part, returned in parts if isinstance(part, Part)]

    def settle(self, gift: GiftPaid) -> list[Part]:
        """What a gift that was held has of this lot is paid; the parts of it."""
        paid = []
        for place, part in enumerate(self.parts):
            if isinstance(part, Part) and _is_of(part, HeldBy(True, gift.id)):
                self.parts[place] = settled = structs.replace(part, gift=gift, held=False)
                paid.append(settled)
        return paid

    def forget(self, held: HeldBy) -> None:
        """Do not remember what a hold that is over took."""
        self.parts = [part for part in self.parts if not _is_of(part, held)]

    def give_back(self, held: HeldBy, kept: int) -> bool:
        """Take back what a hold has of this lot, but for the first `kept` coins of the hold; whether that was any.

        Coins that were refunded meanwhile come back too, and are not refunded any more.
        """
        refunded = _cut(self.returned_parts, held, kept)
        back = _cut(self.parts, held, kept) + refunded
        self.returned -= refunded
        self.spent -= back
        self.left += back
        return back > 0


class Lots:
    """The lots of one viewer after the movements so far. Time and memory are linear in their number.

    Args:
        refunded: the purchases that refunds among the movements are of. Then only of those is remembered for which
            gifts their coins paid, and memory is linear in what came in, is held and is refunded. None: of all lots.
    """

    def __init__(self, refunded: Collection[bytes] | None = None) -> None:
        self.all: list[Lot] = []
        """Every lot, in the order in which they are spent."""
        self.debt_coins = 0
        """What refunds took that no lot could give; coins that come in pay it first."""
        self.returned: dict[bytes, list[Part]] = {}
        """For each refund the parts of gifts that its coins had paid for, the last one first."""
        self.paid: list[Part] = []
        """The parts of the gift that the last movement paid, if it did."""
        self._refunded = refunded
        self._open: deque[Lot] = deque()
        self._holds: dict[HeldBy, list[Lot]] = {}
        self._by_id: dict[bytes, list[Lot]] = {}

    @property
    def left_coins(self) -> int:
        """What all lots have left: the wallet, when nothing is owed."""
        return sum(lot.left for lot in self._open)

    @property
    def open_holds(self) -> Collection[HeldBy]:
        """The holds that have not ended, and the gifts that may be undone."""
        return self._holds.keys()

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
        self.paid = []
        match movement:
            case CoinsCame():
                self._come(movement)
            case GiftPaid():
                self._spend(f"gift {format_id(movement.id)}", movement.coins, lambda *of: self._pay(movement, *of))
            case CoinsHeld():
                name = f"hold {format_id(movement.id)}"
                part = lambda first, coins, _: HeldPart(movement.id, first, coins)  # noqa: E731 - as above
                self._holds[HeldBy(False, movement.id)] = self._spend(name, movement.coins, part)
            case HoldOver():
                self._end(HeldBy(False, movement.id), movement.taken_coins)
            case GiftHeld(gift=gift):
                name = f"gift {format_id(gift.id)}"
                self._holds[HeldBy(True, gift.id)] = self._spend(
                    name, gift.coins, lambda first, coins, worth: Part(gift, first, coins, worth, held=True)
                )
            case GiftSettled(gift=gift):
                self._settle(gift)
            case GiftTakenBack():
                self._end(HeldBy(True, movement.id), 0)
            case CoinsReversed():
                self._reverse(movement)

    def _come(self, came: CoinsCame) -> None:
        place = len(self.all)
        if came.cause is Cause.PURCHASE:
            lots = [Lot(came.id, LotKind.PAID, came.coins - came.bonus_coins, came.at_ms, place)]
        else:
            lots = [Lot(came.id, LotKind.GRANTED, came.coins, came.at_ms, place, came.worth_bp)]
        if came.bonus_coins:
            lots.append(Lot(came.id, LotKind.BONUS, came.bonus_coins, came.at_ms, place + 1, came.worth_bp))
        self._by_id[came.id] = lots
        self.all += lots
        self._open += lots
        self.debt_coins -= self._take(self.debt_coins)

    def _spend(self, name: str, coins: int, part: Callable[[int, int, int], AnyPart]) -> list[Lot]:
        """Take coins from the lots that are next; from which."""
        spent, lots = 0, []
        while spent < coins:
            if not self._open:
                raise InvariantBroken("I9", f"{name} spent {coins - spent} coins of no lot")
            lot = self._open[0]
            some = min(lot.left, coins - spent)
            if some:
                made = part(spent, some, lot.worth_bp)
                if self._remembers(lot) or isinstance(made, HeldPart) or made.held:
                    lot.parts.append(made)
                lot.left -= some
                lot.spent += some
                spent += some
                lots.append(lot)
            if not lot.left:
                self._open.popleft()
        return lots

    def _pay(self, gift: GiftPaid, first: int, coins: int, worth_bp: int) -> Part:
        self.paid.append(Part(gift, first, coins, worth_bp))
        return self.paid[-1]

    def _remembers(self, lot: Lot) -> bool:
        return self._refunded is None or lot.id in self._refunded

    def _end(self, held: HeldBy, taken_coins: int) -> None:
        lots = self._close(held)
        again = [lot for lot in lots if lot.give_back(held, taken_coins)]
        for lot in lots:
            if not self._remembers(lot):
                lot.forget(held)
        self._open = deque(sorted({*self._open, *again}, key=lambda lot: lot.place))
        self.debt_coins -= self._take(self.debt_coins)

    def _settle(self, gift: GiftPaid) -> None:
        held = HeldBy(True, gift.id)
        for lot in self._close(held):
            paid = lot.settle(gift)
            self.paid += paid
            if not self._remembers(lot):
                lot.parts = [part for part in lot.parts if part not in paid]
        coins = sum(part.coins for part in self.paid)
        if coins != gift.coins:
            # A refund waits for such gifts: none takes their coins for spent ones.
            raise InvariantBroken("I9", f"gift {format_id(gift.id)} is of {gift.coins} coins, {coins} were held for it")

    def _close(self, held: HeldBy) -> list[Lot]:
        lots = self._holds.pop(held, None)
        if lots is None:
            name = "gift" if held.is_gift else "hold"
            raise InvariantBroken("I9", f"{name} {format_id(held.id)} ended before it began")
        return lots

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
        returned = _return(lots, max(0, reversal.coins - left))
        self.returned[reversal.id] = [part for part in returned if isinstance(part, Part) and not part.held]

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


def _return(lots: list[Lot], coins: int) -> list[AnyPart]:
    """Take the last parts, worth so many coins or all there are, off what these lots paid for."""
    returned: list[AnyPart] = []
    for lot in reversed(lots):
        while coins and lot.parts:
            part = lot.parts.pop()
            kept = max(0, part.coins - coins)
            if kept:
                lot.parts.append(structs.replace(part, coins=kept))
            gone = structs.replace(part, first=part.first + kept, coins=part.coins - kept)
            returned.append(gone)
            lot.returned_parts.append(gone)
            lot.returned += gone.coins
            coins -= gone.coins
    return returned


def _is_of(part: AnyPart, held: HeldBy) -> bool:
    if isinstance(part, Part):
        return held.is_gift and part.held and part.gift.id == held.id
    return not held.is_gift and part.hold == held.id


def _cut(parts: list[AnyPart], held: HeldBy, kept: int) -> int:
    """Take the coins of a hold, but for its first `kept`, out of these parts; how many there were."""
    gone = 0
    for place in reversed(range(len(parts))):
        part = parts[place]
        if _is_of(part, held):
            stays = min(part.coins, max(0, kept - part.first))
            parts[place : place + 1] = [structs.replace(part, coins=stays)] if stays else []
            gone += part.coins - stays
    return gone
