"""What age allows by country: what a country does not say is as the default has it."""

from collections.abc import Callable
from pathlib import Path

from catalog.countries import AgeRules, Minors
from catalog.load import load_catalog
from gateway.ages import payout_rules
from ledger.payouts.payout_limits import PayoutLimits

Write = Callable[..., Path]


def test_packaged_rules() -> None:
    """Withdrawals from 18, in South Korea from 19; in China from 8, to 16 with a guardian."""
    countries = load_catalog().countries
    rules = {country.code: countries.rules_of(country) for country in countries.country}
    assert countries.default_rules() == AgeRules(withdraw_age_min=18)
    assert rules == {
        "CN": AgeRules(8, 8, 18, (8, 16), own_caps_needed=("gift", "day")),
        "KR": AgeRules(withdraw_age_min=19),
    }


def test_rules_of_a_country_over_the_default(catalog_folder: Write) -> None:
    """Each number of its own takes the default's place, also among the caps of minors; the others stay."""
    countries = load_catalog(catalog_folder()).countries
    rules = {country.code: countries.rules_of(country) for country in countries.country}
    default = Minors(18, day_coins_max=500, month_coins_max=900)
    assert countries.default_rules() == AgeRules(0, 0, 18, (), default)
    assert rules["CN"] == AgeRules(8, 9, 18, (8, 16), Minors(18, None, 50, None, 900), ("gift", "day"))
    assert rules["KR"] == AgeRules(0, 0, 19, (), default)


def test_country_without_the_defaults_guardians(catalog_folder: Write) -> None:
    """An empty list means nobody, and is not the same as saying nothing."""
    folder = catalog_folder(
        ("countries.toml", "[default]", "[default]\nguardian_ages = [10, 12]"),
        ("countries.toml", "withdraw_age_min = 19", "withdraw_age_min = 19\nguardian_ages = []"),
        ("countries.toml", "guardian_ages = [8, 16]\n", ""),
    )
    countries = load_catalog(folder).countries
    assert [countries.rules_of(country).guardian_ages for country in countries.country] == [(10, 12), ()]


def test_payouts_by_country(catalog_folder: Write) -> None:
    """The ledger is told of each currency's limits, the default's and the countries' own."""
    folder = catalog_folder(
        ("countries.toml", "[default]", '[default]\npayouts = [{ currency = "USD", day_max_minor = 70_000 }]'),
        (
            "countries.toml",
            "withdraw_age_min = 19",
            "withdraw_age_min = 19\n"
            'payouts = [{ currency = "KRW", min_minor = 5_000 }, { currency = "USD", min_minor = 3 }]',
        ),
    )
    rules = payout_rules(load_catalog(folder))
    assert rules.default == {"USD": PayoutLimits(None, 70_000)}
    assert rules.countries["KR"] == {"KRW": PayoutLimits(5_000, None), "USD": PayoutLimits(3, None)}
    assert rules.countries["CN"] == {}
