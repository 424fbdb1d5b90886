"""What of a gift is the creator's, told openly: price, commission, share, and what that comes to in money."""

from typing import Final

from gateway.wire.http.admin import Creator
from gateway.wire.http.creator import Share, ShareExample
from ledger.commission import BASIS_POINTS, split, to_minor
from ledger.config import LedgerConfig
from ledger.guards.directory import Creator as Stored
from ledger.model import DIAMONDS_PER_COIN

EXAMPLE_COINS: Final = 100


def share_of(commission_bp: int, config: LedgerConfig) -> Share:
    """Both parts of a gift, and the rate of payouts."""
    share_bp = BASIS_POINTS - commission_bp
    return Share(
        commission_bp,
        share_bp,
        share_bp / 100,
        DIAMONDS_PER_COIN,
        config.payout_currency,
        config.diamonds_per_minor,
    )


def example_of(commission_bp: int, config: LedgerConfig) -> ShareExample:
    """One gift, divided by the rule that divides all of them."""
    share_diamonds, commission_diamonds = split(EXAMPLE_COINS, commission_bp)
    return ShareExample(
        EXAMPLE_COINS,
        EXAMPLE_COINS * DIAMONDS_PER_COIN,
        commission_diamonds,
        share_diamonds,
        to_minor(share_diamonds, config.diamonds_per_minor)[0],
    )


def commission_of(creator: Stored | None, config: LedgerConfig) -> int:
    """What counts for a creator's gifts for which neither its plan nor an event says another."""
    return config.commission_bp if creator is None else creator.terms.standing_bp


def creator_answer(creator: Stored, config: LedgerConfig) -> Creator:
    """A creator as the contract shows it."""
    commission_bp = commission_of(creator, config)
    return Creator(
        creator.id,
        creator.name,
        creator.country,
        creator.terms.plan,
        commission_bp,
        (BASIS_POINTS - commission_bp) / 100,
        creator.terms.version,
        creator.terms.agency or None,
    )
