"""What single fields cannot tell: ids that repeat, prices outside their tier, names that lead nowhere.

Each check gets files that were readable and yields what is wrong; a file that was not readable is None and passed over.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from catalog.countries import CountriesFile, Minors, PayoutLimits
from catalog.currencies import EXPONENTS
from catalog.faults import Fault
from catalog.files import (
    COUNTRIES_MAX,
    GIFTS_MAX,
    PACKAGES_MAX,
    PROMOTIONS_MAX,
    CurrenciesFile,
    GiftsFile,
    PackagesFile,
    PromotionsFile,
)
from catalog.gifts import LEVEL_MAX
from catalog.levels import Levels
from catalog.packages import BASIS, COINS_MAX, CUSTOM, Promotion

GIFTS: Final = "gifts.toml"
PACKAGES: Final = "packages.toml"
CURRENCIES: Final = "currencies.toml"
PROMOTIONS: Final = "promotions.toml"
LEVELS: Final = "levels.toml"
COUNTRIES: Final = "countries.toml"


def check(
    gifts: GiftsFile | None,
    packages: PackagesFile | None,
    currencies: CurrenciesFile | None,
    promotions: PromotionsFile | None,
    levels: Levels | None,
    countries: CountriesFile | None,
) -> list[Fault]:
    """All faults, in the order of the files."""
    faults: list[Fault] = []
    if gifts is not None:
        faults += _gifts(gifts)
    if packages is not None:
        faults += _packages(packages)
    if currencies is not None:
        faults += _currencies(currencies)
    if packages is not None and currencies is not None:
        faults += _prices(packages, currencies)
    if promotions is not None:
        faults += _promotions(promotions)
    if promotions is not None and packages is not None:
        faults += _promoted_packages(promotions, packages)
    if levels is not None:
        faults += _levels(levels)
    if countries is not None:
        faults += _countries(countries)
    return faults


def _gifts(file: GiftsFile) -> Iterator[Fault]:
    yield from _size(GIFTS, "gift", len(file.gift), GIFTS_MAX)
    yield from _size(GIFTS, "tier", len(file.tier), 9)
    yield from _repeats(GIFTS, "gift", "id", [gift.id for gift in file.gift])
    for place, tier in enumerate(file.tier):
        if tier.tier != place + 1:
            yield Fault(GIFTS, f"tier[{place}].tier", f"must be {place + 1}: tiers are counted from 1 in order")
    for place, (lower, upper) in enumerate(pairwise(file.tier)):
        if upper.price_coins_max <= lower.price_coins_max:
            yield Fault(GIFTS, f"tier[{place + 1}].price_coins_max", f"must be above {lower.price_coins_max}")
    for place, gift in enumerate(file.gift):
        fitting = next((tier.tier for tier in file.tier if gift.price_coins <= tier.price_coins_max), None)
        if fitting is None:
            yield Fault(GIFTS, f"gift[{place}].price_coins", f"{gift.price_coins} is above the last tier")
        elif fitting != gift.tier:
            message = f"a gift of {gift.price_coins} coins is of tier {fitting}, not {gift.tier}"
            yield Fault(GIFTS, f"gift[{place}].tier", message)
        if gift.combo and gift.effect == "screen":
            yield Fault(GIFTS, f"gift[{place}].combo", "a gift that fills the screen cannot be sent in a run")


def _packages(file: PackagesFile) -> Iterator[Fault]:
    yield from _size(PACKAGES, "package", len(file.package), PACKAGES_MAX)
    yield from _repeats(PACKAGES, "package", "id", [package.id for package in file.package])
    yield from _repeats(PACKAGES, "package", "coins", [package.coins for package in file.package])
    for place, package in enumerate(file.package):
        if package.id == CUSTOM:
            yield Fault(PACKAGES, f"package[{place}].id", f"`{CUSTOM}` is kept for amounts of the buyer's own choice")
    if file.web.custom_coins_min > file.web.custom_coins_max:
        yield Fault(PACKAGES, "web.custom_coins_max", f"must not be below {file.web.custom_coins_min}")


def _currencies(file: CurrenciesFile) -> Iterator[Fault]:
    codes = [currency.code for currency in file.currency]
    yield from _repeats(CURRENCIES, "currency", "code", codes)
    if file.default not in codes:
        yield Fault(CURRENCIES, "default", f"{file.default} is not among the currencies")
    users: dict[str, str] = {}
    for place, currency in enumerate(file.currency):
        if currency.code not in EXPONENTS:
            yield Fault(CURRENCIES, f"currency[{place}].code", f"{currency.code} is no currency of ISO 4217 in use")
        for at, country in enumerate(currency.countries):
            other = users.setdefault(country, currency.code)
            if other != currency.code or country in currency.countries[:at]:
                yield Fault(CURRENCIES, f"currency[{place}].countries[{at}]", f"{country} already pays in {other}")


def _prices(packages: PackagesFile, currencies: CurrenciesFile) -> Iterator[Fault]:
    steps = {currency.code: currency.step_minor for currency in currencies.currency}
    for place, package in enumerate(packages.package):
        key = f"package[{place}].in_app_price_minor"
        for code in sorted(steps.keys() - package.in_app_price_minor.keys()):
            yield Fault(PACKAGES, key, f"has no price in {code}")
        for code, price_minor in package.in_app_price_minor.items():
            if code not in steps:
                yield Fault(PACKAGES, f"{key}.{code}", f"{code} is not in {CURRENCIES}")
            elif price_minor % steps[code]:
                yield Fault(PACKAGES, f"{key}.{code}", f"must be a multiple of {steps[code]}")
    ordered = sorted(enumerate(packages.package), key=lambda entry: entry[1].coins)
    for (_, lower), (place, upper) in pairwise(ordered):
        for code, price_minor in upper.in_app_price_minor.items():
            if price_minor <= lower.in_app_price_minor.get(code, 0):
                message = f"costs no more than `{lower.id}`, which has fewer coins"
                yield Fault(PACKAGES, f"package[{place}].in_app_price_minor.{code}", message)


def _promotions(file: PromotionsFile) -> Iterator[Fault]:
    yield from _size(PROMOTIONS, "promotion", len(file.promotion), PROMOTIONS_MAX, least=0)
    yield from _repeats(PROMOTIONS, "promotion", "id", [promotion.id for promotion in file.promotion])
    for place, promotion in enumerate(file.promotion):
        if not (promotion.discount_bp or promotion.bonus_bp or promotion.bonus_coins):
            yield Fault(PROMOTIONS, f"promotion[{place}]", "gives neither a discount nor bonus coins")
        if promotion.starts and promotion.ends and promotion.starts >= promotion.ends:
            yield Fault(PROMOTIONS, f"promotion[{place}].ends", "must be after `starts`")


def _promoted_packages(promotions: PromotionsFile, packages: PackagesFile) -> Iterator[Fault]:
    known = {package.id: package.coins for package in packages.package} | {CUSTOM: packages.web.custom_coins_max}
    for place, promotion in enumerate(promotions.promotion):
        for at, package in enumerate(promotion.packages):
            if package not in known:
                yield Fault(PROMOTIONS, f"promotion[{place}].packages[{at}]", f"there is no package `{package}`")
        coins = max((known.get(package, 0) for package in promotion.packages or known), default=0)
        if coins + _bonus(promotion, coins) > COINS_MAX:
            yield Fault(PROMOTIONS, f"promotion[{place}]", f"makes a purchase of more than {COINS_MAX} coins")


def _bonus(promotion: Promotion, coins: int) -> int:
    return coins * promotion.bonus_bp // BASIS + promotion.bonus_coins


def _levels(file: Levels) -> Iterator[Fault]:
    yield from _size(LEVELS, "coins_from", len(file.coins_from), LEVEL_MAX)
    for place, (lower, upper) in enumerate(pairwise(file.coins_from)):
        if upper <= lower:
            yield Fault(LEVELS, f"coins_from[{place + 1}]", f"must be above {lower}")


def _countries(file: CountriesFile) -> Iterator[Fault]:
    yield from _size(COUNTRIES, "country", len(file.country), COUNTRIES_MAX, least=0)
    yield from _repeats(COUNTRIES, "country", "code", [country.code for country in file.country])
    yield from _ages("default", file.default.guardian_ages, file.default.minors)
    yield from _payouts("default", file.default.payouts, file)
    for place, country in enumerate(file.country):
        minors = file.rules_of(country).minors if any(country.minors.caps) else Minors()
        yield from _ages(f"country[{place}]", country.guardian_ages or (), minors)
        yield from _payouts(f"country[{place}]", country.payouts, file)


def _ages(key: str, guardian_ages: tuple[int, ...], minors: Minors) -> Iterator[Fault]:
    if len(guardian_ages) not in (0, 2):
        yield Fault(COUNTRIES, f"{key}.guardian_ages", "must be the youngest and the oldest age, or empty")
    elif list(guardian_ages) != sorted(guardian_ages):
        yield Fault(COUNTRIES, f"{key}.guardian_ages", "the youngest age comes first")
    if any(minors.caps) and minors.under_age is None:
        yield Fault(COUNTRIES, f"{key}.minors.under_age", "is missing: caps are for whom?")


def _payouts(key: str, payouts: tuple[PayoutLimits, ...], file: CountriesFile) -> Iterator[Fault]:
    yield from _repeats(COUNTRIES, f"{key}.payouts", "currency", [limits.currency for limits in payouts])
    defaults = {limits.currency: limits for limits in file.default.payouts}
    for place, limits in enumerate(payouts):
        at = f"{key}.payouts[{place}]"
        if limits.currency not in EXPONENTS:
            yield Fault(COUNTRIES, f"{at}.currency", f"`{limits.currency}` is no currency in use")
        if limits.min_minor is None and limits.day_max_minor is None:
            yield Fault(COUNTRIES, at, "says neither `min_minor` nor `day_max_minor`")
        default = defaults.get(limits.currency, limits)
        least, most = limits.min_minor or default.min_minor, limits.day_max_minor or default.day_max_minor
        if least is not None and most is not None and least > most:
            yield Fault(COUNTRIES, at, f"the least of a withdrawal ({least}) is above the most of a day ({most})")


def _size(file: str, key: str, size: int, most: int, least: int = 1) -> Iterator[Fault]:
    if not least <= size <= most:
        yield Fault(file, key, f"has {size} entries; {least} to {most} are allowed")


def _repeats(file: str, table: str, key: str, values: Sequence[str] | Sequence[int]) -> Iterable[Fault]:
    for place, value in enumerate(values):
        first = values.index(value)
        if first < place:
            yield Fault(file, f"{table}[{place}].{key}", f"`{value}` stands already at {table}[{first}]")
