"""Agencies that are paid: what they were given matures and goes out as creators' earnings do, and never twice."""

import asyncio
import datetime
from typing import Final

import asyncpg
import msgspec
import pytest

from ledger.accounts import AccountKind
from ledger.audits.audit import audit
from ledger.audits.rolling_audit import RollingAudit
from ledger.books.migrate import migrate, migrations
from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.errors import IdConflict, NotFound, ValueRefused
from ledger.ids import new_id
from ledger.invariants import Invariant
from ledger.live.redis_client import connect
from ledger.model import GiftAccepted, ViewerId
from ledger.office import Office, open_office
from ledger.payouts.payees import agency_of, agency_payee
from ledger.payouts.payout_states import PayoutState
from ledger.payouts.payouts import Earnings, PayoutRefusal, PayoutRefused, Withdrawal, WithdrawalOrder
from ledger.purchases.grants import GrantOrder
from ledger.service import Ledger
from tests.integration.ledger.orders import gift_order, now_ms
from tests.integration.ledger_money.money import Money

TODAY: Final = datetime.datetime.now(datetime.UTC).date()
STARS: Final = agency_payee("stars")


async def give(office: Office, ledger: Ledger, coins: int, viewer: str = "ann", worth_bp: int | None = None) -> None:
    """A gift to cora: 60 diamonds a coin for her, 10 for the agency `stars`, 30 for the platform."""
    order = GrantOrder(new_id(now_ms()), ViewerId(viewer), coins, "test", "olga", worth_bp)
    await office.grants.grant(order)
    gift = msgspec.structs.replace(
        gift_order(viewer, coins, creator="cora"),
        creator_diamonds=coins * 60,
        commission_diamonds=coins * 40,
        agency="stars",
        agency_diamonds=coins * 10,
    )
    assert isinstance(await ledger.give(gift), GiftAccepted)


async def rich_agency(office: Office, ledger: Ledger, money: Money, coins: int = 20_000) -> bytes:
    """The agency `stars` with ten diamonds a coin, matured; the id of its way to be paid."""
    await office.agencies.put("stars", name="Stars")
    method = await office.payouts.add_method(new_id(now_ms()), STARS, "bank", "Our bank", b"DE01")
    await give(office, ledger, coins)
    await money.flush()
    await office.maturing.round(TODAY)
    return method.id


async def asked(office: Office, method: bytes, diamonds: int, payee: str = STARS) -> Withdrawal:
    """A withdrawal that must not be refused."""
    answer = await office.payouts.request(WithdrawalOrder(new_id(now_ms()), payee, method, diamonds))
    assert isinstance(answer, Withdrawal), answer
    return answer


async def assert_holds(config: LedgerConfig, pool: Pool, money: Money) -> None:
    """Both audits find nothing, and everything sums to zero."""
    await money.flush()
    report = await audit(config)
    assert report.ok, [result.violations for result in report.invariants if not result.ok]
    await money.assert_books_sum_to_zero()
    redis = connect(config)
    rolling = RollingAudit(pool, redis, msgspec.structs.replace(config, audit_share_permille=1_000))
    assert not any((await rolling.round()).values())
    await redis.aclose()


async def steps(office: Office, withdrawal: bytes, *states: PayoutState) -> None:
    """Walk a withdrawal along."""
    for state in states:
        await office.payouts.step(withdrawal, state, by="olga")


async def test_agency_is_paid(office: Office, ledger: Ledger, money: Money, config: LedgerConfig, pool: Pool) -> None:
    """Given, matured, requested, paid: 200,000 diamonds, of which 150,000 become 15.00."""
    method = await rich_agency(office, ledger, money)
    assert await office.payouts.earnings(STARS) == Earnings(0, 200_000, 0, 0, None)
    withdrawal = await asked(office, method, 150_000)
    assert (withdrawal.payee, withdrawal.amount_minor) == (STARS, 1_500)
    assert (await office.payouts.steps(withdrawal.id))[0].by == "agency"
    assert f"to: {STARS} by bank (Our bank)\ndetails: DE01" in await office.payouts.slip(withdrawal.id)
    walk = (PayoutState.REVIEW, PayoutState.APPROVED, PayoutState.SENT, PayoutState.PAID)
    await steps(office, withdrawal.id, *walk)
    assert await office.payouts.earnings(STARS) == Earnings(0, 50_000, 0, 150_000, None)
    assert await money.balance("agency", "stars") == 200_000 == -await money.balance("agency_matured", "stars")
    await assert_holds(config, pool, money)
    await steps(office, withdrawal.id, PayoutState.RETURNED)
    assert await office.payouts.earnings(STARS) == Earnings(0, 200_000, 0, 0, None)
    await assert_holds(config, pool, money)


async def test_pending_until_ripe(ledger: Ledger, money: Money, config: LedgerConfig, pool: Pool) -> None:
    """What was given today is pending for as long as a creator's would be; the day says when it ripens."""
    slow = msgspec.structs.replace(config, maturing_days=7)
    office = await open_office(slow, ledger)
    await give(office, ledger, 50)
    await money.flush()
    await office.maturing.round(TODAY)
    ripens = TODAY + datetime.timedelta(days=8)
    ripens_ms = (ripens - datetime.date(1970, 1, 1)).days * 86_400_000
    assert await office.payouts.earnings(STARS) == Earnings(500, 0, 0, 0, ripens_ms)
    assert (await office.payouts.earnings("cora")).next_matures_ms == ripens_ms
    assert await office.maturing.round(ripens) == 500 + 3_000
    assert await office.maturing.round(ripens) == 0
    assert await office.payouts.earnings(STARS) == Earnings(0, 500, 0, 0, None)
    await assert_holds(config, pool, money)
    await office.close()


async def test_coins_worth_less(office: Office, ledger: Ledger, money: Money, config: LedgerConfig, pool: Pool) -> None:
    """Of coins at a quarter an agency has a quarter, and its days and earnings say how much it might have been."""
    await give(office, ledger, 40, worth_bp=2_500)
    await money.flush()
    earned = await office.payouts.earnings(STARS)
    assert (earned.pending_diamonds, earned.discounted_diamonds) == (100, 300)
    (day,) = await office.statements.creator_days(STARS, days=3)
    assert (day.earned_diamonds, day.gifts, day.discounted_diamonds) == (100, 1, 300)
    assert await office.maturing.round(TODAY) == 100 + 600
    await assert_holds(config, pool, money)


async def test_refusals(office: Office, ledger: Ledger, money: Money) -> None:
    """The same as a creator's, each with its numbers; nothing is kept."""
    method = await rich_agency(office, ledger, money)
    foreign = (await money.add_creator("cora")).id
    for way, diamonds, refusal in (
        (foreign, 150_000, PayoutRefusal.UNKNOWN_METHOD),
        (method, 99_999, PayoutRefusal.BELOW_THRESHOLD),
        (method, 200_100, PayoutRefusal.INSUFFICIENT_EARNINGS),
    ):
        answer = await office.payouts.request(WithdrawalOrder(new_id(now_ms()), STARS, way, diamonds))
        assert isinstance(answer, PayoutRefused)
        assert (answer.refusal, answer.available_diamonds) == (refusal, 200_000)
    assert await office.payouts.withdrawals(payee=STARS) == []
    creators = await office.payouts.request(WithdrawalOrder(new_id(now_ms()), "cora", method, 150_000))
    assert isinstance(creators, PayoutRefused)
    assert creators.refusal is PayoutRefusal.UNKNOWN_METHOD


async def test_agency_and_creator_of_one_name(office: Office, ledger: Ledger, money: Money) -> None:
    """They share nothing: no method, no diamond, no withdrawal, no id of one."""
    method = await rich_agency(office, ledger, money)
    await office.directory.put_creator("stars", name="Stars the singer")
    assert await office.payouts.methods("stars") == []
    assert await office.payouts.earnings("stars") == Earnings(0, 0, 0, 0, None)
    withdrawal = await asked(office, method, 100_000)
    assert await office.payouts.withdrawals(payee="stars") == []
    assert [one.id for one in await office.payouts.withdrawals(payee=STARS)] == [withdrawal.id]
    with pytest.raises(IdConflict):
        await office.payouts.request(WithdrawalOrder(withdrawal.id, "stars", method, 100_000))
    with pytest.raises(IdConflict):
        await office.payouts.add_method(method, "stars", "bank", "Our bank", b"DE01")
    with pytest.raises(ValueRefused):
        await office.directory.put_creator(STARS, name="Not a creator")


async def test_requests_at_once_never_pass_what_there_is(
    office: Office, ledger: Ledger, money: Money, config: LedgerConfig, pool: Pool
) -> None:
    """Eight who want 70,000 of 200,000: two get them."""
    method = await rich_agency(office, ledger, money)
    orders = [WithdrawalOrder(new_id(now_ms() + n), STARS, method, 100_000) for n in range(8)]
    outcomes = await asyncio.gather(*map(office.payouts.request, orders))
    assert sum(isinstance(outcome, Withdrawal) for outcome in outcomes) == 2
    assert await office.payouts.earnings(STARS) == Earnings(0, 0, 200_000, 0, None)
    await assert_holds(config, pool, money)


async def test_rounds_at_once_mature_each_diamond_once(
    office: Office, ledger: Ledger, money: Money, config: LedgerConfig, pool: Pool
) -> None:
    """Whoever matures, and while more is given."""
    for turn in range(4):
        await give(office, ledger, 10 + turn, viewer=f"v{turn}")
        await asyncio.gather(money.flush(), *(office.maturing.round(TODAY) for _ in range(3)))
    await money.flush()
    await office.maturing.round(TODAY)
    assert await office.payouts.earnings(STARS) == Earnings(0, (10 + 11 + 12 + 13) * 10, 0, 0, None)
    await assert_holds(config, pool, money)


async def test_who_is_an_agency(office: Office) -> None:
    """One is made by an operator or by the first creator who names it; methods are for those that are there."""
    await office.directory.put_creator("cora", name="Cora", agency="stars")
    await office.directory.put_creator("dora", name="Dora", agency="stars")
    assert [(one.agency, one.name, one.diamonds) for one in await office.agencies.agencies()] == [("stars", "stars", 0)]
    assert (await office.agencies.put("stars", name="Stars", country="GB")).name == "Stars"
    await office.directory.put_creator("cora", name="Cora", agency="moons")
    assert await office.agencies.creators("stars") == ["dora"]
    assert [one.agency for one in await office.agencies.agencies()] == ["moons", "stars"]
    assert [one.agency for one in await office.agencies.agencies(after="moons", limit=1)] == ["stars"]
    assert await office.agencies.agency("suns") is None
    with pytest.raises(NotFound):
        await office.payouts.add_method(new_id(now_ms()), agency_payee("suns"), "bank", "A bank", b"")
    with pytest.raises(ValueRefused):
        await office.agencies.put("no/slash", name="No")
    assert (agency_of(STARS), agency_of("stars")) == ("stars", None)


TAMPERED: Final = {
    "matured more": (
        "UPDATE creator_days SET matured = matured - 1 WHERE creator = 'agency/stars'",
        Invariant.I10,
    ),
    "a day that says more": (
        "UPDATE creator_days SET earned = earned + 1 WHERE creator = 'agency/stars'",
        Invariant.I1,
    ),
    "a day gone": ("DELETE FROM creator_days WHERE creator = 'agency/stars'", Invariant.I1),
    "a hold that no withdrawal has": ("UPDATE withdrawals SET state = 'rejected'", Invariant.I10),
    "another agency's record": ("UPDATE journal_records SET agency = 'moons' WHERE agency IS NOT NULL", Invariant.I9),
}


@pytest.mark.parametrize(("statement", "invariant"), TAMPERED.values(), ids=list(TAMPERED))
async def test_audit_sees(
    office: Office,
    ledger: Ledger,
    money: Money,
    config: LedgerConfig,
    pool: Pool,
    statement: str,
    invariant: Invariant,
) -> None:
    """Whatever of it somebody changes contradicts the rest."""
    await asked(office, await rich_agency(office, ledger, money), 100_000)
    await assert_holds(config, pool, money)
    await pool.execute(statement)
    report = await audit(config)
    assert invariant in {result.id for result in report.invariants if not result.ok}, report.invariants


async def test_statement_of_what_is_available(office: Office, ledger: Ledger, money: Money) -> None:
    """Matured comes, requested goes."""
    await asked(office, await rich_agency(office, ledger, money), 100_000)
    rows = await office.statements.creator_entries(STARS, after=None, limit=5, account=AccountKind.AVAILABLE)
    assert [(row.cause, row.diamonds, row.balance_diamonds) for row in rows] == [
        ("payout_requested", -100_000, 100_000),
        ("matured", 200_000, 200_000),
    ]


async def test_what_was_given_before_there_were_payouts(empty_postgres_url: str) -> None:
    """Books from before bring their agencies, and the days of what those were given, net of discounts."""
    number = next(one.number for one in migrations() if one.name.endswith("_agencies.sql"))
    await migrate(empty_postgres_url, migrations()[: number - 1])
    connection = await asyncpg.connect(empty_postgres_url)
    await connection.execute(
        """
        INSERT INTO creators (creator, name, plan, agency) VALUES ('cora', 'Cora', 'gold', 'moons');
        INSERT INTO payout_methods (id, creator, kind, label, details)
        VALUES ('019a1b2c-0000-7000-8000-000000000001', 'cora', 'bank', 'My bank', '');
        INSERT INTO journal_records (partition, epoch, seq, at, id, kind, viewer, creator, coins, wallet_after,
            creator_diamonds, commission_diamonds, agency, agency_diamonds)
        SELECT 0, 1, n, '2026-11-20T23:30:00Z'::timestamptz + n * interval '20 min', gen_random_uuid(), 'gift', 'ann',
            'cora', 10, 5, 600, 400, 'stars', 100 FROM generate_series(1, 3) AS n;
        INSERT INTO gift_discounts (partition, seq, coins, creator_diamonds, agency_diamonds, creator)
        VALUES (0, 3, 10, 300, 50, 'cora');
        """
    )
    await migrate(empty_postgres_url)
    days = await connection.fetch(
        "SELECT creator, day::text AS day, earned, gifts, discounted FROM creator_days ORDER BY 2"
    )
    assert [tuple(row) for row in days] == [
        ("agency/stars", "2026-11-20", 100, 1, 0),
        ("agency/stars", "2026-11-21", 150, 2, 50),
    ]
    assert [row["agency"] for row in await connection.fetch("SELECT agency FROM agencies ORDER BY 1")] == [
        *("moons", "stars")
    ]
    assert await connection.fetchval("SELECT payee FROM payout_methods") == "cora"
    await connection.close()
