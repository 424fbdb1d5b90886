"""Decimals of currencies, and prices as text."""

import pytest

from catalog.currencies import EXPONENTS, format_price
from catalog.load import load_catalog


@pytest.mark.parametrize(
    ("code", "exponent"),
    [("JPY", 0), ("KRW", 0), ("VND", 0), ("USD", 2), ("IDR", 2), ("INR", 2), ("KWD", 3), ("TND", 3)],
)
def test_exponent(code: str, exponent: int) -> None:
    """Decimals are those of ISO 4217."""
    assert EXPONENTS[code] == exponent


@pytest.mark.parametrize(
    ("price_minor", "code", "text"),
    [(1299, "USD", "12.99 USD"), (5, "USD", "0.05 USD"), (2000, "JPY", "2000 JPY"), (1050, "KWD", "1.050 KWD")],
)
def test_format_price(price_minor: int, code: str, text: str) -> None:
    """A price is written with the decimals of its currency."""
    assert format_price(price_minor, code) == text


@pytest.mark.parametrize(
    ("country", "code"),
    [
        ("US", "USD"),
        ("DE", "EUR"),
        ("GB", "GBP"),
        ("BR", "BRL"),
        ("JP", "JPY"),
        ("ID", "IDR"),
        ("IN", "INR"),
        ("ZZ", "USD"),
    ],
)
def test_currency_of_country(country: str, code: str) -> None:
    """Buyers pay in the currency of their country, and in dollars where the catalogue names none."""
    assert load_catalog().currency_of(country).code == code
