"""Coins of purchases that are given back, and what the coins of a purchase or grant had paid for."""

from typing import Final

import msgspec
from msgspec import Struct

from gateway.auth import Identity
from gateway.http.operation import declare
from gateway.http.paging import ENTRIES_DEFAULT, Limit, NumberPage, TextCursor, cut, wanted
from gateway.http.problems import Problem
from gateway.http.viewer.purchases import id_cursor
from gateway.services import Services
from gateway.wire.codes import Code
from gateway.wire.http.admin import (
    PaidGift,
    PaidGifts,
    Refund,
    RefundBody,
    RefundByHandBody,
    Refunds,
    Reinstated,
    ViewerLot,
    ViewerLots,
)
from gateway.wire.http.rails import LookedBody, UnusableEvent, UnusableEvents
from gateway.wire.messages import Id, Name
from ledger.ids import format_id, parse_id
from ledger.lots.lot_statements import LotRow, PaidPart
from ledger.purchases.purchases import EventEffect
from ledger.purchases.purchases import UnusableEvent as StoredEvent
from ledger.refunds.refunds import Refund as Stored
from ledger.refunds.refunds import RefundKind, RefundMoney, RefundOrder, RefundRefused


class EventsPage(Struct, frozen=True):
    """The newest events."""

    limit: Limit = ENTRIES_DEFAULT


class RefundsPage(Struct, frozen=True):
    """A page of refunds, all or those of one purchase."""

    purchase: Id | None = None
    after: TextCursor | None = None
    limit: Limit = ENTRIES_DEFAULT


async def refund_purchase(services: Services, caller: Identity, body: RefundBody) -> Refund:
    """Give coins of a purchase back: they leave the wallet. The same id again answers as it stands.

    The money itself goes back at the payment provider, and what that tells of it is of the same coins; or another way,
    with `money` as `other`. What a wallet owes, and what creators give back, is configured.
    """
    what = (parse_id(body.id), parse_id(body.purchase), body.coins, RefundKind(body.kind), body.reason)
    order = RefundOrder(*what, caller.user, RefundMoney(body.money))
    outcome = await services.office.refunds.refund(order)
    if isinstance(outcome, RefundRefused):
        if outcome.told_coins:
            raise Problem(Code.WRONG_STATE, _MAY_BE_THE_SAME.format(outcome.told_coins))
        if outcome.left_coins == 0:
            raise Problem(Code.WRONG_STATE, "All coins of this purchase are refunded.")
        raise Problem(Code.UNPROCESSABLE, f"{outcome.left_coins} coins are left to refund.", field="$.coins")
    return refund_answer(outcome)


async def list_refunds(services: Services, query: RefundsPage) -> Refunds:
    """List refunds and charge-backs, by their ids, the greatest first."""
    limit = wanted(query.limit, services.config.http.page_entries_max)
    rows = await services.office.refunds.refunds(
        purchase=None if query.purchase is None else parse_id(query.purchase),
        after=None if query.after is None else id_cursor(query.after),
        limit=limit + 1,
    )
    page = cut(rows, limit, lambda row: format_id(row.id))
    return Refunds([refund_answer(row) for row in page.rows], page.next)


async def read_refund(services: Services, id: Id) -> Refund:
    """Tell where a refund stands, and who bears it."""
    stored = await services.office.refunds.get(parse_id(id))
    if stored is None:
        raise Problem(Code.NOT_FOUND, "There is no such refund.")
    return refund_answer(stored)


async def retry_refund(services: Services, id: Id) -> Refund:
    """Carry a refund on that was set apart. It is set apart again while it contradicts the books."""
    return refund_answer(await services.office.refunds.retry(parse_id(id)))


async def settle_refund(services: Services, caller: Identity, id: Id, body: RefundByHandBody) -> Refund:
    """Settle a refund by hand that is set apart: creators give nothing back for it."""
    refunds = services.office.refunds
    return refund_answer(await refunds.settle_by_hand(parse_id(id), by=caller.user, note=body.note))


async def list_lots(services: Services, user: Name, query: NumberPage) -> ViewerLots:
    """List a user's coins by where they came from, in the order in which they are spent, as the books know it."""
    limit, first = wanted(query.limit, services.config.http.page_entries_max), query.after or 0
    found = await services.office.lots.of_viewer(user)
    page = cut(list(enumerate(found.lots, 1))[first : first + limit + 1], limit, lambda row: row[0])
    return ViewerLots(user, found.debt_coins, [_lot(lot) for _, lot in page.rows], page.next)


async def list_paid_gifts(services: Services, id: Id, query: NumberPage) -> PaidGifts:
    """List what the coins of a purchase or grant paid for, as the books know it; a gift may be paid in parts.

    A gift that can be undone still is `held`; one that was undone is not listed.
    """
    limit, first = wanted(query.limit, services.config.http.page_entries_max), query.after or 0
    found = await services.office.lots.paid_by(parse_id(id))
    page = cut(list(enumerate(found, 1))[first : first + limit + 1], limit, lambda row: row[0])
    return PaidGifts(id, [_paid(part) for _, part in page.rows], page.next)


async def reinstate_refund(services: Services, caller: Identity, id: Id, body: RefundByHandBody) -> Refund:
    """Give back, once, what was taken for a refund: coins to the user, diamonds to creators.

    For a dispute that was won or a refund that failed, where the payment provider does not tell of it itself. A refund
    that is not settled yet waits for that.
    """
    return refund_answer(await services.office.refunds.reinstate(parse_id(id), by=caller.user, reason=body.note))


async def list_unusable_events(services: Services, query: EventsPage) -> UnusableEvents:
    """List what payment providers said and no purchase could use, newest first, without what was put aside."""
    limit = wanted(query.limit, services.config.http.page_entries_max)
    return UnusableEvents([_event(row) for row in await services.office.purchases.unusable_events(limit=limit)])


async def put_event_aside(services: Services, caller: Identity, rail: Name, body: LookedBody) -> UnusableEvent:
    """Put an event aside that was looked into: it is listed and counted no more. The first note stays."""
    purchases = services.office.purchases
    return _event(await purchases.put_aside(rail, body.event, by=caller.user, note=body.note))


def refund_answer(stored: Stored) -> Refund:
    """A refund as the contract shows it."""
    return Refund(
        id=format_id(stored.id),
        purchase=format_id(stored.purchase),
        user=stored.viewer,
        kind=stored.kind.value,
        coins=stored.coins,
        reason=stored.reason,
        by=stored.by,
        state=stored.state.value,
        at_ms=stored.made_ms,
        taken_coins=stored.taken_coins,
        balance_coins=stored.balance_coins,
        returned_coins=stored.returned_coins,
        creator_diamonds=stored.creator_diamonds,
        commission_diamonds=stored.commission_diamonds,
        borne_diamonds=stored.borne_diamonds,
        set_apart=stored.set_apart,
        settled_by=stored.settled_by,
        money=stored.money.value,
        reinstated=None if stored.reinstated is None else Reinstated(*msgspec.structs.astuple(stored.reinstated)),
    )


def _event(row: StoredEvent) -> UnusableEvent:
    return UnusableEvent(
        rail=row.rail,
        event=row.event,
        purchase=format_id(row.purchase),
        outcome=row.outcome.value,
        amount_minor=row.amount_minor,
        currency=row.currency,
        effect="wrong_amount" if row.effect is EventEffect.WRONG_AMOUNT else "unknown_purchase",
        at_ms=row.heard_ms,
    )


def _lot(lot: LotRow) -> ViewerLot:
    return ViewerLot(
        format_id(lot.id),
        lot.kind.value,
        lot.at_ms,
        lot.coins,
        lot.left_coins,
        lot.spent_coins,
        lot.reversed_coins,
        lot.returned_coins,
        lot.worth_bp,
    )


def _paid(part: PaidPart) -> PaidGift:
    return PaidGift(
        gift=format_id(part.gift),
        creator=part.creator,
        place=part.place,
        at_ms=part.at_ms,
        coins=part.coins,
        creator_diamonds=part.creator_diamonds,
        commission_diamonds=part.commission_diamonds,
        bonus=part.lot.value == "bonus",
        refunded=part.returned,
        held=part.held,
    )


_MAY_BE_THE_SAME: Final = (
    "The payment provider told of money for {} coins, and they were taken. It tells of further money by itself; "
    "for money that goes another way say `money` = `other`."
)
_PATH: Final = "/v1/admin/refunds"
_EVENTS: Final = "/v1/admin/unusable-events"

OPERATIONS = (
    declare(
        "POST",
        _PATH,
        refund_purchase,
        tag="operators",
        roles=("operator",),
        refuses=(Code.ID_CONFLICT, Code.NOT_FOUND, Code.WRONG_STATE),
    ),
    declare("GET", _PATH, list_refunds, tag="operators", roles=("operator",)),
    declare("GET", f"{_PATH}/{{id}}", read_refund, tag="operators", roles=("operator",), refuses=(Code.NOT_FOUND,)),
    declare(
        "POST", f"{_PATH}/{{id}}/retry", retry_refund, tag="operators", roles=("operator",), refuses=(Code.NOT_FOUND,)
    ),
    declare(
        "POST",
        f"{_PATH}/{{id}}/settle",
        settle_refund,
        tag="operators",
        roles=("operator",),
        refuses=(Code.NOT_FOUND, Code.WRONG_STATE),
    ),
    declare(
        "POST",
        f"{_PATH}/{{id}}/reinstate",
        reinstate_refund,
        tag="operators",
        roles=("operator",),
        refuses=(Code.NOT_FOUND,),
    ),
    declare("GET", _EVENTS, list_unusable_events, tag="operators", roles=("operator",)),
    declare(
        "POST", f"{_EVENTS}/{{rail}}", put_event_aside, tag="operators", roles=("operator",), refuses=(Code.NOT_FOUND,)
    ),
    declare("GET", "/v1/admin/users/{user}/lots", list_lots, tag="operators", roles=("operator",)),
    declare(
        "GET",
        "/v1/admin/purchases/{id}/gifts",
        list_paid_gifts,
        tag="operators",
        roles=("operator",),
        refuses=(Code.NOT_FOUND,),
    ),
)
