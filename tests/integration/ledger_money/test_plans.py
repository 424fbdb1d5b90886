"""Commission plans on real servers: versions, and gifts that carry the terms that divided them into the books."""

import asyncio

import msgspec
import pytest

from ledger.audits.audit import audit
from ledger.books.postgres import Pool
from ledger.books.terms import EventTerms, PlanTerms
from ledger.config import LedgerConfig
from ledger.errors import ValueRefused
from ledger.ids import new_id
from ledger.model import GiftAccepted, GiftOrder, ViewerId
from ledger.office import Office
from ledger.purchases.grants import GrantOrder
from ledger.service import Ledger
from tests.integration.ledger.orders import gift_order, now_ms
from tests.integration.ledger_money.money import Money


def shared_order(viewer: str, coins: int) -> GiftOrder:
    """A gift of which the creator has 60 %, and the agency `stars` 10 %."""
    return msgspec.structs.replace(
        gift_order(viewer, coins),
        creator_diamonds=coins * 60,
        commission_diamonds=coins * 40,
        plan="gold@2",
        agency="stars",
        agency_diamonds=coins * 10,
    )


async def test_versions_of_a_plan(office: Office) -> None:
    """Each change is a version, what is said already is none, and older versions can be read for ever."""
    plans = office.plans
    first = await plans.put("gold", PlanTerms(4_000), "olga")
    assert (first.version, first.made_by) == (1, "olga")
    assert await plans.put("gold", PlanTerms(4_000), "otto") == first
    second = await plans.put("gold", PlanTerms(3_000, items={"rose": 1_000}), "otto")
    assert second.version == 2
    assert await plans.plan("gold") == second
    assert await plans.plan("gold", 1) == first
    assert await plans.plan("gold", 3) is None
    await plans.put("basic", PlanTerms(), "olga")
    assert [(plan.plan, plan.version) for plan in await plans.plans()] == [("basic", 1), ("gold", 2)]
    assert [plan.plan for plan in await plans.plans(after="basic")] == ["gold"]


async def test_versions_by_several_at_once(office: Office) -> None:
    """Who write at once get versions of their own, without a gap."""
    made = await asyncio.gather(*(office.plans.put("gold", PlanTerms(rate), "olga") for rate in range(1, 9)))
    assert sorted(plan.version for plan in made) == list(range(1, 9))


@pytest.mark.parametrize(
    ("plan", "terms"),
    [("Gold", PlanTerms()), ("", PlanTerms()), ("gold", PlanTerms(events=(EventTerms(2_000, 2_000, 0),)))],
)
async def test_plan_that_cannot_be(office: Office, plan: str, terms: PlanTerms) -> None:
    """A wrong name, or an event without a time, is refused and nothing is stored."""
    with pytest.raises(ValueRefused):
        await office.plans.put(plan, terms, "olga")
    assert await office.plans.plans() == []


async def test_terms_of_a_place(office: Office) -> None:
    """A place brings its creator's terms: the newest version of the plan, the own commission, and the agency."""
    await office.directory.put_creator("cora", name="Cora", plan="gold", agency="stars")
    before = await office.directory.put_place("room:demo", creator="cora")
    assert (before.terms.name, before.terms.standing_bp) == ("", 5_000)
    await office.plans.put("gold", PlanTerms(4_000, agency_bp=1_000), "olga")
    await office.plans.put("gold", PlanTerms(3_000, agency_bp=500), "olga")
    place = await office.directory.place("room:demo")
    assert place is not None
    assert (place.terms.name, place.terms.standing_bp, place.terms.agency) == ("gold@2", 3_000, "stars")


async def test_gifts_of_an_agency_in_the_books(
    office: Office, ledger: Ledger, money: Money, pool: Pool, config: LedgerConfig
) -> None:
    """Creator 60 %, agency 10 %, platform 30 %. The record keeps the plan, the audit holds."""
    viewers = ("ann", "bob", "cem", "dot")
    for viewer in viewers:
        await office.grants.grant(GrantOrder(new_id(now_ms()), ViewerId(viewer), 100, "test", "olga"))
        assert isinstance(await ledger.give(shared_order(viewer, 100)), GiftAccepted)
    await money.flush()
    assert [(row.agency, row.diamonds) for row in await office.agencies.agencies()] == [("stars", 4 * 1_000)]
    assert await money.balance("pending", "cora") == 4 * 6_000
    assert await money.balance("commission") == 4 * 3_000
    assert await money.balance("issuance") == -4 * 10_000
    rows = await pool.fetch("SELECT DISTINCT plan, agency, agency_diamonds FROM journal_records WHERE kind = 'gift'")
    assert [tuple(row) for row in rows] == [("gold@2", "stars", 1_000)]
    report = await audit(config)
    assert report.ok, report.invariants


async def test_audit_sees_an_agency_that_was_given_too_much(
    office: Office, ledger: Ledger, money: Money, pool: Pool, config: LedgerConfig
) -> None:
    """A record that gives the agency another part than the account got is named."""
    await office.grants.grant(GrantOrder(new_id(now_ms()), ViewerId("ann"), 10, "test", "olga"))
    await ledger.give(shared_order("ann", 10))
    await money.flush()
    await pool.execute("UPDATE journal_records SET agency_diamonds = 101 WHERE kind = 'gift'")
    report = await audit(config)
    words = [words for result in report.invariants for words in result.violations]
    assert any("agency stars" in one and "holds 100 diamonds, gifts gave it 101" in one for one in words), words
