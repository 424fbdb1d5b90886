"""Withdrawals of creators (and of agencies): asked for here, judged by the ledger, walked to their end by the operator.

The functions without a caller are for either: they take the payee's name.
"""

from typing import Final

import msgspec

from catalog.currencies import EXPONENTS, format_price
from gateway.auth import Identity
from gateway.http.operation import declare
from gateway.http.paging import TextPage, cut, wanted
from gateway.http.problems import Problem
from gateway.http.viewer.purchases import id_cursor
from gateway.services import Services
from gateway.wire.codes import Code
from gateway.wire.http.creator import Withdrawal, WithdrawalBody, WithdrawalCourse, Withdrawals, WithdrawalStep
from gateway.wire.messages import Id
from ledger.ids import format_id, parse_id
from ledger.payouts.payees import agency_of
from ledger.payouts.payouts import (
    REQUESTED_BY,
    PayoutRefusal,
    PayoutRefused,
    WithdrawalOrder,
)
from ledger.payouts.payouts import Withdrawal as Stored
from ledger.payouts.payouts import WithdrawalStep as StoredStep

_CODES: Final[dict[PayoutRefusal, Code]] = {
    PayoutRefusal.UNKNOWN_METHOD: Code.UNKNOWN_METHOD,
    PayoutRefusal.BELOW_THRESHOLD: Code.BELOW_THRESHOLD,
    PayoutRefusal.DAY_LIMIT: Code.LIMIT_EXCEEDED,
    PayoutRefusal.INSUFFICIENT_EARNINGS: Code.INSUFFICIENT_EARNINGS,
    PayoutRefusal.UNDER_AGE: Code.UNDER_AGE,
    PayoutRefusal.AGE_UNKNOWN: Code.AGE_UNKNOWN,
}


async def request_withdrawal(services: Services, caller: Identity, body: WithdrawalBody) -> Withdrawal:
    """Ask for diamonds to be paid out; they are held from then on. The same id again answers with the first one."""
    return await ask_for(services, caller.user, body)


async def list_own_withdrawals(services: Services, caller: Identity, query: TextPage) -> Withdrawals:
    """List the creator's withdrawals, the newest first."""
    return await withdrawals_of(services, caller.user, query)


async def read_own_withdrawal(services: Services, caller: Identity, id: Id) -> WithdrawalCourse:
    """Tell where a withdrawal stands and how it came there."""
    return await course_of(services, caller.user, id)


async def ask_for(services: Services, payee: str, body: WithdrawalBody) -> Withdrawal:
    """Ask for diamonds of a payee to be paid out.

    Raises:
        Problem: the ledger refuses it.
    """
    order = WithdrawalOrder(parse_id(body.id), payee, parse_id(body.method), body.diamonds)
    outcome = await services.office.payouts.request(order)
    if isinstance(outcome, PayoutRefused):
        raise _problem(outcome)
    return withdrawal_answer(outcome)


async def withdrawals_of(services: Services, payee: str, query: TextPage) -> Withdrawals:
    """A page of a payee's withdrawals."""
    limit = wanted(query.limit, services.config.http.page_entries_max)
    after = None if query.after is None else id_cursor(query.after)
    rows = await services.office.payouts.withdrawals(payee=payee, after=after, limit=limit + 1)
    return withdrawals_answer(rows, limit)


async def course_of(services: Services, payee: str, id: str) -> WithdrawalCourse:
    """A withdrawal of a payee with its steps.

    Raises:
        Problem: the payee has no such withdrawal.
    """
    stored = await services.office.payouts.withdrawal(parse_id(id))
    if stored is None or stored.payee != payee:
        raise Problem(Code.NOT_FOUND, "You have no such withdrawal.")
    steps = [step_answer(step) for step in await services.office.payouts.steps(stored.id)]
    # Which of the operator's people it was is the operator's matter.
    hidden = [step if step.by in REQUESTED_BY else msgspec.structs.replace(step, by=None) for step in steps]
    return WithdrawalCourse(withdrawal_answer(stored), hidden, None)


def withdrawals_answer(rows: list[Stored], limit: int) -> Withdrawals:
    """A page from one row more than the limit."""
    page = cut(rows, limit, lambda row: format_id(row.id))
    return Withdrawals([withdrawal_answer(row) for row in page.rows], page.next)


def withdrawal_answer(stored: Stored) -> Withdrawal:
    """A withdrawal as the contract shows it."""
    agency = agency_of(stored.payee)
    return Withdrawal(
        id=format_id(stored.id),
        creator=stored.payee if agency is None else "",
        method=format_id(stored.method),
        asked_diamonds=stored.asked_diamonds,
        diamonds=stored.diamonds,
        amount_minor=stored.amount_minor,
        currency=stored.currency,
        state=stored.state.value,
        requested_ms=stored.requested_ms,
        changed_ms=stored.changed_ms,
        agency=agency,
    )


def step_answer(step: StoredStep) -> WithdrawalStep:
    """A step as the contract shows it."""
    return WithdrawalStep(
        None if step.before is None else step.before.value, step.after.value, step.at_ms, step.by, step.note
    )


def _problem(refused: PayoutRefused) -> Problem:

    def money(minor: int) -> str:
        known = refused.currency in EXPONENTS
        return format_price(minor, refused.currency) if known else f"{minor} minor units of {refused.currency}"

    match refused.refusal:
        case PayoutRefusal.BELOW_THRESHOLD:
            detail = f"It would pay {money(refused.amount_minor)}; the smallest pays {money(refused.min_minor)}."
        case PayoutRefusal.DAY_LIMIT:
            detail = (
                f"This would pay {money(refused.amount_minor)}; of the {money(refused.day_max_minor)} that may be "
                f"withdrawn in a day {money(refused.day_used_minor)} are used."
            )
        case PayoutRefusal.INSUFFICIENT_EARNINGS:
            detail = f"{refused.available_diamonds} diamonds are available."
        case PayoutRefusal.UNKNOWN_METHOD | PayoutRefusal.AGE_UNKNOWN | PayoutRefusal.UNDER_AGE:
            detail = ""
    day_limit = refused.refusal is PayoutRefusal.DAY_LIMIT
    return Problem(
        _CODES[refused.refusal],
        detail,
        limit="payout_day" if day_limit else None,
        resets_at_ms=refused.resets_at_ms if day_limit else None,
        age_min=refused.age_min,
    )


ASK_REFUSES: Final = (
    Code.UNKNOWN_METHOD,
    Code.BELOW_THRESHOLD,
    Code.LIMIT_EXCEEDED,
    Code.INSUFFICIENT_EARNINGS,
    Code.ID_CONFLICT,
    Code.UNDER_AGE,
    Code.AGE_UNKNOWN,
)

OPERATIONS = (
    declare("GET", "/v1/creators/me/withdrawals", list_own_withdrawals, tag="payouts", roles=("creator",)),
    declare(
        "POST",
        "/v1/creators/me/withdrawals",
        request_withdrawal,
        tag="payouts",
        roles=("creator",),
        refuses=ASK_REFUSES,
    ),
    declare(
        "GET",
        "/v1/creators/me/withdrawals/{id}",
        read_own_withdrawal,
        tag="payouts",
        roles=("creator",),
        refuses=(Code.NOT_FOUND,),
    ),
)
