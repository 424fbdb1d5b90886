"""The catalogue's files as they stand on disk, one Struct a file; TOML's names for lists are in the singular."""

from msgspec import Struct

from catalog.countries import CountriesFile
from catalog.currencies import Currency, CurrencyCode
from catalog.gifts import Gift, Tier
from catalog.levels import Levels
from catalog.packages import Package, Promotion, Web

GIFTS_MAX = 1_000
PACKAGES_MAX = 100
PROMOTIONS_MAX = 1_000
COUNTRIES_MAX = 300


class GiftsFile(Struct, frozen=True):
    """gifts.toml."""

    tier: tuple[Tier, ...]
    gift: tuple[Gift, ...]


class PackagesFile(Struct, frozen=True):
    """packages.toml."""

    web: Web
    package: tuple[Package, ...]


class CurrenciesFile(Struct, frozen=True):
    """currencies.toml.

    Attributes:
        default: for buyers of countries that no currency names.
    """

    default: CurrencyCode
    currency: tuple[Currency, ...]


class PromotionsFile(Struct, frozen=True):
    """promotions.toml."""

    promotion: tuple[Promotion, ...] = ()


class Content(Struct, frozen=True):
    """All files together."""

    gifts: GiftsFile
    packages: PackagesFile
    currencies: CurrenciesFile
    promotions: PromotionsFile
    levels: Levels
    countries: CountriesFile
