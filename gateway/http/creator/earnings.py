"""What a creator earned: now, by entry and by day."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from gateway.auth import Identity
from gateway.http.creator.share import commission_of, example_of, share_of
from gateway.http.operation import declare
from gateway.http.paging import ENTRIES_DEFAULT, Limit, NumberCursor, cut, wanted
from gateway.services import Services
from gateway.wire.http.creator import CreatorAccount, DayStatistics, Earnings, Statement, StatementEntry, Statistics
from ledger.ids import format_id
from ledger.lots.statements import CREATOR_ACCOUNTS, CreatorDayRow, CreatorEntry

_ACCOUNTS: Final = {account.value: account for account in CREATOR_ACCOUNTS}


class StatementPage(Struct, frozen=True):
    """A page of one account's movements.

    Attributes:
        account: pending earnings, what is available, or what withdrawals hold.
    """

    account: CreatorAccount = "pending"
    after: NumberCursor | None = None
    limit: Limit = ENTRIES_DEFAULT


class Period(Struct, frozen=True):
    """How many days with gifts to tell of, the latest first."""

    days: Annotated[int, Meta(ge=1, le=366)] = 30


async def read_earnings(services: Services, caller: Identity) -> Earnings:
    """Tell what was earned, what of it can be withdrawn, and what of a gift is the creator's."""
    config = services.config.ledger
    creator = await services.office.directory.creator(caller.user)
    booked = await services.office.payouts.earnings(caller.user)
    commission_bp = commission_of(creator, config)
    return Earnings(
        creator=caller.user,
        live_diamonds=await services.ledger.live_earnings(caller.user),
        pending_diamonds=booked.pending_diamonds,
        available_diamonds=booked.available_diamonds,
        taken_back_diamonds=booked.taken_back_diamonds,
        discounted_diamonds=booked.discounted_diamonds,
        on_hold_diamonds=booked.on_hold_diamonds,
        paid_out_diamonds=booked.paid_out_diamonds,
        next_matures_ms=booked.next_matures_ms,
        share=share_of(commission_bp, config),
        example=example_of(commission_bp, config),
    )


async def read_statement(services: Services, caller: Identity, query: StatementPage) -> Statement:
    """List the movements of one account, the newest first."""
    limit = wanted(query.limit, services.config.http.page_entries_max)
    rows = await services.office.statements.creator_entries(
        caller.user, after=query.after, limit=limit + 1, account=_ACCOUNTS[query.account]
    )
    page = cut(rows, limit, lambda row: row.number)
    return Statement(query.account, [entry_answer(row) for row in page.rows], page.next)


async def read_statistics(services: Services, caller: Identity, query: Period) -> Statistics:
    """Tell what was earned by day (UTC), the latest day first."""
    days = await services.office.statements.creator_days(caller.user, days=query.days)
    return Statistics(caller.user, [day_answer(row) for row in days])


def entry_answer(row: CreatorEntry) -> StatementEntry:
    """A movement as the contract shows it."""
    return StatementEntry(
        format_id(row.id), row.at_ms, row.cause, row.diamonds, row.balance_diamonds, row.item, row.place
    )


def day_answer(row: CreatorDayRow) -> DayStatistics:
    """A day as the contract shows it."""
    return DayStatistics(str(row.day), row.earned_diamonds, row.gifts, row.discounted_diamonds)


OPERATIONS = (
    declare("GET", "/v1/creators/me/earnings", read_earnings, tag="creators", roles=("creator",)),
    declare("GET", "/v1/creators/me/statement", read_statement, tag="creators", roles=("creator",)),
    declare("GET", "/v1/creators/me/statistics", read_statistics, tag="creators", roles=("creator",)),
)
