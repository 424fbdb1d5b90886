"""Days, weeks and months of UTC, by the calendar of the standard library."""

import datetime

import pytest

from ledger.guards.periods import begins_at_ms, period_number, resets_at_ms
from ledger.model import Limit


def at_ms(text: str) -> int:
    """A time of UTC."""
    return round(datetime.datetime.fromisoformat(f"{text}+00:00").timestamp() * 1000)


RESETS = """
# now                 | limit        resets at
  2026-11-24T00:00:00 | day          2026-11-25
  2026-11-24T23:59:59 | day          2026-11-25
  2026-11-24T23:59:59 | creator_day  2026-11-25
  2026-11-24T00:00:00 | week         2026-11-30
  2026-11-29T23:59:59 | week         2026-11-30
  2026-11-30T00:00:00 | week         2026-12-07
  2026-12-31T12:00:00 | week         2027-01-04
  2026-11-01T00:00:00 | month        2026-12-01
  2026-11-30T23:59:59 | month        2026-12-01
  2026-12-31T23:59:59 | month        2027-01-01
  2028-01-31T10:00:00 | month        2028-02-01
  2028-02-29T10:00:00 | month        2028-03-01
"""


@pytest.mark.parametrize("line", RESETS.strip().splitlines()[1:])
def test_reset_of_a_cap(line: str) -> None:
    """The next day, Monday or first of the month begins at midnight of UTC."""
    now, _, limit, resets = line.replace("|", " | ").split()
    assert resets_at_ms(Limit(limit), at_ms(now)) == at_ms(resets)


@pytest.mark.parametrize("line", RESETS.strip().splitlines()[1:])
def test_beginning_of_a_period(line: str) -> None:
    """Its first ms is of the same period as now, and the ms before it is not."""
    now, _, name, _ = line.replace("|", " | ").split()
    limit, begins = Limit(name), begins_at_ms(Limit(name), at_ms(now))
    assert period_number(limit, begins) == period_number(limit, at_ms(now)) == period_number(limit, begins - 1) + 1


def test_cap_of_a_gift_never_resets() -> None:
    """It counts nothing."""
    assert resets_at_ms(Limit.GIFT, at_ms("2026-11-24")) is None
    assert period_number(Limit.GIFT, at_ms("2026-11-24")) == 0
    assert begins_at_ms(Limit.GIFT, at_ms("2026-11-24")) == at_ms("2026-11-24")


def test_numbers_of_periods_rise_where_the_calendar_turns() -> None:
    """Over 8 years of days: a number rises by one exactly on each day, each Monday and each first of a month."""
    day = datetime.date(2023, 12, 25)
    numbers = {limit: period_number(limit, at_ms(day.isoformat())) for limit in (Limit.DAY, Limit.WEEK, Limit.MONTH)}
    for _ in range(8 * 366):
        day += datetime.timedelta(days=1)
        turns = {Limit.DAY: True, Limit.WEEK: day.isoweekday() == 1, Limit.MONTH: day.day == 1}
        for limit, turned in turns.items():
            number = period_number(limit, at_ms(day.isoformat()))
            assert number == numbers[limit] + turned, (day, limit)
            numbers[limit] = number
