"""Prices, computed by hand for every platform, for currencies of 0, 2 and 3 decimals, and for each promotion."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.load import load_catalog
from catalog.packages import Platform, to_ms
from catalog.pricing import Buyer, Offer, custom_offer, discounted, offer, offers, round_up

Write = Callable[..., Path]
NOVEMBER_MS = to_ms(datetime(2026, 11, 15, tzinfo=UTC))
WEEK_MS = to_ms(datetime(2026, 12, 1, tzinfo=UTC))
WEEK_END_MS = to_ms(datetime(2026, 12, 8, tzinfo=UTC))

PACKAGED = load_catalog()

TABLE: list[tuple[str, str, int, bool, tuple[object, ...]]] = [
    # country, platform, now, first purchase → package `small`: price, currency, exponent, bonus, saving, promotion
    ("US", "ios", NOVEMBER_MS, False, (129, "USD", 2, 0, 0, None)),
    ("US", "android", NOVEMBER_MS, False, (129, "USD", 2, 0, 0, None)),
    ("US", "web", NOVEMBER_MS, False, (96, "USD", 2, 0, 2558, None)),  # 96.75 down; (129-96)/129
    ("JP", "web", NOVEMBER_MS, False, (150, "JPY", 0, 0, 2500, None)),
    ("ID", "web", NOVEMBER_MS, False, (1_575_000, "IDR", 2, 0, 2500, None)),
    ("KW", "web", NOVEMBER_MS, False, (300, "KWD", 3, 0, 2500, None)),
    ("FR", "ios", NOVEMBER_MS, False, (129, "USD", 2, 0, 0, None)),  # a country without a currency of its own
    ("US", "ios", NOVEMBER_MS, True, (129, "USD", 2, 20, 1666, "welcome")),  # 20/120
    ("US", "web", NOVEMBER_MS, True, (96, "USD", 2, 20, 3798, "welcome")),  # 1 - 96*100/(129*120)
    ("US", "ios", WEEK_MS - 1, False, (129, "USD", 2, 0, 0, None)),
    ("US", "ios", WEEK_MS, False, (116, "USD", 2, 0, 1007, "week")),  # 116.1 down
    ("US", "ios", WEEK_END_MS - 1, False, (116, "USD", 2, 0, 1007, "week")),
    ("US", "ios", WEEK_END_MS, False, (129, "USD", 2, 0, 0, None)),
    ("US", "ios", WEEK_MS, True, (129, "USD", 2, 20, 1666, "welcome")),  # saves more than a tenth off
    ("KW", "web", WEEK_MS, False, (270, "KWD", 3, 0, 3250, "week")),
    ("ID", "web", WEEK_MS, False, (1_417_500, "IDR", 2, 0, 3250, "week")),
]


@pytest.mark.parametrize(("country", "platform", "now_ms", "first", "expected"), TABLE)
def test_small_package(
    catalog_folder: Write, country: str, platform: str, now_ms: int, first: bool, expected: tuple[object, ...]
) -> None:
    """The package of 100 coins costs what a person computes by hand."""
    catalog = load_catalog(catalog_folder())
    small = offers(catalog, Buyer(country, Platform(platform), now_ms, first))[0]
    told = (
        small.price_minor,
        small.currency,
        small.exponent,
        small.bonus_coins,
        small.saving_bp,
        small.promotion,
    )
    assert (small.package, small.coins) == ("small", 100)
    assert told == expected


LARGE: list[tuple[str, str, int, tuple[int, str | None]]] = [
    ("ID", "web", 150, (150, "jakarta")),
    ("ID", "ios", 0, (0, None)),  # not on this platform
    ("US", "web", 0, (0, None)),  # not in this country
]


@pytest.mark.parametrize(("country", "platform", "bonus", "expected"), LARGE)
def test_promotion_by_country_and_platform(
    catalog_folder: Write, country: str, platform: str, bonus: int, expected: tuple[int, str | None]
) -> None:
    """A promotion for one country on one platform is seen there and nowhere else."""
    catalog = load_catalog(catalog_folder())
    large = offers(catalog, Buyer(country, Platform(platform), NOVEMBER_MS))[1]
    assert (large.bonus_coins, large.promotion) == expected
    assert large.coins == 1000


CUSTOM: list[tuple[int, int, int, int] | tuple[int, None, None, None]] = [
    # coins → price on the web in USD, price in the stores, saving; 100 coins are 96, 1,000 are 974 (974.25 down)
    (49, None, None, None),
    (50, 48, 65, 2615),
    (51, 49, 66, 2575),  # 48.96 up
    (100, 96, 129, 2558),
    (101, 97, 131, 2595),  # 96.96 up
    (250, 240, 323, 2569),
    (999, 960, 1289, 2552),  # 959.04 up
    (1000, 974, 1299, 2501),
    (1001, 975, 1301, 2505),  # 974.974 up
    (20_000, 19_480, 25_980, 2501),
    (20_001, None, None, None),
]


@pytest.mark.parametrize(("coins", "price_minor", "in_app", "saving"), CUSTOM)
def test_custom_amount(
    catalog_folder: Write, coins: int, price_minor: int | None, in_app: int | None, saving: int | None
) -> None:
    """An own amount is priced at the rate of the next smaller package, and refused outside its bounds."""
    catalog = load_catalog(catalog_folder())
    own = custom_offer(catalog, coins, Buyer("US", Platform.WEB, NOVEMBER_MS))
    if price_minor is None:
        assert own is None
    else:
        assert own == Offer("custom", coins, "USD", 2, price_minor, in_app or 0, 0, saving or 0)


@pytest.mark.parametrize("platform", [Platform.IOS, Platform.ANDROID])
def test_custom_amount_in_the_stores(catalog_folder: Write, platform: Platform) -> None:
    """The stores sell packages only."""
    catalog = load_catalog(catalog_folder())
    assert custom_offer(catalog, 500, Buyer("US", platform, NOVEMBER_MS)) is None


def test_custom_amount_never_dearer_than_the_next_package(catalog_folder: Write) -> None:
    """Where the larger package is much cheaper by the coin, 999 coins cost no more than 1,000."""
    catalog = load_catalog(catalog_folder(("packages.toml", "USD = 1299", "USD = 999")))
    own = custom_offer(catalog, 999, Buyer("US", Platform.WEB, NOVEMBER_MS))
    assert own is not None
    assert (own.price_minor, own.in_app_price_minor) == (749, 999)


def test_promotion_that_names_custom_amounts(catalog_folder: Write) -> None:
    """A promotion without a list of packages holds for custom amounts too, one with a list only when it names them."""
    catalog = load_catalog(catalog_folder(("promotions.toml", '["small"]', '["small", "custom"]')))
    own = custom_offer(catalog, 100, Buyer("US", Platform.WEB, NOVEMBER_MS, first_purchase=True))
    assert own is not None
    assert (own.bonus_coins, own.promotion) == (20, "welcome")


DISCOUNTS = [
    # price, discount, step → price
    (129, 2500, 1, 96),
    (129, 0, 100, 129),
    (11_900, 2500, 100, 8_900),
    (1, 9000, 1, 1),
    (100, 9000, 100, 100),
]


@pytest.mark.parametrize(("price", "bp", "step", "expected"), DISCOUNTS)
def test_discounted(price: int, bp: int, step: int, expected: int) -> None:
    """A discounted price is rounded down to the step and never free."""
    assert discounted(price, bp, step) == expected


@given(price=st.integers(1, 10**12), bp=st.integers(1, 9000), step=st.integers(1, 10**4))
def test_discounted_is_never_above_the_exact_price(price: int, bp: int, step: int) -> None:
    """The buyer never pays more than the discount promises, and at most one step less."""
    paid = discounted(price, bp, step)
    assert paid % step == 0
    assert paid == step or paid * 10_000 <= price * (10_000 - bp) < (paid + step) * 10_000


@given(numerator=st.integers(0, 10**15), denominator=st.integers(1, 10**6), step=st.integers(1, 10**4))
def test_round_up_is_the_next_step(numerator: int, denominator: int, step: int) -> None:
    """The result is a step, not below the fraction, and less than a step above it."""
    up = round_up(numerator, denominator, step)
    assert up % step == 0
    assert 0 <= up * denominator - numerator < step * denominator


@given(
    coins=st.integers(50, 999_999),
    country=st.sampled_from(["US", "DE", "JP", "ID", "IN", "KR", "KW", "CH"]),
)
def test_custom_amount_grows_with_its_coins(coins: int, country: str) -> None:
    """In the packaged catalogue one more coin never costs less, in any currency."""
    buyer = Buyer(country, Platform.WEB, NOVEMBER_MS)
    fewer, more = custom_offer(PACKAGED, coins, buyer), custom_offer(PACKAGED, coins + 1, buyer)
    assert fewer is not None
    assert more is not None
    assert fewer.price_minor <= more.price_minor


def test_packaged_offers_on_the_web_save_a_quarter() -> None:
    """In every currency of the packaged catalogue the web saves 25 % or a little more, never less."""
    for currency in PACKAGED.currencies:
        for seen in offers(PACKAGED, Buyer(currency.countries[0], Platform.WEB, NOVEMBER_MS)):
            assert seen.saving_bp >= 2500, seen
            assert seen.promotion == "web_volume" or seen.saving_bp < 3000, seen


def test_packaged_first_purchase() -> None:
    """The packaged welcome gives a fifth more coins on the small packages."""
    package = PACKAGED.package("coins_500")
    assert package is not None
    first = offer(PACKAGED, package, Buyer("DE", Platform.IOS, NOVEMBER_MS, first_purchase=True))
    assert first == Offer("coins_500", 500, "EUR", 2, 699, 699, 100, 1666, "first_purchase")


def test_promotion_says_what_its_coins_are_worth(catalog_folder: Write) -> None:
    """The value of the coins on top goes with the offer; a promotion that says none leaves it to the server."""
    catalog = load_catalog(
        catalog_folder(("promotions.toml", "bonus_bp = 2000", "bonus_bp = 2000\nbonus_worth_bp = 2500"))
    )
    buyer = Buyer("US", Platform.WEB, NOVEMBER_MS, first_purchase=True)
    assert [one.bonus_worth_bp for one in offers(catalog, buyer) if one.promotion == "welcome"] == [2_500]
    plain = load_catalog(catalog_folder())
    assert {one.bonus_worth_bp for one in offers(plain, buyer)} == {None}
