"""Ages in PostgreSQL and the live ledger: gifts, purchases and withdrawals by what is known and by countries' rules."""

import datetime
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from ledger.books.postgres import Pool
from ledger.config import LedgerConfig
from ledger.errors import AgeForbids, LedgerUnavailable, ValueRefused
from ledger.guards.ages import AgeLimits, AgeRules, Person, PersonChange
from ledger.guards.guards import Guards
from ledger.ids import new_id
from ledger.model import CreatorId, GiftRefused, Held, HoldOrder, Limit, Refusal, ViewerId
from ledger.office import Office, open_office
from ledger.payouts.payouts import PayoutRefused, WithdrawalOrder
from ledger.rails.sandbox import SandboxRail
from ledger.service import Ledger, open_ledger
from tests.integration.ledger.orders import gift_order, grant, now_ms
from tests.integration.ledger_money.money import Money, purchase_order
from tests.integration.ledger_money.test_guard_counts import set_clock
from tests.integration.ledger_money.test_guards import Deaf
from tests.integration.ledger_postgres.repairing import let_in

RULES = AgeRules(
    AgeLimits(withdraw_age_min=18, minor_until=18, minor_caps=(None, 50, None, None)),
    {
        "CN": AgeLimits(8, 9, 18, 8, 17),
        "KR": AgeLimits(withdraw_age_min=19),
    },
)
KNOWN = "SELECT born, age_least, country, guardian FROM guards WHERE viewer = 'ann'"


@pytest.fixture
async def office(config: LedgerConfig, ledger: Ledger, rail: SandboxRail) -> AsyncIterator[Office]:
    """An office that knows the rules."""
    opened = await open_office(config, ledger, rails=[rail], ages=RULES)
    yield opened
    await opened.close()


@pytest.fixture
async def strict(config: LedgerConfig, ledger: Ledger, rail: SandboxRail) -> AsyncIterator[Office]:
    """The same where ages must be known."""
    wary = msgspec.structs.replace(config, unknown_age="refuse")
    opened = await open_office(wary, ledger, rails=[rail], ages=RULES)
    yield opened
    await opened.close()


def born(years: int, in_days: int = 0) -> datetime.date:
    """Of somebody who is so many years old in so many days, in a year in which that day exists."""
    birthday = datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=in_days)
    if (birthday.month, birthday.day) == (2, 29):
        # On the 29th of February who was born on the 1st of March of another year is not so old yet.
        birthday -= datetime.timedelta(days=1 if in_days <= 0 else -1)
    return birthday.replace(year=birthday.year - years)


def utc(text: str) -> datetime.datetime:
    """A time."""
    return datetime.datetime.fromisoformat(f"{text}+00:00")


async def tell(office: Office, viewer: str, **known: Any) -> None:
    """Tell something of a viewer."""
    await office.guards.know(viewer, PersonChange(**known), by="olga")


async def gift(ledger: Ledger, coins: int = 1, viewer: str = "ann", at_ms: int | None = None) -> str:
    """What becomes of a gift: `paid`, or the refusal with its number."""
    outcome = await ledger.give(gift_order(viewer, coins, gift_id=None if at_ms is None else new_id(at_ms)))
    if not isinstance(outcome, GiftRefused):
        return "paid"
    if outcome.cap is not None:
        return f"{outcome.cap.limit} {outcome.cap.coins}"
    return f"{outcome.refusal.value} {outcome.age}"


async def test_age_holds_when_it_is_answered(office: Office, ledger: Ledger, pool: Pool) -> None:
    """Each telling is in force at once, is shown, and stays on record with who told it."""
    await ledger.credit(grant("ann", 100))
    assert await gift(ledger) == "paid"
    await tell(office, "ann", born=born(12), country="CN")
    assert await gift(ledger) == "guardian_needed 17"
    await tell(office, "ann", guardian="mum")
    assert await gift(ledger) == "paid"
    shown = await office.guards.read("ann")
    assert (shown.person.born, shown.person.country, shown.person.guardian) == (born(12), "CN", "mum")
    assert shown.person.guardian_ms is not None and abs(shown.person.guardian_ms - now_ms()) < 600_000
    await tell(office, "ann", guardian=None)
    assert await gift(ledger) == "guardian_needed 17"
    refusal = (await office.guards.read("ann")).age
    assert refusal is not None and (refusal.refusal, refusal.age) == (Refusal.GUARDIAN_NEEDED, 17)
    told = await pool.fetch("SELECT born, country, guardian, by FROM told_ages WHERE viewer = 'ann' ORDER BY number")
    assert [tuple(row) for row in told] == [
        (born(12), "CN", None, "olga"),
        (born(12), "CN", "mum", "olga"),
        (born(12), "CN", None, "olga"),
    ]


async def test_hold_by_age(office: Office, ledger: Ledger, config: LedgerConfig) -> None:
    """Coins are put aside by the same judgement as for a gift, also where ages must be known."""
    await ledger.credit(grant("ann", 100))
    await tell(office, "ann", born=born(12), country="CN")
    order = HoldOrder(new_id(now_ms()), ViewerId("ann"), 5, 60_000, "x")
    assert await ledger.hold(order) == GiftRefused(Refusal.GUARDIAN_NEEDED, 100, age=17)
    wary = open_ledger(msgspec.structs.replace(config, unknown_age="refuse"))
    await wary.start()
    refused = await wary.hold(msgspec.structs.replace(order, viewer=ViewerId("bob")))
    assert refused == GiftRefused(Refusal.AGE_UNKNOWN, 0)
    await wary.stop()
    await tell(office, "ann", guardian="mum")
    assert isinstance(await ledger.hold(order), Held)


async def test_age_beside_freeze_and_caps(office: Office, ledger: Ledger) -> None:
    """Each is changed without the others, and the smaller cap is shown with whose it is."""
    await ledger.credit(grant("ann", 100))
    await office.guards.set_caps("ann", {Limit.DAY: 70})
    await office.guards.freeze("ann", "Ask us.", by="olga")
    await tell(office, "ann", born=born(12))
    await office.guards.thaw("ann", by="olga")
    cap = (await office.guards.read("ann")).caps[Limit.DAY]
    assert (cap.coins, cap.own.coins, cap.age_coins, cap.operator_coins) == (50, 70, 50, None)
    assert await gift(ledger, 51) == "day 50"
    await office.guards.set_caps("ann", {Limit.DAY: 20})
    assert await gift(ledger, 21) == "day 20"
    await tell(office, "ann", born=None)
    assert (await office.guards.read("ann")).caps[Limit.DAY].coins == 20


async def test_birthday_comes_by_itself(office: Office, ledger: Ledger) -> None:
    """Nobody tells the live ledger anything, and the next gift is judged by the greater age."""
    await ledger.credit(grant("ann", 100))
    await tell(office, "ann", born=datetime.date(2032, 5, 2), country="CN", guardian="mum")
    eve = await set_clock(ledger, utc("2040-05-01T23:59:59"))
    assert await gift(ledger, at_ms=eve) == "under_age 8"
    day = await set_clock(ledger, utc("2040-05-02T00:00:00"))
    assert await gift(ledger, at_ms=day) == "paid"


async def test_age_that_the_live_ledger_did_not_hear_is_owed(
    office: Office, ledger: Ledger, pool: Pool, config: LedgerConfig
) -> None:
    """The row is committed, the caller is told that it is not known, and the duty brings it in."""
    await ledger.credit(grant("ann", 10))
    deaf = Guards(pool, Deaf(ledger.redis, config), config, RULES)
    with pytest.raises(LedgerUnavailable):
        await deaf.know("ann", PersonChange(born=born(3), country="CN"), by="olga")
    assert await gift(ledger) == "paid"
    assert await office.guards.tell_owed() == 1
    assert await gift(ledger) == "under_age 8"


async def test_ages_told_again_after_a_loss(office: Office, ledger: Ledger, config: LedgerConfig) -> None:
    """An empty live ledger learns them as they were, without the rules."""
    await tell(office, "ann", born=born(3), country="CN")
    await ledger.redis.flushall()
    await let_in(config)
    without = await open_office(config, ledger)
    assert await without.guards.tell_all() == 1
    await without.close()
    await ledger.credit(grant("ann", 10))
    assert await gift(ledger) == "under_age 8"


async def test_rules_that_changed(office: Office, ledger: Ledger, pool: Pool, config: LedgerConfig) -> None:
    """A duty with other rules judges all anew of whom something is known, in batches and once; then all is told."""
    viewers = [f"viewer{number}" for number in range(5)]
    for viewer in (*viewers, "ann", "bob", "cid"):
        await ledger.credit(grant(viewer, 10))
    for viewer in viewers:
        await tell(office, viewer, born=born(12))
        assert await gift(ledger, viewer=viewer) == "paid"
    await office.guards.set_caps("ann", {Limit.DAY: 5})
    await tell(office, "bob", born=born(12))
    await tell(office, "bob", born=None)
    await tell(office, "cid", born=born(12), country="CN", guardian="mum")
    changed = AgeRules(AgeLimits(give_age_min=13), RULES.countries)
    duty = Guards(pool, ledger, msgspec.structs.replace(config, settle_rows_max=2), changed)
    assert await duty.renew() == 6
    assert [await gift(ledger, viewer=viewer) for viewer in viewers] == ["under_age 13"] * 5
    assert [await gift(ledger, viewer=viewer) for viewer in ("ann", "bob", "cid")] == ["paid"] * 3
    versions = await pool.fetchval("SELECT count(*) FROM guards WHERE told_version <> version")
    assert (await duty.renew(), versions) == (0, 0)


async def test_telling_that_tells_nothing(office: Office, ledger: Ledger, pool: Pool) -> None:
    """The same again changes nothing, and is not put on record again."""
    for _ in range(2):
        await tell(office, "ann", age_least=16)
    assert [tuple(row) for row in await pool.fetch(KNOWN)] == [(born(16), 16, None, None)]
    assert await pool.fetchval("SELECT count(*) FROM told_ages") == 1
    await tell(office, "bob")
    assert (await ledger.guard("bob")).settings.version == 0
    assert (await office.guards.read("bob")).person == Person()


@pytest.mark.parametrize(
    "known",
    [
        {"born": datetime.date(1869, 12, 31)},
        {"born": datetime.date(2200, 1, 1)},
        {"country": "China"},
        {"guardian": ""},
        {"guardian": "x" * 101},
    ],
)
async def test_fact_out_of_its_bounds(office: Office, pool: Pool, known: dict[str, Any]) -> None:
    """The table refuses it, and nothing is known."""
    with pytest.raises(ValueRefused):
        await tell(office, "ann", **known)
    assert await pool.fetch(KNOWN) == []


PURCHASES = """
# years in days country guardian | strict | outcome
  9     1       CN      -        | no     | under_age 9
  9     1       CN      mum      | no     | under_age 9
  9     0       CN      -        | no     | guardian_needed 17
  9     0       CN      mum      | no     | -
  17    1       CN      -        | no     | guardian_needed 17
  17    0       CN      -        | no     | -
  3     0       -       -        | no     | -
  3     0       KR      -        | no     | -
  3     0       -       -        | yes    | -
  -     0       CN      -        | no     | -
  -     0       CN      -        | yes    | age_unknown 0
  -     0       -       -        | yes    | age_unknown 0
"""


@pytest.mark.parametrize("line", PURCHASES.strip().splitlines()[1:])
async def test_purchase_by_age(office: Office, strict: Office, pool: Pool, line: str) -> None:
    """Each line of the table: how old somebody is in how many days, where, and what becomes of a purchase."""
    who, wary, outcome = (part.split() for part in line.split("|"))
    years, in_days, country, guardian = (None if word == "-" else word for word in who)
    known: dict[str, Any] = {"country": country, "guardian": guardian}
    if years is not None:
        known["born"] = born(int(years), int(in_days or 0))
    await tell(office, "ann", **known)
    purchases = (strict if wary == ["yes"] else office).purchases
    if outcome == ["-"]:
        assert (await purchases.begin(purchase_order())).checkout
        return
    with pytest.raises(AgeForbids) as caught:
        await purchases.begin(purchase_order())
    assert [caught.value.refusal.value, str(caught.value.age)] == outcome
    assert await pool.fetchval("SELECT count(*) FROM credits") == 0


async def test_purchase_that_was_begun_before(office: Office) -> None:
    """The same id is answered as it stands, whatever is known by now; another one is refused."""
    order = purchase_order()
    begun = await office.purchases.begin(order)
    await tell(office, "ann", born=born(3), country="CN")
    assert await office.purchases.begin(order) == begun
    with pytest.raises(AgeForbids):
        await office.purchases.begin(purchase_order())


WITHDRAWALS = """
# years in days country of creator | strict | outcome
  18    1       -       -          | no     | under_age 18
  18    0       -       -          | no     | -
  18    0       KR      -          | no     | under_age 19
  18    0       -       KR         | no     | under_age 19
  19    1       -       KR         | no     | under_age 19
  19    0       -       KR         | no     | -
  18    0       CN      KR         | no     | -
  -     0       KR      -          | no     | -
  -     0       -       -          | yes    | age_unknown -
"""


@pytest.mark.parametrize("line", WITHDRAWALS.strip().splitlines()[1:])
async def test_withdrawal_by_age(office: Office, strict: Office, money: Money, line: str) -> None:
    """Each line of the table: how old a creator is in how many days, in which country, also as the directory has it."""
    who, wary, outcome = (part.split() for part in line.split("|"))
    years, in_days, country, directory = (None if word == "-" else word for word in who)
    method = await money.add_creator("cora")
    await office.directory.put_creator("cora", name="Cora", country=directory)
    await money.earn("cora", 4_000)
    await office.maturing.round(datetime.datetime.now(datetime.UTC).date())
    known: dict[str, Any] = {"country": country}
    if years is not None:
        known["born"] = born(int(years), int(in_days or 0))
    await tell(office, "cora", **known)
    payouts = (strict if wary == ["yes"] else office).payouts
    answer = await payouts.request(WithdrawalOrder(new_id(now_ms()), CreatorId("cora"), method.id, 150_000))
    if outcome == ["-"]:
        assert not isinstance(answer, PayoutRefused)
    else:
        assert isinstance(answer, PayoutRefused)
        assert [answer.refusal.value, str(answer.age_min or "-")] == outcome
        assert (await office.payouts.earnings("cora")).on_hold_diamonds == 0
