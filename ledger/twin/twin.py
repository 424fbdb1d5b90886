"""A stand-in for the live ledger that keeps everything in memory, for tests of what is built on `Ledger`.

It has the methods of `Ledger` under the same names and gives the same outcomes for the same orders; the tests of the
money script run on both, and a state machine compares the two after every step. It must stay plain: one gift at a
time, by the words of docs/ledger.md, without batches, packing or keys. It is not for money: nothing is on disk.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from msgspec import structs

from ledger.config import LedgerConfig
from ledger.errors import LedgerUnavailable
from ledger.ids import digest_of, id_time_ms
from ledger.live.guard_state import GuardSettings, LiveGuard
from ledger.live.hold_call import hold_body
from ledger.live.journal import gift_body, held_body, paid_body, settled_body, undone_body
from ledger.live.keys import Keys
from ledger.live.undo_call import SHUT_MS
from ledger.model import (
    AMOUNT_MAX,
    CAME,
    Body,
    Bound,
    BoundReached,
    ComboTotals,
    CreditAccepted,
    CreditBody,
    CreditOrder,
    CreditOutcome,
    CreditRefused,
    EndOutcome,
    EndRefusal,
    EndRefused,
    GiftAccepted,
    GiftBody,
    GiftFields,
    GiftOrder,
    GiftOutcome,
    GiftRefused,
    GiftSettledBody,
    GiftUndone,
    GiftUndoneBody,
    Held,
    HeldGiftBody,
    HoldBody,
    HoldEnd,
    HoldEndBody,
    HoldEnded,
    HoldOrder,
    HoldOutcome,
    JournalRecord,
    Partition,
    Refusal,
    ReversalBody,
    ReversalOrder,
    ReversalOutcome,
    ReversalWaits,
    Reversed,
    UndoOutcome,
    UndoRefusal,
    UndoRefused,
    ViewerId,
)
from ledger.service import OpenCombo
from ledger.twin.twin_gifts import TwinGift
from ledger.twin.twin_guards import TwinGuard, TwinGuards
from ledger.twin.twin_holds import TwinHold
from ledger.twin.twin_partition import DoneReversal, PaidCredit, PaidId, TwinPartition

COMBO_COUNT_MAX: Final = 2**31 - 1
"""What the books hold; one more begins another combo."""
_UNKNOWN: Final = GiftRefused(Refusal.UNKNOWN)


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


class LedgerTwin:
    """The live ledger in memory. Orders are judged when they come, in the order in which they come.

    It has no queue: of the reasons for `Refusal.OVERLOADED` it knows the journal's bound and a ledger that was stopped.
    Memory grows with the orders.

    Args:
        clock: the server's clock, in ms since the Unix epoch.
    """

    def __init__(self, config: LedgerConfig, clock: Callable[[], int] = _wall_ms) -> None:
        self.keys = Keys(config.partitions)
        self.partitions = [TwinPartition(TwinGuards(config)) for _ in range(config.partitions)]
        self._config = config
        self._clock = clock
        self._stopped = False
        self._lost: list[bool] = []

    async def start(self) -> None:
        """Take orders (again)."""
        self._stopped = False

    async def stop(self) -> None:
        """Gifts that come after are refused as overloaded."""
        self._stopped = True

    def lose_answer(self, *, carried_out: bool) -> None:
        """The next order hears UNKNOWN, as when a connection breaks; told again it hears what became of it."""
        self._lost.append(carried_out)

    def submit(self, order: GiftOrder, told: Callable[[GiftOutcome], None]) -> None:
        """Pay for a gift; `told` hears the outcome once, from the event loop."""
        asyncio.get_running_loop().call_soon(told, self._answer(order))

    async def give(self, order: GiftOrder) -> GiftOutcome:
        """Pay for a gift."""
        return self._answer(order)

    async def credit(self, order: CreditOrder, *, until_ms: int = AMOUNT_MAX) -> CreditOutcome:
        """Put coins into a wallet, once for the order's id; an unknown id after `until_ms` is UNKNOWN."""
        if not order.coins > 0:
            raise ValueError("a credit is of at least one coin")
        lost = self._lost.pop(0) if self._lost else None
        outcome = CreditRefused(Refusal.UNKNOWN) if lost is False else self._credit(order, until_ms)
        return outcome if lost is None else CreditRefused(Refusal.UNKNOWN)

    async def reverse(
        self,
        order: ReversalOrder,
        *,
        most: int,
        keep: int,
        until_ms: int = AMOUNT_MAX,
        came_seq: int | None = None,
    ) -> ReversalOutcome:
        """Take coins of a refund from a wallet, once for the order's id; an unknown id after `until_ms` is UNKNOWN,
        or when coins came in since the partition's `came_seq` was read.
        """
        if not 0 <= most <= order.coins:
            raise ValueError(f"of {order.coins} coins {most} are to be taken")
        lost = self._lost.pop(0) if self._lost else None
        bounds = (most, keep, until_ms, came_seq)
        outcome = CreditRefused(Refusal.UNKNOWN) if lost is False else self._reverse(order, *bounds)
        return outcome if lost is None else CreditRefused(Refusal.UNKNOWN)

    async def hold(self, order: HoldOrder, *, until_ms: int = AMOUNT_MAX) -> HoldOutcome:
        """Put coins aside, once for the order's id; an unknown id after `until_ms` is UNKNOWN."""
        if not (order.coins > 0 and order.lasts_ms > 0):
            raise ValueError("a hold is of at least one coin and one millisecond")
        lost = self._lost.pop(0) if self._lost else None
        outcome = GiftRefused(Refusal.UNKNOWN) if lost is False else self._hold(order, until_ms)
        return outcome if lost is None else GiftRefused(Refusal.UNKNOWN)

    async def end_hold(
        self, hold_id: bytes, viewer: ViewerId, end: HoldEnd, *, taken_coins: int | None = None
    ) -> EndOutcome:
        """End a hold; one that has ended answers how."""
        if taken_coins is not None and (taken_coins < 1 or end is not HoldEnd.SETTLED):
            raise ValueError(f"{taken_coins} coins cannot be taken of a hold that is {end}")
        lost = self._lost.pop(0) if self._lost else None
        refused = EndRefused(EndRefusal.UNKNOWN)
        outcome = refused if lost is False else self._end_hold(hold_id, viewer, end, taken_coins)
        return outcome if lost is None else refused

    async def undo(self, gift_id: bytes, viewer: ViewerId) -> UndoOutcome:
        """Undo a gift; one that was undone answers so. From its deadline on it is settled."""
        lost = self._lost.pop(0) if self._lost else None
        refused = UndoRefused(UndoRefusal.UNKNOWN)
        outcome = refused if lost is False else self._undo(gift_id, viewer)
        return outcome if lost is None else refused

    async def settle_gifts(self, partition: Partition, limit: int) -> int:
        """Pay gifts whose time to be undone is over; how many were.

        Raises:
            LedgerUnavailable: the partition takes no orders.
        """
        state = self.partitions[partition]
        if not state.epoch:
            raise LedgerUnavailable("the partition takes no orders")
        now_ms = max(self._clock(), state.clock_ms)
        due = state.gifts.due(now_ms, limit)
        for key in due:
            self._settle(state, key, now_ms)
        return len(due)

    async def open_gifts(self, partitions: Sequence[Partition]) -> int:
        """How many gifts of these partitions may be undone, or wait to be settled."""
        return sum(len(self.partitions[partition].gifts.open) for partition in partitions)

    async def due_holds(self, partition: Partition, limit: int) -> list[tuple[bytes, ViewerId]]:
        """Holds of a partition whose time is over, the oldest deadlines first."""
        state = self.partitions[partition]
        due = state.holds.due(max(self._clock(), state.clock_ms), limit)
        return [(hold_id, ViewerId(viewer)) for hold_id, viewer in due]

    async def open_holds(self, partitions: Sequence[Partition]) -> int:
        """How many holds of these partitions are open."""
        return sum(len(self.partitions[partition].holds.open) for partition in partitions)

    def shut(self, partition: Partition) -> None:
        """A partition takes no orders: they hear UNKNOWN, except for a credit or reversal whose id is known."""
        self.partitions[partition].epoch = 0

    def let_in(self, epoch: int) -> None:
        """Every partition takes orders, in this epoch."""
        for partition in self.partitions:
            partition.epoch = epoch

    def lose(self) -> None:
        """Everything is gone, as from an emptied server; no orders are taken."""
        self.partitions = [TwinPartition(TwinGuards(self._config), epoch=0) for _ in self.partitions]

    def bring_back(self, records: Iterable[JournalRecord]) -> None:
        """Do what lost records did, each the next of a partition that takes no orders, and keep them as they were.

        Ids are remembered again as far as their time lets them. Guards and what they counted are no part of it.
        """
        for record in records:
            state = self.partitions[record.partition]
            if state.epoch or record.seq != state.seq + 1:
                raise ValueError(f"record {record.seq} cannot follow {state.seq}")
            self._do_again(state, record)
            state.seq = state.flushed = record.seq
            if isinstance(record.body, CAME):
                state.came_seq = record.seq
            state.clock_ms = max(state.clock_ms, record.at_ms)
            state.records.append(record)

    async def ping(self) -> None:
        """It is always there."""

    async def now_ms(self) -> int:
        """The server's clock."""
        return self._clock()

    async def balance(self, viewer: str) -> int:
        """Coins in a viewer's wallet; 0 for a viewer never heard of."""
        return self._of(viewer).wallets.get(viewer, 0)

    async def came_seq(self, partition: Partition) -> int:
        """The last record of a partition by which coins came into a wallet, or left it otherwise than by paying."""
        return self.partitions[partition].came_seq

    async def knows_credit(self, credit_id: bytes, viewer: str) -> bool:
        """Whether a grant or purchase came in."""
        return credit_id in self._of(viewer).credits

    async def guard(self, viewer: str) -> LiveGuard:
        """A viewer's freeze, own caps and counted coins."""
        return self._of(viewer).guards.viewers.get(viewer, TwinGuard()).live()

    async def set_guards(self, settings: Sequence[tuple[str, GuardSettings]]) -> None:
        """From now on gifts of these viewers are judged by these settings, unless newer ones are there already."""
        for viewer, one in settings:
            self._of(viewer).guards.set(viewer, one)

    async def live_earnings(self, creator: str) -> int:
        """Diamonds that a creator has earned by gifts so far."""
        return sum(partition.stripes.get(creator, 0) for partition in self.partitions)

    async def open_combos(self, partition: Partition) -> list[OpenCombo]:
        """Combos of a partition whose end has not been told, in no order."""
        return list(self.partitions[partition].combos.values())

    async def forget_combo(self, partition: Partition, viewer: str, combo_key: str, combo_id: bytes) -> None:
        """The combo's end has been told: drop it, unless a newer one has taken its place."""
        await self.forget_combos([(partition, viewer, combo_key, combo_id)])

    async def forget_combos(self, ended: Sequence[tuple[Partition, str, str, bytes]]) -> None:
        """The ends of several combos have been told; each is (partition, viewer, combo key, combo id)."""
        for partition, viewer, combo_key, combo_id in ended:
            combos = self.partitions[partition].combos
            combo = combos.get((viewer, combo_key))
            if combo is not None and combo.id == combo_id:
                del combos[viewer, combo_key]

    async def trim(self, partition: Partition, epoch: int, seq: int, flushed_seq: int) -> int:
        """Drop records up to (epoch, seq), note how far PostgreSQL is, and say how many records went."""
        state = self.partitions[partition]
        state.flushed = max(state.flushed, flushed_seq)
        kept = [record for record in state.records if (record.epoch, record.seq) > (epoch, seq)]
        went = len(state.records) - len(kept)
        state.records = kept
        return went

    async def records(self) -> list[JournalRecord]:
        """What the journals hold, each partition's in order."""
        return [record for partition in self.partitions for record in partition.records]

    def _of(self, viewer: str) -> TwinPartition:
        return self.partitions[self.keys.partition_of(viewer)]

    def _answer(self, order: GiftOrder) -> GiftOutcome:
        if self._stopped:
            return GiftRefused(Refusal.OVERLOADED)
        lost = self._lost.pop(0) if self._lost else None
        outcome = _UNKNOWN if lost is False else self._give(order)
        return outcome if lost is None else _UNKNOWN

    def _give(self, order: GiftOrder) -> GiftOutcome:
        state, time_ms = self._of(order.viewer), self._clock()
        if not state.epoch:
            return _UNKNOWN
        now_ms = max(time_ms, state.clock_ms)
        wallet = state.wallets.get(order.viewer, 0)
        paid = state.ids.get((order.id, order.viewer))
        if paid is not None and time_ms > paid.expires_ms:
            state.forget_ids(time_ms)
            paid = None
        if paid is not None:
            if paid.digest != digest_of(order.content):
                return GiftRefused(Refusal.ID_CONFLICT, wallet)
            until_ms = state.gifts.until_ms((order.id, order.viewer), now_ms) if order.undo_ms else 0
            return GiftAccepted(paid.coins, wallet, 0, 0, 0, None, replay=True, undo_until_ms=until_ms)
        refused = self._why_not(state, order, wallet, now_ms)
        if refused is not None:
            return refused
        by_caps = state.guards.count(order, now_ms)
        state.wallets[order.viewer] = wallet - order.coins
        state.ids[order.id, order.viewer] = PaidId(digest_of(order.content), order.coins, self._expires_ms(order.id))
        if order.undo_ms and self._may_hold(state, order, now_ms):
            until_ms, by_creators_cap = now_ms + order.undo_ms, order.creator_day_coins_max is not None
            gift = TwinGift(gift_body(order), now_ms, until_ms, by_caps, by_creators_cap)
            state.gifts.open[order.id, order.viewer] = gift
            self._record(state, order.viewer, now_ms, None, held_body(gift.body, order.undo_ms))
            amounts = (order.coins, wallet - order.coins, state.epoch, state.seq, now_ms)
            return GiftAccepted(*amounts, None, replay=False, undo_until_ms=until_ms)
        return self._pay(state, order, wallet - order.coins, now_ms)

    def _may_hold(self, state: TwinPartition, order: GiftOrder, now_ms: int) -> bool:
        room = len(state.gifts.open) < self._config.partition_holds_max
        return room and state.gifts.shut.get(order.viewer, 0) <= now_ms

    def _why_not(self, state: TwinPartition, order: GiftOrder, wallet: int, now_ms: int) -> GiftRefused | None:
        config = self._config
        in_window = now_ms - config.id_window_ms <= order.id_ms <= now_ms + config.id_ahead_ms
        if not in_window or self._expires_ms(order.id) in state.gone_ids:
            return GiftRefused(Refusal.ID_EXPIRED, wallet, window_ms=(config.id_window_ms, config.id_ahead_ms))
        forbidden = state.guards.forbid(order, wallet, now_ms)
        if forbidden is not None:
            return forbidden
        if wallet < order.coins:
            return GiftRefused(Refusal.INSUFFICIENT_COINS, wallet)
        wait_ms = state.guards.wait_ms(order.viewer, now_ms)
        if wait_ms > 0:
            return GiftRefused(Refusal.RATE_LIMITED, wallet, retry_after_ms=wait_ms)
        stripe = state.stripes.get(order.creator, 0)
        sums = (
            state.spent + order.coins,
            state.earned + order.creator_diamonds,
            state.commission + order.commission_diamonds,
        )
        if max(stripe + order.creator_diamonds, *sums) > AMOUNT_MAX - state.gifts.diamonds:
            return _at_bound(Refusal.AMOUNT_OVERFLOW, wallet, Bound.AMOUNT, AMOUNT_MAX)
        if state.seq - state.flushed >= config.journal_records_max:
            return _at_bound(Refusal.OVERLOADED, wallet, Bound.BOOKS_LAG, config.journal_records_max)
        return None

    def _pay(self, state: TwinPartition, order: GiftOrder, wallet: int, now_ms: int) -> GiftAccepted:
        state.earn(gift_body(order))
        combo = self._count_combo(state, order, now_ms) if order.combo_key else None
        self._record(state, order.viewer, now_ms, combo, gift_body(order))
        return GiftAccepted(order.coins, wallet, state.epoch, state.seq, now_ms, combo, replay=False)

    def _expires_ms(self, gift_id: bytes) -> int:
        width_ms = self._config.id_bucket_ms
        return id_time_ms(gift_id) // width_ms * width_ms + 2 * width_ms + self._config.id_window_ms

    def _count_combo(self, state: TwinPartition, order: GiftOrder, now_ms: int) -> ComboTotals:
        totals = ComboTotals(order.id, order.count, order.coins)
        open_ = state.combos.get((order.viewer, order.combo_key))
        if open_ is not None and now_ms <= open_.deadline_ms and open_.count + order.count <= COMBO_COUNT_MAX:
            totals = ComboTotals(open_.id, open_.count + order.count, open_.coins + order.coins)
        state.combos[order.viewer, order.combo_key] = OpenCombo(
            self.keys.partition_of(order.viewer),
            order.viewer,
            order.combo_key,
            totals.id,
            totals.count,
            totals.coins,
            now_ms + order.combo_window_ms,
        )
        return totals

    def _credit(self, order: CreditOrder, until_ms: int) -> CreditOutcome:
        state, time_ms = self._of(order.viewer), self._clock()
        known = state.credits.get(order.id)
        if known is not None:
            if known.order == order:
                return CreditAccepted(known.balance_coins, replay=True)
            return CreditRefused(Refusal.ID_CONFLICT)
        if time_ms > until_ms or not state.epoch:
            return CreditRefused(Refusal.UNKNOWN)
        wallet = state.wallets.get(order.viewer, 0) + order.coins
        if max(wallet, state.coins_in + order.coins) > AMOUNT_MAX:
            return CreditRefused(Refusal.AMOUNT_OVERFLOW)
        state.wallets[order.viewer] = wallet
        state.coins_in += order.coins
        state.credits[order.id] = PaidCredit(order, wallet)
        body = CreditBody(order.id, order.viewer, order.coins, order.cause, order.reference)
        self._record(state, order.viewer, max(time_ms, state.clock_ms), None, body)
        return CreditAccepted(wallet, replay=False)

    def _reverse(
        self, order: ReversalOrder, most: int, keep: int, until_ms: int, came_seq: int | None
    ) -> ReversalOutcome:
        state, time_ms = self._of(order.viewer), self._clock()
        known = state.reversals.get(order.id)
        if known is not None:
            if known.order == order:
                return Reversed(known.balance_coins, known.taken_coins, replay=True)
            return CreditRefused(Refusal.ID_CONFLICT)
        if time_ms > until_ms or not state.epoch:
            return CreditRefused(Refusal.UNKNOWN)
        open_gifts = state.gifts.of_viewer(order.viewer)
        if open_gifts:
            state.gifts.shut_windows(order.viewer, max(time_ms, state.clock_ms) + SHUT_MS)
            return ReversalWaits(open_gifts)
        if came_seq not in (None, state.came_seq):
            return CreditRefused(Refusal.UNKNOWN)
        if state.gifts.shut.get(order.viewer, 0) <= max(time_ms, state.clock_ms) + SHUT_MS:
            state.gifts.shut.pop(order.viewer, None)
        held = state.wallets.get(order.viewer, 0)
        taken = max(0, min(most, held - keep))
        state.wallets[order.viewer] = held - taken
        state.reversed += taken
        state.reversals[order.id] = DoneReversal(order, held - taken, taken)
        body = ReversalBody(order.id, order.viewer, order.purchase, order.coins, order.kind, taken)
        self._record(state, order.viewer, max(time_ms, state.clock_ms), None, body)
        return Reversed(held - taken, taken, replay=False)

    def _hold(self, order: HoldOrder, until_ms: int) -> HoldOutcome:
        state, time_ms = self._of(order.viewer), self._clock()
        known = state.holds.known(order)
        if known is not None:
            return known
        if time_ms > until_ms or not state.epoch:
            return GiftRefused(Refusal.UNKNOWN)
        now_ms, wallet = max(time_ms, state.clock_ms), state.wallets.get(order.viewer, 0)
        refused = self._why_no_hold(state, order, wallet, now_ms)
        if refused is not None:
            return refused
        counted = state.guards.count_coins(order.viewer, order.coins, now_ms)
        hold = TwinHold(order, wallet - order.coins, now_ms, counted)
        state.wallets[order.viewer] = hold.balance_coins
        state.holds.open[order.id, order.viewer] = hold
        self._record(state, order.viewer, now_ms, None, hold_body(order))
        return Held(hold.balance_coins, hold.expires_ms, replay=False)

    def _why_no_hold(self, state: TwinPartition, order: HoldOrder, wallet: int, now_ms: int) -> GiftRefused | None:
        config = self._config
        forbidden = state.guards.forbid_coins(order.viewer, order.coins, wallet, now_ms)
        if forbidden is not None:
            return forbidden
        if wallet < order.coins:
            return GiftRefused(Refusal.INSUFFICIENT_COINS, wallet)
        if state.holds.of_viewer(order.viewer) >= config.viewer_holds_max:
            return _at_bound(Refusal.TOO_MANY_HOLDS, wallet, Bound.VIEWER_HOLDS, config.viewer_holds_max)
        if len(state.holds.open) >= config.partition_holds_max:
            return _at_bound(Refusal.TOO_MANY_HOLDS, wallet, Bound.PARTITION_HOLDS, config.partition_holds_max)
        if state.seq - state.flushed >= config.journal_records_max:
            return _at_bound(Refusal.OVERLOADED, wallet, Bound.BOOKS_LAG, config.journal_records_max)
        return None

    def _end_hold(self, hold_id: bytes, viewer: ViewerId, end: HoldEnd, taken_coins: int | None) -> EndOutcome:
        state, key = self._of(viewer), (hold_id, viewer)
        if key in state.holds.ended:
            return structs.replace(state.holds.ended[key][1], replay=True)
        if not state.epoch:
            return EndRefused(EndRefusal.UNKNOWN)
        hold = state.holds.open.get(key)
        if hold is None:
            return EndRefused(EndRefusal.NO_SUCH_HOLD)
        now_ms, coins = max(self._clock(), state.clock_ms), hold.order.coins
        if now_ms >= hold.expires_ms:
            end = HoldEnd.EXPIRED
        elif end is HoldEnd.EXPIRED:
            return EndRefused(EndRefusal.NOT_DUE, coins)
        taken = (coins if taken_coins is None else taken_coins) if end is HoldEnd.SETTLED else 0
        if taken > coins:
            return EndRefused(EndRefusal.TOO_MANY_COINS, coins)
        wallet = state.wallets.get(viewer, 0) + coins - taken
        state.wallets[viewer] = wallet
        if hold.counted:
            state.guards.give_back(viewer, coins - taken, hold.begun_ms)
        ended = HoldEnded(end, coins, taken, wallet, now_ms, replay=False)
        state.holds.ended[key] = (state.holds.open.pop(key), ended)
        state.holds.charged += taken
        self._record(state, viewer, now_ms, None, HoldEndBody(hold_id, viewer, coins, end, taken))
        return ended

    def _undo(self, gift_id: bytes, viewer: ViewerId) -> UndoOutcome:
        state, key = self._of(viewer), (gift_id, viewer)
        gift = state.gifts.open.get(key)
        if gift is None:
            if key in state.gifts.undone:
                return structs.replace(state.gifts.undone[key], replay=True)
            paid = state.ids.get(key)
            if paid is not None and self._clock() <= paid.expires_ms:
                return UndoRefused(UndoRefusal.SETTLED)
        if not state.epoch:
            return UndoRefused(UndoRefusal.UNKNOWN)
        if gift is None:
            return UndoRefused(UndoRefusal.NO_SUCH_GIFT)
        now_ms = max(self._clock(), state.clock_ms)
        if now_ms >= gift.until_ms:
            self._settle(state, key, now_ms)
            return UndoRefused(UndoRefusal.SETTLED)
        del state.gifts.open[key]
        coins = gift.body.coins
        state.wallets[viewer] = state.wallets.get(viewer, 0) + coins
        if gift.by_caps:
            state.guards.give_back(viewer, coins, gift.given_ms)
        if gift.by_creators_cap:
            state.guards.give_back_given(viewer, gift.body.creator, coins, gift.given_ms)
        if self._config.undo_pause_ms:
            state.gifts.shut_windows(viewer, now_ms + self._config.undo_pause_ms)
        undone = state.gifts.undone[key] = GiftUndone(coins, state.wallets[viewer], now_ms, replay=False)
        self._record(state, viewer, now_ms, None, undone_body(gift.body))
        return undone

    def _settle(self, state: TwinPartition, key: tuple[bytes, str], now_ms: int) -> None:
        body = state.gifts.open.pop(key).body
        state.earn(body)
        self._record(state, body.viewer, now_ms, None, settled_body(body))

    def _remember(self, state: TwinPartition, body: GiftFields, now_ms: int) -> None:
        expires_ms = self._expires_ms(body.id)
        if expires_ms > now_ms and expires_ms not in state.gone_ids:
            state.ids[body.id, body.viewer] = PaidId(body.digest, body.coins, expires_ms)

    def _do_again(self, state: TwinPartition, record: JournalRecord) -> None:
        body, wallet, now_ms = record.body, record.wallet_after, self._clock()
        state.wallets[body.viewer] = wallet
        remembered = record.at_ms >= now_ms - 2 * self._config.credit_ids_kept_ms
        match body:
            case GiftBody():
                state.earn(body)
                self._remember(state, body, now_ms)
                if record.combo is not None:
                    combo, deadline_ms = record.combo, record.at_ms + body.combo_window_ms
                    state.combos[body.viewer, body.combo_key] = OpenCombo(
                        *(record.partition, body.viewer, body.combo_key, combo.id, combo.count, combo.coins),
                        deadline_ms,
                    )
            case HeldGiftBody():
                self._remember(state, body, now_ms)
                until_ms = record.at_ms + body.undo_ms
                state.gifts.open[body.id, body.viewer] = TwinGift(
                    paid_body(body), record.at_ms, until_ms, by_caps=True, by_creators_cap=True
                )
            case GiftSettledBody():
                del state.gifts.open[body.id, body.viewer]
                state.earn(body)
            case GiftUndoneBody():
                del state.gifts.open[body.id, body.viewer]
                if remembered:
                    undone = GiftUndone(body.coins, wallet, record.at_ms, replay=False)
                    state.gifts.undone[body.id, body.viewer] = undone
            case CreditBody():
                state.coins_in += body.coins
                if remembered:
                    credit = CreditOrder(body.id, body.viewer, body.coins, body.cause, body.reference)
                    state.credits[body.id] = PaidCredit(credit, wallet)
            case ReversalBody():
                state.reversed += body.taken_coins
                if remembered:
                    reversal = ReversalOrder(body.id, body.viewer, body.purchase, body.coins, body.cause)
                    state.reversals[body.id] = DoneReversal(reversal, wallet, body.taken_coins)
            case HoldBody():
                order = HoldOrder(body.id, body.viewer, body.coins, body.lasts_ms, body.reference)
                state.holds.open[body.id, body.viewer] = TwinHold(order, wallet, record.at_ms, counted=True)
            case HoldEndBody():
                hold = state.holds.open.pop((body.id, body.viewer))
                state.holds.charged += body.taken_coins
                if remembered:
                    ended = HoldEnded(body.end, body.coins, body.taken_coins, wallet, record.at_ms, replay=False)
                    state.holds.ended[body.id, body.viewer] = (hold, ended)

    def _record(self, state: TwinPartition, viewer: str, now_ms: int, combo: ComboTotals | None, body: Body) -> None:
        state.seq += 1
        if isinstance(body, CAME):
            state.came_seq = state.seq
        state.clock_ms = now_ms
        partition = self.keys.partition_of(viewer)
        state.records.append(
            JournalRecord(partition, state.epoch, state.seq, now_ms, state.wallets[viewer], combo, body)
        )


def _at_bound(refusal: Refusal, wallet: int, bound: Bound, most: int) -> GiftRefused:
    return GiftRefused(refusal, wallet, bound=BoundReached(bound, most))
