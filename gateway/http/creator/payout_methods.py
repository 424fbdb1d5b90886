"""How a creator wants to be paid. Details are kept for the operator who pays, and never shown again."""

from typing import Final

import msgspec

from gateway.auth import Identity
from gateway.http.operation import declare
from gateway.http.problems import Problem
from gateway.services import Services
from gateway.wire.codes import Code
from gateway.wire.http.creator import PayoutMethod, PayoutMethodBody, PayoutMethods
from ledger.ids import format_id, parse_id
from ledger.payouts.payouts import PayoutMethod as Stored

DETAILS_BYTES_MAX: Final = 4_096


async def list_payout_methods(services: Services, caller: Identity) -> PayoutMethods:
    """List the creator's payout methods, the oldest first."""
    return await methods_of(services, caller.user)


async def add_payout_method(services: Services, caller: Identity, body: PayoutMethodBody) -> PayoutMethod:
    """Add a payout method. The same id again answers with the first one."""
    return await add_method(services, caller.user, body)


async def methods_of(services: Services, payee: str) -> PayoutMethods:
    """The payout methods of a creator or agency."""
    return PayoutMethods([_answer(method) for method in await services.office.payouts.methods(payee)])


async def add_method(services: Services, payee: str, body: PayoutMethodBody) -> PayoutMethod:
    """Add a payout method of a creator or agency.

    Raises:
        Problem: the details are too long.
    """
    # Sorted, so that the same details told twice are the same bytes.
    details = msgspec.json.encode(body.details, order="sorted")
    if len(details) > DETAILS_BYTES_MAX:
        raise Problem(Code.UNPROCESSABLE, f"At most {DETAILS_BYTES_MAX} bytes are kept.", field="$.details")
    method = await services.office.payouts.add_method(parse_id(body.id), payee, body.kind, body.label, details)
    return _answer(method)


def _answer(method: Stored) -> PayoutMethod:
    return PayoutMethod(format_id(method.id), method.kind, method.label, method.created_ms)


METHOD_REFUSES: Final = (Code.NOT_FOUND, Code.ID_CONFLICT, Code.LIMIT_REACHED)
OPERATIONS = (
    declare("GET", "/v1/creators/me/payout-methods", list_payout_methods, tag="payouts", roles=("creator",)),
    declare(
        "POST",
        "/v1/creators/me/payout-methods",
        add_payout_method,
        tag="payouts",
        roles=("creator",),
        refuses=METHOD_REFUSES,
    ),
)
