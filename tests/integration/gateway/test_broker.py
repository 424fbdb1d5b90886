"""Rooms on a real Valkey: told once, read back without a hole, bounded, counted."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from gateway.room.config import RoomConfig
from gateway.room.facts import ComboState, GiftFact, RoomBatch, WalletChange, end_of, numbered
from gateway.rooms.broker import Broker, BrokerUnavailable, RoomSnapshot, open_broker
from gateway.rooms.room_scripts import ComboEnding, Telling
from gateway.wire.messages import TopEntry
from ledger.config import LedgerConfig
from tests.integration.gateway.rooms import history, opened_broker, telling, told, until, until_true
from tests.unit.gateway.room.room_facts import START, UPDATE, gift, undone

COMBO = "room:demo|rose|n"


@pytest.fixture
async def broker(valkey_url: str) -> AsyncIterator[Broker]:
    """A broker on empty data."""
    async with opened_broker(valkey_url) as opened:
        yield opened


def combo_telling(record: int, combo: int, count: int) -> Telling:
    """A gift of Ann's combo number `combo`."""
    fact = gift(record=record, combo=(combo, count, count, START if count == 1 else UPDATE))
    return Telling(fact, COMBO, end_of(fact, 5_000 + record))


def ending(combo: int) -> ComboEnding:
    """The end of Ann's combo number `combo`."""
    return ComboEnding("demo", 1, "ann", COMBO, combo.to_bytes(16, "big"))


def records(facts: list[GiftFact]) -> list[tuple[int, int]]:
    """Where the facts come from."""
    return [(fact.partition, fact.record) for fact in facts]


async def test_tell_twice(broker: Broker) -> None:
    """Facts told again, all or in part, are passed over."""
    await broker.tell([told("demo", telling(1), telling(2))])
    await broker.tell([told("demo", telling(1), telling(2))])
    await broker.tell([told("demo", telling(2), telling(3), telling(1, partition=1))])
    assert records(await history(broker)) == [(0, 1), (0, 2), (0, 3), (1, 1)]
    assert await broker.snapshot("demo") == RoomSnapshot(1, 4, 1)
    assert await broker.board("demo") == [TopEntry("ann", "Ann", 4, 3)]


async def test_tell_two_rooms_at_once(broker: Broker) -> None:
    """Each room has its own facts and its own seq."""
    await broker.tell([told("demo", telling(1), telling(3)), told("other", telling(2))])
    assert records(await history(broker)) == [(0, 1), (0, 3)]
    assert records(await history(broker, "other")) == [(0, 2)]
    assert (await broker.snapshot("other")).seq == 1


async def test_tell_more_than_one_call_takes(valkey_url: str) -> None:
    """A room that is told more than one call takes has all of it in order."""
    async with opened_broker(valkey_url, RoomConfig(tell_facts_max=3)) as broker:
        await broker.tell([told("demo", *(telling(n) for n in range(1, 11))), told("other", telling(11))])
        assert records(await history(broker)) == [(0, n) for n in range(1, 11)]
        assert records(await history(broker, "other")) == [(0, 11)]


async def test_scripts_forgotten_by_the_server(broker: Broker) -> None:
    """After SCRIPT FLUSH the rooms of one round trip are still told once each."""
    await broker.tell([told("demo", telling(1))])
    await broker._redis.script_flush()
    await broker.tell([told("demo", telling(2)), told("other", telling(3))])
    assert records(await history(broker)) == [(0, 1), (0, 2)]
    assert records(await history(broker, "other")) == [(0, 3)]


async def test_amounts_at_the_bound(broker: Broker) -> None:
    """2^53-1 passes through the script and the board unchanged."""
    await broker.tell([told("demo", telling(2**53 - 1, coins=2**53 - 1))])
    [fact] = await history(broker)
    assert (fact.record, fact.coins) == (2**53 - 1, 2**53 - 1)
    assert (await broker.board("demo"))[0].coins == 2**53 - 1
    await broker.tell([told("demo", telling(2**53 - 1, coins=2**53 - 1))])
    assert len(await history(broker)) == 1


async def test_epoch_rises_and_never_falls(broker: Broker) -> None:
    """A room takes the newest epoch it hears of; a position of an older one can no longer be proved complete. What a
    relay had in its hands over a repair is not told: its place may be another record's.
    """
    await broker.tell([told("demo", telling(1), epoch=1)])
    await broker.tell([told("demo", telling(2), epoch=3)])
    await broker.tell([told("demo", telling(1, partition=1, coins=9), epoch=2)])
    assert await broker.snapshot("demo") == RoomSnapshot(3, 2, 1)
    await broker.tell([told("demo", telling(1, partition=1), epoch=3)])
    assert await broker.snapshot("demo") == RoomSnapshot(3, 3, 1)
    assert await broker.since("demo", 1, 1, 10) is None
    batches = await broker.since("demo", 3, 2, 10)
    assert batches is not None and records(batches[0].facts) == [(1, 1)]


async def test_since_inside_a_batch(broker: Broker) -> None:
    """A reader who stands inside a batch gets the rest of it, as far as the limit goes."""
    await broker.tell([told("demo", *(telling(n) for n in range(1, 6)))])
    await broker.tell([told("demo", *(telling(n) for n in range(6, 9)))])
    for limit, expected in ((100, [3, 4, 5, 6, 7, 8]), (6, [3, 4, 5, 6, 7, 8]), (4, [3, 4, 5, 6]), (2, [3, 4])):
        batches = await broker.since("demo", 1, 2, limit)
        assert batches is not None
        assert [(seq, fact.record) for seq, fact in numbered(batches)] == [(n, n) for n in expected]
    assert await broker.since("demo", 1, 8, 100) == []


async def test_since_over_many_pages(valkey_url: str) -> None:
    """A history longer than one read is given whole, also from the very beginning and over a new epoch."""
    async with opened_broker(valkey_url, RoomConfig(history_page_entries=2)) as broker:
        for number in range(1, 8):
            await broker.tell([told("demo", telling(number), epoch=1 if number < 4 else 2)])
        assert records(await history(broker)) == [(0, n) for n in range(1, 8)]
        batches = await broker.since("demo", 2, 4, 100)
        assert batches is not None and [batch.first_seq for batch in batches] == [5, 6, 7]


async def test_since_ahead_of_the_room(broker: Broker) -> None:
    """A reader who knows more than the room cannot be told what it misses."""
    assert await broker.since("demo", 0, 0, 10) == []
    assert await broker.since("demo", 1, 1, 10) is None
    await broker.tell([told("demo", telling(1))])
    assert await broker.since("demo", 1, 2, 10) is None


async def test_history_at_its_bound_and_one_past(valkey_url: str) -> None:
    """The history holds its bound of facts; a reader whose next fact is the oldest is served, one before it is told."""
    async with opened_broker(valkey_url, RoomConfig(history_facts_max=5)) as broker:
        for number in range(1, 6):
            await broker.tell([told("demo", telling(number))])
        assert (await broker.snapshot("demo")).oldest_seq == 1
        await broker.tell([told("demo", telling(6))])
        assert await broker.snapshot("demo") == RoomSnapshot(1, 6, 2)
        batches = await broker.since("demo", 1, 1, 10)
        assert batches is not None and [seq for seq, _ in numbered(batches)] == [2, 3, 4, 5, 6]
        assert await broker.since("demo", 1, 0, 10) is None
        assert await broker.since("demo", 0, 0, 10) is None


async def test_combo_ends_once(broker: Broker) -> None:
    """The end is told once, with the totals of the last gift; asked for again it is not there."""
    await broker.tell([told("demo", combo_telling(1, 7, 1), combo_telling(2, 7, 2))])
    assert await broker.end_combos([ending(8)]) == 0
    assert await broker.end_combos([ending(7), ending(7)]) == 1
    assert await broker.end_combos([ending(7)]) == 0
    *_, end = await history(broker)
    assert end.ends_combo and end.combo is not None
    assert (end.combo.count, end.combo.coins, end.count, end.at_ms) == (2, 2, 0, 5_002)
    assert (await broker.snapshot("demo")).seq == 3


async def test_combo_replaced(broker: Broker) -> None:
    """A new combo of the same viewer and key ends the open one first, also inside one call, and once."""
    tellings = [combo_telling(1, 7, 1), combo_telling(2, 8, 1), combo_telling(3, 8, 2), combo_telling(4, 9, 1)]
    await broker.tell([told("demo", tellings[0])])
    await broker.tell([told("demo", *tellings)])
    await broker.tell([told("demo", *tellings)])
    shown = [(f.combo.id[-1], f.combo.count, ComboState(f.combo.state)) for f in await history(broker) if f.combo]
    start, update, end = ComboState.START, ComboState.UPDATE, ComboState.END
    assert shown == [(7, 1, start), (7, 1, end), (8, 1, start), (8, 2, update), (8, 2, end), (9, 1, start)]
    assert await broker.end_combos([ending(7), ending(8)]) == 0
    assert await broker.end_combos([ending(9)]) == 1


async def test_board_knows_no_anonymous_and_no_test(broker: Broker) -> None:
    """Only those who gave openly are on the board, highest first, with their newest name."""
    hidden = Telling(gift("eve", 50, record=1, anonymous=True))
    await broker.tell([told("demo", hidden, telling(2, sender="bob", coins=5), telling(3, coins=9))])
    renamed = Telling(msgspec.structs.replace(gift("bob", 5, record=4), name="Robert", level=9))
    await broker.tell([told("demo", renamed)])
    await broker.test_gift("demo", gift("tess", 999))
    assert await broker.board("demo") == [TopEntry("bob", "Robert", 10, 9), TopEntry("ann", "Ann", 9, 3)]
    assert await broker.board("demo", 1) == [TopEntry("bob", "Robert", 10, 9)]
    assert await broker.board("other") == []


async def test_board_at_its_bound_and_one_past(valkey_url: str) -> None:
    """With one viewer too many the lowest leaves the board."""
    async with opened_broker(valkey_url, RoomConfig(board_viewers_max=2)) as broker:
        await broker.tell([told("demo", telling(1, sender="ann", coins=3), telling(2, sender="bob", coins=1))])
        assert [entry.user for entry in await broker.board("demo")] == ["ann", "bob"]
        await broker.tell([told("demo", telling(3, sender="cid", coins=2))])
        assert [entry.user for entry in await broker.board("demo")] == ["ann", "cid"]


def held_and_undone(record: int, sender: str = "ann", coins: int = 7) -> tuple[Telling, Telling]:
    """A gift that can be undone, and its undoing by the next record."""
    fact = gift(sender, coins, record=record, undo_until_ms=9_000)
    return Telling(fact), Telling(undone(fact, record + 1))


async def test_undone_gift_is_told_once(broker: Broker) -> None:
    """The gift and its undoing stand in the history in order, once each, however they are told again."""
    given, back = held_and_undone(1)
    await broker.tell([told("demo", given)])
    await broker.tell([told("demo", given, back)])
    await broker.tell([told("demo", back, telling(3))])
    facts = await history(broker)
    assert [(fact.record, fact.undone, fact.undo_until_ms) for fact in facts] == [
        (1, False, 9_000), (2, True, 0), (3, False, 0),
    ]  # fmt: skip
    assert facts[0].id == facts[1].id


async def test_board_takes_off_what_was_undone(broker: Broker) -> None:
    """Its coins leave the board with it, in the same call or a later one, and who has none left leaves it too; a name
    that changed meanwhile stays."""
    (ann, ann_back), (bob, bob_back) = held_and_undone(1), held_and_undone(3, "bob", 2**53 - 1)
    await broker.tell([told("demo", ann, bob)])
    await broker.tell([told("demo", bob_back, telling(5, sender="cid", coins=9))])
    assert await broker.board("demo") == [TopEntry("cid", "Cid", 9, 3), TopEntry("ann", "Ann", 7, 3)]
    renamed = Telling(msgspec.structs.replace(gift("ann", 1, record=1, partition=1), name="Anna", level=4))
    await broker.tell([told("demo", renamed)])
    late = Telling(msgspec.structs.replace(ann_back.fact, record=6))
    await broker.tell([told("demo", late)])
    assert await broker.board("demo") == [TopEntry("cid", "Cid", 9, 3), TopEntry("ann", "Anna", 1, 4)]
    await broker.tell([told("demo", *held_and_undone(7, "dee"))])
    assert [entry.user for entry in await broker.board("demo")] == ["cid", "ann"]
    assert sorted(await broker._redis.hkeys("gw:{r:demo}:names")) == [b"ann", b"cid"]


async def test_board_that_forgot_the_gift(valkey_url: str) -> None:
    """The undoing of a gift whose viewer the board has forgotten brings nobody back."""
    async with opened_broker(valkey_url, RoomConfig(board_viewers_max=1)) as broker:
        given, back = held_and_undone(1)
        await broker.tell([told("demo", given, telling(1, partition=1, sender="bob", coins=9))])
        await broker.tell([told("demo", back)])
        assert await broker.board("demo") == [TopEntry("bob", "Bob", 9, 3)]


async def test_board_does_not_know_whose_anonymous_gift_was_undone(broker: Broker) -> None:
    """What was never on the board is not taken off it."""
    fact = gift("ann", 7, record=2, anonymous=True, undo_until_ms=9_000)
    await broker.tell([told("demo", telling(1, coins=5), Telling(fact), Telling(undone(fact, 3)))])
    assert [entry.coins for entry in await broker.board("demo")] == [5]


async def test_test_gift_gets_a_seq(broker: Broker) -> None:
    """A test stands in the history between the others, and says what it is."""
    assert await broker.test_gift("demo", gift("tess", 999)) == (1, 1)
    await broker.tell([told("demo", telling(1))])
    assert await broker.test_gift("demo", gift("tess", 999)) == (1, 3)
    assert [fact.test for fact in await history(broker)] == [True, False, True]


async def test_presence_is_a_sum_that_expires(valkey_url: str) -> None:
    """Gateways add up; one that has no viewers left counts for nothing, as does one that told nothing for its life."""
    async with opened_broker(valkey_url, RoomConfig(presence_life_ms=60_000)) as broker:
        assert await broker.count_viewers("demo", "one", 5) == 5
        assert await broker.count_viewers("demo", "two", 7) == 12
        assert await broker.count_viewers("demo", "one", 0) == 7
        assert await broker.count_viewers("other", "one", 1) == 1
    async with opened_broker(valkey_url, RoomConfig(presence_life_ms=60)) as broker:
        await broker.count_viewers("brief", "gone", 7)

        async def alone() -> bool:
            return await broker.count_viewers("brief", "one", 2) == 2

        await until_true(alone)


class Ears:
    """What a started broker heard."""

    def __init__(self) -> None:
        self.batches: list[RoomBatch] = []
        self.wallets: list[list[WalletChange]] = []
        self.losses = 0

    def lost(self) -> None:
        self.losses += 1

    async def listen(self, broker: Broker) -> None:
        await broker.start(self.batches.append, self.wallets.append, self.lost)


async def test_heard_is_what_is_stored(broker: Broker) -> None:
    """Each batch of a subscribed room comes as it stands in the history; other rooms are not heard."""
    ears = Ears()
    await ears.listen(broker)
    await broker.subscribe("demo")
    await broker.tell([told("demo", telling(1), telling(2)), told("other", telling(3))])
    await broker.tell([told("demo", combo_telling(4, 7, 1))])
    await broker.end_combos([ending(7)])
    await broker.test_gift("demo", gift())
    await until(lambda: len(ears.batches) == 4)
    assert ears.batches == await broker.since("demo", 1, 0, 100)
    assert {batch.room for batch in ears.batches} == {"demo"}


async def test_wallets_are_heard_by_all(broker: Broker) -> None:
    """Wallet changes come without any subscription to a room, also when no room is told."""
    ears = Ears()
    await ears.listen(broker)
    changes = [WalletChange("ann", 5, 100), WalletChange("bob", 1, 0)]
    await broker.tell([], changes)
    await broker.tell([told("demo", telling(1))], changes[:1])
    await until(lambda: len(ears.wallets) == 2)
    assert ears.wallets == [changes, changes[:1]]


async def test_unsubscribed_room_is_heard_no_more(broker: Broker) -> None:
    """After leaving and coming back, a room is heard from then on."""
    ears = Ears()
    await ears.listen(broker)
    await broker.subscribe("demo")
    await broker.unsubscribe("demo")
    await broker.subscribe("other")
    await broker.tell([told("demo", telling(1)), told("other", telling(2))])
    await broker.subscribe("demo")
    await broker.tell([told("demo", telling(3))])
    await until(lambda: len(ears.batches) == 2)
    assert [(batch.room, batch.first_seq) for batch in ears.batches] == [("other", 1), ("demo", 2)]


async def test_broker_without_a_server(tmp_path: str) -> None:
    """A server that is not there is an error of one kind."""
    broker = open_broker(LedgerConfig(redis_url=f"unix://{tmp_path}/none.sock"), RoomConfig())
    with pytest.raises(BrokerUnavailable):
        await broker.snapshot("demo")
    with pytest.raises(BrokerUnavailable):
        await broker.tell([told("demo", telling(1))])
    await broker.stop()
