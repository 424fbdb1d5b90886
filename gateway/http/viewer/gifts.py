"""Gifts over HTTP: the same desks as the WebSocket's, and what became of a gift, for ever."""

import asyncio
import math
import time
from typing import Final

from msgspec import UNSET

from gateway.auth import Identity
from gateway.counting.metrics import ACCEPTED, REPLAYED
from gateway.gifts import GiftReply, place_name
from gateway.http.operation import declare
from gateway.http.problems import Problem
from gateway.replies import refused
from gateway.services import Services
from gateway.wire.codes import Code
from gateway.wire.http.viewer import GiftBody, GiftOutcome, GiftReceipt, UndoReceipt
from gateway.wire.messages import ComboCount, Id, Refused, SendGift, Undo
from ledger.ids import format_id, parse_id
from ledger.lots.statements import GiftState
from ledger.model import GiftAccepted

_NO_REF: Final = "http"
"""HTTP needs no `ref`; the command that both ways share has one."""


async def send_gift(services: Services, caller: Identity, body: GiftBody) -> GiftReceipt:
    """Send a gift. The same id again answers as the first time and charges nothing."""
    wait_s = services.accounts.command(caller)
    if wait_s:
        raise Problem(Code.RATE_LIMITED, retry_after_ms=math.ceil(wait_s * 1000))
    began_s = time.perf_counter()
    reply = await _reply(services, caller, body)
    seconds = time.perf_counter() - began_s
    if isinstance(reply, Refused):
        services.metrics.gift_answered(reply.code, seconds, "http")
        raise problem_of_refused(reply)
    services.metrics.gift_answered(REPLAYED if reply.replay else ACCEPTED, seconds, "http")
    return GiftReceipt(reply.id, reply.coins, reply.balance_coins, reply.replay, reply.combo, reply.undo_until_ms)


async def undo_gift(services: Services, caller: Identity, id: Id) -> UndoReceipt:
    """Take a gift back before its `undo_until_ms`. The same again answers as the first time."""
    reply = await services.undo_desk.undo(caller, Undo(_NO_REF, id))
    if isinstance(reply, Refused):
        raise problem_of_refused(reply)
    return UndoReceipt(reply.id, reply.coins, reply.balance_coins, reply.replay)


async def read_gift(services: Services, caller: Identity, id: Id) -> GiftOutcome:
    """Tell what became of a gift: accepted, held while it can be undone, or undone; 404 when it was never paid."""
    row = await services.office.statements.gift(caller.user, parse_id(id))
    if row is None:
        raise Problem(Code.NOT_FOUND, "No gift of yours with this id was paid.")
    # What is held when its time is over can only be paid, if it is not already.
    held = row.state is GiftState.HELD and time.time_ns() // 1_000_000 < row.undo_until_ms
    return GiftOutcome(
        id=format_id(row.id),
        state="held" if held else "undone" if row.state is GiftState.UNDONE else "accepted",
        coins=row.coins,
        balance_coins=row.balance_coins,
        place=row.place,
        gift=row.item,
        price_coins=row.unit_coins,
        count=row.count,
        creator=row.creator,
        at_ms=row.at_ms,
        combo=None if row.combo is None else ComboCount(format_id(row.combo.id), row.combo.count),
        undo_until_ms=row.undo_until_ms if held else UNSET,
    )


async def _reply(services: Services, caller: Identity, body: GiftBody) -> GiftReply:
    command = SendGift(
        ref=_NO_REF,
        id=body.id,
        gift=body.gift,
        room=body.room,
        video=body.video,
        count=body.count,
        combo=body.combo,
        to=body.to,
        message=body.message,
        anonymous=body.anonymous,
    )
    if services.desk.turns_away():
        return refused(Code.OVERLOADED, ref=command.ref, id=command.id, bound=services.desk.bound)
    name = place_name(command)
    if isinstance(name, Refused):
        return name
    place = await services.places.find(name)
    if place is None:
        raise Problem(Code.UNKNOWN_ROOM)
    told: asyncio.Future[GiftReply] = asyncio.get_running_loop().create_future()

    def tell(reply: GiftReply, _: GiftAccepted | None) -> None:
        # The request may be gone: the gift is paid all the same, and its id tells so.
        if not told.done():
            told.set_result(reply)

    services.desk.give(caller, command, place, tell)
    return await told


def problem_of_refused(reply: Refused) -> Problem:
    """A refusal of the WebSocket as a problem document says it."""
    return Problem(
        Code(reply.code),
        reply.message,
        field=None if reply.field is UNSET else reply.field,
        retry_after_ms=None if reply.retry_after_ms is UNSET else reply.retry_after_ms,
        balance_coins=None if reply.balance_coins is UNSET else reply.balance_coins,
        limit=None if reply.limit is UNSET else reply.limit,
        resets_at_ms=None if reply.resets_at_ms is UNSET else reply.resets_at_ms,
        limit_coins=None if reply.limit_coins is UNSET else reply.limit_coins,
        spent_coins=None if reply.spent_coins is UNSET else reply.spent_coins,
        age_min=None if reply.age_min is UNSET else reply.age_min,
        limits_needed=None if reply.limits_needed is UNSET else reply.limits_needed,
        bound=None if reply.bound is UNSET else reply.bound,
        bound_max=None if reply.bound_max is UNSET else reply.bound_max,
    )


OPERATIONS = (
    declare(
        "POST",
        "/v1/gifts",
        send_gift,
        tag="gifts",
        roles=("viewer",),
        refuses=(
            Code.INSUFFICIENT_COINS,
            Code.UNKNOWN_GIFT,
            Code.UNKNOWN_ROOM,
            Code.UNKNOWN_RECEIVER,
            Code.GIFT_NOT_AVAILABLE,
            Code.ID_CONFLICT,
            Code.ID_EXPIRED,
            Code.LIMIT_EXCEEDED,
            Code.UNDER_AGE,
            Code.GUARDIAN_NEEDED,
            Code.AGE_UNKNOWN,
            Code.OWN_LIMITS_NEEDED,
            Code.RATE_LIMITED,
            Code.OVERLOADED,
        ),
    ),
    declare(
        "POST",
        "/v1/gifts/{id}/undo",
        undo_gift,
        tag="gifts",
        roles=("viewer",),
        refuses=(Code.NOT_FOUND, Code.UNDO_EXPIRED),
    ),
    declare("GET", "/v1/gifts/{id}", read_gift, tag="gifts", roles=("viewer",), refuses=(Code.NOT_FOUND,)),
)
