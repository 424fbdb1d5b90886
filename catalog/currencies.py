"""Currencies: how many decimals each has (a fact of ISO 4217), where it is used and in which steps prices stand.

Prices are integers in minor units: cents for USD (exponent 2), whole yen for JPY (0), thousandths for KWD (3). IDR has
exponent 2 like USD, though nobody has seen a sen for decades: its price step of 100 minor units keeps prices whole.
"""

from typing import Annotated, Final

from msgspec import Meta, Struct

_EXPONENT_0: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_EXPONENT_2: Final = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC "
    "CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR "
    "JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD "
    "NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN "
    "SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD YER ZAR ZMW"
)
_EXPONENT_3: Final = "BHD IQD JOD KWD LYD OMR TND"

EXPONENTS: Final[dict[str, int]] = {
    code: exponent
    for exponent, codes in ((0, _EXPONENT_0), (2, _EXPONENT_2), (3, _EXPONENT_3))
    for code in codes.split()
}
"""Decimals of the currencies in use, by ISO 4217 code."""

CurrencyCode = Annotated[str, Meta(pattern=r"^[A-Z]{3}$")]
CountryCode = Annotated[str, Meta(pattern=r"^[A-Z]{2}$")]


class Currency(Struct, frozen=True):
    """A currency in which packages are sold.

    Attributes:
        code: ISO 4217.
        step_minor: prices that we compute are multiples of this many minor units.
        countries: ISO 3166-1 codes of the countries that are shown it.
    """

    code: CurrencyCode
    step_minor: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    countries: tuple[CountryCode, ...] = ()

    @property
    def exponent(self) -> int:
        """Decimals of the currency."""
        return EXPONENTS[self.code]


def format_price(price_minor: int, code: str) -> str:
    """A price as text for logs and terminals, such as `12.99 USD` or `1800 JPY`."""
    exponent = EXPONENTS[code]
    if exponent == 0:
        return f"{price_minor} {code}"
    whole, rest = divmod(price_minor, 10**exponent)
    return f"{whole}.{rest:0{exponent}d} {code}"
