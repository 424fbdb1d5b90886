"""Days, ISO weeks and months of UTC, as spend caps count them. `lua/parts/guards.lua` numbers them the same way."""

import datetime
from typing import Final

from ledger.model import Limit

DAY_MS: Final = 86_400_000
_WEEK_DAYS: Final = 7
_MONTHS: Final = 12
_EPOCH: Final = datetime.date(1970, 1, 1)
_MONDAY: Final = 3
"""1970-01-01 was a Thursday: so many days after a Monday."""
_MARCH: Final = 3
"""Months are counted from the March of the year 0."""


def period_number(limit: Limit, now_ms: int) -> int:
    """Number of the period that a time lies in, or 0 for the cap of a gift; it rises by one from one to the next."""
    day = now_ms // DAY_MS
    match limit:
        case Limit.GIFT:
            return 0
        case Limit.DAY | Limit.CREATOR_DAY:
            return day
        case Limit.WEEK:
            return (day + _MONDAY) // _WEEK_DAYS
        case Limit.MONTH:
            date = _EPOCH + datetime.timedelta(days=day)
            return date.year * _MONTHS + date.month - _MARCH


def begins_at_ms(limit: Limit, now_ms: int) -> int:
    """When the present period of a cap began; for the cap of a gift, now."""
    match limit:
        case Limit.GIFT:
            return now_ms
        case Limit.DAY | Limit.CREATOR_DAY:
            return now_ms // DAY_MS * DAY_MS
        case Limit.WEEK:
            return (period_number(limit, now_ms) * _WEEK_DAYS - _MONDAY) * DAY_MS
        case Limit.MONTH:
            date = _EPOCH + datetime.timedelta(days=now_ms // DAY_MS)
            return (date.replace(day=1) - _EPOCH).days * DAY_MS


def resets_at_ms(limit: Limit, now_ms: int) -> int | None:
    """When the next period of a cap begins; None for the cap of a gift."""
    match limit:
        case Limit.GIFT:
            return None
        case Limit.DAY | Limit.CREATOR_DAY:
            return (now_ms // DAY_MS + 1) * DAY_MS
        case Limit.WEEK:
            return ((period_number(limit, now_ms) + 1) * _WEEK_DAYS - _MONDAY) * DAY_MS
        case Limit.MONTH:
            date = _EPOCH + datetime.timedelta(days=now_ms // DAY_MS)
            following = (date.replace(day=1) + datetime.timedelta(days=32)).replace(day=1)
            return (following - _EPOCH).days * DAY_MS
