"""The one place of the ledger that divides: a gift into its parts, diamonds into money, and money back into coins.

All round in favour of nobody's claim that is not whole: a creator gets whole diamonds and the platform the residue; a
payout is of whole minor units and the residue stays the creator's. So parts always add up to what was divided.
"""

from typing import Final

from ledger.model import DIAMONDS_PER_COIN

BASIS_POINTS: Final = 10_000


def split(coins: int, commission_bp: int) -> tuple[int, int]:
    """The two parts of a gift, in diamonds: the creator's, rounded down, and the platform's commission.

    Their sum is `coins` * DIAMONDS_PER_COIN. A commission of whole percents never leaves a residue; any other leaves
    less than one diamond a gift, and the platform has it.

    Args:
        coins: 0 to AMOUNT_MAX.
        commission_bp: 0 to 10,000.
    """
    diamonds = coins * DIAMONDS_PER_COIN
    creator_diamonds = diamonds * (BASIS_POINTS - commission_bp) // BASIS_POINTS
    return creator_diamonds, diamonds - creator_diamonds


def share(diamonds: int, coins: int, first: int, last: int, worth_bp: int = BASIS_POINTS) -> int:
    """Diamonds of the coins from `first` up to `last` (not included) of a gift of `coins` that is worth `diamonds`.

    Worked out from the gift's beginning, so the shares of parts that cover a gift sum to what it is worth; and what is
    cut in two sums to what it was, also where its coins are worth less.

    Args:
        coins: at least 1.
        first, last: 0 <= first <= last <= coins.
        worth_bp: what one of these coins is worth, in basis points of a paid one: 0 to 10,000.
    """
    until_last = diamonds * last // coins * worth_bp // BASIS_POINTS
    return until_last - diamonds * first // coins * worth_bp // BASIS_POINTS


def coins_of_money(amount_minor: int, price_minor: int, coins: int) -> int:
    """Coins that this much of a purchase's price stands for, rounded down; all of them for the whole price.

    For money that comes back in parts, take the difference between two sums: so the parts add up.

    Args:
        amount_minor: 0 to `price_minor`.
        price_minor: at least 1.
    """
    return coins * amount_minor // price_minor


def divide(coins: int, commission_bp: int, agency_bp: int) -> tuple[int, int, int]:
    """The parts of a gift, in diamonds: the creator's, everything else, and what of everything else is an agency's.

    The agency's is `agency_bp` of the whole value, rounded down, and never more than the commission.
    """
    creator_diamonds, commission_diamonds = split(coins, commission_bp)
    agency_diamonds = coins * DIAMONDS_PER_COIN * agency_bp // BASIS_POINTS
    return creator_diamonds, commission_diamonds, min(agency_diamonds, commission_diamonds)


def to_minor(diamonds: int, diamonds_per_minor: int) -> tuple[int, int]:
    """Whole minor units of money that diamonds pay for, and the diamonds that those cost. The rest is not touched.

    Args:
        diamonds_per_minor: at least 1.
    """
    amount_minor = diamonds // diamonds_per_minor
    return amount_minor, amount_minor * diamonds_per_minor
