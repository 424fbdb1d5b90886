"""The lots of one viewer with coins left or in a hold, as short as the flusher can keep them: no gift is remembered. No
I/O.

It takes the same movements as `lots.Lots` and spends the same coins first (a test compares the two over random lives).
All that it is for: to say of each gift, as it is written, how much less its coins are worth than paid ones.
"""

from collections import deque
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from ledger.commission import BASIS_POINTS, share
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
    HeldBy,
    HeldPart,
    HoldOver,
    Lot,
    Lots,
    Movement,
)
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


class InHold(NamedTuple):
    """The coins from `first` on of an open hold that came from one lot.

    Attributes:
        hold: its id in text; `gift ` stands before that of a gift that may be undone.
    """

    hold: str
    first: int
    coins: int


class OpenLot(Struct, array_like=True):
    """Coins of one purchase or grant that are left, all worth the same. Mutable: the flusher spends them.

    Attributes:
        in_holds: those that may come back; they keep the lot in its place also while it has nothing left.
    """

    id: str
    coins: int
    worth_bp: int
    in_holds: list[InHold] = []


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
        """Whether any of the coins left, or of those in holds, are worth less than paid ones."""
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
            case CoinsHeld(id=id_, coins=coins):
                self.hold(id_, coins)
            case HoldOver(id=id_, taken_coins=taken):
                self.end_hold(id_, taken)
            case GiftHeld(gift=gift):
                self.hold_gift(gift.id, gift.coins)
            case GiftSettled(gift=gift):
                self.settle_gift(gift.id, gift.coins, gift.creator_diamonds, gift.agency_diamonds)
            case GiftTakenBack(id=id_):
                self.undo_gift(id_)

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
        if self.debt_coins:
            self.debt_coins -= self._take(self.debt_coins)
            self._drop_spent()

    def pay(self, gift_id: bytes, coins: int, creator_diamonds: int, agency_diamonds: int) -> Less:
        """A gift spends coins; by how much less it is worth.

        Raises:
            InvariantBroken: it spends coins that never came (I9).
        """
        parts = self._spend(f"gift {format_id(gift_id)}", coins)
        less = _less(
            [(lot.worth_bp, first, part) for lot, first, part in parts], coins, creator_diamonds, agency_diamonds
        )
        if not self.lots[0].coins:
            self._drop_spent()
        return less

    def hold_gift(self, gift_id: bytes, coins: int) -> None:
        """A gift that may be undone spends coins; raises as `pay`."""
        self._hold(_gift_name(gift_id), coins)

    def settle_gift(self, gift_id: bytes, coins: int, creator_diamonds: int, agency_diamonds: int) -> Less:
        """A gift that was held is paid; by how much less it is worth."""
        name = _gift_name(gift_id)
        parts = [
            (lot.worth_bp, held.first, held.coins) for lot in self.lots for held in lot.in_holds if held.hold == name
        ]
        self._end(name, coins)
        return _less(parts, coins, creator_diamonds, agency_diamonds)

    def undo_gift(self, gift_id: bytes) -> None:
        """All coins of a gift that was held come back to where they were taken from."""
        self._end(_gift_name(gift_id), 0)

    def hold(self, hold_id: bytes, coins: int) -> None:
        """Coins are put aside; raises as `pay`."""
        self._hold(format_id(hold_id), coins)

    def end_hold(self, hold_id: bytes, taken_coins: int) -> None:
        """All but the first `taken_coins` of a hold come back to where they were taken from."""
        self._end(format_id(hold_id), taken_coins)

    def _hold(self, name: str, coins: int) -> None:
        for lot, first, part in self._spend(f"hold {name}", coins):
            lot.in_holds = sorted([*lot.in_holds, InHold(name, first, part)])

    def _end(self, name: str, taken_coins: int) -> None:
        for lot in self.lots:
            for held in lot.in_holds:
                if held.hold == name:
                    lot.coins += held.coins - min(held.coins, max(0, taken_coins - held.first))
            lot.in_holds = [held for held in lot.in_holds if held.hold != name]
        self.debt_coins -= self._take(self.debt_coins)
        self._drop_spent()

    def reverse(self, purchase: bytes, taken_coins: int) -> None:
        """A refund of this purchase took coins: of its own first, from their end, then those that are spent next."""
        name, taken = format_id(purchase), taken_coins
        for lot in reversed(self.lots):
            if lot.id == name:
                coins = min(lot.coins, taken)
                lot.coins -= coins
                taken -= coins
        self.debt_coins += taken - self._take(taken)
        self._drop_spent()

    def _take(self, coins: int) -> int:
        return sum(part for _, _, part in self._spend("", min(coins, sum(lot.coins for lot in self.lots))))

    def _spend(self, name: str, coins: int) -> list[tuple[OpenLot, int, int]]:
        """Take coins from the lots that are next: of each how many, and how many there were before."""
        spent, parts = 0, []
        for lot in self.lots:
            if spent == coins:
                break
            part = min(lot.coins, coins - spent)
            if part:
                parts.append((lot, spent, part))
                lot.coins -= part
                spent += part
        if spent < coins:
            raise InvariantBroken("I9", f"{name} spent {coins - spent} coins of no lot")
        return parts

    def _drop_spent(self) -> None:
        self.lots = deque(lot for lot in self.lots if lot.coins or lot.in_holds)


def _gift_name(gift_id: bytes) -> str:
    return f"gift {format_id(gift_id)}"


def _less(parts: Iterable[tuple[int, int, int]], coins: int, creator_diamonds: int, agency_diamonds: int) -> Less:
    """By how much less a gift is worth, of which these parts (worth, first coin, coins) are."""
    cheap = creator = agency = 0
    for worth_bp, first, part in parts:
        if worth_bp < BASIS_POINTS:
            span = (coins, first, first + part)
            cheap += part
            creator += share(creator_diamonds, *span) - share(creator_diamonds, *span, worth_bp)
            agency += share(agency_diamonds, *span) - share(agency_diamonds, *span, worth_bp)
    return Less(cheap, creator, agency)


def open_lots_of(lots: Lots) -> OpenLots:
    """The same from a whole walk: what is left or in a hold, neighbours of one credit and worth put together."""
    found: list[OpenLot] = []
    for lot in lots.all:
        name, in_holds = format_id(lot.id), _in_holds(lot, lots.open_holds)
        if found and (found[-1].id, found[-1].worth_bp) == (name, lot.worth_bp):
            found[-1].coins += lot.left
            found[-1].in_holds = _joined(found[-1].in_holds + in_holds)
        elif lot.left or in_holds:
            found.append(OpenLot(name, lot.left, lot.worth_bp, in_holds))
    return OpenLots(found, lots.debt_coins)


def _in_holds(lot: Lot, open_holds: Collection[HeldBy]) -> list[InHold]:
    found = []
    for part in (*lot.parts, *lot.returned_parts):
        if isinstance(part, HeldPart):
            if HeldBy(False, part.hold) in open_holds:
                found.append(InHold(format_id(part.hold), part.first, part.coins))
        elif part.held:
            found.append(InHold(_gift_name(part.gift.id), part.first, part.coins))
    return _joined(found)


def _joined(parts: Iterable[InHold]) -> list[InHold]:
    """One for each hold: its coins of neighbouring lots lie side by side."""
    joined: dict[str, InHold] = {}
    for part in sorted(parts):
        before = joined.get(part.hold, InHold(part.hold, part.first, 0))
        joined[part.hold] = before._replace(coins=before.coins + part.coins)
    return list(joined.values())


def encode_lots(lots: OpenLots) -> str:
    """Open lots as a row keeps them."""
    return msgspec.json.encode(list(lots.lots)).decode()


def decode_lots(stored: str, debt_coins: int) -> OpenLots:
    """Open lots from a row."""
    return OpenLots(msgspec.json.decode(stored, type=list[OpenLot]), debt_coins)
