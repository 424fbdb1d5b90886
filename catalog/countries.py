"""From what age people may give, buy and withdraw, by country; which minors need a guardian, and what they may spend;
how little and how much is paid out.

Ages are full years. What a country does not say is as the default has it.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from catalog.currencies import CountryCode, CurrencyCode

AGE_MAX = 120
SPEND_COINS_MAX = 2**53 - 1
MINOR_MAX = 2**53 - 1

Age = Annotated[int, Meta(ge=0, le=AGE_MAX)]
SpendCoins = Annotated[int, Meta(ge=1, le=SPEND_COINS_MAX)]
Minor = Annotated[int, Meta(ge=1, le=MINOR_MAX)]
CapName = Literal["gift", "day", "week", "month"]


class Minors(Struct, frozen=True):
    """How many coins minors may spend; days, ISO weeks and months are those of UTC.

    Attributes:
        under_age: who is younger is a minor here.
        gift_coins_max, day_coins_max, week_coins_max, month_coins_max: None for no cap.
    """

    under_age: Age | None = None
    gift_coins_max: SpendCoins | None = None
    day_coins_max: SpendCoins | None = None
    week_coins_max: SpendCoins | None = None
    month_coins_max: SpendCoins | None = None

    @property
    def caps(self) -> tuple[int | None, int | None, int | None, int | None]:
        """Of gift, day, week and month."""
        return self.gift_coins_max, self.day_coins_max, self.week_coins_max, self.month_coins_max


class AgeRules(Struct, frozen=True):
    """What holds for viewers and creators of a country.

    Attributes:
        give_age_min, buy_age_min, withdraw_age_min: the youngest who may give, buy coins and withdraw earnings.
        guardian_ages: the youngest and the oldest who need a guardian's consent to give and to buy; empty for nobody.
        own_caps_needed: caps that viewers must have set themselves before they give.
    """

    give_age_min: Age = 0
    buy_age_min: Age = 0
    withdraw_age_min: Age = 0
    guardian_ages: tuple[Age, ...] = ()
    minors: Minors = Minors()
    own_caps_needed: tuple[CapName, ...] = ()


class PayoutLimits(Struct, frozen=True):
    """How little and how much is paid out in a currency, in its minor units.

    Attributes:
        currency: they hold where the deployment pays out in this one.
        min_minor: the least of one withdrawal; None for what the default or the configuration says.
        day_max_minor: the most that one payee withdraws in a day (UTC); None likewise.
    """

    currency: CurrencyCode
    min_minor: Minor | None = None
    day_max_minor: Minor | None = None


class DefaultRules(Struct, frozen=True):
    """For countries that the file does not name, and for people whose country is not known; see `AgeRules`.

    Attributes:
        payouts: at most one for each currency.
    """

    give_age_min: Age = 0
    buy_age_min: Age = 0
    withdraw_age_min: Age = 0
    guardian_ages: tuple[Age, ...] = ()
    minors: Minors = Minors()
    payouts: tuple[PayoutLimits, ...] = ()


class Country(Struct, frozen=True):
    """One country; what it does not say is as the default has it. See `AgeRules`.

    Attributes:
        code: ISO 3166-1 alpha-2.
        payouts: at most one for each currency; what one does not say is as the default's of that currency has it.
    """

    code: CountryCode
    give_age_min: Age | None = None
    buy_age_min: Age | None = None
    withdraw_age_min: Age | None = None
    guardian_ages: tuple[Age, ...] | None = None
    minors: Minors = Minors()
    own_caps_needed: tuple[CapName, ...] = ()
    payouts: tuple[PayoutLimits, ...] = ()


class CountriesFile(Struct, frozen=True):
    """countries.toml."""

    default: DefaultRules
    country: tuple[Country, ...] = ()

    def default_rules(self) -> AgeRules:
        """What holds where no country is named."""
        default = self.default
        return AgeRules(
            default.give_age_min,
            default.buy_age_min,
            default.withdraw_age_min,
            default.guardian_ages,
            default.minors,
        )

    def rules_of(self, country: Country) -> AgeRules:
        """What holds in a country of the file."""
        default = self.default
        return AgeRules(
            _or(country.give_age_min, default.give_age_min),
            _or(country.buy_age_min, default.buy_age_min),
            _or(country.withdraw_age_min, default.withdraw_age_min),
            default.guardian_ages if country.guardian_ages is None else country.guardian_ages,
            _minors(country.minors, default.minors),
            country.own_caps_needed,
        )


def _minors(own: Minors, default: Minors) -> Minors:
    under_age = default.under_age if own.under_age is None else own.under_age
    caps = (theirs if cap is None else cap for cap, theirs in zip(own.caps, default.caps, strict=True))
    return Minors(under_age, *caps)


def _or(own: int | None, default: int) -> int:
    return default if own is None else own
