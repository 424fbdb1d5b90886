"""What the state machine of the money scripts works with: a ledger on a server, a twin, and how they are compared."""

import asyncio
from typing import Any

import msgspec
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
)
from redis import Redis

from ledger.config import LedgerConfig
from ledger.errors import LedgerUnavailable
from ledger.live.guard_state import GuardSettings
from ledger.live.keys import Total
from ledger.model import (
    CreatorId,
    CreditOrder,
    GiftOrder,
    GiftOutcome,
    Held,
    HoldEnd,
    HoldOrder,
    JournalRecord,
    Partition,
    RefundKind,
    ReversalOrder,
    ViewerId,
)
from ledger.service import Ledger, open_ledger
from ledger.twin.twin import LedgerTwin
from ledger.twin.twin_gifts import TwinGifts
from ledger.twin.twin_guards import TwinGuards
from ledger.twin.twin_holds import TwinHold, TwinHolds
from tests.integration.ledger.losing_proxy import LosingProxy
from tests.integration.ledger.orders import now_ms
from tests.integration.ledger.stored import Stored, check, read_all
from tests.integration.ledger.wishes import (
    AHEAD_MS,
    BUCKET_MS,
    COMBO_MS,
    UNFLUSHED_MAX,
    WINDOW_MS,
    Fresh,
    Told,
)
from tests.servers import Valkey
from tests.waiting import back_off


class MachineCore(RuleBasedStateMachine):
    """One example: empty data, a started ledger behind a proxy that can lose answers, and a twin; without any rule.

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
            undo_pause_ms=0,
        )
        self.twin = LedgerTwin(self.config)
        self.ledger: Ledger = self.runner.run(self._open())
        self.clock_ms = 0
        self.numbers = 0
        self.told: list[GiftOrder] = []
        self.credited: list[CreditOrder] = []
        self.reversed: list[ReversalOrder] = []
        self.held: list[HoldOrder] = []
        self.undoable: list[GiftOrder] = []
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
            "held": state.holds.held + state.gifts.held,
            "held_gifts": state.gifts.held,
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
        self._compare_gifts(state.gifts, stored)
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

    def _compare_gifts(self, gifts: TwinGifts, stored: Stored) -> None:
        assert stored.open_gifts == {
            key[0] + key[1].encode(): (gift.body, gift.given_ms, gift.until_ms, gift.by_caps, gift.by_creators_cap)
            for key, gift in gifts.open.items()
        }
        assert stored.undone_gifts == {
            key[0] + key[1].encode(): (undone.coins, undone.balance_coins, undone.at_ms)
            for key, undone in gifts.undone.items()
        }
        assert stored.windows_shut == gifts.shut

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

    def _undo(self, order: GiftOrder, viewer: str) -> None:
        expected = self.runner.run(self.twin.undo(order.id, ViewerId(viewer)))
        told = self.runner.run(self.ledger.undo(order.id, ViewerId(viewer)))
        assert told == expected, f"told {told}, expected {expected}"

    def _settle_gifts(self, partition: Partition, limit: int) -> None:
        """Both settle as many, or the partition takes no orders and both say so."""
        settled: list[int | None] = []
        for ledger in (self.twin, self.ledger):
            try:
                settled.append(self.runner.run(ledger.settle_gifts(partition, limit)))
            except LedgerUnavailable:
                settled.append(None)
        assert settled[0] == settled[1], f"told {settled[1]}, expected {settled[0]}"

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
        if order.undo_ms:
            self.undoable.append(order)
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
            undo_ms=0 if wish.combo_key else wish.undo_ms,
            plan=f":{10_000 - wish.creator_bp}" if wish.creator_bp % 100 else "",
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

    def _run_ahead(self, time_ms: int) -> None:
        for (_, keys), state in zip(self.ledger.keys.all(), self.twin.partitions, strict=True):
            state.forget_ids(time_ms)
            for name in self.redis.scan_iter(match=keys.ids(0)[:-1] + b"*"):
                if self.redis.pexpiretime(name) < time_ms:
                    self.redis.pexpireat(name, 1)

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
