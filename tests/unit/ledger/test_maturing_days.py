"""Which days are ripe: a whole day at once, so many days after its end."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.payouts.maturing import last_ripe_day, ripens_on

MARCH_9 = datetime.date(2026, 3, 9)


@pytest.mark.parametrize(
    ("maturing_days", "last"),
    [(0, MARCH_9), (1, datetime.date(2026, 3, 7)), (7, datetime.date(2026, 3, 1)), (9, datetime.date(2026, 2, 27))],
)
def test_last_ripe_day(maturing_days: int, last: datetime.date) -> None:
    """Worked out on a calendar; with no days to wait it is today."""
    assert last_ripe_day(MARCH_9, maturing_days) == last


@given(st.dates(datetime.date(2000, 1, 1), datetime.date(2100, 1, 1)), st.integers(0, 365))
def test_ripens_on_is_the_first_day(day: datetime.date, maturing_days: int) -> None:
    """On the day that a creator is told, the day is ripe; on the day before it is not."""
    ripe = ripens_on(day, maturing_days)
    assert day <= last_ripe_day(ripe, maturing_days)
    assert day > last_ripe_day(ripe - datetime.timedelta(days=1), maturing_days)
