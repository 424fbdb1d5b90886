"""Amounts as Stripe's API writes them, and as we do: it does not follow ISO 4217 everywhere.

Source: docs.stripe.com/currencies, "Zero-decimal currencies", "Three-decimal currencies" and "Special cases".
"""

from typing import Final

_TIMES: Final = {"ISK": 100}
"""Without decimals in ISO 4217, with two that are always zero at Stripe."""
_DIVIDED_BY: Final = {"MGA": 100}
"""With two decimals in ISO 4217, without any at Stripe."""
_STEPS: Final = dict.fromkeys(("BHD", "JOD", "KWD", "OMR", "TND"), 10)
"""Three decimals, of which the last has to be zero."""
_REFUSED: Final = frozenset({"UGX", "IQD", "LYD"})
"""UGX: without decimals in one list of Stripe's and with two in another, so a price could be off by a hundred. The
others: three decimals in ISO 4217 that Stripe says nothing about."""


def to_stripe(amount_minor: int, currency: str) -> int | None:
    """An amount for Stripe, which takes whole numbers; None when it has no such amount.

    Args:
        amount_minor: minor units of ISO 4217.
        currency: ISO 4217 code.
    """
    divisor = _DIVIDED_BY.get(currency, 1)
    if currency in _REFUSED or amount_minor % divisor or amount_minor % _STEPS.get(currency, 1):
        return None
    return amount_minor * _TIMES.get(currency, 1) // divisor


def from_stripe(amount: int, currency: str) -> int | None:
    """What Stripe says in minor units of ISO 4217; None when that is no whole number or not known.

    Args:
        currency: ISO 4217 code in capitals.
    """
    factor = _TIMES.get(currency, 1)
    if currency in _REFUSED or amount % factor:
        return None
    return amount * _DIVIDED_BY.get(currency, 1) // factor
