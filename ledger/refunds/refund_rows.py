"""Refunds as rows: how one is stored so that a purchase is never refunded beyond what was bought, and read again.

A refund is stored with its purchase locked, and the purchase counts what was refunded of it; a CHECK repeats the bound.
"""

import hashlib
from typing import Final

import asyncpg

from ledger.books.postgres import Connection
from ledger.books.rows import ms_of, uuid_of
from ledger.commission import coins_of_money
from ledger.errors import IdConflict, NotFound
from ledger.ids import format_id
from ledger.model import RefundKind, ViewerId
from ledger.purchases.purchase_states import PurchaseState
from ledger.refunds.refund_states import (
    Counted,
    Refund,
    RefundMoney,
    RefundOrder,
    RefundRefused,
    RefundState,
    Reinstated,
)

_PURCHASE: Final = """
SELECT viewer, state, price_minor, refunded_minor, coins + bonus_coins AS bought, refunded_coins
FROM purchases WHERE id = $1 FOR UPDATE
"""
_INSERT: Final = """
INSERT INTO refunds (id, purchase, viewer, kind, asked_coins, coins, reason, asked_by, money)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT DO NOTHING RETURNING *
"""
_COUNT: Final = "UPDATE purchases SET refunded_coins = refunded_coins + $2 WHERE id = $1"
_COUNTED: Final = """
SELECT coalesce(sum(r.coins) FILTER (WHERE r.money = 'told' OR r.money = 'provider' AND t.refund IS NULL), 0)::bigint,
    coalesce(sum(r.coins) FILTER (WHERE r.money = 'provider' AND t.refund IS NULL), 0)::bigint,
    coalesce(sum(r.coins) FILTER (WHERE r.money = 'told' AND t.refund IS NOT NULL), 0)::bigint
FROM refunds r LEFT JOIN reinstatements t ON t.refund = r.id WHERE r.purchase = $1
"""
_VOID_REFUNDS: Final = """
UPDATE refunds SET state = 'voided', changed_at = now() WHERE purchase = $1 AND state = 'owed'
"""
_VOID_PURCHASE: Final = "UPDATE purchases SET state = 'voided', changed_at = now() WHERE id = $1"


async def store_refund(connection: Connection, order: RefundOrder) -> asyncpg.Record | RefundRefused:
    """Store a refund, or find it again; the purchase is locked until the transaction ends.

    Raises:
        NotFound: there is no such purchase.
        IdConflict: the id was used with other content.
    """
    refund_id, purchase_id = uuid_of(order.id), uuid_of(order.purchase)
    purchase = await connection.fetchrow(_PURCHASE, purchase_id)
    stored = await connection.fetchrow("SELECT * FROM refunds WHERE id = $1", refund_id)
    if purchase is not None and stored is None:
        left = purchase["bought"] - purchase["refunded_coins"]
        coins = left if order.coins is None else order.coins
        if not 0 < coins <= left:
            return RefundRefused(left)
        if order.money is RefundMoney.PROVIDER and order.coins is not None:
            told = coins_of_money(purchase["refunded_minor"], purchase["price_minor"], purchase["bought"])
            if (await count_refunded(connection, order.purchase)).may_be_the_same(told):
                return RefundRefused(left, told)
        values = (purchase["viewer"], order.kind.value, order.coins, coins, order.reason, order.by, order.money.value)
        stored = await connection.fetchrow(_INSERT, refund_id, purchase_id, *values)
        if stored is not None:
            await connection.execute(_COUNT, purchase_id, coins)
            return stored
        # Told at the same moment of another purchase.
        stored = await connection.fetchrow("SELECT * FROM refunds WHERE id = $1", refund_id)
    if stored is None:
        raise NotFound(f"no purchase {format_id(order.purchase)}")
    asked = (purchase_id, order.kind.value, order.coins, order.reason, order.money.value)
    if tuple(stored[name] for name in ("purchase", "kind", "asked_coins", "reason", "money")) != asked:
        raise IdConflict(f"refund {format_id(order.id)} was ordered with other content")
    return stored


async def count_refunded(connection: Connection, purchase_id: bytes) -> Counted:
    """What was refunded of a purchase that is locked."""
    row = await connection.fetchrow(_COUNTED, uuid_of(purchase_id))
    return Counted(*row) if row is not None else Counted(0, 0, 0)


async def void_if_wholly_refunded(connection: Connection, purchase_id: bytes) -> bool:
    """Void a locked purchase that is not credited and not owed yet, and its refunds, when nothing of it is left."""
    purchase = await connection.fetchrow(_PURCHASE, uuid_of(purchase_id))
    if purchase is None or purchase["refunded_coins"] < purchase["bought"]:
        return False
    if PurchaseState(purchase["state"]) in (PurchaseState.PAID, PurchaseState.CREDITED):
        return False
    await connection.execute(_VOID_PURCHASE, uuid_of(purchase_id))
    await connection.execute(_VOID_REFUNDS, uuid_of(purchase_id))
    return True


def refund_id_of(rail: str, event: str) -> bytes:
    """The id of the refund that an event of a rail makes: always the same, in the form of a UUIDv7 of no true time."""
    return id_of_no_time(f"{rail}\0{event}".encode(), b"giftwire refund")


def id_of_no_time(content: bytes, person: bytes) -> bytes:
    """Always the same id for a content, in the form of a UUIDv7; `person` keeps one use apart from another."""
    tail = hashlib.blake2b(content, digest_size=16, person=person).digest()
    return tail[:6] + bytes((0x70 | tail[6] & 0x0F, tail[7], 0x80 | tail[8] & 0x3F)) + tail[9:]


SELECT_REFUNDS: Final = """
SELECT r.*, t.asked_by AS reinstated_by, t.reason AS reinstated_reason, t.done_at AS reinstated_at,
    t.coins AS reinstated_coins, t.creator_diamonds AS reinstated_diamonds
FROM refunds r LEFT JOIN reinstatements t ON t.refund = r.id
"""
"""Rows of `refunds` with what came back for them."""


def read_refund(row: asyncpg.Record) -> Refund:
    """A refund from a row of SELECT_REFUNDS."""
    return Refund(
        id=row["id"].bytes,
        purchase=row["purchase"].bytes,
        viewer=ViewerId(row["viewer"]),
        kind=RefundKind(row["kind"]),
        coins=row["coins"],
        reason=row["reason"],
        by=row["asked_by"],
        state=RefundState(row["state"]),
        made_ms=ms_of(row["made_at"]),
        taken_coins=row["taken_coins"],
        balance_coins=row["balance_coins"],
        returned_coins=row["returned_coins"],
        creator_diamonds=row["creator_diamonds"],
        commission_diamonds=row["commission_diamonds"],
        borne_diamonds=row["borne_diamonds"],
        set_apart=row["set_apart_why"],
        settled_by=row["settled_by"],
        reinstated=_reinstated(row),
        money=RefundMoney(row["money"]),
    )


def _reinstated(row: asyncpg.Record) -> Reinstated | None:
    if row["reinstated_by"] is None:
        return None
    done_at = row["reinstated_at"]
    return Reinstated(
        row["reinstated_by"],
        row["reinstated_reason"],
        None if done_at is None else ms_of(done_at),
        row["reinstated_coins"],
        row["reinstated_diamonds"],
    )
