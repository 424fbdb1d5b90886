"""Purchases of coins: ordered here, paid at a rail, credited once. Knows amounts, never packages or prices.

A purchase is stored before its rail is asked for anything, and its coins are owed before they are credited: whatever
dies in between, the same id told again, the rail's repeated webhook or the duty finds the way on.
"""

import asyncio
import enum
import uuid
from collections.abc import Iterable, Mapping
from typing import Final

import asyncpg
import structlog
from msgspec import Struct, structs

from ledger.books.postgres import Connection, Pool, connected, transaction
from ledger.books.rows import bounded, ms_of, refused_values, uuid_of
from ledger.commission import coins_of_money
from ledger.config import LedgerConfig
from ledger.errors import (
    AgeForbids,
    BadEvent,
    IdConflict,
    LimitReached,
    NotFound,
    RailRefused,
    RailUnavailable,
    UnknownRail,
    ValueRefused,
)
from ledger.guards.ages import Act
from ledger.guards.persons import AgeCheck
from ledger.ids import format_id
from ledger.model import AMOUNT_MAX, Cause, ViewerId
from ledger.purchases.crediting import Crediting, worth_less
from ledger.purchases.purchase_states import (
    REFUND_KINDS,
    Purchase,
    PurchaseOrder,
    PurchaseState,
    RailOutcome,
    after_outcome,
)
from ledger.rails.interface import PaymentRail, RailEvent
from ledger.refunds.refund_rows import count_refunded, refund_id_of, store_refund, void_if_wholly_refunded
from ledger.refunds.refund_states import RefundMoney, RefundOrder, RefundRefused
from ledger.refunds.refunds import Refunds
from ledger.refunds.reinstating import order_reinstatement

__all__ = [
    "EventEffect",
    "Heard",
    "Purchase",
    "PurchaseOrder",
    "PurchaseState",
    "Purchases",
    "RailOutcome",
    "UnusableEvent",
]

_log = structlog.get_logger()
_ORDER_FIELDS: Final = structs.fields(PurchaseOrder)
_ORDER_NAMES: Final = tuple(field.name for field in _ORDER_FIELDS)
_RESERVE: Final = """
INSERT INTO credits (id, cause, viewer, coins, reference, worth_bp) VALUES ($1, 'purchase', $2, $3, $4, $5)
ON CONFLICT DO NOTHING RETURNING id
"""
_INSERT: Final = f"""
INSERT INTO purchases ({", ".join(_ORDER_NAMES)})
VALUES ({", ".join(f"${place + 1}" for place in range(len(_ORDER_NAMES)))})
"""  # noqa: S608 - column names of ours
_SELECT: Final = "SELECT purchases.*, credits.balance_coins FROM purchases JOIN credits USING (id)"
_NOTE_CHECKOUT: Final = """
UPDATE purchases SET checkout = $2, rail_reference = nullif($3, '') WHERE id = $1 AND checkout IS NULL
"""
_NOTE_EVENT: Final = """
INSERT INTO rail_events (rail, event, purchase, outcome, amount_minor, currency, effect)
VALUES ($1, $2, $3, $4, $5, $6, 'no_change') ON CONFLICT DO NOTHING RETURNING event
"""
_NOTE_EFFECT: Final = "UPDATE rail_events SET effect = $3 WHERE rail = $1 AND event = $2"
_MOVE: Final = "UPDATE purchases SET state = $2, changed_at = now() WHERE id = $1"
_LOCK: Final = """
SELECT state, price_minor, currency, coins + bonus_coins AS bought, refunded_minor, refunded_coins
FROM purchases WHERE id = $1 AND rail = $2 FOR UPDATE
"""
_COUNT_MONEY: Final = "UPDATE purchases SET refunded_minor = refunded_minor + $2 WHERE id = $1"
_OWE: Final = "UPDATE credits SET due_at = now() WHERE id = $1 AND due_at IS NULL"
_TOLD: Final = "SELECT amount_minor, currency FROM rail_events WHERE rail = $1 AND event = $2 AND purchase = $3"
_UNUSABLE: Final = """
SELECT * FROM rail_events WHERE effect IN ('wrong_amount', 'unknown_purchase') AND looked_by IS NULL
ORDER BY heard_at DESC LIMIT $1
"""
_COUNT_UNUSABLE: Final = """
SELECT count(*) FROM rail_events WHERE effect IN ('wrong_amount', 'unknown_purchase') AND looked_by IS NULL
"""
_LOOKED: Final = """
UPDATE rail_events SET looked_by = coalesce(looked_by, $3), looked_note = coalesce(looked_note, $4)
WHERE rail = $1 AND event = $2 AND effect IN ('wrong_amount', 'unknown_purchase') RETURNING *
"""
_STALE: Final = f"""
{_SELECT} WHERE state = 'pending' AND purchases.made_at < now() - make_interval(secs => $1)
    AND (asked_at IS NULL OR asked_at < now() - make_interval(secs => $2)) AND id > $3
ORDER BY id LIMIT $4
"""
_NOTE_ASKED: Final = "UPDATE purchases SET asked_at = now() WHERE id = $1"


class EventEffect(enum.StrEnum):
    """What an event of a rail did."""

    APPLIED = "applied"
    NO_CHANGE = "no_change"
    """The purchase was further already, such as a decline after a payment."""
    DUPLICATE = "duplicate"
    """This event had been heard before."""
    WRONG_AMOUNT = "wrong_amount"
    """It speaks of other money than the purchase: stored for the operator, nothing moved."""
    UNKNOWN_PURCHASE = "unknown_purchase"
    """We have no such purchase at this rail: stored for the operator."""
    NOT_OURS = "not_ours"
    """The rail says that it is about something else."""


class Heard(Struct, frozen=True):
    """A webhook was verified and is stored, so the provider is to be answered with success, whatever its effect.

    A provider repeats until then; no repetition makes an unknown purchase known or a wrong amount right.

    Attributes:
        event: the provider's name of it; empty when it is not ours.
        purchase: as it stands after it; None where there is none.
    """

    effect: EventEffect
    event: str = ""
    purchase: Purchase | None = None


class UnusableEvent(Struct, frozen=True):
    """What a provider said, signed, and no purchase could use: money may have been taken for nothing.

    Attributes:
        purchase: the id that the provider named.
        effect: WRONG_AMOUNT or UNKNOWN_PURCHASE.
    """

    rail: str
    event: str
    purchase: bytes
    outcome: RailOutcome
    amount_minor: int
    currency: str
    effect: EventEffect
    heard_ms: int


class Purchases:
    """Purchases of all rails. Every method may raise `LedgerUnavailable`: then the same call again is safe."""

    def __init__(
        self,
        pool: Pool,
        crediting: Crediting,
        refunds: Refunds,
        rails: Iterable[PaymentRail],
        config: LedgerConfig,
        ages: AgeCheck,
    ) -> None:
        self._pool = pool
        self._ages = ages
        self._crediting = crediting
        self._refunds = refunds
        self._rails = {rail.name: rail for rail in rails}
        self._config = config

    @property
    def rails(self) -> list[str]:
        """Names of the rails that are set up."""
        return list(self._rails)

    async def begin(self, order: PurchaseOrder) -> Purchase:
        """Store a purchase and ask its rail where to pay; the same id again answers with the first one as it stands.

        Raises:
            IdConflict: the id is that of a grant, or of a purchase with any other field.
            UnknownRail: nothing was stored.
            LimitReached: the viewer has `purchases_pending_max` purchases that are not paid.
            AgeForbids: the viewer is too young, lacks a guardian's consent, or its age must be known and is not.
            ValueRefused: a value is outside of its bounds.
            RailUnavailable: the purchase is stored; the same id again asks the rail again.
            RailRefused: the purchase is stored as declined.
        """
        rail = self._rail(order.rail)
        if not 0 < order.coins + order.bonus_coins <= AMOUNT_MAX:
            raise ValueError(f"a purchase is of 1 to {AMOUNT_MAX} coins")
        purchase = await self._get_or_store(order)
        if _order_of(purchase) != order:
            raise IdConflict(f"purchase {format_id(order.id)} was begun with other content")
        if purchase.checkout or purchase.state is not PurchaseState.PENDING:
            return purchase
        try:
            checkout = await rail.create_checkout(purchase)
        except RailRefused:
            await self._apply(order.rail, _our_word("refused", purchase, RailOutcome.DECLINED))
            raise
        async with connected(self._pool) as connection:
            await connection.execute(_NOTE_CHECKOUT, uuid_of(order.id), checkout.address, checkout.reference)
        return await self._known(order.id)

    async def get(self, purchase_id: bytes) -> Purchase | None:
        """One purchase."""
        async with connected(self._pool) as connection:
            row = await connection.fetchrow(f"{_SELECT} WHERE id = $1", uuid_of(purchase_id))
        return None if row is None else _purchase(row)

    async def of_viewer(self, viewer: str, *, after: bytes | None = None, limit: int = 100) -> list[Purchase]:
        """A viewer's purchases, newest id first, from the one behind `after` on."""
        last = uuid.UUID(int=2**128 - 1) if after is None else uuid_of(after)
        async with connected(self._pool) as connection:
            rows = await connection.fetch(
                f"{_SELECT} WHERE purchases.viewer = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
                viewer,
                last,
                bounded(limit, self._config.list_rows_max),
            )
        return [_purchase(row) for row in rows]

    async def bought_before(self, viewer: str) -> bool:
        """Whether the viewer has ever paid for coins."""
        async with connected(self._pool) as connection:
            return bool(
                await connection.fetchval(
                    "SELECT EXISTS (SELECT FROM purchases WHERE viewer = $1 AND state IN ('paid', 'credited'))", viewer
                )
            )

    async def hear(self, rail: str, headers: Mapping[str, str], body: bytes) -> Heard:
        """Take a webhook as it came: verify it, store its event once, move the purchase, credit or refund the coins.

        Late, repeated and out-of-order events do no harm: see `purchase_states.MOVES`. When Valkey does not answer
        the purchase stays `paid`, and the coins follow by `settle`; a refund is carried on by `Refunds.settle`.

        Args:
            body: the bytes that were signed.

        Raises:
            UnknownRail: no such provider.
            BadSignature: nothing of it was believed or stored.
            BadEvent: it cannot be understood, or is longer than `webhook_bytes_max`.
            RailUnavailable: the provider had to be asked, and did not answer; it will tell this again.
        """
        provider = self._rail(rail)
        if len(body) > self._config.webhook_bytes_max:
            raise BadEvent(f"a webhook of {len(body)} bytes")
        event = await provider.read_webhook(headers, body)
        return Heard(EventEffect.NOT_OURS) if event is None else await self._apply(rail, event)

    async def unusable_events(self, *, limit: int = 100) -> list[UnusableEvent]:
        """Events that an operator has to look into with the provider and that nobody has put aside, newest first."""
        async with connected(self._pool) as connection:
            rows = await connection.fetch(_UNUSABLE, bounded(limit, self._config.list_rows_max))
        return [_unusable(row) for row in rows]

    async def put_aside(self, rail: str, event: str, *, by: str, note: str) -> UnusableEvent:
        """An operator has looked into it: it is listed and counted no more. The first note stays.

        Raises:
            NotFound: there is no such event that could not be used.
            ValueRefused: a value is outside of its bounds.
        """
        with refused_values():
            async with connected(self._pool) as connection:
                row = await connection.fetchrow(_LOOKED, rail, event, by, note)
        if row is None:
            raise NotFound(f"no event {event} of {rail} that could not be used")
        return _unusable(row)

    async def settle(self) -> int:
        """Credit every grant and every paid purchase whose coins are owed; how many came in."""
        return await self._crediting.settle()

    async def give_up_stale(self) -> int:
        """Ask the rails for purchases that were not paid in time: take the word we missed, or give the purchase up.

        One that its rail keeps open is asked after again `purchase_asked_ms` later; a rail that does not answer is not
        asked for the others of this round, so that it holds up nobody for long.

        Returns:
            How many are not pending any more.
        """
        config, away = self._config, set[str]()
        ages_s = (config.purchase_expires_ms / 1000, config.purchase_asked_ms / 1000)
        moved, last = 0, uuid.UUID(int=0)
        while True:
            async with connected(self._pool) as connection:
                rows = await connection.fetch(_STALE, *ages_s, last, config.settle_rows_max)
            if not rows:
                return moved
            for row in rows:
                if row["rail"] in away:
                    continue
                try:
                    moved += await self._give_up(_purchase(row))
                except RailUnavailable as exc:
                    _log.warning("rail_unavailable", rail=row["rail"], error=str(exc))
                    away.add(row["rail"])
            last = rows[-1]["id"]

    async def run(self) -> None:
        """The worker's duty: settle and give up, again and again until cancelled.

        Raises:
            LedgerUnavailable: PostgreSQL does not answer; begin again after a while.
            InvariantBroken: see `Crediting.credit`.
        """
        while True:
            await self.settle()
            await self.give_up_stale()
            async with connected(self._pool) as connection:
                self._crediting.stats.unusable = int(await connection.fetchval(_COUNT_UNUSABLE))
            await asyncio.sleep(self._config.credit_retry_ms / 1000)

    def _rail(self, name: str) -> PaymentRail:
        try:
            return self._rails[name]
        except KeyError:
            raise UnknownRail(f"no rail {name!r}; there are {sorted(self._rails)}") from None

    async def _known(self, purchase_id: bytes) -> Purchase:
        purchase = await self.get(purchase_id)
        if purchase is None:
            raise NotFound(f"no purchase {format_id(purchase_id)}")
        return purchase

    async def _get_or_store(self, order: PurchaseOrder) -> Purchase:
        purchase_id = uuid_of(order.id)
        with refused_values():
            async with transaction(self._pool) as connection:
                coins = order.coins + order.bonus_coins
                values = (order.viewer, coins, format_id(order.id), self._worth_of(order))
                reserved = await connection.fetchval(_RESERVE, purchase_id, *values)
                if reserved is not None:
                    await self._check_pending(connection, order.viewer)
                    refusal = await self._ages.refusal(connection, order.viewer, Act.BUY)
                    if refusal is not None:
                        raise AgeForbids(refusal.refusal, refusal.age)
                    fields = (getattr(order, name) for name in _ORDER_NAMES[1:])
                    await connection.execute(_INSERT, purchase_id, *fields)
                row = await connection.fetchrow(f"{_SELECT} WHERE id = $1", purchase_id)
        if row is None:
            raise IdConflict(f"{format_id(order.id)} is the id of a grant")
        return _purchase(row)

    def _worth_of(self, order: PurchaseOrder) -> int | None:
        if not order.bonus_coins:
            return None
        return worth_less(self._config.bonus_worth_bp if order.bonus_worth_bp is None else order.bonus_worth_bp)

    async def _check_pending(self, connection: Connection, viewer: str) -> None:
        # Two at once may both pass: a bound against floods need not be exact.
        limit = self._config.purchases_pending_max
        pending = await connection.fetchval(
            "SELECT count(*) FROM purchases WHERE viewer = $1 AND state = 'pending'", viewer
        )
        if pending >= limit:
            raise LimitReached(limit, f"{viewer} has {pending} purchases that are not paid")

    async def _apply(self, rail: str, event: RailEvent) -> Heard:
        purchase_id = uuid_of(event.purchase)
        try:
            with refused_values():
                effect = await self._store_event(rail, event)
        except ValueRefused as exc:
            raise BadEvent(f"{rail} sent an event that cannot be stored: {exc}") from exc
        if effect in (EventEffect.WRONG_AMOUNT, EventEffect.UNKNOWN_PURCHASE):
            _log.error("rail_event_unusable", rail=rail, rail_event=event.id, effect=effect.value)
            return Heard(effect, event.id)
        await self._credit_if_owed(purchase_id)
        await self._refunds.take_owed(event.purchase)
        return Heard(effect, event.id, await self._of_rail(rail, event.purchase))

    async def _store_event(self, rail: str, event: RailEvent) -> EventEffect:
        """Store the event and move its purchase, in one transaction; those who tell it at the same time wait."""
        values = (uuid_of(event.purchase), event.outcome.value, event.amount_minor, event.currency)
        async with transaction(self._pool) as connection:
            if await connection.fetchval(_NOTE_EVENT, rail, event.id, *values) is None:
                return EventEffect.DUPLICATE
            effect = await _move(connection, rail, event)
            await connection.execute(_NOTE_EFFECT, rail, event.id, effect.value)
            return effect

    async def _credit_if_owed(self, purchase_id: uuid.UUID) -> None:
        """Also after a duplicate: the first hearing may have died between its two halves."""
        async with connected(self._pool) as connection:
            row = await connection.fetchrow(
                "SELECT * FROM credits WHERE id = $1 AND cause = $2 AND due_at IS NOT NULL AND credited_at IS NULL",
                purchase_id,
                Cause.PURCHASE.value,
            )
        if row is not None:
            await self._crediting.credit(row)

    async def _of_rail(self, rail: str, purchase_id: bytes) -> Purchase | None:
        purchase = await self.get(purchase_id)
        return purchase if purchase is not None and purchase.rail == rail else None

    async def _give_up(self, purchase: Purchase) -> bool:
        rail = self._rails.get(purchase.rail)
        event = None if rail is None else await rail.status(purchase)
        if event is None and (rail is None or await rail.cancel(purchase)):
            event = _our_word("given_up", purchase, RailOutcome.EXPIRED)
        heard = None if event is None else await self._apply(purchase.rail, event)
        if heard is not None and heard.effect is EventEffect.APPLIED:
            return True
        async with connected(self._pool) as connection:
            await connection.execute(_NOTE_ASKED, uuid_of(purchase.id))
        return False


async def _move(connection: Connection, rail: str, event: RailEvent) -> EventEffect:
    """Let a fresh event move its purchase, inside the transaction that stores the event."""
    purchase_id = uuid_of(event.purchase)
    row = await connection.fetchrow(_LOCK, purchase_id, rail)
    if row is None:
        # Also when another rail has it: a provider has no say over what was not bought there.
        return EventEffect.UNKNOWN_PURCHASE
    if event.outcome is RailOutcome.REINSTATED:
        return await _reinstate(connection, rail, event)
    if event.outcome in REFUND_KINDS:
        effect = await _refund(connection, rail, event, row)
        if effect is EventEffect.WRONG_AMOUNT:
            return effect
    elif (event.amount_minor, event.currency) != (row["price_minor"], row["currency"]):
        return EventEffect.WRONG_AMOUNT
    else:
        effect = EventEffect.NO_CHANGE
    state = after_outcome(PurchaseState(row["state"]), event.outcome)
    if state is None:
        return effect
    if state is PurchaseState.PAID:
        if await void_if_wholly_refunded(connection, event.purchase):
            return EventEffect.APPLIED
        await connection.execute(_OWE, purchase_id)
    await connection.execute(_MOVE, purchase_id, state.value)
    return EventEffect.APPLIED


async def _refund(connection: Connection, rail: str, event: RailEvent, purchase: asyncpg.Record) -> EventEffect:
    """Store the refund that an event of a rail tells of, for the coins that its money stands for."""
    price, before = purchase["price_minor"], purchase["refunded_minor"]
    if event.currency != purchase["currency"] or not 0 < event.amount_minor <= price - before:
        return EventEffect.WRONG_AMOUNT
    # Of all money so far, so that its parts add up to all coins; and an operator may have ordered some of it before.
    told = coins_of_money(before + event.amount_minor, price, purchase["bought"])
    coins = (await count_refunded(connection, event.purchase)).not_taken_yet(told)
    if coins > purchase["bought"] - purchase["refunded_coins"]:
        # With what went back another way, or was given back here, more went than was paid.
        return EventEffect.WRONG_AMOUNT
    await connection.execute(_COUNT_MONEY, uuid_of(event.purchase), event.amount_minor)
    if not coins:
        return EventEffect.NO_CHANGE
    order = RefundOrder(
        id=refund_id_of(rail, event.id),
        purchase=event.purchase,
        coins=coins,
        kind=REFUND_KINDS[event.outcome],
        reason=f"{rail} says {event.outcome}: {event.id}",
        by=rail,
        money=RefundMoney.TOLD,
    )
    stored = await store_refund(connection, order)
    return EventEffect.NO_CHANGE if isinstance(stored, RefundRefused) else EventEffect.APPLIED


async def _reinstate(connection: Connection, rail: str, event: RailEvent) -> EventEffect:
    """Let what was taken for an earlier event come back; nothing changes where nothing was taken for it."""
    told = await connection.fetchrow(_TOLD, rail, event.about, uuid_of(event.purchase))
    refund = uuid_of(refund_id_of(rail, event.about))
    if told is None or not await connection.fetchval("SELECT 1 FROM refunds WHERE id = $1", refund):
        return EventEffect.NO_CHANGE
    if (event.amount_minor, event.currency) != (told["amount_minor"], told["currency"]):
        return EventEffect.WRONG_AMOUNT
    reason = f"{rail} says {event.outcome}: {event.id}"
    first = await order_reinstatement(connection, refund, by=rail, reason=reason)
    return EventEffect.APPLIED if first else EventEffect.NO_CHANGE


def _our_word(what: str, purchase: Purchase, outcome: RailOutcome) -> RailEvent:
    """Our own word on a purchase, stored as an event so that it has its place among the others."""
    event_id = f"{what}_{format_id(purchase.id)}"
    return RailEvent(event_id, purchase.id, outcome, purchase.price_minor, purchase.currency)


def _order_of(purchase: Purchase) -> PurchaseOrder:
    return PurchaseOrder(**{name: getattr(purchase, name) for name in _ORDER_NAMES})


def _purchase(row: asyncpg.Record) -> Purchase:
    return Purchase(
        id=row["id"].bytes,
        viewer=ViewerId(row["viewer"]),
        package=row["package"],
        coins=row["coins"],
        bonus_coins=row["bonus_coins"],
        price_minor=row["price_minor"],
        currency=row["currency"],
        country=row["country"],
        platform=row["platform"],
        promotion=row["promotion"],
        rail=row["rail"],
        state=PurchaseState(row["state"]),
        checkout=row["checkout"] or "",
        created_ms=ms_of(row["made_at"]),
        balance_coins=row["balance_coins"],
        refunded_coins=row["refunded_coins"],
        bonus_worth_bp=row["bonus_worth_bp"],
        reference=row["rail_reference"] or "",
    )


def _unusable(row: asyncpg.Record) -> UnusableEvent:
    return UnusableEvent(
        rail=row["rail"],
        event=row["event"],
        purchase=row["purchase"].bytes,
        outcome=RailOutcome(row["outcome"]),
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        effect=EventEffect(row["effect"]),
        heard_ms=ms_of(row["heard_at"]),
    )
