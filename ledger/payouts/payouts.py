"""Earnings and the way out: what creators and agencies may withdraw, withdrawals, and the operator's steps with each.

Money is withdrawn from the books alone, never from live earnings. One withdrawal at a time is judged, with the
payee's accounts locked: requests that come together can never pass what is available. Payees: `payees`.
"""

import datetime
import enum
import uuid
from typing import Final

import asyncpg
from msgspec import Struct

from ledger.accounts import BOOKS_PARTITION, DIAMONDS, AccountKey, AccountKind, earnings
from ledger.books.postgres import Connection, Pool, connected, snapshot, transaction
from ledger.books.posting import BookRecord, Posting, open_posting
from ledger.books.rows import bounded, ms_of, refused_values, uuid_of
from ledger.commission import to_minor
from ledger.config import LedgerConfig
from ledger.errors import IdConflict, LimitReached, NotFound, ValueRefused, WrongState
from ledger.guards.ages import Act, AgeRefusal
from ledger.guards.persons import AgeCheck
from ledger.ids import format_id
from ledger.model import Refusal
from ledger.payouts.maturing import ripens_on
from ledger.payouts.payees import agency_of, given_to
from ledger.payouts.payout_limits import PayoutRules
from ledger.payouts.payout_states import CAME_BACK, HoldEffect, PayoutState, effect_of, next_states
from ledger.rails.interface import PayoutRail, Transfer

REQUESTED_BY: Final = frozenset({"creator", "agency"})
"""Who makes the first step of a withdrawal."""
_DAY_MS: Final = 86_400_000
_BALANCES: Final = """
SELECT kind, balance FROM accounts JOIN balances ON account_id = id
WHERE owner = $1 AND unit = 'diamonds' AND partition = -1
"""
_PAID_OUT: Final = "SELECT coalesce(sum(diamonds), 0)::bigint FROM withdrawals WHERE payee = $1 AND state = 'paid'"
_TAKEN_BACK: Final = """
SELECT coalesce(sum(from_pending + from_available), 0)::bigint FROM refund_shares s WHERE creator = $1
    AND NOT EXISTS (SELECT FROM reinstatements t WHERE t.refund = s.refund AND t.done_at IS NOT NULL)
"""
_MATURED: Final = """
SELECT balance FROM accounts JOIN balances ON account_id = id WHERE owner = $1 AND kind = 'agency_matured'
"""
_DISCOUNTED: Final = "SELECT coalesce(sum(discounted), 0)::bigint FROM creator_days WHERE creator = $1"
_FIRST_UNRIPE: Final = "SELECT min(day) FROM creator_days WHERE creator = $1 AND matured + taken_back < earned"
# A person's own country comes first. An agency has neither; its name is of a form that no creator has.
_COUNTRY: Final = """
SELECT coalesce((SELECT country FROM guards WHERE viewer = $1), (SELECT country FROM creators WHERE creator = $1))
"""
_ADD_METHOD: Final = """
INSERT INTO payout_methods (id, payee, kind, label, details) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING RETURNING id
"""
_USED_TODAY: Final = """
SELECT coalesce(sum(amount_minor), 0)::bigint AS used_minor,
    extract(epoch FROM date_trunc('day', now(), 'UTC'))::bigint AS day_start_s
FROM withdrawals WHERE payee = $1 AND state <> ALL ($2::text[]) AND requested_at >= date_trunc('day', now(), 'UTC')
"""
_REQUEST: Final = """
INSERT INTO withdrawals
    (id, payee, method, asked_diamonds, diamonds, diamonds_per_minor, amount_minor, currency, state)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'requested') RETURNING *
"""
_MOVE: Final = "UPDATE withdrawals SET state = $2, changed_at = now() WHERE id = $1 RETURNING *"
_STEP: Final = """
INSERT INTO withdrawal_steps (withdrawal, number, from_state, to_state, step_by, note)
SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5 FROM withdrawal_steps WHERE withdrawal = $1
"""
_LIST: Final = """
SELECT * FROM withdrawals
WHERE ($1::text IS NULL OR payee = $1) AND ($2::text IS NULL OR state = $2) AND id < $3 ORDER BY id DESC LIMIT $4
"""
_KIND_OF: Final = {
    HoldEffect.PAY_OUT: "payout_paid",
    HoldEffect.GIVE_BACK: "payout_given_back",
    HoldEffect.TAKE_BACK: "payout_taken_back",
}


class Earnings(Struct, frozen=True):
    """What a creator or agency has in the books, in diamonds.

    Attributes:
        pending_diamonds: earned, not ripe yet.
        available_diamonds: can be withdrawn; below zero when more was taken back than there was.
        on_hold_diamonds: in withdrawals on their way.
        paid_out_diamonds: of withdrawals that were paid.
        next_matures_ms: when the oldest pending earnings become available; None when nothing is pending.
        taken_back_diamonds: taken back for refunds and charge-backs, without what came back since.
        discounted_diamonds: what gifts brought less, ever, since their coins were not all paid for.
    """

    pending_diamonds: int
    available_diamonds: int
    on_hold_diamonds: int
    paid_out_diamonds: int
    next_matures_ms: int | None
    taken_back_diamonds: int = 0
    discounted_diamonds: int = 0


class PayoutMethod(Struct, frozen=True):
    """A way to be paid.

    Attributes:
        kind: one that the payout rail can pay, such as `bank`.
        label: what its payee calls it, 1 to 100 characters.
        details: where to pay, up to 4 KiB that the ledger never reads. Not for logs.
    """

    id: bytes
    payee: str
    kind: str
    label: str
    details: bytes
    created_ms: int


class WithdrawalOrder(Struct, frozen=True):
    """Diamonds that a creator or agency wants paid out.

    Attributes:
        id: UUIDv7, 16 bytes.
        method: the id of a payout method of this payee.
        diamonds: at least 1. What is over a whole minor unit stays available.
    """

    id: bytes
    payee: str
    method: bytes
    diamonds: int


class Withdrawal(Struct, frozen=True):
    """A withdrawal as it stands.

    Attributes:
        asked_diamonds: what the order said.
        diamonds: what it takes: `amount_minor` times the rate of that day.
        amount_minor, currency: what is to be paid.
    """

    id: bytes
    payee: str
    method: bytes
    asked_diamonds: int
    diamonds: int
    amount_minor: int
    currency: str
    state: PayoutState
    requested_ms: int
    changed_ms: int


class WithdrawalStep(Struct, frozen=True):
    """One step of a withdrawal: who, when, and what was noted. The first has no state before it."""

    number: int
    before: PayoutState | None
    after: PayoutState
    at_ms: int
    by: str
    note: str


class PayoutRefusal(enum.Enum):
    """Why a withdrawal was not taken. Nothing is kept of it; the same id may be told again."""

    UNKNOWN_METHOD = "unknown_method"
    """The payee has no such payout method."""
    BELOW_THRESHOLD = "below_threshold"
    """It would pay less than one withdrawal must."""
    DAY_LIMIT = "day_limit"
    """The payee would withdraw more than one may on one day (UTC)."""
    INSUFFICIENT_EARNINGS = "insufficient_earnings"
    UNDER_AGE = "under_age"
    """The creator is too young for it in its country."""
    AGE_UNKNOWN = "age_unknown"
    """The creator's age is not known, and the deployment wants it known."""


class PayoutRefused(Struct, frozen=True):
    """A refusal, with all numbers that it was judged by.

    Attributes:
        amount_minor: what the withdrawal would pay.
        min_minor: the least that one may pay.
        day_max_minor, day_used_minor: the most of a day, and what of it today's withdrawals use.
        resets_at_ms: when the next day begins.
        age_min: with UNDER_AGE, from which age one may.
    """

    refusal: PayoutRefusal
    available_diamonds: int
    amount_minor: int
    currency: str
    min_minor: int
    day_max_minor: int
    day_used_minor: int
    resets_at_ms: int
    age_min: int | None = None


class Payouts:
    """Earnings, methods and withdrawals. Every method may raise `LedgerUnavailable`: the same call again is safe."""

    def __init__(self, pool: Pool, rail: PayoutRail, config: LedgerConfig, ages: AgeCheck, rules: PayoutRules) -> None:
        self._pool = pool
        self._rail = rail
        self._ages = ages
        self._rules = rules
        self._config = config

    async def earnings(self, payee: str) -> Earnings:
        """All of a payee's accounts at one moment; zeros for one that never earned."""
        async with snapshot(self._pool) as connection:
            rows = await connection.fetch(_BALANCES, payee)
            given = await given_to(connection, (payee,))
            matured = await connection.fetchval(_MATURED, agency_of(payee)) if given else 0
            paid_out = await connection.fetchval(_PAID_OUT, payee)
            taken_back = await connection.fetchval(_TAKEN_BACK, payee)
            discounted = await connection.fetchval(_DISCOUNTED, payee)
            first_unripe = await connection.fetchval(_FIRST_UNRIPE, payee)
        balances = {row["kind"]: row["balance"] for row in rows}
        return Earnings(
            pending_diamonds=balances.get(AccountKind.PENDING, 0) + given.get(payee, 0) + (matured or 0),
            available_diamonds=balances.get(AccountKind.AVAILABLE, 0),
            on_hold_diamonds=balances.get(AccountKind.PAYOUT_HOLD, 0),
            paid_out_diamonds=paid_out,
            next_matures_ms=None if first_unripe is None else self._ripens_ms(first_unripe),
            taken_back_diamonds=taken_back,
            discounted_diamonds=discounted,
        )

    async def methods(self, payee: str) -> list[PayoutMethod]:
        """A payee's payout methods, oldest first."""
        async with connected(self._pool) as connection:
            rows = await connection.fetch("SELECT * FROM payout_methods WHERE payee = $1 ORDER BY id", payee)
        return [_method(row) for row in rows]

    async def add_method(self, method_id: bytes, payee: str, kind: str, label: str, details: bytes) -> PayoutMethod:
        """Store a way to be paid; the same id again answers with the first one.

        Raises:
            NotFound: there is no such creator or agency.
            IdConflict: the id was used with other content.
            LimitReached: the payee has `payout_methods_max` of them.
            ValueRefused: the payout rail cannot pay this kind, or a value is outside of its bounds.
        """
        if kind not in self._rail.kinds:
            raise ValueRefused("kind", f"{kind!r} cannot be paid; there are {sorted(self._rail.kinds)}")
        with refused_values():
            async with transaction(self._pool) as connection:
                await _lock_payee(connection, payee)
                added = await connection.fetchval(_ADD_METHOD, uuid_of(method_id), payee, kind, label, details)
                if added is not None:
                    await self._check_methods(connection, payee)
                row = await connection.fetchrow("SELECT * FROM payout_methods WHERE id = $1", uuid_of(method_id))
        method = None if row is None else _method(row)
        if method is None or (method.payee, method.kind, method.label, method.details) != (
            payee,
            kind,
            label,
            details,
        ):
            raise IdConflict(f"payout method {format_id(method_id)} was added with other content")
        return method

    async def request(self, order: WithdrawalOrder) -> Withdrawal | PayoutRefused:
        """Take a withdrawal and hold its diamonds; the same id again answers with the first one as it stands.

        Diamonds are converted to minor units of `payout_currency` at `diamonds_per_minor`, rounded down to whole ones.

        Raises:
            IdConflict: the id was used with other content.
            ValueError: fewer than one diamond.
        """
        if order.diamonds < 1:
            raise ValueError("a withdrawal is of at least one diamond")
        available = earnings(AccountKind.AVAILABLE, order.payee)
        hold = earnings(AccountKind.PAYOUT_HOLD, order.payee)
        async with open_posting(self._pool, (available, hold)) as posting:
            stored = await _stored(posting.connection, order.id)
            if stored is not None:
                if (stored.payee, stored.method, stored.asked_diamonds) != (
                    order.payee,
                    order.method,
                    order.diamonds,
                ):
                    raise IdConflict(f"withdrawal {format_id(order.id)} was requested with other content")
                return stored
            refused = await self._judge(posting, order, posting.balance(available))
            if refused is not None:
                return refused
            return await self._hold(posting, order, available, hold)

    async def withdrawals(
        self,
        *,
        payee: str | None = None,
        state: PayoutState | None = None,
        after: bytes | None = None,
        limit: int = 100,
    ) -> list[Withdrawal]:
        """Withdrawals, newest id first, from the one behind `after` on."""
        last = uuid.UUID(int=2**128 - 1) if after is None else uuid_of(after)
        state_name = None if state is None else state.value
        async with connected(self._pool) as connection:
            rows = await connection.fetch(_LIST, payee, state_name, last, bounded(limit, self._config.list_rows_max))
        return [_withdrawal(row) for row in rows]

    async def withdrawal(self, withdrawal_id: bytes) -> Withdrawal | None:
        """One withdrawal."""
        async with connected(self._pool) as connection:
            return await _stored(connection, withdrawal_id)

    async def steps(self, withdrawal_id: bytes) -> list[WithdrawalStep]:
        """All steps of a withdrawal, in order; none when there is no such withdrawal."""
        async with connected(self._pool) as connection:
            rows = await connection.fetch(
                "SELECT * FROM withdrawal_steps WHERE withdrawal = $1 ORDER BY number", uuid_of(withdrawal_id)
            )
        return [_step(row) for row in rows]

    async def slip(self, withdrawal_id: bytes) -> str:
        """What is to be done to pay a withdrawal, in the payout rail's words. For the operator's eyes.

        Raises:
            NotFound: there is no such withdrawal.
        """
        async with connected(self._pool) as connection:
            row = await connection.fetchrow(
                "SELECT w.payee, amount_minor, currency, kind, label, details"
                " FROM withdrawals w JOIN payout_methods m ON m.id = w.method WHERE w.id = $1",
                uuid_of(withdrawal_id),
            )
        if row is None:
            raise NotFound(f"no withdrawal {format_id(withdrawal_id)}")
        return self._rail.slip(Transfer(withdrawal_id, *row))

    async def step(self, withdrawal_id: bytes, to: PayoutState, *, by: str, note: str = "") -> Withdrawal:
        """Move a withdrawal one step along `payout_states.STEPS`, with what that does to the diamonds.

        Raises:
            NotFound: there is no such withdrawal.
            WrongState: the table has no such step from its present state; also when it is there already.
            ValueRefused: `by` is not of 1 to 100 characters, or the note has more than 1,000.
        """
        known = await self.withdrawal(withdrawal_id)
        if known is None:
            raise NotFound(f"no withdrawal {format_id(withdrawal_id)}")
        with refused_values():
            async with open_posting(self._pool, _accounts_of(known)) as posting:
                before = await _stored(posting.connection, withdrawal_id) or known
                effect = effect_of(before.state, to)
                if effect is None:
                    raise WrongState(_wrong_state(before, to))
                row = await posting.connection.fetchrow(_MOVE, uuid_of(withdrawal_id), to.value)
                await posting.connection.execute(_STEP, uuid_of(withdrawal_id), before.state.value, to.value, by, note)
                if effect is not HoldEffect.NONE:
                    posting.add(_record(before, effect))
        if row is None:
            raise NotFound(f"no withdrawal {format_id(withdrawal_id)}")
        return _withdrawal(row)

    def _ripens_ms(self, day: datetime.date) -> int:
        ripe = ripens_on(day, self._config.maturing_days)
        return (ripe - datetime.date(1970, 1, 1)).days * _DAY_MS

    async def _check_methods(self, connection: Connection, payee: str) -> None:
        limit = self._config.payout_methods_max
        methods = await connection.fetchval("SELECT count(*) FROM payout_methods WHERE payee = $1", payee)
        if methods > limit:
            raise LimitReached(limit, f"{payee} has {limit} payout methods")

    async def _judge(self, posting: Posting, order: WithdrawalOrder, available: int) -> PayoutRefused | None:
        connection, config = posting.connection, self._config
        amount_minor, diamonds = to_minor(order.diamonds, config.diamonds_per_minor)
        has_method = await connection.fetchval(
            "SELECT 1 FROM payout_methods WHERE id = $1 AND payee = $2", uuid_of(order.method), order.payee
        )
        today = await connection.fetchrow(_USED_TODAY, order.payee, sorted(CAME_BACK))
        used_minor, day_start_s = (0, 0) if today is None else (today["used_minor"], today["day_start_s"])
        country = await connection.fetchval(_COUNTRY, order.payee)
        min_minor, day_max_minor = self._rules.of(country, config)
        age = await self._age_refuses(connection, order.payee)
        if age is not None:
            refusal = PayoutRefusal.AGE_UNKNOWN if age.refusal is Refusal.AGE_UNKNOWN else PayoutRefusal.UNDER_AGE
        elif not has_method:
            refusal = PayoutRefusal.UNKNOWN_METHOD
        elif amount_minor < min_minor:
            refusal = PayoutRefusal.BELOW_THRESHOLD
        elif diamonds > available:
            refusal = PayoutRefusal.INSUFFICIENT_EARNINGS
        elif used_minor + amount_minor > day_max_minor:
            refusal = PayoutRefusal.DAY_LIMIT
        else:
            return None
        return PayoutRefused(
            refusal=refusal,
            available_diamonds=available,
            amount_minor=amount_minor,
            currency=config.payout_currency,
            min_minor=min_minor,
            day_max_minor=day_max_minor,
            day_used_minor=used_minor,
            resets_at_ms=day_start_s * 1000 + _DAY_MS,
            age_min=age.age if refusal is PayoutRefusal.UNDER_AGE and age is not None else None,
        )

    async def _age_refuses(self, connection: Connection, payee: str) -> AgeRefusal | None:
        """An agency has no age."""
        if agency_of(payee) is not None:
            return None
        country = await connection.fetchval("SELECT country FROM creators WHERE creator = $1", payee)
        return await self._ages.refusal(connection, payee, Act.WITHDRAW, country=country)

    async def _hold(
        self, posting: Posting, order: WithdrawalOrder, available: AccountKey, hold: AccountKey
    ) -> Withdrawal:
        rate = self._config.diamonds_per_minor
        amount_minor, diamonds = to_minor(order.diamonds, rate)
        withdrawal_id = uuid_of(order.id)
        values = (uuid_of(order.method), order.diamonds, diamonds, rate, amount_minor, self._config.payout_currency)
        row = await posting.connection.fetchrow(_REQUEST, withdrawal_id, order.payee, *values)
        if row is None:
            raise NotFound(f"no withdrawal {format_id(order.id)}")
        by = "creator" if agency_of(order.payee) is None else "agency"
        await posting.connection.execute(_STEP, withdrawal_id, None, PayoutState.REQUESTED.value, by, "")
        movements = [(available, -diamonds), (hold, diamonds)]
        posting.add(BookRecord(order.id, "payout_requested", order.payee, format_id(order.id), diamonds, movements))
        return _withdrawal(row)


async def _lock_payee(connection: Connection, payee: str) -> None:
    """Lock a payee's row, which makes the bound of its methods exact.

    Raises:
        NotFound: there is no such creator or agency.
    """
    agency = agency_of(payee)
    if agency is None:
        found = await connection.fetchval("SELECT 1 FROM creators WHERE creator = $1 FOR UPDATE", payee)
    else:
        found = await connection.fetchval("SELECT 1 FROM agencies WHERE agency = $1 FOR UPDATE", agency)
    if not found:
        raise NotFound(f"no creator {payee}" if agency is None else f"no agency {agency}")


def _accounts_of(withdrawal: Withdrawal) -> list[AccountKey]:
    return [
        earnings(AccountKind.AVAILABLE, withdrawal.payee),
        earnings(AccountKind.PAYOUT_HOLD, withdrawal.payee),
        AccountKey(AccountKind.REDEEMED, "", DIAMONDS, BOOKS_PARTITION),
        AccountKey(AccountKind.PAYOUT_FUNDS, "", withdrawal.currency, BOOKS_PARTITION),
        AccountKey(AccountKind.PAID_OUT, withdrawal.payee, withdrawal.currency, BOOKS_PARTITION),
    ]


def _record(withdrawal: Withdrawal, effect: HoldEffect) -> BookRecord:
    available, hold, redeemed, funds, paid_out = _accounts_of(withdrawal)
    diamonds, money = withdrawal.diamonds, withdrawal.amount_minor
    movements = {
        HoldEffect.GIVE_BACK: [(hold, -diamonds), (available, diamonds)],
        HoldEffect.PAY_OUT: [(hold, -diamonds), (redeemed, diamonds), (funds, -money), (paid_out, money)],
        HoldEffect.TAKE_BACK: [(redeemed, -diamonds), (available, diamonds), (paid_out, -money), (funds, money)],
    }[effect]
    reference = format_id(withdrawal.id)
    return BookRecord(withdrawal.id, _KIND_OF[effect], withdrawal.payee, reference, diamonds, movements)


def _wrong_state(withdrawal: Withdrawal, to: PayoutState) -> str:
    ways = ", ".join(next_states(withdrawal.state)) or "nowhere"
    return f"withdrawal {format_id(withdrawal.id)} is {withdrawal.state}: from there it can go to {ways}, not to {to}"


async def _stored(connection: Connection, withdrawal_id: bytes) -> Withdrawal | None:
    row = await connection.fetchrow("SELECT * FROM withdrawals WHERE id = $1", uuid_of(withdrawal_id))
    return None if row is None else _withdrawal(row)


def _method(row: asyncpg.Record) -> PayoutMethod:
    return PayoutMethod(
        id=row["id"].bytes,
        payee=row["payee"],
        kind=row["kind"],
        label=row["label"],
        details=row["details"],
        created_ms=ms_of(row["made_at"]),
    )


def _withdrawal(row: asyncpg.Record) -> Withdrawal:
    return Withdrawal(
        id=row["id"].bytes,
        payee=row["payee"],
        method=row["method"].bytes,
        asked_diamonds=row["asked_diamonds"],
        diamonds=row["diamonds"],
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        state=PayoutState(row["state"]),
        requested_ms=ms_of(row["requested_at"]),
        changed_ms=ms_of(row["changed_at"]),
    )


def _step(row: asyncpg.Record) -> WithdrawalStep:
    before = row["from_state"]
    return WithdrawalStep(
        number=row["number"],
        before=None if before is None else PayoutState(before),
        after=PayoutState(row["to_state"]),
        at_ms=ms_of(row["at"]),
        by=row["step_by"],
        note=row["note"],
    )
