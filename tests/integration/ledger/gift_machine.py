"""A state machine: orders of every kind on the real scripts and on the twin, with faults of the server in between.

After every step both must hold the same, and the invariants must follow from the stored data by arithmetic alone. The
server's clock seems to have been set back: each partition has seen a later time than the server tells, so that the
machine knows the time of every commit exactly, and can tell ids at the very edges of the window.
"""

from typing import Any

import msgspec
from hypothesis import seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ledger.guards.ages import AgeStep
from ledger.live.guard_state import NO_SETTINGS, GuardSettings
from ledger.model import (
    AMOUNT_MAX,
    UNDO_MS_MAX,
    Cause,
    CreditOrder,
    CreditRefused,
    EndRefusal,
    EndRefused,
    GiftRefused,
    HoldEnd,
    HoldOrder,
    Partition,
    RefundKind,
    Refusal,
    UndoRefusal,
    UndoRefused,
    ViewerId,
)
from ledger.twin.twin import LedgerTwin
from tests.integration.ledger.machine_core import MachineCore
from tests.integration.ledger.orders import now_ms
from tests.integration.ledger.wishes import (
    AGES,
    BUCKET_MS,
    COMBO_KEY,
    COMBO_MS,
    CREDITS,
    EDGES_MS,
    FRESH,
    HUGE,
    KEPT,
    LASTS_MS,
    LATE,
    LIMITS,
    NAMES,
    NUMBER,
    OWN_CAPS,
    SMALL,
    VIEWERS,
    WINDOW_MS,
    WISHES,
    Fresh,
    OwnCaps,
    Told,
)
from tests.servers import Valkey


class GiftMachine(MachineCore):
    """What may happen."""

    @initialize(
        limits=st.sampled_from(LIMITS),
        ahead_ms=st.sampled_from([120_000, 3_600_000]),
        coins=st.sampled_from([200, 20, AMOUNT_MAX // 4]),
    )
    def everybody_has_coins_and_the_clock_was_set_back(self, limits: dict[str, int], ahead_ms: int, coins: int) -> None:
        if limits:
            self.runner.run(self._close())
            self.config = msgspec.structs.replace(self.config, **limits)
            self.twin = LedgerTwin(self.config)
            self.ledger = self.runner.run(self._open())
        self._set_clock(now_ms() + ahead_ms)
        for viewer in NAMES:
            self.credit(viewer, coins)

    @rule(by_ms=st.sampled_from([1, COMBO_MS, COMBO_MS + 1, BUCKET_MS, WINDOW_MS]))
    def time_goes_on(self, by_ms: int) -> None:
        self._set_clock(self.clock_ms + by_ms)

    @rule(by_ms=st.sampled_from([BUCKET_MS, WINDOW_MS, 2 * WINDOW_MS]))
    def server_ran_ahead(self, by_ms: int) -> None:
        """Its clock, for a moment in which nothing was committed: ids whose time was up by it are forgotten."""
        self._run_ahead(self.clock_ms + by_ms)

    @rule(wish=WISHES)
    def give(self, wish: Fresh | Told) -> None:
        self._give_all([self._order(wish)])

    @rule(wishes=st.lists(WISHES, min_size=2, max_size=6))
    def give_together(self, wishes: list[Fresh | Told]) -> None:
        self._give_all([self._order(wish) for wish in wishes])

    @rule(viewer=VIEWERS, number=st.integers(1, 5), again=st.booleans(), undo_ms=st.sampled_from([0, COMBO_MS]))
    def give_a_coin_several_times(self, viewer: str, number: int, again: bool, undo_ms: int) -> None:
        """In one commit, the last of them perhaps twice, and more of them perhaps than may be undone at a time."""
        wish = Fresh(viewer, "cora", 1, 1, 5_000, "", 0, undo_ms=undo_ms)
        orders = [self._order(wish) for _ in range(number)]
        self._give_all(orders + orders[-1:] if again else orders)

    @rule(viewer=VIEWERS, age_ms=EDGES_MS)
    def give_at_an_edge_of_the_window(self, viewer: str, age_ms: int) -> None:
        self._give_all([self._order(Fresh(viewer, "cora", 1, 1, 5_000, "", age_ms))])

    @rule(
        viewer=VIEWERS,
        coins=HUGE,
        creator_bp=st.sampled_from([0, 5_000, 10_000]),
        more=st.integers(0, 2),
    )
    def give_up_to_a_bound(self, viewer: str, coins: int, creator_bp: int, more: int) -> None:
        """Once with all coins that there can be, and some more; the diamonds are at or over their bound."""
        self.credit(viewer, coins)
        wish = Fresh(viewer, "cora", coins, 1, creator_bp, "", 0)
        again = msgspec.structs.replace(wish, coins=1)
        self._give_all([self._order(wish), *(self._order(again) for _ in range(more))])

    @rule(wish=FRESH, by_ms=st.sampled_from([0, COMBO_MS, COMBO_MS + 1]))
    def carry_a_combo_on(self, wish: Fresh, by_ms: int) -> None:
        """Two gifts of one combo, unless the second comes too late or would count too far."""
        wish = msgspec.structs.replace(wish, combo_key=COMBO_KEY, coins=1, age_ms=0, barred=False)
        self._give_all([self._order(wish)])
        self._set_clock(self.clock_ms + by_ms)
        self._give_all([self._order(wish)])

    @rule(viewer=VIEWERS, coins=CREDITS)
    def credit(self, viewer: str, coins: int) -> None:
        self.numbers += 1
        self._credit(CreditOrder(self._id(now_ms()), ViewerId(viewer), coins, Cause.GRANT, "test"), AMOUNT_MAX)

    @rule(viewer=VIEWERS)
    def credit_too_late(self, viewer: str) -> None:
        self.numbers += 1
        self._credit(CreditOrder(self._id(now_ms()), ViewerId(viewer), 5, Cause.PURCHASE, "late"), 1)

    @precondition(lambda self: self.credited)
    @rule(
        number=st.integers(0, 50),
        changed=st.sampled_from([{}, {"coins": 9}, {"reference": "other"}]),
        late=st.booleans(),
    )
    def credit_again(self, number: int, changed: dict[str, Any], late: bool) -> None:
        order = self.credited[number % len(self.credited)]
        self._credit(msgspec.structs.replace(order, **changed), 1 if late else AMOUNT_MAX)

    @precondition(lambda self: self.all_open)
    @rule(wish=WISHES)
    def lose_the_answer_to_a_gift(self, wish: Fresh | Told) -> None:
        """The batcher asks again with the same id, so what is told is what a second telling hears."""
        order = self._order(wish)
        self.runner.run(self.twin.give(order))
        self.proxy.lose_next()
        self._give_all([order])

    @precondition(lambda self: self.all_open)
    @rule(viewer=VIEWERS)
    def lose_the_answer_to_a_credit(self, viewer: str) -> None:
        self.numbers += 1
        order = CreditOrder(self._id(now_ms()), ViewerId(viewer), 7, Cause.GRANT, "lost")
        self.proxy.lose_next()
        assert self.runner.run(self.ledger.credit(order)) == CreditRefused(Refusal.UNKNOWN)
        self.runner.run(self.twin.credit(order))
        self._credit(order, AMOUNT_MAX)

    @rule(viewer=VIEWERS, coins=st.sampled_from([1, 7, 50]), part=st.sampled_from([0.0, 0.5, 1.0, 1.0]), keep=KEPT)
    def take_back(self, viewer: str, coins: int, part: float, keep: int) -> None:
        self._reverse(self._reversal(viewer, coins), int(coins * part), keep, AMOUNT_MAX)

    @rule(viewer=VIEWERS)
    def take_back_too_late(self, viewer: str) -> None:
        self._reverse(self._reversal(viewer, 5), 5, 0, 1)

    @rule(viewer=VIEWERS, behind=st.sampled_from([0, 0, 1, -1]))
    def take_back_what_was_left(self, viewer: str, behind: int) -> None:
        came_seq = self.twin.partitions[self.ledger.keys.partition_of(viewer)].came_seq
        self._reverse(self._reversal(viewer, 5), 5, 0, AMOUNT_MAX, came_seq - behind)

    @precondition(lambda self: self.reversed)
    @rule(
        number=st.integers(0, 50),
        changed=st.sampled_from([{}, {"coins": 51}, {"kind": RefundKind.CHARGEBACK}]),
        keep=KEPT,
        late=st.booleans(),
    )
    def take_back_again(self, number: int, changed: dict[str, Any], keep: int, late: bool) -> None:
        order = self.reversed[number % len(self.reversed)]
        self._reverse(msgspec.structs.replace(order, **changed), order.coins, keep, 1 if late else AMOUNT_MAX)

    @precondition(lambda self: self.all_open)
    @rule(viewer=VIEWERS)
    def lose_the_answer_to_a_reversal(self, viewer: str) -> None:
        order = self._reversal(viewer, 7)
        self.proxy.lose_next()
        assert self.runner.run(self.ledger.reverse(order, most=7, keep=0)) == CreditRefused(Refusal.UNKNOWN)
        self.runner.run(self.twin.reverse(order, most=7, keep=0))
        self._reverse(order, 7, 0, AMOUNT_MAX)

    @rule(viewer=VIEWERS, coins=st.one_of(SMALL, SMALL, HUGE), lasts_ms=LASTS_MS, late=LATE)
    def hold(self, viewer: str, coins: int, lasts_ms: int, late: bool) -> None:
        self.numbers += 1
        order = HoldOrder(self._id(now_ms()), ViewerId(viewer), coins, lasts_ms, "order")
        self._hold(order, 1 if late else AMOUNT_MAX)

    @rule(viewer=VIEWERS)
    def hold_a_coin_for_long(self, viewer: str) -> None:
        self.hold(viewer, 1, BUCKET_MS, False)

    @rule(viewer=VIEWERS)
    def give_a_coin_that_may_be_undone_for_long(self, viewer: str) -> None:
        self._give_all([self._order(Fresh(viewer, "cora", 1, 1, 5_000, "", 0, undo_ms=UNDO_MS_MAX))])

    @precondition(lambda self: self.held)
    @rule(number=NUMBER, changed=st.sampled_from([{}, {}, {"coins": 77}, {"lasts_ms": 2}]), late=LATE)
    def hold_again(self, number: int, changed: dict[str, Any], late: bool) -> None:
        order = self.held[-1 - number % len(self.held)]
        self._hold(msgspec.structs.replace(order, **changed), 1 if late else AMOUNT_MAX)

    @precondition(lambda self: self.held)
    @rule(number=NUMBER, end=st.sampled_from(list(HoldEnd)), part=st.sampled_from([None, None, 0.0, 0.5, 1.0, 2.0]))
    def end_a_hold(self, number: int, end: HoldEnd, part: float | None) -> None:
        """One that is open, has ended, or never was; with more or fewer coins than it holds."""
        order = self.held[-1 - number % len(self.held)]
        taken = None if part is None or end is not HoldEnd.SETTLED else max(1, int(order.coins * part))
        self._end_hold(order, end, taken)

    @rule(viewer=VIEWERS, late_ms=st.sampled_from([-1, 0, 1]), end=st.sampled_from(list(HoldEnd)))
    def end_a_hold_about_its_deadline(self, viewer: str, late_ms: int, end: HoldEnd) -> None:
        """Right before it, at it, and right after it."""
        self.hold(viewer, 2, COMBO_MS, False)
        self._set_clock(self.clock_ms + COMBO_MS + late_ms)
        self._end_hold(self.held[-1], end, None)

    @rule(partition=st.integers(0, 1), limit=st.sampled_from([1, 10]))
    def let_holds_expire(self, partition: int, limit: int) -> None:
        due = self.runner.run(self.twin.due_holds(Partition(partition), limit))
        assert self.runner.run(self.ledger.due_holds(Partition(partition), limit)) == due
        for hold_id, viewer in due:
            self._end_hold(HoldOrder(hold_id, viewer, 1, 1, ""), HoldEnd.EXPIRED, None)

    @precondition(lambda self: self.all_open)
    @rule(viewer=VIEWERS)
    def lose_the_answers_about_a_hold(self, viewer: str) -> None:
        self.numbers += 1
        order = HoldOrder(self._id(now_ms()), ViewerId(viewer), 3, BUCKET_MS, "lost")
        self.proxy.lose_next()
        assert self.runner.run(self.ledger.hold(order)) == GiftRefused(Refusal.UNKNOWN)
        self.runner.run(self.twin.hold(order))
        self._hold(order, AMOUNT_MAX)
        self.proxy.lose_next()
        lost = self.runner.run(self.ledger.end_hold(order.id, order.viewer, HoldEnd.SETTLED, taken_coins=1))
        assert lost == EndRefused(EndRefusal.UNKNOWN)
        self.runner.run(self.twin.end_hold(order.id, order.viewer, HoldEnd.SETTLED, taken_coins=1))
        self._end_hold(order, HoldEnd.VOIDED, None)

    @precondition(lambda self: self.undoable)
    @rule(number=NUMBER, other=st.sampled_from([None, None, None, *NAMES]))
    def undo(self, number: int, other: str | None) -> None:
        """A gift that may be undone, or not any more, or that never was accepted; perhaps by somebody else."""
        order = self.undoable[-1 - number % len(self.undoable)]
        self._undo(order, other or order.viewer)

    @precondition(lambda self: self.told)
    @rule(number=NUMBER)
    def undo_any_gift(self, number: int) -> None:
        order = self.told[-1 - number % len(self.told)]
        self._undo(order, order.viewer)

    @rule(
        viewer=VIEWERS,
        late_ms=st.sampled_from([-1, -1, 0, 1]),
        undo=st.booleans(),
        day_max=st.sampled_from([None, 8]),
        by_ms=st.sampled_from([COMBO_MS, UNDO_MS_MAX]),
    )
    def end_a_gift_about_its_deadline(
        self, viewer: str, late_ms: int, undo: bool, day_max: int | None, by_ms: int
    ) -> None:
        """Right before it, at it, and right after it; then it is told again."""
        order = self._order(Fresh(viewer, "cora", 2, 1, 5_000, "", 0, False, day_max, by_ms))
        self._give_all([order])
        self._set_clock(self.clock_ms + by_ms + late_ms)
        if undo:
            self._undo(order, viewer)
        else:
            self._settle_gifts(self.ledger.keys.partition_of(viewer), 10)
        self._give_all([order])

    @rule(viewer=VIEWERS)
    def give_beside_a_gift_that_will_fill_a_sum(self, viewer: str) -> None:
        """The open one takes all but two coins' worth of what the partition's earnings can hold."""
        state = self.twin.partitions[self.ledger.keys.partition_of(viewer)]
        coins = (AMOUNT_MAX - state.gifts.diamonds - max(state.earned, state.commission)) // 100 - 2
        if coins > 0:
            self.credit(viewer, coins + 4)
            wish = Fresh(viewer, "cora", coins, 1, 10_000, "", 0, undo_ms=COMBO_MS)
            again = msgspec.structs.replace(wish, coins=2, undo_ms=0)
            self._give_all([self._order(wish), self._order(again), self._order(again)])
            self._undo(self.undoable[-1], viewer)

    @rule(partition=st.integers(0, 1), limit=st.sampled_from([1, 10]))
    def settle_gifts(self, partition: int, limit: int) -> None:
        self._settle_gifts(Partition(partition), limit)

    @precondition(lambda self: self.all_open)
    @rule(viewer=VIEWERS, undo_ms=st.sampled_from([1, UNDO_MS_MAX]))
    def lose_the_answer_to_an_undo(self, viewer: str, undo_ms: int) -> None:
        order = self._order(Fresh(viewer, "cora", 2, 1, 5_000, "", 0, undo_ms=undo_ms))
        self._give_all([order])
        self.proxy.lose_next()
        assert self.runner.run(self.ledger.undo(order.id, order.viewer)) == UndoRefused(UndoRefusal.UNKNOWN)
        self.runner.run(self.twin.undo(order.id, order.viewer))
        self._undo(order, viewer)

    @rule(viewer=VIEWERS, number=st.integers(1, 2))
    def refund_while_gifts_may_be_undone(self, viewer: str, number: int) -> None:
        """It waits until none may be, and no more of them begin until then."""
        orders = [self._order(Fresh(viewer, "cora", 2, 1, 5_000, "", 0, undo_ms=COMBO_MS)) for _ in range(number)]
        self._give_all(orders)
        self.take_back(viewer, 7, 1.0, 0)
        self._give_all([self._order(Fresh(viewer, "cora", 1, 1, 5_000, "", 0, undo_ms=COMBO_MS))])
        for order in orders:
            self._undo(order, viewer)
        self.take_back_again(-1, {}, 0, False)

    @precondition(lambda self: self.all_open)
    @rule(viewer=VIEWERS, both=st.booleans())
    def shut_orders_out_for_a_while(self, viewer: str, both: bool) -> None:
        """As a repair does; then they are let in under a later epoch."""
        own = self.ledger.keys.partition_of(viewer)
        for partition, keys in self.ledger.keys.all():
            if both or partition == own:
                self._set_epoch(keys.totals, 0)
                self.twin.shut(partition)
        self._give_all([self._order(Fresh(viewer, "cora", 1, 1, 5_000, "", 0))])
        self.credit(viewer, 10)
        self.take_back(viewer, 7, 1.0, 0)
        self.hold(viewer, 1, BUCKET_MS, False)
        if self.held:
            self.hold_again(0, {}, False)
            self.end_a_hold(0, HoldEnd.VOIDED, None)
        if self.undoable:
            self.undo(0, None)
        if self.credited:
            self.credit_again(0, {}, False)
        if self.reversed:
            self.take_back_again(0, {}, 0, False)
        self.both_hold_the_same()
        self.epoch += 1
        self.twin.let_in(self.epoch)
        for _, keys in self.ledger.keys.all():
            self._set_epoch(keys.totals, self.epoch)

    @rule(partition=st.integers(0, 1), part=st.sampled_from([1.0, 1.0, 0.6]), told_part=st.sampled_from([0.5, 1.0]))
    def flush_and_trim(self, partition: int, part: float, told_part: float) -> None:
        """PostgreSQL holds a part of the records, the rooms were told of a part of those."""
        state = self.twin.partitions[partition]
        flushed = max(state.flushed, int(state.seq * part))
        upto = max(self.trimmed[partition], int(flushed * told_part))
        self.trimmed[partition] = upto
        epoch = self.history[partition][upto - 1].epoch if upto else 0
        for ledger in (self.ledger, self.twin):
            self.runner.run(ledger.trim(Partition(partition), epoch, upto, flushed))

    @rule(partition=st.integers(0, 1), right=st.booleans())
    def end_combos(self, partition: int, right: bool) -> None:
        for combo in self.runner.run(self.twin.open_combos(Partition(partition))):
            told = (combo.partition, combo.viewer, combo.combo_key, combo.id if right else bytes(16))
            for ledger in (self.ledger, self.twin):
                self.runner.run(ledger.forget_combos([told]))

    @rule(viewer=VIEWERS, frozen=st.sampled_from([None, None, None, "Ask us."]), caps=OWN_CAPS, late=st.booleans())
    def decide_about_a_viewer(self, viewer: str, frozen: str | None, caps: OwnCaps, late: bool) -> None:
        """In a new version, or in an old one that comes too late."""
        self.numbers += 1
        self._set_guard(viewer, GuardSettings(1 if late else self.numbers, frozen, caps))

    @rule(viewer=VIEWERS, steps=st.tuples(AGES, AGES, AGES), coins=st.sampled_from([1, 6]))
    def give_around_a_birthday(self, viewer: str, steps: tuple[AgeStep, ...], coins: int) -> None:
        """Nothing else forbids gifts; the last birthday is far away."""
        self.numbers += 1
        times = (0, self.clock_ms + 1, self.clock_ms + WINDOW_MS)
        ages = tuple(msgspec.structs.replace(step, from_ms=at) for step, at in zip(steps, times, strict=True))
        self._set_guard(viewer, GuardSettings(self.numbers, None, NO_SETTINGS.caps, ages))
        wish = Fresh(viewer, "cora", coins, 1, 5_000, "", 0)
        self._give_all([self._order(wish)])
        self._set_clock(self.clock_ms + 1)
        self._give_all([self._order(wish)])

    @rule()
    def forget_the_scripts(self) -> None:
        self.redis.script_flush()

    @rule()
    def kill_the_server(self) -> None:
        self.valkey.kill()
        self.valkey.start()
        self.runner.run(self._come_back())


def run_machine(valkey: Valkey, examples: settings, number: int | None = None) -> None:
    """Run examples of the machine on this server: those of this number, or those that `examples` asks for.

    Raises:
        AssertionError: of a step after which the two differ or an invariant does not hold; its notes say how to get
            there.
    """

    class OnThisServer(GiftMachine):
        def __init__(self) -> None:
            super().__init__(valkey)

    machine = OnThisServer if number is None else seed(number)(OnThisServer)
    run_state_machine_as_test(machine, settings=examples)
