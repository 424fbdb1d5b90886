"""How little and how much a withdrawal may be, by country; a refusal tells the numbers that it was judged by."""

from collections.abc import AsyncIterator

import pytest

from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.guards.ages import PersonChange
from ledger.ids import new_id
from ledger.model import CreatorId
from ledger.office import Office, open_office
from ledger.payouts.payout_limits import PayoutLimits, PayoutRules
from ledger.payouts.payouts import PayoutRefused, WithdrawalOrder
from ledger.rails.sandbox import SandboxRail
from ledger.service import Ledger
from tests.integration.ledger.orders import now_ms
from tests.integration.ledger_money.money import Money

RULES = PayoutRules(
    {"USD": PayoutLimits(day_max_minor=6_000), "EUR": PayoutLimits(1, 1)},
    {
        "BR": {"USD": PayoutLimits(2_000, 5_000)},
        "IN": {"USD": PayoutLimits(min_minor=300)},
        "JP": {"JPY": PayoutLimits(1, 1)},
    },
)
# Countries of the directory and of the person; the amounts, asked for one after the other; what became of the last.
TABLE = """
# creator's person's | minor units | outcome: least and most of a day where it is refused
  -         -        | 999         | below_threshold 1000 6000
  -         -        | 1000        | -
  -         -        | 5000 1000   | -
  -         -        | 5000 1001   | day_limit 1000 6000
  BR        -        | 1999        | below_threshold 2000 5000
  BR        -        | 2000 3000   | -
  BR        -        | 2000 3001   | day_limit 2000 5000
  IN        -        | 299         | below_threshold 300 6000
  IN        -        | 300 5700    | -
  IN        -        | 300 5701    | day_limit 300 6000
  BR        IN       | 300         | -
  IN        BR       | 1999        | below_threshold 2000 5000
  JP        -        | 999         | below_threshold 1000 6000
"""


@pytest.fixture
async def office(config: LedgerConfig, ledger: Ledger, rail: SandboxRail) -> AsyncIterator[Office]:
    """An office that knows the rules; one cent costs 100 diamonds, and the configuration says 10.00 at least."""
    opened = await open_office(config, ledger, rails=[rail], payouts=RULES)
    yield opened
    await opened.close()


@pytest.mark.parametrize("line", [line for line in TABLE.strip().splitlines() if not line.startswith("#")])
async def test_limits_of_a_country(office: Office, config: LedgerConfig, ledger: Ledger, pool: Pool, line: str) -> None:
    """The person's country comes before the directory's; its numbers before the default's, then the settings'."""
    countries, amounts, expected = (part.split() for part in line.split("|"))
    money = Money(config, ledger, office, pool)
    method = await money.add_creator("cora")
    await office.directory.put_creator("cora", name="Cora", country=None if countries[0] == "-" else countries[0])
    if countries[1] != "-":
        await office.guards.know("cora", PersonChange(country=countries[1]), by="olga")
    assert await money.earn("cora", 20_000) == 1_000_000
    await office.maturing.round(await pool.fetchval("SELECT (now() AT TIME ZONE 'UTC')::date"))
    outcomes = [
        await office.payouts.request(
            WithdrawalOrder(new_id(now_ms()), CreatorId("cora"), method.id, int(amount) * config.diamonds_per_minor)
        )
        for amount in amounts
    ]
    assert not any(isinstance(outcome, PayoutRefused) for outcome in outcomes[:-1])
    last = outcomes[-1]
    found = f"{last.refusal.value} {last.min_minor} {last.day_max_minor}" if isinstance(last, PayoutRefused) else "-"
    assert found == " ".join(expected)
    await money.assert_books_sum_to_zero()


def test_limits_where_no_country_is_known(config: LedgerConfig) -> None:
    """As of an agency: the default's, then the configuration's."""
    assert RULES.of(None, config) == (1_000, 6_000)
    assert PayoutRules().of("BR", config) == (1_000, 100_000)
