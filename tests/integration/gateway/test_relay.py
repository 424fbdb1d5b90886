"""The relay on a real Valkey: from a paid gift to the room, once, with combos that end and wallets that are told."""

import asyncio
import struct
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from redis.exceptions import RedisError

from gateway.room.config import RoomConfig
from gateway.room.facts import ComboState, RoomBatch, WalletChange
from gateway.rooms.broker import Broker
from gateway.rooms.relay import Relay, RelayOvertaken
from gateway.rooms.room_scripts import ComboEnding, RoomTelling
from ledger.errors import InvariantBroken, LedgerUnavailable
from ledger.live.journal import Position
from ledger.live.keys import Total
from ledger.model import GiftAccepted, GiftOrder, Partition
from ledger.service import Ledger
from tests.integration.gateway.rooms import history, opened_broker, opened_ledger, order, running, until, until_true
from tests.integration.ledger.orders import gift_order, grant
from tests.servers import running_valkey

CONFIG = RoomConfig(relay_idle_ms=50, relay_save_ms=1)
START, UPDATE, END = ComboState.START, ComboState.UPDATE, ComboState.END


@pytest.fixture
async def ledger(valkey_url: str) -> AsyncIterator[Ledger]:
    """A ledger of four partitions with three rich viewers."""
    async with opened_ledger(valkey_url) as opened:
        for viewer in ("ann", "bob", "cid"):
            await opened.credit(grant(viewer, 10_000))
        yield opened


@pytest.fixture
async def broker(valkey_url: str, ledger: Ledger) -> AsyncIterator[Broker]:
    """A broker on the same server."""
    async with opened_broker(valkey_url, CONFIG) as opened:
        yield opened


async def give(ledger: Ledger, given: GiftOrder) -> GiftAccepted:
    """Pay for a gift that must be accepted."""
    outcome = await ledger.give(given)
    assert isinstance(outcome, GiftAccepted)
    return outcome


async def relayed(ledger: Ledger, broker: Broker, config: RoomConfig = CONFIG) -> Relay:
    """A relay that has told everything there is, ended every combo, noted its position and gone."""
    relay = Relay(ledger, broker, config)
    seqs = {partition: int(await ledger.redis.hget(keys.totals, "seq") or 0) for partition, keys in ledger.keys.all()}
    async with running(relay) as task:

        async def done() -> bool:
            assert not task.done()
            positions = await ledger.relay_positions()
            told = all(positions.get(partition, Position()).seq >= seq for partition, seq in seqs.items())
            return told and not await open_combos(ledger)

        await until_true(done)
        return relay


async def open_combos(ledger: Ledger) -> int:
    """Combos that the ledger still remembers."""
    return sum([len(await ledger.open_combos(partition)) for partition, _ in ledger.keys.all()])


async def let_combos_run_out(ledger: Ledger, partition: Partition) -> None:
    """As if time had gone on: the deadlines that the ledger remembers have passed."""
    name, redis = ledger.keys.of(partition).combos, cast("Any", ledger.redis)
    for field, stored in (await redis.hgetall(name)).items():
        await redis.hset(name, field, stored[:-8] + struct.pack(">d", 1))


async def test_gift_reaches_its_room(ledger: Ledger, broker: Broker) -> None:
    """Everything that the room must show of a gift is told."""
    given = order("ann", 7)
    outcome = await give(ledger, given)
    relay = await relayed(ledger, broker)
    [fact] = await history(broker)
    assert (fact.id, fact.sender, fact.name, fact.level, fact.anonymous) == (given.id, "ann", "Ann", 2, False)
    assert (fact.to, fact.gift, fact.price_coins, fact.count, fact.coins) == ("cora", "rose", 7, 1, 7)
    assert (fact.record, fact.at_ms, fact.combo, fact.message) == (outcome.seq, outcome.at_ms, None, None)
    assert (relay.stats.gifts, relay.stats.credits) == (1, 3)
    assert [entry.coins for entry in await broker.board("demo")] == [7]


async def test_idle_relay_tells_at_once(ledger: Ledger, broker: Broker) -> None:
    """A relay that waits is woken by a gift, long before its wait is over."""
    heard: list[RoomBatch] = []
    await broker.start(heard.append, lambda changes: None, lambda: None)
    await broker.subscribe("demo")
    async with running(Relay(ledger, broker, RoomConfig(relay_idle_ms=60_000))):
        for number in range(1, 6):
            await give(ledger, order("ann"))
            await until(lambda number=number: len(heard) == number)  # type: ignore[misc]


async def test_videos_and_credits_move_the_position(ledger: Ledger, broker: Broker) -> None:
    """What belongs to no room is passed over, told in no room, and not read again; its combo is forgotten."""
    await give(ledger, order("ann", place="video:v1"))
    await give(ledger, order("ann", place="video:v1", combo=True, window_ms=50))
    relay = await relayed(ledger, broker)
    assert (relay.stats.passed_over, relay.stats.gifts, relay.stats.ended) == (2, 0, 0)
    assert [key async for key in ledger.redis.scan_iter(match=b"gw:{r:*")] == []
    assert (await relayed(ledger, broker)).stats.passed_over == 0


async def test_two_rooms(ledger: Ledger, broker: Broker) -> None:
    """Each room is told its own gifts."""
    for place in ("room:demo", "room:other", "room:demo"):
        await give(ledger, order("ann", place=place))
    await relayed(ledger, broker)
    assert [len(await history(broker, room)) for room in ("demo", "other")] == [2, 1]


async def test_combo_is_started_updated_and_ended(ledger: Ledger, broker: Broker) -> None:
    """The end comes once the window is over, and the ledger forgets the combo then."""
    outcomes = await asyncio.gather(*(give(ledger, order("ann", 3, combo=True)) for _ in range(3)))
    relay = await relayed(ledger, broker)
    facts = await history(broker)
    combos = [fact.combo for fact in facts]
    assert [(c.count, c.coins, c.state) for c in combos if c] == [
        (1, 3, START), (2, 6, UPDATE), (3, 9, UPDATE), (3, 9, END),
    ]  # fmt: skip
    assert len({combo.id for combo in combos if combo}) == 1
    assert facts[-1].at_ms == outcomes[-1].at_ms + 400
    assert relay.stats.ended == 1
    assert await ledger.redis.exists(b"gw:{r:demo}:combos") == 0


async def test_combo_open_when_the_relay_begins(ledger: Ledger, broker: Broker) -> None:
    """A combo whose gifts were told by a relay that is gone is ended by the next one."""
    outcome = await give(ledger, order("ann", combo=True, window_ms=60_000))
    partition = ledger.keys.partition_of("ann")

    async def noted() -> bool:
        return (await ledger.relay_positions()).get(partition, Position()).seq == outcome.seq

    async with running(Relay(ledger, broker, CONFIG)):
        await until_true(noted)
    assert [fact.ends_combo for fact in await history(broker)] == [False]
    await let_combos_run_out(ledger, partition)
    await relayed(ledger, broker)
    assert [fact.ends_combo for fact in await history(broker)] == [False, True]


async def test_combo_replaced_before_it_was_ended(ledger: Ledger, broker: Broker) -> None:
    """Two combos of one viewer, both over when the relay comes, each end once and in order."""
    first = await give(ledger, order("ann", combo=True, window_ms=5))
    await let_combos_run_out(ledger, ledger.keys.partition_of("ann"))
    second = await give(ledger, order("ann", combo=True, window_ms=5))
    assert first.combo is not None and second.combo is not None and second.combo.id != first.combo.id
    await relayed(ledger, broker)
    facts = [(fact.combo.id, fact.ends_combo) for fact in await history(broker) if fact.combo]
    assert [combo_id for combo_id, ends in facts if ends] == [first.combo.id, second.combo.id]
    assert facts.index((first.combo.id, True)) < facts.index((second.combo.id, False))


class StumblingBroker(Broker):
    """A broker on whose way back from the server something happens, once."""

    stumble_on = ""

    async def tell(self, rooms: Sequence[RoomTelling], wallets: Sequence[WalletChange] = ()) -> None:
        await super().tell(rooms, wallets)
        self._stumble("tell")

    async def end_combos(self, endings: Sequence[ComboEnding]) -> int:
        told = await super().end_combos(endings)
        if told:
            self._stumble("end_combos")
        return told

    def _stumble(self, name: str) -> None:
        if self.stumble_on == name:
            self.stumble_on = ""
            raise asyncio.CancelledError


@pytest.mark.parametrize("where", ["tell", "end_combos"])
async def test_relay_killed_before_it_noted_what_it_did(ledger: Ledger, broker: Broker, where: str) -> None:
    """A relay that dies after it told a room, or ended a combo, and before it could note so: nothing comes twice."""
    stumbling = StumblingBroker(broker._redis, CONFIG)
    stumbling.stumble_on = where
    # At once, so that however slow the machine is they are one combo.
    orders = [given for _ in range(3) for given in (order("ann", combo=True), order("bob"))]
    await asyncio.gather(*(give(ledger, given) for given in orders))
    with pytest.raises(asyncio.CancelledError):
        await Relay(ledger, stumbling, RoomConfig(relay_idle_ms=50, relay_save_ms=60_000)).run()
    if where == "tell":
        assert await ledger.relay_positions() == {}
    assert await open_combos(ledger) == 1
    before = await history(broker)
    assert len(before) >= 6
    await relayed(ledger, broker)
    after = await history(broker)
    assert after[: len(before)] == before
    assert [fact.ends_combo for fact in after].count(True) == 1
    assert len(after) == 7


async def test_wallets_are_told_once_a_batch(ledger: Ledger, broker: Broker) -> None:
    """Of each viewer only the newest wallet of a batch is told, credits included."""
    changes: list[WalletChange] = []
    await broker.start(lambda batch: None, changes.extend, lambda: None)
    for coins in (1, 2, 3):
        outcome = await give(ledger, order("ann", coins))
    async with running(Relay(ledger, broker, CONFIG)):
        await until(lambda: {change.viewer for change in changes} >= {"ann", "bob", "cid"})
    assert [change for change in changes if change.viewer == "ann"] == [WalletChange("ann", outcome.seq, 9_994)]
    assert [change.balance_coins for change in changes if change.viewer == "bob"] == [10_000]


async def test_unreadable_details_name_nobody(ledger: Ledger, broker: Broker) -> None:
    """A gift whose details cannot be read is shown all the same, as an anonymous one."""
    await give(ledger, gift_order("ann", 5))
    relay = await relayed(ledger, broker)
    [fact] = await history(broker)
    assert (fact.coins, fact.anonymous, relay.stats.unreadable) == (5, True, 1)


async def test_relay_behind_a_trimmed_journal(ledger: Ledger, broker: Broker) -> None:
    """A hole in the journal stops the relay; if another relay is ahead, it only has to begin again."""
    await give(ledger, order("ann"))
    last = await give(ledger, order("ann"))
    partition = ledger.keys.partition_of("ann")
    await ledger.trim(partition, 1, last.seq - 1, last.seq - 1)
    with pytest.raises(InvariantBroken):
        await Relay(ledger, broker, CONFIG).run()
    overtaken = Relay(ledger, broker, CONFIG)
    begin = overtaken._begin

    async def begin_and_be_overtaken(partitions: Sequence[Partition] | None = None) -> Any:
        reader = await begin(partitions)
        await ledger.save_relay_positions({partition: Position(1, last.seq - 1)})
        return reader

    overtaken._begin = begin_and_be_overtaken  # type: ignore[method-assign]
    with pytest.raises(RelayOvertaken):
        await overtaken.run()
    await relayed(ledger, broker)
    assert [fact.record for fact in await history(broker)] == [last.seq]


async def test_backlog_larger_than_one_read(ledger: Ledger, broker: Broker) -> None:
    """However little one read may take, a backlog is told whole and in order."""
    given = [(await give(ledger, order(viewer))).seq for _ in range(10) for viewer in ("ann", "bob", "cid")]
    relay = await relayed(ledger, broker, RoomConfig(relay_idle_ms=50, relay_entries_max=2, relay_records_max=1))
    facts = await history(broker)
    assert len(facts) == len(given) == relay.stats.gifts
    for viewer in ("ann", "bob", "cid"):
        records = [fact.record for fact in facts if fact.sender == viewer]
        assert records == sorted(records)
    assert relay.stats.batches > 10


async def test_relay_position_never_falls(ledger: Ledger) -> None:
    """An older position, told late, is passed over, and so is one of records that the journal never had."""
    one, two = Partition(1), Partition(2)
    for partition in (one, two):
        await ledger.redis.hset(ledger.keys.of(partition).totals, Total.SEQ, 10)
    await ledger.save_relay_positions({one: Position(1, 9), two: Position(1, 5)})
    await ledger.save_relay_positions({one: Position(1, 8), two: Position(1, 6)})
    assert await ledger.relay_positions() == {one: Position(1, 9), two: Position(1, 6)}
    await ledger.save_relay_positions({one: Position(2, 3)})
    assert (await ledger.relay_positions())[one] == Position(2, 3)
    await ledger.save_relay_positions({one: Position(2, 11), two: Position(1, 10)})
    assert await ledger.relay_positions() == {one: Position(2, 3), two: Position(1, 10)}


async def test_valkey_killed_under_the_relay(tmp_path: Path) -> None:
    """kill -9 of Valkey ends the run with an error of its own kind; run again, it tells the rest, each gift once."""
    with running_valkey(tmp_path) as valkey:
        async with opened_ledger(valkey.url, 2) as ledger, opened_broker(valkey.url, CONFIG) as broker:
            await ledger.credit(grant("ann", 10_000))
            relay = Relay(ledger, broker, CONFIG)
            running_relay = asyncio.create_task(relay.run())
            given = [asyncio.create_task(ledger.give(order("ann"))) for _ in range(600)]
            await until(lambda: relay.stats.gifts > 50)
            valkey.kill()
            with pytest.raises((LedgerUnavailable, RedisError, OSError)):
                await running_relay
            valkey.start()
            outcomes = await asyncio.gather(*given)
            assert all(isinstance(outcome, GiftAccepted) for outcome in outcomes)
            await relayed(ledger, broker)
            assert len({fact.id for fact in await history(broker)}) == len(await history(broker)) == 600
