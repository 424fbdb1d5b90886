"""The one place of the ledger that divides: a gift into its parts, diamonds into money, and money back into coins.

All round in favour of nobody's claim that is not whole: creator, agency and commission get whole diamonds, and what
is left of a gift then is the residue, which the platform has on an account of its own; a payout is of whole minor
units, and what is left of it stays the creator's. So parts always add up to what was divided.
"""

from typing import Final

from ledger.model import DIAMONDS_PER_COIN

BASIS_POINTS: Final = 10_000


def split(coins: int, commission_bp: int) -> tuple[int, int]:
    """The two parts of a gift, in diamonds: the creator's, rounded down, and everything else.

    Their sum is `coins` * DIAMONDS_PER_COIN. Everything else is the commission and the `residue`.

    Args:
        coins: 0 to AMOUNT_MAX.
        commission_bp: 0 to 10,000.
    """
    diamonds = coins * DIAMONDS_PER_COIN
    creator_diamonds = diamonds * (BASIS_POINTS - commission_bp) // BASIS_POINTS
    return creator_diamonds, diamonds - creator_diamonds


def residue(coins: int, commission_bp: int) -> int:
    """The whole diamonds of a gift that are left when the creator's part and the commission are rounded down: 0 or 1.

    Two parts that are not whole sum to a whole, so they lack one diamond together. A commission of whole percents never
    leaves any, since a coin is worth as many diamonds as that has parts.

    Args:
        coins, commission_bp: as of `split`.
    """
    return 1 if coins * DIAMONDS_PER_COIN * commission_bp % BASIS_POINTS else 0


def residue_share(diamonds: int, residue_diamonds: int, coins: int, first: int, last: int) -> int:
    """What of a gift's residue is in the coins from `first` up to `last` (not included).

    Worked out from the gift's beginning like `share`, and within what these coins leave beside it: the residue is what
    the last of them leave. So the shares of parts that cover a gift sum to its residue.

    Args:
        diamonds: the creator's of the whole gift.
        residue_diamonds: of the whole gift.
        coins, first, last: as of `share`.
    """
    own = coins * DIAMONDS_PER_COIN - diamonds - residue_diamonds
    until_first, until_last = (max(0, n * DIAMONDS_PER_COIN - diamonds * n // coins - own) for n in (first, last))
    return until_last - until_first


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

    The agency's is `agency_bp` of the whole value, rounded down, and never more than the commission: the residue is the
    platform's also where the agency has all the rest.
    """
    creator_diamonds, others_diamonds = split(coins, commission_bp)
    agency_diamonds = coins * DIAMONDS_PER_COIN * agency_bp // BASIS_POINTS
    return creator_diamonds, others_diamonds, min(agency_diamonds, others_diamonds - residue(coins, commission_bp))


def to_minor(diamonds: int, diamonds_per_minor: int) -> tuple[int, int]:
    """Whole minor units of money that diamonds pay for, and the diamonds that those cost. The rest is not touched.

    Args:
        diamonds_per_minor: at least 1.
    """
    amount_minor = diamonds // diamonds_per_minor
    return amount_minor, amount_minor * diamonds_per_minor
