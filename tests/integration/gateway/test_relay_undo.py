"""The relay and gifts that can be undone: the gift and its undoing are told once each, its settlement to nobody."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.room.config import RoomConfig
from gateway.room.facts import GiftFact, WalletChange
from gateway.rooms.broker import Broker
from gateway.rooms.relay import Relay
from ledger.model import GiftAccepted, GiftOrder, GiftUndone, ViewerId
from ledger.service import Ledger
from tests.integration.gateway.rooms import history, opened_broker, opened_ledger, order, running, until, until_true
from tests.integration.ledger.orders import grant

CONFIG = RoomConfig(relay_idle_ms=50, relay_save_ms=1)
MINUTE_MS = 60_000


@pytest.fixture
async def ledger(valkey_url: str) -> AsyncIterator[Ledger]:
    """A ledger of four partitions with two rich viewers."""
    async with opened_ledger(valkey_url) as opened:
        for viewer in ("ann", "bob"):
            await opened.credit(grant(viewer, 1_000))
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


async def take_back(ledger: Ledger, given: GiftOrder) -> GiftUndone:
    """Undo a gift, which must succeed."""
    outcome = await ledger.undo(given.id, given.viewer)
    assert isinstance(outcome, GiftUndone)
    return outcome


async def settle(ledger: Ledger, gifts: int) -> None:
    """Wait until so many gifts were paid because their time was over."""
    found = 0

    async def done() -> bool:
        nonlocal found
        for partition, _ in ledger.keys.all():
            found += await ledger.settle_gifts(partition, 100)
        return found >= gifts

    await until_true(done)


def told(facts: list[GiftFact]) -> list[tuple[bytes, bool]]:
    """Which gifts were told, and whether as undone."""
    return [(fact.id, fact.undone) for fact in facts]


async def test_gift_and_its_undoing_are_told(ledger: Ledger, broker: Broker) -> None:
    """The gift whole and until when it can be undone; then the same gift as undone, at that time."""
    given = order("ann", 7, message="hi", undo_ms=MINUTE_MS)
    accepted = await give(ledger, given)
    back = await take_back(ledger, given)
    relay = Relay(ledger, broker, CONFIG)
    await relay.catch_up()
    gift, undone = await history(broker)
    assert (gift.id, gift.coins, gift.message, gift.undone) == (given.id, 7, "hi", False)
    assert gift.undo_until_ms == accepted.undo_until_ms == accepted.at_ms + MINUTE_MS
    assert (undone.id, undone.coins, undone.undone, undone.undo_until_ms) == (given.id, 7, True, 0)
    assert (undone.sender, undone.name, undone.level, undone.to) == ("ann", "Ann", 2, "cora")
    assert (undone.at_ms, undone.message) == (back.at_ms, None)
    assert undone.record > gift.record
    assert (relay.stats.gifts, relay.stats.undone, relay.stats.settled) == (2, 1, 0)
    assert await broker.board("demo") == []


async def test_settlement_is_told_to_nobody(ledger: Ledger, broker: Broker) -> None:
    """The room is where it was; the position moves on all the same, so that it is not read again."""
    given = order("ann", 7, undo_ms=1)
    await give(ledger, given)
    await settle(ledger, 1)
    relay = Relay(ledger, broker, CONFIG)
    await relay.catch_up()
    assert told(await history(broker)) == [(given.id, False)]
    assert (relay.stats.settled, relay.stats.passed_over) == (1, 0)
    assert [entry.coins for entry in await broker.board("demo")] == [7]
    again = Relay(ledger, broker, CONFIG)
    await again.catch_up()
    assert (again.stats.settled, again.stats.gifts) == (0, 0)


async def test_settlement_and_undoing_of_what_older_relays_told(ledger: Ledger, broker: Broker) -> None:
    """A relay that was killed between the two, before it noted how far it was, has told nothing twice."""
    kept, gone = order("ann", 7, undo_ms=1), order("bob", 9, undo_ms=MINUTE_MS)
    await give(ledger, kept)
    await give(ledger, gone)
    await Relay(ledger, broker, CONFIG).catch_up()
    for _, keys in ledger.keys.all():
        await ledger.redis.delete(keys.relay)
    await settle(ledger, 1)
    await take_back(ledger, gone)
    await Relay(ledger, broker, CONFIG).catch_up()
    facts = told(await history(broker))
    assert sorted(facts[:2]) == sorted([(kept.id, False), (gone.id, False)])
    assert facts[2:] == [(gone.id, True)]
    assert [(entry.user, entry.coins) for entry in await broker.board("demo")] == [("ann", 7)]


async def test_undone_gift_on_a_video(ledger: Ledger, broker: Broker) -> None:
    """It is told in no room, like the gift."""
    given = order("ann", 7, place="video:v1", undo_ms=MINUTE_MS)
    await give(ledger, given)
    await take_back(ledger, given)
    relay = Relay(ledger, broker, CONFIG)
    await relay.catch_up()
    assert (relay.stats.passed_over, relay.stats.gifts) == (2, 0)
    assert [key async for key in ledger.redis.scan_iter(match=b"gw:{r:*")] == []


async def test_anonymous_gift_stays_so_when_it_is_undone(ledger: Ledger, broker: Broker) -> None:
    """Nobody learns who took it back."""
    given = order("ann", 7, anonymous=True, undo_ms=MINUTE_MS)
    await give(ledger, given)
    await take_back(ledger, given)
    await Relay(ledger, broker, CONFIG).catch_up()
    assert [fact.anonymous for fact in await history(broker)] == [True, True]


async def test_wallets_are_told_of_what_came_back(ledger: Ledger, broker: Broker) -> None:
    """Also where a settlement of the same viewer follows: the newest wallet is told."""
    changes: list[WalletChange] = []
    await broker.start(lambda batch: None, changes.extend, lambda: None)
    async with running(Relay(ledger, broker, CONFIG)):
        given = order("ann", 7, undo_ms=MINUTE_MS)
        await give(ledger, given)
        await until(lambda: any(change.balance_coins == 993 for change in changes))
        await take_back(ledger, given)
        await until(lambda: changes[-1].balance_coins == 1_000)
        await give(ledger, order("ann", 7, undo_ms=1))
        await settle(ledger, 1)
        await until(lambda: changes[-1].record == 5)
    assert changes[-1] == WalletChange("ann", 5, 993)


async def test_many_gifts_and_undoings_beside_a_relay(ledger: Ledger, broker: Broker) -> None:
    """While the relay runs: each gift once, each undoing once and after its gift, and the board says what is left."""
    orders = [order("ann" if number % 2 else "bob", 1 + number, undo_ms=MINUTE_MS) for number in range(40)]
    async with running(Relay(ledger, broker, CONFIG)) as task:
        await asyncio.gather(*(give(ledger, given) for given in orders))
        await asyncio.gather(*(take_back(ledger, given) for given in orders[::3]))

        async def all_told() -> bool:
            assert not task.done()
            return len(await history(broker)) == len(orders) + len(orders[::3])

        await until_true(all_told)
    facts = told(await history(broker))
    assert len(set(facts)) == len(facts)
    assert all(facts.index((given.id, False)) < facts.index((given.id, True)) for given in orders[::3])
    kept = [given for given in orders if given not in orders[::3]]
    due = {
        viewer: sum(given.coins for given in kept if given.viewer == viewer) for viewer in map(ViewerId, ("ann", "bob"))
    }
    assert {entry.user: entry.coins for entry in await broker.board("demo")} == due
