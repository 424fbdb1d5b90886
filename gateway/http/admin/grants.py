"""Coins that the operator gives: for a support case, a prize, a test."""

from gateway.auth import Identity
from gateway.http.operation import declare
from gateway.http.problems import Problem
from gateway.replies import CODES
from gateway.services import Services
from gateway.wire.codes import Code
from gateway.wire.http.admin import Grant, GrantBody
from ledger.ids import parse_id
from ledger.model import AMOUNT_MAX, Bound, CreditRefused, Refusal, ViewerId
from ledger.purchases.grants import GrantOrder

_OVERFLOW = "The wallet cannot hold so many coins."
_UNKNOWN = "The grant is ordered and follows by itself; the same id tells what became of it."


async def grant_coins(services: Services, caller: Identity, body: GrantBody) -> Grant:
    """Give coins to a user. The same id again answers as the first time and gives nothing."""
    order = GrantOrder(parse_id(body.id), ViewerId(body.user), body.coins, body.reason, caller.user, body.worth_bp)
    outcome = await services.office.grants.grant(order)
    if isinstance(outcome, CreditRefused):
        if outcome.refusal is Refusal.AMOUNT_OVERFLOW:
            raise Problem(CODES[outcome.refusal], _OVERFLOW, bound=Bound.AMOUNT.value, bound_max=AMOUNT_MAX)
        raise Problem(CODES[outcome.refusal], _UNKNOWN if outcome.refusal is Refusal.UNKNOWN else "")
    return Grant(body.id, body.user, body.coins, outcome.balance_coins, outcome.replay)


OPERATIONS = (
    declare(
        "POST",
        "/v1/admin/grants",
        grant_coins,
        tag="operators",
        roles=("operator",),
        refuses=(Code.ID_CONFLICT, Code.NOT_ALLOWED),
    ),
)
