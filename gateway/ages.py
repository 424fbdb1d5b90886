"""The catalogue's rules by country, of ages and payouts, in the words of the ledger, which knows no catalogue."""

from catalog import countries
from catalog.load import Catalog
from ledger.guards.ages import AgeLimits, AgeRules
from ledger.model import Limit
from ledger.payouts.payout_limits import PayoutLimits, PayoutRules


def age_rules(catalog: Catalog) -> AgeRules:
    """By what people are judged."""
    file = catalog.countries
    return AgeRules(
        _limits(file.default_rules()),
        {country.code: _limits(file.rules_of(country)) for country in file.country},
    )


def payout_rules(catalog: Catalog) -> PayoutRules:
    """By what withdrawals are judged."""
    file = catalog.countries
    return PayoutRules(_payouts(file.default), {country.code: _payouts(country) for country in file.country})


def _payouts(rules: countries.DefaultRules | countries.Country) -> dict[str, PayoutLimits]:
    return {limits.currency: PayoutLimits(limits.min_minor, limits.day_max_minor) for limits in rules.payouts}


def _limits(rules: countries.AgeRules) -> AgeLimits:
    guardian_from, guardian_until = 0, 0
    if rules.guardian_ages:
        # The catalogue names the oldest who needs one.
        guardian_from, guardian_until = rules.guardian_ages[0], rules.guardian_ages[1] + 1
    return AgeLimits(
        rules.give_age_min,
        rules.buy_age_min,
        rules.withdraw_age_min,
        guardian_from,
        guardian_until,
        rules.minors.under_age or 0,
        rules.minors.caps,
        tuple(Limit(name) for name in rules.own_caps_needed),
    )
