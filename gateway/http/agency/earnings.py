"""What an agency was given of its creators' gifts: now, by account and by day."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from gateway.auth import Identity
from gateway.http.creator.earnings import day_answer, entry_answer
from gateway.http.operation import declare
from gateway.http.paging import ENTRIES_DEFAULT, Limit, NumberCursor, TextPage, cut, wanted
from gateway.http.problems import Problem
from gateway.services import Services
from gateway.wire.codes import Code
from gateway.wire.http.agency import AgencyAccount, AgencyCreators, AgencyEarnings, AgencyStatistics
from gateway.wire.http.creator import Statement
from ledger.accounts import AccountKind
from ledger.payouts.payees import agency_payee

_ACCOUNTS: Final = {"available": AccountKind.AVAILABLE, "payout_hold": AccountKind.PAYOUT_HOLD}


class AgencyStatementPage(Struct, frozen=True):
    """A page of one account's movements.

    Attributes:
        account: what is available, or what withdrawals hold. What is pending is told by days.
    """

    account: AgencyAccount = "available"
    after: NumberCursor | None = None
    limit: Limit = ENTRIES_DEFAULT


class AgencyPeriod(Struct, frozen=True):
    """How many days with gifts to tell of, the latest first."""

    days: Annotated[int, Meta(ge=1, le=366)] = 30


async def read_agency_earnings(services: Services, caller: Identity) -> AgencyEarnings:
    """Tell what the agency was given, and what of it can be withdrawn."""
    return await agency_earnings(services, caller.user)


async def read_agency_statement(services: Services, caller: Identity, query: AgencyStatementPage) -> Statement:
    """List the movements of one of the agency's accounts, the newest first."""
    limit = wanted(query.limit, services.config.http.page_entries_max)
    rows = await services.office.statements.creator_entries(
        agency_payee(caller.user), after=query.after, limit=limit + 1, account=_ACCOUNTS[query.account]
    )
    page = cut(rows, limit, lambda row: row.number)
    return Statement(query.account, [entry_answer(row) for row in page.rows], page.next)


async def read_agency_statistics(services: Services, caller: Identity, query: AgencyPeriod) -> AgencyStatistics:
    """Tell what the agency was given by day (UTC), the latest day first."""
    days = await services.office.statements.creator_days(agency_payee(caller.user), days=query.days)
    return AgencyStatistics(caller.user, [day_answer(row) for row in days])


async def list_agency_creators(services: Services, caller: Identity, query: TextPage) -> AgencyCreators:
    """List the creators that the agency looks after now."""
    limit = wanted(query.limit, services.config.http.page_entries_max)
    rows = await services.office.agencies.creators(caller.user, after=query.after, limit=limit + 1)
    page = cut(rows, limit, lambda row: row)
    return AgencyCreators(caller.user, page.rows, page.next)


async def agency_earnings(services: Services, agency: str) -> AgencyEarnings:
    """What an agency has.

    Raises:
        Problem: there is no such agency.
    """
    stored = await services.office.agencies.agency(agency)
    if stored is None:
        raise Problem(Code.NOT_FOUND, "There is no such agency.")
    booked = await services.office.payouts.earnings(agency_payee(agency))
    return AgencyEarnings(
        agency=agency,
        given_diamonds=stored.diamonds,
        pending_diamonds=booked.pending_diamonds,
        available_diamonds=booked.available_diamonds,
        on_hold_diamonds=booked.on_hold_diamonds,
        paid_out_diamonds=booked.paid_out_diamonds,
        next_matures_ms=booked.next_matures_ms,
        discounted_diamonds=booked.discounted_diamonds,
        payout_currency=services.config.ledger.payout_currency,
        diamonds_per_minor=services.config.ledger.diamonds_per_minor,
    )


OPERATIONS = (
    declare(
        "GET",
        "/v1/agencies/me/earnings",
        read_agency_earnings,
        tag="agencies",
        roles=("agency",),
        refuses=(Code.NOT_FOUND,),
    ),
    declare("GET", "/v1/agencies/me/statement", read_agency_statement, tag="agencies", roles=("agency",)),
    declare("GET", "/v1/agencies/me/statistics", read_agency_statistics, tag="agencies", roles=("agency",)),
    declare("GET", "/v1/agencies/me/creators", list_agency_creators, tag="agencies", roles=("agency",)),
)
