"""A state machine: orders of every kind on the real scripts and on the twin, with faults of the server in between.

After every step both must hold the same, and the invariants must follow from the stored data by arithmetic alone. The
server's clock seems to have been set back: each partition has seen a later time than the server tells, so that the
machine knows the time of every commit exactly, and can tell ids at the very edges of the window.
"""

import asyncio
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from redis import Redis

from ledger.ages import AgeStep
from ledger.config import LedgerConfig
from ledger.errors import LedgerUnavailable
from ledger.guard_state import NO_SETTINGS, GuardSettings
from ledger.keys import Total
from ledger.model import (
    AMOUNT_MAX,
    Cause,
    CreatorId,
    CreditOrder,
    CreditRefused,
    EndRefusal,
    EndRefused,
    GiftOrder,
    GiftOutcome,
    GiftRefused,
    Held,
    HoldEnd,
    HoldOrder,
    JournalRecord,
    Partition,
    RefundKind,
    Refusal,
    ReversalOrder,
    ViewerId,
)
from ledger.service import Ledger, open_ledger
from ledger.twin import LedgerTwin
from ledger.twin_guards import TwinGuards
from ledger.twin_holds import TwinHold, TwinHolds
from tests.integration.ledger.losing_proxy import LosingProxy
from tests.integration.ledger.orders import now_ms
from tests.integration.ledger.stored import Stored, check, read_all
from tests.integration.ledger.wishes import (
    AGES,
    AHEAD_MS,
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
    UNFLUSHED_MAX,
    VIEWERS,
    WINDOW_MS,
    WISHES,
    Fresh,
    OwnCaps,
    Told,
)
from tests.servers import Valkey
from tests.waiting import back_off


class GiftMachine(RuleBasedStateMachine):
    """One example: empty data, a started ledger behind a proxy that can lose answers, and a twin.

    Args:
        valkey: a running server of its own; it is killed and started again.
    """

    def __init__(self, valkey: Valkey) -> None:
        super().__init__()
        self.valkey = valkey
        self.redis = Redis.from_url(valkey.url)
        self.redis.flushall()
        self.runner = asyncio.Runner()
        self.proxy = LosingProxy(valkey.socket, valkey.folder / "proxy.sock")
        self.config = LedgerConfig(
            redis_url=self.proxy.url,
            partitions=2,
            batch_wait_ms_max=60_000,
            id_window_ms=WINDOW_MS,
            id_ahead_ms=AHEAD_MS,
            id_bucket_ms=BUCKET_MS,
            journal_records_max=UNFLUSHED_MAX,
            viewer_holds_max=2,
            partition_holds_max=3,
        )
        self.twin = LedgerTwin(self.config)
        self.ledger: Ledger = self.runner.run(self._open())
        self.clock_ms = 0
        self.numbers = 0
        self.told: list[GiftOrder] = []
        self.credited: list[CreditOrder] = []
        self.reversed: list[ReversalOrder] = []
        self.held: list[HoldOrder] = []
        self.history: list[list[JournalRecord]] = [[], []]
        self.trimmed = [0, 0]
        self.epoch = 1

    async def _open(self) -> Ledger:
        await self.proxy.start()
        ledger = open_ledger(self.config)
        await ledger.start()
        return ledger

    async def _close(self) -> None:
        await self.ledger.stop()
        await self.proxy.stop()

    def teardown(self) -> None:
        self.runner.run(self._close())
        self.runner.close()
        self.redis.close()

    # What happens.

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

    @rule(wish=WISHES)
    def give(self, wish: Fresh | Told) -> None:
        self._give_all([self._order(wish)])

    @rule(wishes=st.lists(WISHES, min_size=2, max_size=6))
    def give_together(self, wishes: list[Fresh | Told]) -> None:
        self._give_all([self._order(wish) for wish in wishes])

    @rule(viewer=VIEWERS, number=st.integers(1, 5), again=st.booleans())
    def give_a_coin_several_times(self, viewer: str, number: int, again: bool) -> None:
        """In one commit, the last of them perhaps twice."""
        wish = Fresh(viewer, "cora", 1, 1, 5_000, "", 0)
        orders = [self._order(wish) for _ in range(number)]
        self._give_all(orders + orders[-1:] if again else orders)

    @rule(viewer=VIEWERS, age_ms=EDGES_MS)
    def give_at_an_edge_of_the_window(self, viewer: str, age_ms: int) -> None:
        self._give_all([self._order(Fresh(viewer, "cora", 1, 1, 5_000, "", age_ms))])

    @rule(viewer=VIEWERS, coins=HUGE, creator_bp=st.sampled_from([0, 5_000, 10_000]), more=st.integers(0, 2))
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

    # What is true after every step.

    @invariant()
    def both_hold_the_same(self) -> None:
        for partition, stored in enumerate(read_all(self.redis, self.ledger.keys, self.config)):
            history = self.history[partition]
            history += [record for record in stored.records if record.seq > len(history)]
            kept = len(history) - (stored.records[0].seq - 1 if stored.records else len(history))
            assert kept >= len(history) - self.trimmed[partition], "I9: records went that were still needed"
            check(stored, history, self.config)
            self._compare(partition, stored)

    def _compare(self, partition: int, stored: Stored) -> None:
        state = self.twin.partitions[partition]
        clock_ms = max(state.clock_ms, self.clock_ms)
        expected = {
            "epoch": state.epoch,
            "seq": state.seq,
            "came_seq": state.came_seq,
            "clock": clock_ms,
            "coins_in": state.coins_in,
            "spent": state.spent,
            "reversed": state.reversed,
            "held": state.holds.held,
            "charged": state.holds.charged,
            "earned": state.earned,
            "commission": state.commission,
            "flushed": state.flushed,
        }
        assert stored.totals == expected
        assert (stored.wallets, stored.stripes) == (state.wallets, state.stripes)
        assert stored.ids == {gift_id + viewer.encode(): paid.coins for (gift_id, viewer), paid in state.ids.items()}
        assert stored.credits == {credit_id: paid.balance_coins for credit_id, paid in state.credits.items()}
        assert stored.reversals == {
            reversal_id: (done.balance_coins, done.taken_coins) for reversal_id, done in state.reversals.items()
        }
        self._compare_holds(state.holds, stored)
        assert stored.combos == {
            f"{viewer}\0{key}": (combo.id, combo.count, combo.coins, combo.deadline_ms)
            for (viewer, key), combo in state.combos.items()
        }
        self._compare_guards(state.guards, stored)
        first = self.trimmed[partition] + 1
        assert [record for record in stored.records if record.seq >= first] == state.records

    def _compare_holds(self, holds: TwinHolds, stored: Stored) -> None:
        def values(hold: TwinHold) -> tuple[int, ...]:
            return (hold.balance_coins, hold.expires_ms, hold.order.coins, hold.begun_ms, hold.counted)

        ends = list(HoldEnd)
        assert stored.holds == {key[0] + key[1].encode(): values(hold) for key, hold in holds.open.items()}
        assert stored.ended_holds == {
            key[0] + key[1].encode(): (
                *(ends.index(ended.end) + 1, ended.taken_coins, ended.balance_coins, ended.at_ms),
                *values(hold),
            )
            for key, (hold, ended) in holds.ended.items()
        }

    def _compare_guards(self, guards: TwinGuards, stored: Stored) -> None:
        assert stored.guards == {
            viewer: (guard.reached_ms, *(number for counted in guard.counted.values() for number in counted))
            for viewer, guard in guards.viewers.items()
        }
        given = {f"{viewer}\0{creator}": coins for (viewer, creator), coins in guards.given_today.items()}
        assert stored.given_today == (given and given | {"day": guards.given_day})
        for viewer, guard in guards.viewers.items():
            assert self.runner.run(self.ledger.guard(viewer)) == guard.live()

    # How it is done.

    @property
    def all_open(self) -> bool:
        return all(state.epoch for state in self.twin.partitions)

    def _give_all(self, orders: list[GiftOrder]) -> None:
        expected = [self.runner.run(self.twin.give(order)) for order in orders]
        if self.all_open:
            told = self.runner.run(self._gather(orders))
        else:
            told = [self.runner.run(self.ledger.give(order)) for order in orders]
        assert told == expected, f"told {told}, expected {expected}"

    async def _gather(self, orders: list[GiftOrder]) -> list[GiftOutcome]:
        return list(await asyncio.gather(*map(self.ledger.give, orders)))

    def _credit(self, order: CreditOrder, until_ms: int) -> None:
        expected = self.runner.run(self.twin.credit(order, until_ms=until_ms))
        told = self.runner.run(self.ledger.credit(order, until_ms=until_ms))
        assert told == expected, f"told {told}, expected {expected}"
        self.credited.append(order)

    def _reverse(self, order: ReversalOrder, most: int, keep: int, until_ms: int, came_seq: int | None = None) -> None:
        bounds: Any = {"most": most, "keep": keep, "until_ms": until_ms, "came_seq": came_seq}
        expected = self.runner.run(self.twin.reverse(order, **bounds))
        told = self.runner.run(self.ledger.reverse(order, **bounds))
        assert told == expected, f"told {told}, expected {expected}"
        self.reversed.append(order)

    def _hold(self, order: HoldOrder, until_ms: int) -> None:
        expected = self.runner.run(self.twin.hold(order, until_ms=until_ms))
        told = self.runner.run(self.ledger.hold(order, until_ms=until_ms))
        assert told == expected, f"told {told}, expected {expected}"
        self.held.append(order)
        if isinstance(told, Held):
            # The twin's own time of the commit is the machine's.
            assert told.replay or told.expires_ms == self.clock_ms + order.lasts_ms

    def _end_hold(self, order: HoldOrder, end: HoldEnd, taken: int | None) -> None:
        expected = self.runner.run(self.twin.end_hold(order.id, order.viewer, end, taken_coins=taken))
        told = self.runner.run(self.ledger.end_hold(order.id, order.viewer, end, taken_coins=taken))
        assert told == expected, f"told {told}, expected {expected}"

    def _reversal(self, viewer: str, coins: int) -> ReversalOrder:
        self.numbers += 1
        return ReversalOrder(self._id(now_ms()), ViewerId(viewer), bytes(16), coins, RefundKind.REFUND)

    def _order(self, wish: Fresh | Told) -> GiftOrder:
        """What is wished, also for the eyes of later wishes of the same commit."""
        if isinstance(wish, Told) and self.told:
            order = self.told[-1 - wish.number % len(self.told)]
            return msgspec.structs.replace(order, content=b"other") if wish.other_content else order
        order = self._fresh(wish if isinstance(wish, Fresh) else Fresh("ann", "cora", 1, 1, 5_000, "", 0))
        self.told.append(order)
        return order

    def _fresh(self, wish: Fresh) -> GiftOrder:
        self.numbers += 1
        id_ms = self.clock_ms - wish.age_ms
        creator_diamonds = 100 * wish.coins * wish.creator_bp // 10_000
        return GiftOrder(
            id=self._id(id_ms),
            id_ms=id_ms,
            viewer=ViewerId(wish.viewer),
            creator=CreatorId(wish.creator),
            content=f"{wish}".encode(),
            place="room:demo",
            item="rose",
            unit_coins=wish.coins,
            count=wish.count,
            coins=wish.coins,
            creator_diamonds=creator_diamonds,
            commission_diamonds=100 * wish.coins - creator_diamonds,
            combo_key=wish.combo_key,
            combo_window_ms=COMBO_MS if wish.combo_key else 0,
            details=b"details",
            barred=wish.barred,
            creator_day_coins_max=wish.creator_day_coins_max,
        )

    def _id(self, id_ms: int) -> bytes:
        return id_ms.to_bytes(6, "big") + b"\x70\x00\x80" + self.numbers.to_bytes(7, "big")

    def _set_guard(self, viewer: str, settings: GuardSettings) -> None:
        for ledger in (self.ledger, self.twin):
            self.runner.run(ledger.set_guards([(viewer, settings)]))

    def _set_clock(self, clock_ms: int) -> None:
        self.clock_ms = clock_ms
        for (_, keys), state in zip(self.ledger.keys.all(), self.twin.partitions, strict=True):
            name: Any = keys.totals
            self.redis.hset(name, Total.CLOCK, str(clock_ms))
            state.clock_ms = clock_ms

    def _set_epoch(self, totals_key: bytes, epoch: int) -> None:
        name: Any = totals_key
        self.redis.hset(name, Total.EPOCH, str(epoch))

    async def _come_back(self) -> None:
        # A credit is told once and not again by the client: its first word after a kill would be lost.
        for _ in range(100):
            try:
                return await self.ledger.ping()
            except LedgerUnavailable:
                await back_off()
        raise AssertionError("the server did not come back")


def run_machine(valkey: Valkey, examples: settings) -> None:
    """Run examples of the machine on this server.

    Raises:
        AssertionError: of a step after which the two differ or an invariant does not hold; its notes say how to get
            there, and with what seed.
    """

    class OnThisServer(GiftMachine):
        def __init__(self) -> None:
            super().__init__(valkey)

    run_state_machine_as_test(OnThisServer, settings=examples)
