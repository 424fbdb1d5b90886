"""What a package costs a buyer: the only place where prices are computed, and where the rounding is decided.

Integers only. The rules, each in favour of the buyer but the last:

- a price after a discount is rounded **down** to the currency's step, and is never below one step;
- bonus coins are rounded down to whole coins, a saving in basis points is rounded down: neither is promised in part;
- the price of a custom amount is rounded **up** to the step, so that many small amounts never cost less than a package;
  nor is it ever dearer than the next larger package.
"""

from typing import Protocol

from msgspec import Struct

from catalog.currencies import Currency
from catalog.packages import BASIS, CUSTOM, Package, Platform, Promotion, Web


class Prices(Protocol):
    """What of a catalogue is needed to price; packages are in the order of their coins."""

    @property
    def packages(self) -> tuple[Package, ...]: ...
    @property
    def web(self) -> Web: ...
    @property
    def promotions(self) -> tuple[Promotion, ...]: ...
    def currency_of(self, country: str) -> Currency: ...


class Buyer(Struct, frozen=True):
    """What a price depends on beside the package.

    Attributes:
        country: ISO 3166-1 alpha-2; one that the catalogue does not name pays in its default currency.
        now_ms: the time, in ms since the Unix epoch.
        first_purchase: whether the buyer has never bought.
    """

    country: str
    platform: Platform
    now_ms: int
    first_purchase: bool = False


class Offer(Struct, frozen=True, omit_defaults=True):
    """A package as one buyer sees it now.

    Attributes:
        package: its id, `custom` for an amount of the buyer's own choice.
        coins: bought; `bonus_coins` come on top and are a lot of their own.
        price_minor: to be paid, in minor units of `currency`; `exponent` is how many decimals that has.
        in_app_price_minor: what the same package costs in the stores, without promotion.
        saving_bp: how much less a coin costs than in the stores, in basis points.
        promotion: id of the promotion that made it so.
        bonus_worth_bp: what it says its bonus coins are worth to creators.
    """

    package: str
    coins: int
    currency: str
    exponent: int
    price_minor: int
    in_app_price_minor: int
    bonus_coins: int = 0
    saving_bp: int = 0
    promotion: str | None = None
    bonus_worth_bp: int | None = None


def offers(prices: Prices, buyer: Buyer) -> list[Offer]:
    """Every package as the buyer sees it, in the order of their coins."""
    return [offer(prices, package, buyer) for package in prices.packages]


def offer(prices: Prices, package: Package, buyer: Buyer) -> Offer:
    """One package as the buyer sees it."""
    currency = prices.currency_of(buyer.country)
    in_app_price = package.in_app_price_minor[currency.code]
    list_price = in_app_price
    if buyer.platform is Platform.WEB:
        list_price = discounted(in_app_price, prices.web.discount_bp, currency.step_minor)
    plain = _offer(package.id, package.coins, currency, list_price, in_app_price)
    return _with_best_promotion(plain, prices, buyer, currency)


def custom_offer(prices: Prices, coins: int, buyer: Buyer) -> Offer | None:
    """An amount of the buyer's own choice; None in the stores, or outside the bounds."""
    if buyer.platform is not Platform.WEB or not prices.web.custom_coins_min <= coins <= prices.web.custom_coins_max:
        return None
    currency = prices.currency_of(buyer.country)
    code, step = currency.code, currency.step_minor
    rate = max((p for p in prices.packages if p.coins <= coins), key=lambda p: p.coins, default=prices.packages[0])
    in_app_price = round_up(rate.in_app_price_minor[code] * coins, rate.coins, step)
    web_price = discounted(rate.in_app_price_minor[code], prices.web.discount_bp, step)
    price = round_up(web_price * coins, rate.coins, step)
    larger = [p for p in prices.packages if p.coins >= coins]
    if larger:
        in_app_price = min(in_app_price, larger[0].in_app_price_minor[code])
        price = min(price, discounted(larger[0].in_app_price_minor[code], prices.web.discount_bp, step))
    return _with_best_promotion(_offer(CUSTOM, coins, currency, price, in_app_price), prices, buyer, currency)


def discounted(price_minor: int, discount_bp: int, step_minor: int) -> int:
    """A price with a discount taken off: rounded down to the step, at least one step."""
    exact = price_minor * (BASIS - discount_bp)
    return max(exact // (BASIS * step_minor) * step_minor, step_minor) if discount_bp else price_minor


def round_up(numerator: int, denominator: int, step_minor: int) -> int:
    """A fraction of minor units, rounded up to the step."""
    return -(-numerator // (denominator * step_minor)) * step_minor


def _with_best_promotion(plain: Offer, prices: Prices, buyer: Buyer, currency: Currency) -> Offer:
    """The one promotion that saves most; the first of the file among equals."""
    best = plain
    for promotion in prices.promotions:
        if not promotion.holds(
            plain.package, buyer.country, buyer.platform, buyer.now_ms, first_purchase=buyer.first_purchase
        ):
            continue
        promoted = _offer(
            plain.package,
            plain.coins,
            currency,
            discounted(plain.price_minor, promotion.discount_bp, currency.step_minor),
            plain.in_app_price_minor,
            plain.coins * promotion.bonus_bp // BASIS + promotion.bonus_coins,
            promotion.id,
            promotion.bonus_worth_bp,
        )
        if promoted.saving_bp > best.saving_bp:
            best = promoted
    return best


def _offer(
    package: str,
    coins: int,
    currency: Currency,
    price_minor: int,
    in_app_price_minor: int,
    bonus_coins: int = 0,
    promotion: str | None = None,
    bonus_worth_bp: int | None = None,
) -> Offer:
    in_stores = in_app_price_minor * (coins + bonus_coins)
    return Offer(
        package,
        coins,
        currency.code,
        currency.exponent,
        price_minor,
        in_app_price_minor,
        bonus_coins,
        max(BASIS * (in_stores - price_minor * coins) // in_stores, 0),
        promotion,
        bonus_worth_bp,
    )
