"""From a folder of TOML files to one frozen catalogue, or to the list of everything that is wrong with them."""

import hashlib
import tomllib
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from catalog.checks import check
from catalog.countries import CountriesFile
from catalog.currencies import Currency
from catalog.faults import CatalogInvalid, Fault
from catalog.files import Content, CurrenciesFile, GiftsFile, PackagesFile, PromotionsFile
from catalog.gifts import Gift, Tier
from catalog.levels import Levels, level_of
from catalog.packages import Package, Promotion, Web
from catalog.reading import Reader

FILE_BYTES_MAX: Final = 1024 * 1024

StructT = TypeVar("StructT", bound=msgspec.Struct)


class Catalog:
    """Everything that can be given and bought, and by whom. Never changes; a changed file makes a new catalogue.

    Attributes:
        version: the same for the same content, another for any other.
        gifts, tiers: in the order of their prices.
        packages: in the order of their coins.
    """

    def __init__(self, content: Content) -> None:
        self._content = content
        self._gifts = {gift.id: gift for gift in sorted(content.gifts.gift, key=lambda gift: gift.price_coins)}
        self._packages = {pack.id: pack for pack in sorted(content.packages.package, key=lambda pack: pack.coins)}
        self._currencies = {currency.code: currency for currency in content.currencies.currency}
        self._countries = {
            country: currency for currency in content.currencies.currency for country in currency.countries
        }
        self.gifts: tuple[Gift, ...] = tuple(self._gifts.values())
        self.tiers: tuple[Tier, ...] = content.gifts.tier
        self.packages: tuple[Package, ...] = tuple(self._packages.values())

    @cached_property
    def version(self) -> str:
        """A digest of the content, 16 hexadecimal digits."""
        return hashlib.sha256(msgspec.json.encode(self._content, order="sorted")).hexdigest()[:16]

    @property
    def promotions(self) -> tuple[Promotion, ...]:
        """In the order of the file."""
        return self._content.promotions.promotion

    @property
    def web(self) -> Web:
        """What is different on the web."""
        return self._content.packages.web

    @property
    def currencies(self) -> tuple[Currency, ...]:
        """All in which packages are sold."""
        return self._content.currencies.currency

    def gift(self, gift_id: str) -> Gift | None:
        """A gift by its id; None when there is no such gift."""
        return self._gifts.get(gift_id)

    def package(self, package_id: str) -> Package | None:
        """A package by its id; None when there is no such package."""
        return self._packages.get(package_id)

    def currency_of(self, country: str) -> Currency:
        """What buyers of a country pay in; the default currency for a country that the catalogue does not name."""
        return self._countries.get(country) or self._currencies[self._content.currencies.default]

    def level_of(self, lifetime_coins: int) -> int:
        """The level that so many coins, spent over a lifetime, have reached; 0 before the first."""
        return level_of(self._content.levels.coins_from, lifetime_coins)

    @property
    def countries(self) -> CountriesFile:
        """What age allows, by country."""
        return self._content.countries

    @property
    def levels(self) -> tuple[int, ...]:
        """Lifetime coins from which level 1, 2, 3, … holds."""
        return self._content.levels.coins_from


def load_catalog(folder: Path | None = None) -> Catalog:
    """Read and check a catalogue.

    Args:
        folder: holds any of gifts.toml, packages.toml, currencies.toml, promotions.toml, levels.toml and
            countries.toml; a file that is absent is the packaged one. The packaged catalogue when None.

    Raises:
        CatalogInvalid: with every fault of every file.
    """
    faults: list[Fault] = []
    sources = _sources(folder, faults)
    gifts = _read(GiftsFile, "gifts.toml", sources, faults)
    packages = _read(PackagesFile, "packages.toml", sources, faults)
    currencies = _read(CurrenciesFile, "currencies.toml", sources, faults)
    promotions = _read(PromotionsFile, "promotions.toml", sources, faults)
    levels = _read(Levels, "levels.toml", sources, faults)
    countries = _read(CountriesFile, "countries.toml", sources, faults)
    faults += check(gifts, packages, currencies, promotions, levels, countries)
    if faults or not (gifts and packages and currencies and promotions and levels and countries):
        raise CatalogInvalid(faults)
    return Catalog(Content(gifts, packages, currencies, promotions, levels, countries))


def _sources(folder: Path | None, faults: list[Fault]) -> dict[str, Traversable]:
    packaged = {file.name: file for file in resources.files("catalog").joinpath("data").iterdir()}
    if folder is None:
        return packaged
    if not folder.is_dir():
        faults.append(Fault(str(folder), "", "is not a folder"))
        return packaged
    own = {file.name: file for file in sorted(folder.glob("*.toml"))}
    faults += [
        Fault(name, "", f"unknown file; known are {', '.join(sorted(packaged))}")
        for name in own.keys() - packaged.keys()
    ]
    return {**packaged, **own}


def _read(struct: type[StructT], name: str, sources: dict[str, Traversable], faults: list[Fault]) -> StructT | None:
    try:
        with sources[name].open("rb") as file:
            text = file.read(FILE_BYTES_MAX + 1)
        if len(text) > FILE_BYTES_MAX:
            raise ValueError(f"is larger than {FILE_BYTES_MAX} bytes")
        raw = tomllib.loads(text.decode())
    except (OSError, ValueError) as exc:
        faults.append(Fault(name, "", str(exc)))
        return None
    reader = Reader(name)
    value = reader.read(struct, raw)
    faults += reader.faults
    return value
