"""What age allows: birthdays, guardians, caps of minors, and what changes when something new is told."""

import datetime

import pytest

from ledger.guards.ages import (
    NOBODY,
    Act,
    AgeLimits,
    AgeRefusal,
    AgeRules,
    AgeStep,
    Person,
    PersonChange,
    judge,
    steps_of,
)
from ledger.model import Limit, Refusal

LIMITS = AgeLimits(
    give_age_min=8,
    buy_age_min=10,
    withdraw_age_min=18,
    guardian_from=8,
    guardian_until=17,
    minor_until=18,
    minor_caps=(5, 50, None, 500),
)
CAPS = LIMITS.minor_caps


def ms(text: str) -> int:
    """The begin of a day (UTC)."""
    return round(datetime.datetime.fromisoformat(f"{text}T00:00:00+00:00").timestamp() * 1000)


def born(text: str, guardian: str | None = None) -> Person:
    """Somebody with a birth date."""
    return Person(datetime.date.fromisoformat(text), guardian=guardian)


JUDGED = """
# born       guardian | act      day        | outcome
  2010-05-02 -        | buy      2020-05-01 | under_age 10
  2010-05-02 -        | buy      2020-05-02 | guardian_needed 17
  2010-05-02 mum      | buy      2020-05-01 | under_age 10
  2010-05-02 mum      | buy      2020-05-02 | -
  2010-05-02 -        | buy      2027-05-01 | guardian_needed 17
  2010-05-02 -        | buy      2027-05-02 | -
  2010-05-02 mum      | withdraw 2028-05-01 | under_age 18
  2010-05-02 -        | withdraw 2028-05-02 | -
  2012-02-29 -        | withdraw 2030-02-28 | under_age 18
  2012-02-29 -        | withdraw 2030-03-01 | -
  2012-02-29 -        | buy      2028-02-28 | guardian_needed 17
  2012-02-29 -        | buy      2029-02-28 | guardian_needed 17
  2012-02-29 -        | buy      2029-03-01 | -
  -          -        | buy      2029-03-01 | age_unknown 0
  -          mum      | withdraw 2029-03-01 | age_unknown 0
"""


@pytest.mark.parametrize("line", JUDGED.strip().splitlines()[1:])
def test_purchase_and_withdrawal_by_age(line: str) -> None:
    """Each line of the table: who, what on which day, and why not; on the day before a birthday and on it."""
    who, what, outcome = (part.split() for part in line.split("|"))
    person = Person(guardian=None if who[1] == "-" else who[1])
    if who[0] != "-":
        person = born(who[0], person.guardian)
    told = judge(person, LIMITS, Act(what[0]), datetime.date.fromisoformat(what[1]), known=True)
    assert told == (None if outcome[0] == "-" else AgeRefusal(Refusal(outcome[0]), int(outcome[1])))


def test_unknown_age_where_it_need_not_be_known() -> None:
    """It may do everything."""
    for act in Act:
        assert judge(NOBODY, LIMITS, act, datetime.date(2029, 3, 1), known=False) is None


def test_steps_of_a_child() -> None:
    """Too young, then for want of a guardian, then with a minor's caps, then free: each from its birthday on."""
    assert steps_of(born("2020-05-02"), LIMITS) == (
        AgeStep(0, Refusal.UNDER_AGE, 8),
        AgeStep(ms("2028-05-02"), Refusal.GUARDIAN_NEEDED, 17),
        AgeStep(ms("2037-05-02"), None, 0, CAPS),
        AgeStep(ms("2038-05-02"), None),
    )


def test_steps_with_a_guardian() -> None:
    """The consent takes the refusal away, not the caps, and makes nobody older."""
    assert steps_of(born("2020-05-02", "mum"), LIMITS) == (
        AgeStep(0, Refusal.UNDER_AGE, 8),
        AgeStep(ms("2028-05-02"), None, 0, CAPS),
        AgeStep(ms("2038-05-02"), None),
    )


def test_steps_of_somebody_old() -> None:
    """Birthdays before 1970 are all one time, and the last of them counts."""
    assert steps_of(born("1900-01-01"), LIMITS) == (AgeStep(0, None),)
    assert steps_of(born("1952-06-01"), LIMITS) == (AgeStep(0, None, 0, CAPS), AgeStep(ms("1970-06-01"), None))


def test_steps_where_there_are_no_rules() -> None:
    """A known age is one step that lets everything through, so that it is told from an unknown one."""
    assert steps_of(born("2020-05-02"), AgeLimits()) == (AgeStep(0, None),)
    assert steps_of(NOBODY, LIMITS) == ()


def test_steps_of_an_unknown_age_in_a_country_that_wants_own_caps() -> None:
    """The caps are wanted whatever the age is."""
    limits = AgeLimits(own_caps_needed=(Limit.DAY,))
    assert steps_of(Person(country="CN"), limits) == (AgeStep(0, Refusal.AGE_UNKNOWN, own_caps_needed=(Limit.DAY,)),)


def test_rules_of_a_country() -> None:
    """One that is not named, or not known, has the default's; the digest follows every number."""
    rules = AgeRules(AgeLimits(withdraw_age_min=18), {"KR": AgeLimits(withdraw_age_min=19)})
    assert [rules.of(country).withdraw_age_min for country in ("KR", "DE", None)] == [19, 18, 18]
    other = AgeRules(AgeLimits(withdraw_age_min=18), {"KR": AgeLimits(withdraw_age_min=20)})
    assert rules.digest == AgeRules(rules.default, dict(rules.countries)).digest != other.digest


def test_least_age_told_again() -> None:
    """It stands for a birthday on the day it was told first; another one begins anew, and a date takes its place."""
    first = NOBODY.changed(PersonChange(age_least=16), ms("2030-05-02"))
    assert (first.born, first.age_least) == (datetime.date(2014, 5, 2), 16)
    assert first.changed(PersonChange(age_least=16), ms("2031-01-01")) == first
    second = first.changed(PersonChange(age_least=18), ms("2031-01-01"))
    assert (second.born, second.age_least) == (datetime.date(2013, 1, 1), 18)
    dated = second.changed(PersonChange(born=datetime.date(2012, 7, 7)), ms("2031-01-01"))
    assert (dated.born, dated.age_least) == (datetime.date(2012, 7, 7), None)
    assert dated.changed(PersonChange(age_least=None), 0) == dated
    assert second.changed(PersonChange(age_least=None), 0) == NOBODY


def test_least_age_told_on_the_29th_of_february() -> None:
    """The latest birth date that fits: nobody is made older than what was said."""
    told = NOBODY.changed(PersonChange(age_least=18), ms("2032-02-29"))
    assert told.born == datetime.date(2014, 2, 28)
    assert told.age(datetime.date(2032, 2, 29)) == 18
    leap = NOBODY.changed(PersonChange(age_least=20), ms("2032-02-29"))
    assert leap.born == datetime.date(2012, 2, 29)
    assert [leap.age(datetime.date(2032, 2, day)) for day in (28, 29)] == [19, 20]


def test_consent_given_and_taken_back() -> None:
    """Its time is that of the first telling; what is not named stays."""
    given = NOBODY.changed(PersonChange(country="CN", guardian="mum"), 1_000)
    assert (given.country, given.guardian, given.guardian_ms) == ("CN", "mum", 1_000)
    assert given.changed(PersonChange(guardian="mum"), 2_000) == given
    assert given.changed(PersonChange(guardian="dad"), 3_000).guardian_ms == 3_000
    taken = given.changed(PersonChange(guardian=None), 4_000)
    assert (taken.country, taken.guardian, taken.guardian_ms) == ("CN", None, None)
