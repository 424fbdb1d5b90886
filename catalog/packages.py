"""What can be bought: packages of coins, amounts of one's own choice on the web, and promotions. Values only."""

import enum
from datetime import UTC, datetime, timedelta
from typing import Annotated

from msgspec import Meta, Struct

from catalog.currencies import CountryCode, CurrencyCode

COINS_MAX = 10_000_000
PRICE_MINOR_MAX = 10**12
BASIS = 10_000
"""Basis points in a whole."""

PackageId = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
PackageCoins = Annotated[int, Meta(ge=1, le=COINS_MAX)]
PriceMinor = Annotated[int, Meta(ge=1, le=PRICE_MINOR_MAX)]
DiscountBp = Annotated[int, Meta(ge=0, le=9_000)]

CUSTOM: PackageId = "custom"
"""Stands as the package's id in offers for an amount of the buyer's own choice."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Platform(enum.StrEnum):
    """Where coins are bought. The stores of iOS and Android keep a part of the price, the web does not."""

    WEB = "web"
    IOS = "ios"
    ANDROID = "android"


class Package(Struct, frozen=True):
    """A number of coins with its price.

    Attributes:
        in_app_price_minor: price in the stores of iOS and Android, by currency, in minor units.
    """

    id: PackageId
    coins: PackageCoins
    in_app_price_minor: dict[CurrencyCode, PriceMinor]


class Web(Struct, frozen=True):
    """What is different on the web.

    Attributes:
        discount_bp: how much less than in the stores, in basis points.
        custom_coins_min, custom_coins_max: bounds of an amount of the buyer's own choice.
    """

    discount_bp: DiscountBp
    custom_coins_min: PackageCoins
    custom_coins_max: PackageCoins


class Promotion(Struct, frozen=True):
    """Coins for less, or more coins. Of several that fit, one is taken: they never add up.

    Attributes:
        discount_bp: taken off the price, in basis points.
        bonus_bp: coins on top, in basis points of the package's coins, rounded down.
        bonus_coins: coins on top, a fixed number.
        bonus_worth_bp: what a coin on top is worth to the creator that it is given to, in basis points of a paid coin;
            as the server is configured when absent.
        first_purchase: only for who has never bought.
        starts, ends: valid from and until (the latter not included); always when absent.
        countries, platforms, packages: where it holds; everywhere when empty. Custom amounts count as package `custom`.
    """

    id: PackageId
    discount_bp: DiscountBp = 0
    bonus_bp: Annotated[int, Meta(ge=0, le=50_000)] = 0
    bonus_coins: Annotated[int, Meta(ge=0, le=COINS_MAX)] = 0
    bonus_worth_bp: Annotated[int, Meta(ge=0, le=BASIS)] | None = None
    first_purchase: bool = False
    starts: Annotated[datetime, Meta(tz=True)] | None = None
    ends: Annotated[datetime, Meta(tz=True)] | None = None
    countries: tuple[CountryCode, ...] = ()
    platforms: tuple[Platform, ...] = ()
    packages: tuple[PackageId, ...] = ()

    def holds(self, package: str, country: str, platform: Platform, now_ms: int, *, first_purchase: bool) -> bool:
        """Whether a buyer may have it now."""
        return (
            (first_purchase or not self.first_purchase)
            and (self.starts is None or now_ms >= to_ms(self.starts))
            and (self.ends is None or now_ms < to_ms(self.ends))
            and (not self.countries or country in self.countries)
            and (not self.platforms or platform in self.platforms)
            and (not self.packages or package in self.packages)
        )


def to_ms(moment: datetime) -> int:
    """Milliseconds since the Unix epoch, rounded down."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)
