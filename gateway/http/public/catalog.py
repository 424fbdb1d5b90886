"""What can be given and bought, and for how much."""

import time
from typing import TypeVar

import msgspec
from msgspec import Struct
from starlette.datastructures import Headers

from catalog.load import Catalog as Loaded
from catalog.packages import Platform as CatalogPlatform
from catalog.pricing import Buyer, Offer, offers
from gateway.http.operation import EVERYBODY, declare, identify
from gateway.services import Services
from gateway.wire.http.public import Catalog, CatalogGift, CatalogTier, CustomAmounts, PackageOffer, Packages
from gateway.wire.http.words import Country, Platform

StructT = TypeVar("StructT", bound=Struct)


class Market(Struct, frozen=True):
    """Where somebody wants to buy.

    Attributes:
        country: of the buyer; without it prices stand in the default currency.
        platform: where coins are bought.
    """

    country: Country | None = None
    platform: Platform = "web"


async def read_catalog(services: Services) -> Catalog:
    """Tell every gift, its price and the packages of coins."""
    return catalog_answer(services.catalog)


async def read_packages(services: Services, query: Market, headers: Headers) -> Packages:
    """Tell what coins cost in a country and on a platform. The country of a token, if there is one, counts first."""
    catalog = services.catalog
    country = query.country
    authorization = headers.get("authorization")
    if authorization is not None:
        country = (await identify(services, authorization, EVERYBODY)).country or country
    web = query.platform == "web"
    return Packages(
        country,
        query.platform,
        [_package(offer) for offer in offers(catalog, buyer_of(country, query.platform))],
        CustomAmounts(catalog.web.custom_coins_min, catalog.web.custom_coins_max) if web else None,
    )


def buyer_of(country: str | None, platform: str, *, first_purchase: bool = False) -> Buyer:
    """Somebody who wants to buy now."""
    return Buyer(country or "", CatalogPlatform(platform), int(time.time() * 1000), first_purchase)


def catalog_answer(catalog: Loaded) -> Catalog:
    """The whole catalogue as the contract shows it."""
    return Catalog(
        catalog.version,
        [_as(CatalogTier, tier) for tier in catalog.tiers],
        [_as(CatalogGift, gift) for gift in catalog.gifts],
        [_package(offer) for offer in offers(catalog, buyer_of(None, "web"))],
        list(catalog.levels),
    )


def _package(offer: Offer) -> PackageOffer:
    return _as(PackageOffer, offer)


def _as(kind: type[StructT], value: object) -> StructT:
    """The fields of the same names: the contract's Structs are of their own, so that it never changes by accident."""
    return msgspec.convert(value, kind, from_attributes=True)


OPERATIONS = (
    declare("GET", "/v1/catalog", read_catalog, tag="catalogue", counted=False),
    declare("GET", "/v1/packages", read_packages, tag="catalogue"),
)
