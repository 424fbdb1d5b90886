"""The agencies that look after creators: who they are, and what they have."""

from gateway.auth import NAME_LENGTH_MAX
from gateway.http.agency.earnings import agency_earnings
from gateway.http.operation import declare
from gateway.http.paging import TextPage, cut, wanted
from gateway.services import Services
from gateway.shown import shown
from gateway.wire.codes import Code
from gateway.wire.http.agency import Agencies, Agency, AgencyBody, AgencyEarnings
from gateway.wire.messages import Name
from ledger.payouts.agencies import Agency as Stored


async def list_agencies(services: Services, query: TextPage) -> Agencies:
    """List agencies, and what they were given of gifts, as far as the books are."""
    limit = wanted(query.limit, services.config.http.page_entries_max)
    rows = await services.office.agencies.agencies(after=query.after, limit=limit + 1)
    page = cut(rows, limit, lambda row: row.agency)
    return Agencies([_answer(row) for row in page.rows], page.next)


async def put_agency(services: Services, agency: Name, body: AgencyBody) -> Agency:
    """Make an agency, or replace what is known of one."""
    name = shown(body.name, NAME_LENGTH_MAX) or agency
    return _answer(await services.office.agencies.put(agency, name=name, country=body.country))


async def read_earnings_of_agency(services: Services, agency: Name) -> AgencyEarnings:
    """Tell what an agency was given, and what of it can be withdrawn."""
    return await agency_earnings(services, agency)


def _answer(stored: Stored) -> Agency:
    return Agency(stored.agency, stored.diamonds, stored.name, stored.country)


OPERATIONS = (
    declare("GET", "/v1/admin/agencies", list_agencies, tag="operators", roles=("operator",)),
    declare("PUT", "/v1/admin/agencies/{agency}", put_agency, tag="operators", roles=("operator",)),
    declare(
        "GET",
        "/v1/admin/agencies/{agency}/earnings",
        read_earnings_of_agency,
        tag="operators",
        roles=("operator",),
        refuses=(Code.NOT_FOUND,),
    ),
)
