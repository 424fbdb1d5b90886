"""Who earns, and what the platform keeps of it."""

from gateway.auth import NAME_LENGTH_MAX
from gateway.http.creator.share import creator_answer
from gateway.http.operation import declare
from gateway.http.paging import TextPage, cut, wanted
from gateway.http.problems import Problem
from gateway.services import Services
from gateway.shown import shown
from gateway.wire.codes import Code
from gateway.wire.http.admin import Creator, CreatorBody, Creators
from gateway.wire.messages import Name


async def list_creators(services: Services, query: TextPage) -> Creators:
    """List creators in the order of their ids."""
    limit = wanted(query.limit, services.config.http.page_entries_max)
    page = cut(
        await services.office.directory.creators(after=query.after, limit=limit + 1), limit, lambda row: str(row.id)
    )
    return Creators([creator_answer(row, services.config.ledger) for row in page.rows], page.next)


async def read_creator(services: Services, creator: Name) -> Creator:
    """Tell what is known of a creator."""
    stored = await services.office.directory.creator(creator)
    if stored is None:
        raise Problem(Code.NOT_FOUND, "There is no such creator.")
    return creator_answer(stored, services.config.ledger)


async def put_creator(services: Services, creator: Name, body: CreatorBody) -> Creator:
    """Make a creator, or replace what is known of one. Gifts given before keep the split they had."""
    name = shown(body.name, NAME_LENGTH_MAX) or creator
    stored = await services.office.directory.put_creator(
        creator,
        name=name,
        country=body.country,
        plan=body.plan,
        commission_bp=body.commission_bp,
        agency=body.agency,
    )
    return creator_answer(stored, services.config.ledger)


OPERATIONS = (
    declare("GET", "/v1/admin/creators", list_creators, tag="operators", roles=("operator",)),
    declare(
        "GET",
        "/v1/admin/creators/{creator}",
        read_creator,
        tag="operators",
        roles=("operator",),
        refuses=(Code.NOT_FOUND,),
    ),
    declare("PUT", "/v1/admin/creators/{creator}", put_creator, tag="operators", roles=("operator",)),
)
