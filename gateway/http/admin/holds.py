"""Coins that are put aside for something outside of this server: reserved first, then taken, or given back."""

from collections.abc import Callable
from typing import Final

from gateway.counting.metrics import HELD, REPLAYED
from gateway.http.operation import declare
from gateway.http.paging import NumberPage, cut, wanted
from gateway.http.problems import Problem
from gateway.http.viewer.gifts import problem_of_refused
from gateway.replies import CODES, refused_by_ledger
from gateway.services import Services
from gateway.wire.codes import Code
from gateway.wire.http.admin import Hold, HoldBegun, HoldBody, HoldEnded, Holds, HoldSettleBody
from gateway.wire.messages import Id, Name
from ledger.holds.holds import Hold as Stored
from ledger.holds.holds import is_as_asked
from ledger.ids import format_id, parse_id
from ledger.model import (
    EndOutcome,
    EndRefusal,
    EndRefused,
    GiftRefused,
    HoldEnd,
    HoldOrder,
    Refusal,
    ViewerId,
)

_OPEN: Final = "open"
_UNKNOWN: Final = "It is not known whether it was done: the same request again tells."


async def begin_hold(services: Services, body: HoldBody) -> HoldBegun:
    """Put coins of a user aside: they leave the wallet until the hold is settled or voided, or its time is over.

    The same id of this user again answers as the first time. Spending limits count what is held.
    """
    longest_ms = services.config.ledger.hold_ms_max
    if body.lasts_ms > longest_ms:
        services.metrics.hold_answered(Code.UNPROCESSABLE)
        raise Problem(Code.UNPROCESSABLE, f"Coins are held for {longest_ms} ms at most.", field="$.lasts_ms")
    order = HoldOrder(parse_id(body.id), ViewerId(body.user), body.coins, body.lasts_ms, body.reference)
    outcome = await services.office.holds.begin(order)
    if isinstance(outcome, GiftRefused):
        services.metrics.hold_answered(CODES[outcome.refusal])
        raise _not_held(outcome, body.id)
    services.metrics.hold_answered(REPLAYED if outcome.replay else HELD)
    return HoldBegun(body.id, body.user, body.coins, outcome.expires_ms, outcome.balance_coins, outcome.replay)


async def settle_hold(services: Services, user: Name, id: Id, body: HoldSettleBody) -> HoldEnded:
    """Take coins of a hold, all or some; the others go back into the wallet. The same again answers as the first time.

    A hold whose time is over has expired, also when nobody has noticed yet: nothing is taken then.
    """
    outcome = await services.office.holds.settle(parse_id(id), ViewerId(user), body.coins)
    return _counted(services, "settle", lambda: _ended(user, id, outcome, HoldEnd.SETTLED, body.coins))


async def void_hold(services: Services, user: Name, id: Id) -> HoldEnded:
    """Give all coins of a hold back. One that was voided or has expired answers how it ended."""
    outcome = await services.office.holds.void(parse_id(id), ViewerId(user))
    return _counted(services, "void", lambda: _ended(user, id, outcome, HoldEnd.VOIDED, None))


async def read_hold(services: Services, user: Name, id: Id) -> Hold:
    """Tell where a hold stands, at any time."""
    stored = await services.office.holds.get(parse_id(id), ViewerId(user))
    if stored is None:
        raise Problem(Code.NOT_FOUND, "This user has no such hold.")
    return _hold(stored)


async def list_holds(services: Services, user: Name, query: NumberPage) -> Holds:
    """List a user's holds, the newest first. The books follow by moments."""
    limit = wanted(query.limit, services.config.http.page_entries_max)
    rows = await services.office.holds.of_viewer(user, after=query.after, limit=limit + 1)
    page = cut(rows, limit, lambda row: row[0])
    return Holds([_hold(stored) for _, stored in page.rows], page.next)


def _not_held(refused: GiftRefused, hold_id: str) -> Problem:
    problem = problem_of_refused(refused_by_ledger(refused, ref="", id=hold_id))
    return Problem(Code.UNAVAILABLE, _UNKNOWN) if refused.refusal is Refusal.UNKNOWN else problem


def _counted(services: Services, asked: str, answer: Callable[[], HoldEnded]) -> HoldEnded:
    try:
        ended = answer()
    except Problem as problem:
        services.metrics.hold_end_answered(asked, problem.code)
        raise
    services.metrics.hold_end_answered(asked, REPLAYED if ended.replay else ended.state)
    return ended


def _ended(user: str, id: str, outcome: EndOutcome, asked: HoldEnd, coins: int | None) -> HoldEnded:
    if isinstance(outcome, EndRefused):
        match outcome.refusal:
            case EndRefusal.TOO_MANY_COINS:
                raise Problem(Code.UNPROCESSABLE, f"{outcome.coins} coins are held.", field="$.coins")
            case EndRefusal.UNKNOWN:
                raise Problem(Code.UNAVAILABLE, _UNKNOWN)
            case EndRefusal.NO_SUCH_HOLD | EndRefusal.NOT_DUE:
                raise Problem(Code.NOT_FOUND, "This user has no such hold.")
    if not is_as_asked(outcome, asked, coins):
        taken = f" of {outcome.taken_coins} coins" if outcome.taken_coins else ""
        raise Problem(Code.WRONG_STATE, f"This hold is {outcome.end.value}{taken}.")
    amounts = (outcome.coins, outcome.taken_coins, outcome.balance_coins, outcome.at_ms)
    return HoldEnded(id, user, outcome.end.value, *amounts, outcome.replay)


def _hold(stored: Stored) -> Hold:
    return Hold(
        format_id(stored.id),
        stored.viewer,
        stored.coins,
        stored.reference,
        _OPEN if stored.end is None else stored.end.value,
        stored.begun_ms,
        stored.expires_ms,
        stored.taken_coins,
        stored.ended_ms,
    )


_OF_USER: Final = "/v1/admin/users/{user}/holds"
_ENDING: Final = (Code.NOT_FOUND, Code.WRONG_STATE)

OPERATIONS = (
    declare(
        "POST",
        "/v1/admin/holds",
        begin_hold,
        tag="operators",
        roles=("operator",),
        refuses=(
            *(Code.ID_CONFLICT, Code.INSUFFICIENT_COINS, Code.LIMIT_EXCEEDED, Code.NOT_ALLOWED),
            *(Code.UNDER_AGE, Code.GUARDIAN_NEEDED, Code.AGE_UNKNOWN, Code.OWN_LIMITS_NEEDED),
            *(Code.LIMIT_REACHED, Code.OVERLOADED),
        ),
    ),
    declare("GET", _OF_USER, list_holds, tag="operators", roles=("operator",)),
    declare("GET", f"{_OF_USER}/{{id}}", read_hold, tag="operators", roles=("operator",), refuses=(Code.NOT_FOUND,)),
    declare("POST", f"{_OF_USER}/{{id}}/settle", settle_hold, tag="operators", roles=("operator",), refuses=_ENDING),
    declare("POST", f"{_OF_USER}/{{id}}/void", void_hold, tag="operators", roles=("operator",), refuses=_ENDING),
)
