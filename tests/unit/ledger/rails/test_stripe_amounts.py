"""Amounts for Stripe, against the tables of its documentation."""

import pytest

from catalog.currencies import EXPONENTS
from ledger.rails.stripe_amounts import from_stripe, to_stripe

TABLE = """
    USD    129    129
    EUR      1      1
    HUF   1045   1045
    JPY    500    500
    KRW   1200   1200
    XOF    655    655
    ISK      5    500
    MGA    500      5
    MGA    550      -
    KWD   5120   5120
    KWD   5124      -
    BHD     10     10
    TND      1      -
    UGX   1000      -
    IQD   1000      -
    LYD   1000      -
"""
ZERO_DECIMAL = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF"
"""Of which the documentation says that the amount is the charge; UGX apart."""


@pytest.mark.parametrize("line", TABLE.strip().splitlines(), ids=str.strip)
def test_amount(line: str) -> None:
    """Minor units of ISO 4217 go to Stripe's and come back; what Stripe has no amount for is none."""
    currency, ours, theirs = line.split()
    if theirs == "-":
        assert to_stripe(int(ours), currency) is None
    else:
        assert to_stripe(int(ours), currency) == int(theirs)
        assert from_stripe(int(theirs), currency) == int(ours)


@pytest.mark.parametrize(("amount", "currency"), [(550, "ISK"), (1, "ISK"), (1_000, "UGX")])
def test_amount_that_we_do_not_have(amount: int, currency: str) -> None:
    """A part of a króna is no amount of ours."""
    assert from_stripe(amount, currency) is None


@pytest.mark.parametrize("currency", sorted(EXPONENTS))
def test_amount_in_every_currency(currency: str) -> None:
    """A thousand whole units are the same money at Stripe, which counts decimals in its own way."""
    whole = 1_000 * 10 ** EXPONENTS[currency]
    found = to_stripe(whole, currency)
    if currency in ("UGX", "IQD", "LYD"):
        assert found is None
        return
    decimals = 0 if currency in ZERO_DECIMAL.split() else 2 if currency == "ISK" else EXPONENTS[currency]
    assert found is not None and found == 1_000 * 10**decimals
    assert from_stripe(found, currency) == whole
