"""What a process bought, in columns: the row is the purchase's number."""

import enum
from array import array


class Bought(enum.IntEnum):
    """How far a purchase came."""

    INTENDED = 0
    BEGUN = 1
    PAID = 2
    CREDITED = 3
    GIVEN_UP = 4


class PurchaseBook:
    """Purchases with their times (`time.monotonic_ns`, 0 before it happened) and coins, bonus included."""

    def __init__(self) -> None:
        self.buyer = array("i")
        self.intended_ns = array("q")
        self.begun_ns = array("q")
        self.paid_ns = array("q")
        self.credited_ns = array("q")
        self.coins = array("q")
        self.state = array("b")
        self.open = 0
        """Neither credited nor given up."""
        self.contradictions: list[str] = []
        """Answers about one purchase that cannot both be true."""

    def __len__(self) -> int:
        return len(self.buyer)

    def intend(self, intended_ns: int, buyer: int) -> int:
        """A row for a purchase that is about to be begun; returns its number."""
        self.buyer.append(buyer)
        self.intended_ns.append(intended_ns)
        for column in (self.begun_ns, self.paid_ns, self.credited_ns, self.coins):
            column.append(0)
        self.state.append(Bought.INTENDED)
        self.open += 1
        return len(self.buyer) - 1

    def begun(self, number: int, now_ns: int, coins: int) -> None:
        """The server quoted it."""
        self.begun_ns[number], self.coins[number], self.state[number] = now_ns, coins, Bought.BEGUN

    def paid(self, number: int, now_ns: int) -> None:
        """The provider's word was taken."""
        self.paid_ns[number], self.state[number] = now_ns, Bought.PAID

    def credited(self, number: int, now_ns: int, coins: int) -> None:
        """The coins are there."""
        if coins != self.coins[number]:
            self.contradictions.append(f"purchase {number} was of {self.coins[number]} coins, {coins} were credited")
        self.credited_ns[number], self.state[number] = now_ns, Bought.CREDITED
        self.open -= 1

    def given_up(self, number: int) -> None:
        """It did not come to an end."""
        self.state[number] = Bought.GIVEN_UP
        self.open -= 1

    def coins_by_buyer(self) -> dict[int, int]:
        """What each buyer must have, by arithmetic; buyers whose purchase has an unknown end are left out."""
        sums: dict[int, int] = {}
        unknown = set()
        for buyer, coins, state in zip(self.buyer, self.coins, self.state, strict=True):
            sums[buyer] = sums.get(buyer, 0) + (coins if state == Bought.CREDITED else 0)
            if state != Bought.CREDITED:
                unknown.add(buyer)
        return {buyer: coins for buyer, coins in sums.items() if buyer not in unknown}
