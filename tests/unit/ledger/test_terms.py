"""Which commission counts, from the most special rule to the most general, and what becomes of the agency's part."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.books.terms import EventTerms, Parts, PlanTerms, Terms, default_terms
from ledger.commission import divide
from ledger.model import AMOUNT_MAX

EVENINGS = (
    EventTerms(1_000, 2_000, 1_000, places=("room:a",)),
    EventTerms(1_500, 3_000, 2_000, items=("rose",)),
    EventTerms(1_500, 3_000, 2_500),
)
GOLD = Terms("gold", 3, "stars", 5_000, None, PlanTerms(4_000, 1_000, {"rose": 3_000, "heart": 3_500}, EVENINGS))

CASES = """
# place   item    now  | commission
  room:a  cake    0    | 4000
  room:a  rose    0    | 3000
  room:a  rose    999  | 3000
  room:a  rose    1000 | 1000
  room:b  rose    1000 | 3000
  room:a  cake    1999 | 1000
  room:a  cake    2000 | 2500
  video:a rose    1500 | 2000
  room:b  heart   1500 | 2500
  room:b  heart   3000 | 3500
"""


@pytest.mark.parametrize("line", [line for line in CASES.splitlines() if "|" in line and "#" not in line])
def test_commission_by_table(line: str) -> None:
    """An event counts before a gift's rate, that before the plan's; of events the first."""
    (place, item, now), expected = line.split("|")[0].split(), line.split("|")[1]
    assert GOLD.commission_bp(place, item, int(now)) == int(expected)


def test_commission_of_one_creator() -> None:
    """What was agreed with a creator counts before the plan's rate, and after those of gifts and events."""
    own = msgspec.structs.replace(GOLD, own_bp=0)
    assert (own.standing_bp, own.commission_bp("room:b", "cake", 0)) == (0, 0)
    assert own.commission_bp("room:b", "rose", 0) == 3_000
    assert own.commission_bp("room:a", "cake", 1_000) == 1_000


def test_deployment_without_plans() -> None:
    """Where no plan says anything the deployment's commission counts, and the record names no plan."""
    terms = default_terms(5_000)
    assert (terms.name, terms.parts(7, "room:a", "rose", 0)) == ("", Parts(350, 350, 0))
    silent = Terms("gold", 1, "", 5_000, None, PlanTerms())
    assert (silent.name, silent.standing_bp) == ("gold@1", 5_000)


def test_agency_is_given_of_the_commission() -> None:
    """10 % of the value goes to the agency; the creator has what it would have without; the rest is the platform's."""
    assert GOLD.parts(50, "room:b", "cake", 0) == Parts(3_000, 2_000, 500)
    alone = msgspec.structs.replace(GOLD, agency="")
    assert alone.parts(50, "room:b", "cake", 0) == Parts(3_000, 2_000, 0)


def test_agency_is_never_given_more_than_the_commission() -> None:
    """Where an event leaves the platform less than the agency's part, the agency has all of it."""
    assert divide(10, 500, 1_000) == (950, 50, 50)
    assert divide(10, 0, 1_000) == (1_000, 0, 0)


@given(st.integers(0, AMOUNT_MAX), st.integers(0, 10_000), st.integers(0, 10_000))
def test_parts_add_up(coins: int, commission_bp: int, agency_bp: int) -> None:
    """Whatever the rates: nothing is made or lost, and the agency's part is inside the commission."""
    creator, commission, agency = divide(coins, commission_bp, agency_bp)
    assert creator + commission == coins * 100
    assert 0 <= agency <= commission
    assert agency * 10_000 <= coins * 100 * agency_bp
