"""How an agency is paid: the same methods and withdrawals as a creator's, under the agency's name."""

from gateway.auth import Identity
from gateway.http.creator.payout_methods import METHOD_REFUSES, add_method, methods_of
from gateway.http.creator.withdrawals import ASK_REFUSES, ask_for, course_of, withdrawals_of
from gateway.http.operation import declare
from gateway.http.paging import TextPage
from gateway.services import Services
from gateway.wire.codes import Code
from gateway.wire.http.creator import (
    PayoutMethod,
    PayoutMethodBody,
    PayoutMethods,
    Withdrawal,
    WithdrawalBody,
    WithdrawalCourse,
    Withdrawals,
)
from gateway.wire.messages import Id
from ledger.payouts.payees import agency_payee


async def list_agency_payout_methods(services: Services, caller: Identity) -> PayoutMethods:
    """List the agency's payout methods, the oldest first."""
    return await methods_of(services, agency_payee(caller.user))


async def add_agency_payout_method(services: Services, caller: Identity, body: PayoutMethodBody) -> PayoutMethod:
    """Add a payout method of the agency. The same id again answers with the first one."""
    return await add_method(services, agency_payee(caller.user), body)


async def request_agency_withdrawal(services: Services, caller: Identity, body: WithdrawalBody) -> Withdrawal:
    """Ask for the agency's diamonds to be paid out; they are held from then on. The same id answers with the first."""
    return await ask_for(services, agency_payee(caller.user), body)


async def list_agency_withdrawals(services: Services, caller: Identity, query: TextPage) -> Withdrawals:
    """List the agency's withdrawals, the newest first."""
    return await withdrawals_of(services, agency_payee(caller.user), query)


async def read_agency_withdrawal(services: Services, caller: Identity, id: Id) -> WithdrawalCourse:
    """Tell where a withdrawal of the agency stands and how it came there."""
    return await course_of(services, agency_payee(caller.user), id)


_ME = "/v1/agencies/me"
OPERATIONS = (
    declare("GET", f"{_ME}/payout-methods", list_agency_payout_methods, tag="agencies", roles=("agency",)),
    declare(
        "POST",
        f"{_ME}/payout-methods",
        add_agency_payout_method,
        tag="agencies",
        roles=("agency",),
        refuses=METHOD_REFUSES,
    ),
    declare("GET", f"{_ME}/withdrawals", list_agency_withdrawals, tag="agencies", roles=("agency",)),
    declare(
        "POST",
        f"{_ME}/withdrawals",
        request_agency_withdrawal,
        tag="agencies",
        roles=("agency",),
        refuses=ASK_REFUSES,
    ),
    declare(
        "GET",
        f"{_ME}/withdrawals/{{id}}",
        read_agency_withdrawal,
        tag="agencies",
        roles=("agency",),
        refuses=(Code.NOT_FOUND,),
    ),
)
