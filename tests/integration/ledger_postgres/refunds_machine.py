"""The state machine with books, and an office that charges purchases back and lets what was taken come back.

The office's own connections break in the midst, and the live ledger is lost between any two of its steps. Each purchase
is of a viewer of its own, so what its coins had paid for follows by arithmetic.
"""

import contextlib
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from fractions import Fraction
from typing import Any, Final
from unittest.mock import patch

import asyncpg
from hypothesis import seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test
from msgspec import Struct

from ledger.errors import LedgerUnavailable
from ledger.guards.ages import NO_RULES
from ledger.model import (
    AMOUNT_MAX,
    CreditOrder,
    CreditOutcome,
    GiftAccepted,
    RefundKind,
    ReversalOrder,
    ReversalOutcome,
    ViewerId,
)
from ledger.office import Office
from ledger.payouts.payout_limits import PayoutRules
from ledger.purchases.purchases import PurchaseState, RailOutcome
from ledger.rails.sandbox import SandboxRail
from ledger.refunds.refunds import RefundOrder
from ledger.service import Ledger
from tests.integration.ledger.orders import now_ms
from tests.integration.ledger.wishes import Fresh
from tests.integration.ledger_money.money import purchase_order
from tests.integration.ledger_postgres.books_machine import BooksMachine
from tests.servers import Valkey

BOUGHT: Final = 10
ROUNDS: Final = 4
REINSTATED_LATE: Final = 2
"""By then the refund is through, unless a connection broke."""
STATEMENTS: Final = 64
"""A round asks about so many, or fewer."""
_ASKED: Final = ("execute", "fetch", "fetchrow", "fetchval")
_CAME_BACK: Final = """
SELECT r.viewer, t.coins, t.creator_diamonds, t.commission_diamonds
FROM reinstatements t JOIN refunds r ON r.id = refund WHERE t.done_at IS NOT NULL
"""


class Taken(Struct, frozen=True):
    """What happens to a purchase of BOUGHT coins.

    Attributes:
        spent: coins of it that are given to a creator.
        creator_bp: the creator's part of that gift.
        coins: so many are refunded.
        early: the word that they come back is heard before the refund is through.
        breaks: the statement behind which the office's connection breaks, in each of its rounds.
        loss: of the live ledger: of all that it did since the purchase ("copy"), or of everything.
        lost_at: the round before which it is lost.
    """

    kind: RefundKind
    spent: int
    creator_bp: int
    coins: int
    early: bool
    breaks: tuple[int | None, ...]
    loss: str | None
    lost_at: int


TAKEN: Final = st.builds(
    Taken,
    kind=st.sampled_from([RefundKind.CHARGEBACK, RefundKind.CHARGEBACK, RefundKind.REFUND]),
    spent=st.sampled_from([0, 4, BOUGHT]),
    creator_bp=st.sampled_from([5_000, 6_667, 9_999]),
    coins=st.sampled_from([BOUGHT, BOUGHT, 7]),
    early=st.booleans(),
    breaks=st.tuples(*[st.one_of(st.none(), st.integers(1, STATEMENTS))] * ROUNDS),
    loss=st.sampled_from([None, "copy", "everything"]),
    lost_at=st.integers(0, ROUNDS - 1),
)


class _Beside(Ledger):
    """The machine's ledger as its office calls it: the twin is told the same, and must answer the same."""

    def __init__(self, machine: "RefundsMachine") -> None:
        super().__init__(machine.ledger.redis, machine.config)
        self._machine = machine

    async def now_ms(self) -> int:
        return self._machine.clock_ms

    async def credit(self, order: CreditOrder, *, until_ms: int = AMOUNT_MAX) -> CreditOutcome:
        expected = await self._machine.twin.credit(order, until_ms=until_ms)
        told = await super().credit(order, until_ms=until_ms)
        assert told == expected, f"told {told}, expected {expected}"
        return told

    async def reverse(
        self, order: ReversalOrder, *, most: int, keep: int, until_ms: int = AMOUNT_MAX, came_seq: int | None = None
    ) -> ReversalOutcome:
        bounds: Any = {"most": most, "keep": keep, "until_ms": until_ms, "came_seq": came_seq}
        expected = await self._machine.twin.reverse(order, **bounds)
        told = await super().reverse(order, **bounds)
        assert told == expected, f"told {told}, expected {expected}"
        return told


class RefundsMachine(BooksMachine):
    """One example, with an office."""

    def __init__(self, valkey: Valkey, database_url: str) -> None:
        super().__init__(valkey, database_url)
        self.came_back: list[tuple[str, int, int, int]] = []
        self.rail = SandboxRail.from_key("a key " * 8)

    @property
    def office(self) -> Office:
        """As a process has it that was started right now."""
        config = self.books_config
        return Office(self.pool, _Beside(self), [self.rail], config, NO_RULES, PayoutRules())

    @initialize(
        ahead_ms=st.sampled_from([120_000, 3_600_000]), coins=st.sampled_from([200, 20, AMOUNT_MAX // 4]), wish=TAKEN
    )
    def everybody_has_coins_and_the_clock_was_set_back(self, ahead_ms: int, coins: int, wish: Taken) -> None:
        """Every example has one: among so many rules they would come seldom."""
        super().everybody_has_coins_and_the_clock_was_set_back(ahead_ms, coins)
        self.take_back_and_reinstate(wish)

    @precondition(lambda self: not self.lost and self.all_open)
    @rule(wish=TAKEN)
    def take_back_and_reinstate(self, wish: Taken) -> None:
        """A purchase is refunded, and all that was taken comes back, once."""
        bought = self._buy(wish.spent, wish.creator_bp)
        if bought is None:
            return
        viewer, purchase, spent = bought
        self.keep_a_copy()
        refund = self._id(now_ms())
        order = RefundOrder(refund, purchase, wish.coins, wish.kind, "a test", "olga")
        with breaking_office(wish.breaks[0]):
            self._ask(lambda: self.office.refunds.refund(order))
        # The same order again, whether or not the first was stored.
        self._ask(lambda: self.office.refunds.refund(order))
        for turn in range(ROUNDS):
            if wish.loss is not None and turn == wish.lost_at:
                self._lose(wish.loss, viewer)
            with breaking_office(wish.breaks[turn]):
                if turn == (0 if wish.early else REINSTATED_LATE):
                    self._ask(lambda: self.office.refunds.reinstate(refund, by="olga", reason="the bank gave in"))
                self._settle()
            if turn % 2:
                self._flush_all()
            self.both_hold_the_same()
        self._ask(lambda: self.office.refunds.reinstate(refund, by="otto", reason="once more"))
        self._flush_all()
        self._settle()
        self._flush_all()
        back = BOUGHT - spent
        taken, (diamonds, commission) = wish.coins, _worth(spent, wish.creator_bp, max(0, wish.coins - back))
        if wish.kind is RefundKind.REFUND:
            taken, diamonds, commission = min(wish.coins, back), 0, 0
        self.came_back.append((viewer, taken, diamonds, commission))
        self.what_was_taken_came_back_once()
        assert self.twin_balance(viewer) == back

    def what_was_taken_came_back_once(self) -> None:
        """Each reinstatement, and no other, gave back what its refund had taken."""
        found = sorted(tuple(row) for row in self.runner.run(self.pool.fetch(_CAME_BACK)))
        assert found == sorted(self.came_back), f"I1: {found} came back, not {self.came_back}"

    def own_balances(self) -> Counter[tuple[str, str]]:
        """Earnings that were taken had been pending, and are available since they came back."""
        moved = sum(diamonds for _, _, diamonds, _ in self.came_back)
        return Counter({("pending", "cora"): -moved, ("available", "cora"): moved})

    def twin_balance(self, viewer: str) -> int:
        """Coins in a wallet, as the twin has it."""
        return self.runner.run(self.twin.balance(viewer))

    # How it is done.

    def _buy(self, spent: int, creator_bp: int) -> tuple[str, bytes, int] | None:
        """A new viewer with a purchase, some of whose coins are given away; None where sums are full.

        The books have all of it.
        """
        self._flush_all()
        self.numbers += 1
        viewer = f"buyer{self.numbers}"
        state = self.twin.partitions[self.ledger.keys.partition_of(viewer)]
        if state.coins_in > AMOUNT_MAX - 2 * BOUGHT:
            return None
        purchase = self._id(now_ms())
        self.numbers += 1
        order = purchase_order(viewer, BOUGHT, 0, purchase_id=purchase)
        stored = self.runner.run(self.office.purchases.begin(order))
        self.runner.run(self.office.purchases.hear("sandbox", *self.rail.pay(stored, RailOutcome.PAID)))
        found = self.runner.run(self.office.purchases.get(purchase))
        assert found is not None and found.state is PurchaseState.CREDITED
        if spent:
            gift = self._order(Fresh(viewer, "cora", spent, 1, creator_bp, "", 0))
            given = self.runner.run(self.ledger.give(gift))
            assert given == self.runner.run(self.twin.give(gift))
            spent = spent if isinstance(given, GiftAccepted) else 0
        self._flush_all()
        return viewer, purchase, spent

    def _flush_all(self) -> None:
        self.both_hold_the_same()
        self.flush_and_trim(1.0, None)

    def _settle(self) -> None:
        """One round of the office's duties; they end where the connection breaks."""

        async def settle() -> None:
            await self.office.refunds.settle()
            await self.office.purchases.settle()

        self._ask(settle)

    def _lose(self, loss: str, viewer: str) -> None:
        if loss == "everything":
            self.lose_everything()
        else:
            self.fall_back_to_the_copy()
        self._ask(lambda: self.office.refunds.settle())
        if self.lost:
            self.bring_back([], ViewerId(viewer))
        self.both_hold_the_same()

    def _ask(self, call: Callable[[], Awaitable[object]]) -> None:
        """Ask the office, which may lose its connection."""

        async def asked() -> None:
            with contextlib.suppress(LedgerUnavailable):
                await call()

        self.runner.run(asked())


def _worth(spent: int, creator_bp: int, last: int) -> tuple[int, int]:
    """Diamonds of the last coins of a gift: its creator's, and all others, the residue among them."""
    creator = math.floor(Fraction(spent * creator_bp, 100))
    kept = math.floor(Fraction(creator * (spent - last), spent)) if spent else 0
    return creator - kept, 100 * last - creator + kept


@contextlib.contextmanager
def breaking_office(at: int | None) -> Iterator[None]:
    """A connection breaks once, behind the statement of this number: it took effect, and its answer is lost."""
    asked = 0

    def broken(carry_out: Any) -> Any:
        async def breaks(self: Any, *args: Any, **named: Any) -> Any:
            nonlocal asked
            asked += 1
            number = asked
            done = await carry_out(self, *args, **named)
            if number == at:
                raise ConnectionResetError("planted")
            return done

        return breaks

    with contextlib.ExitStack() as patched:
        for name in _ASKED:
            patched.enter_context(patch.object(asyncpg.Connection, name, broken(getattr(asyncpg.Connection, name))))
        yield


def run_refunds_machine(valkey: Valkey, database_url: str, examples: settings, number: int) -> None:
    """Run the examples of this number on these servers.

    Raises:
        AssertionError: as `run_machine`.
    """

    class OnTheseServers(RefundsMachine):
        def __init__(self) -> None:
            super().__init__(valkey, database_url)

    run_state_machine_as_test(seed(number)(OnTheseServers), settings=examples)
