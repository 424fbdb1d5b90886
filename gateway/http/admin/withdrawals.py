"""Withdrawals as the operator handles them: each step is a call of its own, and each is noted with who made it."""

from typing import Final

from msgspec import Struct

from gateway.auth import Identity
from gateway.http.creator.withdrawals import step_answer, withdrawal_answer, withdrawals_answer
from gateway.http.operation import declare
from gateway.http.paging import ENTRIES_DEFAULT, Limit, TextCursor, wanted
from gateway.http.problems import Problem
from gateway.http.viewer.purchases import id_cursor
from gateway.services import Services
from gateway.wire.codes import Code
from gateway.wire.http.admin import StepBody
from gateway.wire.http.creator import PayoutState, Withdrawal, WithdrawalCourse, Withdrawals
from gateway.wire.messages import Id, Name
from ledger.ids import parse_id
from ledger.payouts.payees import agency_payee
from ledger.payouts.payout_states import PayoutState as State


class WithdrawalsPage(Struct, frozen=True):
    """A page of withdrawals, all or some.

    Attributes:
        state: only those that stand there.
        creator, agency: only this creator's, or this agency's.
    """

    state: PayoutState | None = None
    creator: Name | None = None
    agency: Name | None = None
    after: TextCursor | None = None
    limit: Limit = ENTRIES_DEFAULT


async def list_withdrawals(services: Services, query: WithdrawalsPage) -> Withdrawals:
    """List withdrawals of creators and agencies, the newest first."""
    if query.creator is not None and query.agency is not None:
        raise Problem(Code.UNPROCESSABLE, "Name a creator or an agency.", field="agency")
    limit = wanted(query.limit, services.config.http.page_entries_max)
    rows = await services.office.payouts.withdrawals(
        payee=query.creator if query.agency is None else agency_payee(query.agency),
        state=None if query.state is None else State(query.state),
        after=None if query.after is None else id_cursor(query.after),
        limit=limit + 1,
    )
    return withdrawals_answer(rows, limit)


async def read_withdrawal(services: Services, id: Id) -> WithdrawalCourse:
    """Tell where a withdrawal stands, how it came there, and what is to be done to pay it."""
    payouts = services.office.payouts
    stored = await payouts.withdrawal(parse_id(id))
    if stored is None:
        raise Problem(Code.NOT_FOUND, "There is no such withdrawal.")
    steps = [step_answer(step) for step in await payouts.steps(stored.id)]
    return WithdrawalCourse(withdrawal_answer(stored), steps, await payouts.slip(stored.id))


async def review_withdrawal(services: Services, caller: Identity, id: Id, body: StepBody) -> Withdrawal:
    """Take a withdrawal up for review."""
    return await _step(services, caller, id, body, State.REVIEW)


async def approve_withdrawal(services: Services, caller: Identity, id: Id, body: StepBody) -> Withdrawal:
    """Approve a withdrawal that is in review."""
    return await _step(services, caller, id, body, State.APPROVED)


async def reject_withdrawal(services: Services, caller: Identity, id: Id, body: StepBody) -> Withdrawal:
    """Reject a withdrawal that was not sent: the payee has the diamonds again."""
    return await _step(services, caller, id, body, State.REJECTED)


async def send_withdrawal(services: Services, caller: Identity, id: Id, body: StepBody) -> Withdrawal:
    """Note that the money is on its way."""
    return await _step(services, caller, id, body, State.SENT)


async def pay_withdrawal(services: Services, caller: Identity, id: Id, body: StepBody) -> Withdrawal:
    """Note that the money has arrived: the diamonds are gone for good."""
    return await _step(services, caller, id, body, State.PAID)


async def fail_withdrawal(services: Services, caller: Identity, id: Id, body: StepBody) -> Withdrawal:
    """Note that the money could not be sent: the payee has the diamonds again."""
    return await _step(services, caller, id, body, State.FAILED)


async def return_withdrawal(services: Services, caller: Identity, id: Id, body: StepBody) -> Withdrawal:
    """Note that the money came back: the payee has the diamonds again."""
    return await _step(services, caller, id, body, State.RETURNED)


async def _step(services: Services, caller: Identity, id: str, body: StepBody, to: State) -> Withdrawal:
    stored = await services.office.payouts.step(parse_id(id), to, by=caller.user, note=body.note)
    return withdrawal_answer(stored)


_STEPS: Final = {
    "review": review_withdrawal,
    "approve": approve_withdrawal,
    "reject": reject_withdrawal,
    "send": send_withdrawal,
    "pay": pay_withdrawal,
    "fail": fail_withdrawal,
    "return": return_withdrawal,
}

OPERATIONS = (
    declare("GET", "/v1/admin/withdrawals", list_withdrawals, tag="operators", roles=("operator",)),
    declare(
        "GET",
        "/v1/admin/withdrawals/{id}",
        read_withdrawal,
        tag="operators",
        roles=("operator",),
        refuses=(Code.NOT_FOUND,),
    ),
    *(
        declare(
            "POST",
            f"/v1/admin/withdrawals/{{id}}/{word}",
            handle,
            tag="operators",
            roles=("operator",),
            refuses=(Code.NOT_FOUND, Code.WRONG_STATE),
        )
        for word, handle in _STEPS.items()
    ),
)
