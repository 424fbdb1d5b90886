"""Which commission counts, from the most special rule to the most general, and what becomes of the agency's part."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.books.terms import EventTerms, Parts, PlanTerms, Terms, default_terms, rate_of, residue_of
from ledger.commission import divide
from ledger.errors import InvariantBroken
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
    assert GOLD.parts(50, "room:b", "cake", 0) == Parts(3_000, 2_000, 500, "gold@3")
    alone = msgspec.structs.replace(GOLD, agency="")
    assert alone.parts(50, "room:b", "cake", 0) == Parts(3_000, 2_000, 0, "gold@3")


RATES = """
# own_bp  place   item  now  | terms
  -       room:b  cake  0    | gold@3
  3333    room:b  cake  0    | gold@3:3333
  1       room:b  cake  0    | gold@3:1
  9999    room:b  cake  0    | gold@3:9999
  0       room:b  cake  0    | gold@3
  10000   room:b  cake  0    | gold@3
  3333    room:b  rose  0    | gold@3
  4000    room:c  bun   5000 | gold@3:1750
"""


@pytest.mark.parametrize("line", [line for line in RATES.splitlines() if "|" in line and "#" not in line])
def test_terms_of_a_record_by_table(line: str) -> None:
    """A record says the rate that counted for it, where that is not of whole percents; the rate can be read again."""
    (own, place, item, now), expected = line.split("|")[0].split(), line.split("|")[1].strip()
    events = (*EVENINGS, EventTerms(5_000, 6_000, 1_750))
    plan = msgspec.structs.replace(GOLD.of_plan, events=events)
    terms = msgspec.structs.replace(GOLD, own_bp=None if own == "-" else int(own), of_plan=plan)
    found = terms.parts(7, place, item, int(now)).terms
    assert found == expected
    assert rate_of(found) == (int(expected.split(":")[1]) if ":" in expected else None)


def test_terms_of_a_deployment_with_a_rate_of_its_own() -> None:
    """Where no plan counts, the rate stands alone."""
    parts = default_terms(3_333).parts(7, "room:a", "rose", 0)
    assert parts == Parts(466, 234, 0, ":3333")
    assert residue_of(parts.terms, 7) == 1
    assert residue_of(parts.terms, 100) == 0
    assert residue_of("", 7) == residue_of("gold@3", 7) == 0


@pytest.mark.parametrize("terms", [":", "gold@3:", ":0", ":10000", ":-1", ":1_0", ": 1", ":0333", ":33.3", ":\u0663"])
def test_terms_that_say_no_rate_stop(terms: str) -> None:
    """A rate that no gateway writes is not guessed at."""
    with pytest.raises(InvariantBroken, match="I1"):
        rate_of(terms)


def test_agency_is_not_given_the_residue() -> None:
    """Where the agency has all of the commission, what the division left is the platform's still."""
    assert divide(1, 3_333, 10_000) == (66, 34, 33)
    assert divide(1, 3_333, 3_333) == (66, 34, 33)
    assert divide(1, 1, 10_000) == (99, 1, 0)


def test_agency_is_never_given_more_than_the_commission() -> None:
    """Where an event leaves the platform less than the agency's part, the agency has all of it."""
    assert divide(10, 500, 1_000) == (950, 50, 50)
    assert divide(10, 0, 1_000) == (1_000, 0, 0)


@given(st.integers(0, AMOUNT_MAX), st.integers(0, 10_000), st.integers(0, 10_000))
def test_parts_add_up(coins: int, commission_bp: int, agency_bp: int) -> None:
    """Whatever the rates: nothing is made or lost, and the agency's part is inside the commission."""
    creator, commission, agency = divide(coins, commission_bp, agency_bp)
    assert creator + commission == coins * 100
    assert 0 <= agency <= coins * 100 * commission_bp // 10_000
    assert agency * 10_000 <= coins * 100 * agency_bp
