"""How little and how much a withdrawal may be, by country and currency: values and functions, without I/O.

A country's own numbers come before the file's default, and that before the deployment's settings.
"""

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Struct

from ledger.config import LedgerConfig


class PayoutLimits(NamedTuple):
    """What holds in one currency, in its minor units; None for what is not said.

    Attributes:
        min_minor: the least that one withdrawal may pay.
        day_max_minor: the most that one payee may withdraw in a day (UTC).
    """

    min_minor: int | None = None
    day_max_minor: int | None = None

    def over(self, others: "PayoutLimits") -> "PayoutLimits":
        """These, and the others where these say nothing."""
        return PayoutLimits(
            others.min_minor if self.min_minor is None else self.min_minor,
            others.day_max_minor if self.day_max_minor is None else self.day_max_minor,
        )


class PayoutRules(Struct, frozen=True):
    """Limits by currency: those for everybody, and those of countries (ISO 3166-1 alpha-2)."""

    default: Mapping[str, PayoutLimits] = {}
    countries: Mapping[str, Mapping[str, PayoutLimits]] = {}

    def of(self, country: str | None, config: LedgerConfig) -> tuple[int, int]:
        """The least of a withdrawal in `payout_currency`, at least 1, and the most of a day, for a payee of a country.

        Args:
            country: None where it is not known.
        """
        currency = config.payout_currency
        own = self.countries.get(country or "", {}).get(currency, PayoutLimits())
        limits = own.over(self.default.get(currency, PayoutLimits()))
        least = config.payout_min_minor if limits.min_minor is None else limits.min_minor
        most = config.payout_day_max_minor if limits.day_max_minor is None else limits.day_max_minor
        return max(1, least), most
