"""The audits that look after the rooms all the time: quiet while all is well, and each planted fault is named."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from gateway.audits import rolling_told
from gateway.room.config import RoomConfig
from gateway.room.facts import GiftFact, text_of_id
from gateway.rooms.history_walk import HistoryOvertaken, read_history
from gateway.rooms.relay import Relay
from gateway.rooms.room_keys import LOOKED_AT
from ledger.model import UNDO_MS_MAX
from tests.integration.gateway.rolling_world import COMBOS, HISTORY, META, ROOMS, World, opened_world
from tests.integration.gateway.rooms import history, order, running, until_true
from tests.integration.ledger.orders import grant
from tests.integration.ledger_postgres.flushing import flushing
from tests.integration.ledger_postgres.undoing import later, settle_all, undo
from tests.unit.gateway.room.room_facts import gift, undone


@pytest.fixture
async def world(valkey_url: str, database_url: str) -> AsyncIterator[World]:
    """Histories that lose nothing."""
    async with opened_world(valkey_url, database_url) as opened:
        yield opened


def name_of(fact: GiftFact) -> str:
    """How a gift is named."""
    return f"gift {text_of_id(fact.id)} of {fact.sender}"


async def settled(world: World) -> list[GiftFact]:
    """Ten gifts that were told, flushed and looked for; the facts."""
    for _ in range(5):
        await world.give(1)
        await world.relay()
    await world.flush()
    assert (await world.follow())[1] == []
    return await history(world.broker)


async def test_healthy_rooms_are_looked_at_wholly(world: World) -> None:
    """Every gift in a room is looked for once, each room walked through; gifts on videos and tests are no matter."""
    await world.give(5)
    await world.give(2, room="other", combo=True, window_ms=60_000)
    await world.give(1, room="../video")
    await world.ledger.give(order("ann", place="video:7"))
    await world.broker.test_gift("demo", gift(test=True))
    await world.relay()
    await world.flush()
    told, said = await world.follow()
    assert (said, told.stats.gifts, told.stats.out_of_reach) == ([], 16, 0)
    walking, said = await world.walk()
    assert (said, walking.stats.rooms, walking.stats.gifts, walking.stats.combos) == ([], 3, 16, 2)
    assert (await world.follow())[0].stats.gifts == 0


async def test_what_was_not_relayed_or_flushed_waits(world: World) -> None:
    """A gift is looked for when both its room and the books have been told, and then it is found."""
    await world.give(1)
    await world.flush()
    assert (await world.follow())[0].stats.gifts == 0
    await world.relay()
    await world.give(1)
    await world.relay()
    told, said = await world.follow()
    assert (told.stats.gifts, said) == (2, [])
    await world.flush()
    assert (await world.follow())[0].stats.gifts == 2


async def test_gift_that_no_room_was_told(world: World) -> None:
    """A relay that notes its position and tells nobody is found by the next that follows, and counted until its end."""
    await settled(world)
    lost = order("ann")
    await world.ledger.give(lost)
    await world.ledger.give(order("ann", place="room:never"))
    await world.flush()
    await world.note_relayed()
    told, said = await world.follow()
    assert len(said) == 2
    assert any(
        f"room demo: gift {text_of_id(lost.id)} of ann (" in one and "is not in the history" in one for one in said
    )
    assert any(one.startswith("I5: room never: gift") for one in said)
    assert not await told.step() and told.stats.violations_I5 == 2
    assert (await world.follow())[1] == []


async def test_gift_gone_from_the_history(world: World) -> None:
    """A hole is said with its seq, and which gift it had; so is an end that is gone."""
    facts = await settled(world)
    entries: Any = await world.redis.xrange(HISTORY)
    await world.redis.xdel(HISTORY, entries[2][0])
    lost = [fact for fact in facts if fact not in await stored(world)]
    _, said = await world.walk()
    assert "seq" in said[0] and "follows" in said[0]
    assert {one.rpartition(" (")[0] for one in said[1:]} == {f"I5: room demo: {name_of(fact)}" for fact in lost}
    await world.redis.xdel(HISTORY, entries[-1][0])
    _, said = await world.walk()
    assert any("the history ends at seq" in one and "it was told 10" in one for one in said)


async def stored(world: World) -> list[GiftFact]:
    """What the history holds, holes and all."""
    return [fact async for page in read_history(world.redis, "demo", 100) for _, fact in page]


async def test_gift_told_twice(world: World) -> None:
    """It is named with its id, room and both records."""
    facts = await settled(world)
    await world.plant(facts[3])
    _, said = await world.walk()
    record = f"{facts[3].partition}/{facts[3].record}"
    assert len(said) == 1
    assert said[0].startswith(f"I5: room demo, seq 11: {name_of(facts[3])}: record {record} after")


async def test_gift_that_was_not_paid(world: World) -> None:
    """A gift from nowhere, one of another room's record, and one with more coins than paid are each named."""
    facts = await settled(world)
    await world.give(1, room="other")
    await world.relay()
    await world.flush()
    other = (await history(world.broker, "other"))[0]
    first = int((await world.redis.hgetall(META))[b"p%d" % other.partition])
    assert first < other.record
    await world.plant(other)
    _, said = await world.walk()
    assert said == [f"I5: room demo: {name_of(other)[5:]} ({other.partition}/{other.record}) was told and never paid"]
    await world.redis.delete(HISTORY, META)
    await world.plant(msgspec.structs.replace(facts[0], coins=99), *facts[1:])
    _, said = await world.walk()
    assert said == [f"I5: room demo: {name_of(facts[0])} was told with other content"]
    await world.redis.delete(LOOKED_AT)
    told, said = await world.follow()
    assert (told.stats.gifts, said) == (12, [f"I5: room demo: {name_of(facts[0])} was told with other content"])


async def test_combo_without_an_end(world: World) -> None:
    """One whose end was dropped, and one that nobody ends, are named by id."""
    await world.give(2, combo=True)
    await Relay(world.ledger, world.broker, world.rooms).catch_up()
    await until_true(lambda: ended(world))
    await world.flush()
    assert (await world.walk())[1] == []
    facts = await history(world.broker)
    kept = [fact for fact in facts if not fact.ends_combo or fact.sender != "ann"]
    combo = next(fact.combo for fact in facts if fact.sender == "ann")
    assert combo is not None
    await world.redis.delete(HISTORY)
    await world.redis.hset(META, "seq", 0)
    await world.plant(*kept)
    _, said = await world.walk()
    named = f"I8: room demo: combo {text_of_id(combo.id)} of ann"
    assert said and all(one.startswith("I8: room demo: combo") and one.endswith("of ann has no end") for one in said)
    assert f"{named} has no end" in said
    end = next(fact for fact in facts if fact.ends_combo and fact.sender == "ann")
    await world.redis.hset(COMBOS, "ann\0x", combo.id + msgspec.msgpack.encode(end))
    _, said = await world.walk()
    assert f"{named} is open since {end.at_ms}" in said


async def ended(world: World) -> bool:
    """Whether every combo has its end; the relay is run until then."""
    await world.relay()
    return not await world.redis.exists(COMBOS)


async def test_combo_with_two_ends(world: World) -> None:
    """The second is named."""
    await world.give(1, combo=True)
    await until_true(lambda: ended(world))
    end = next(fact for fact in await history(world.broker) if fact.ends_combo)
    assert end.combo is not None
    await world.plant(end)
    await world.flush()
    _, said = await world.walk()
    assert said == [f"I8: room demo, seq 5: combo {text_of_id(end.combo.id)} had already ended"]


async def test_what_a_history_has_lost_is_no_fault(valkey_url: str, database_url: str) -> None:
    """Gifts beyond the reach of a bounded history are counted apart; those in reach are looked for."""
    rooms = msgspec.structs.replace(ROOMS, history_facts_max=3)
    async with opened_world(valkey_url, database_url, rooms) as world:
        for _ in range(6):
            await world.give(2)
            await world.relay()
        await world.flush()
        told, said = await world.follow()
        assert (said, told.stats.gifts) == ([], 24)
        assert 0 < told.stats.out_of_reach < 24
        assert (await world.walk())[1] == []


async def test_too_much_that_waits_is_passed_over(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound the newest records are looked at and the others counted; at the bound all of them are."""
    await world.give(10)
    await world.relay()
    await world.flush()
    monkeypatch.setattr(rolling_told, "BEHIND_RECORDS_MAX", 21)
    told, said = await world.follow()
    assert (said, told.stats.passed_over + told.stats.gifts) == ([], 22)
    assert told.stats.passed_over == 18
    await world.redis.delete(LOOKED_AT)
    monkeypatch.setattr(rolling_told, "BEHIND_RECORDS_MAX", 22)
    assert (await world.follow())[0].stats.passed_over == 0


async def test_reading_that_is_overtaken_is_no_hole(valkey_url: str, database_url: str) -> None:
    """Where the history lost what comes next while it was read, that is said, and no gap is seen."""
    rooms = msgspec.structs.replace(ROOMS, history_facts_max=4)
    async with opened_world(valkey_url, database_url, rooms) as world:

        async def tell() -> None:
            for _ in range(4):
                await world.give(1)
                await world.relay()

        await tell()
        pages = read_history(world.redis, "demo", 1)
        await anext(pages)
        await tell()
        with pytest.raises(HistoryOvertaken):
            await anext(pages)


async def test_running_rooms_give_no_false_alarm(valkey_url: str, database_url: str) -> None:
    """Beside gifts, combos, a relay, a flusher and histories that lose their beginning nothing is found."""
    rooms = RoomConfig(audit_share_permille=1_000, audit_pause_ms=1, history_facts_max=40, relay_save_ms=1)
    dice, viewers = random.Random(3), [f"viewer-{n}" for n in range(20)]
    async with opened_world(valkey_url, database_url, rooms) as world:
        for viewer in viewers:
            await world.ledger.credit(grant(viewer, 10_000))
        told, walking = world.told(), world.walking()
        auditing = [asyncio.create_task(told.run()), asyncio.create_task(walking.run())]
        relay = Relay(world.ledger, world.broker, rooms)
        async with flushing(world.pool, world.redis, world.config), running(relay):
            while told.stats.gifts < 400 or walking.stats.rounds < 3:
                given = [
                    order(
                        dice.choice(viewers),
                        place=f"room:{dice.randint(1, 3)}",
                        combo=dice.random() < 0.4,
                        window_ms=20,
                    )
                    for _ in range(20)
                ]
                await asyncio.gather(*map(world.ledger.give, given))
        for task in auditing:
            task.cancel()
        await asyncio.gather(*auditing, return_exceptions=True)
        assert (told.stats.violations_I5, walking.stats.violations_I5, walking.stats.violations_I8) == (0, 0, 0)


async def test_share_of_nothing_looks_at_nothing(world: World) -> None:
    """Switched off they run on, and look at nothing."""
    await world.give(1)
    await world.relay()
    await world.flush()
    world.rooms = msgspec.structs.replace(ROOMS, audit_share_permille=0)
    told, walking = world.told(), world.walking()
    for audit in (told, walking):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(audit.run(), 0.05)
    assert (told.stats.gifts, walking.stats.rooms) == (0, 0)


async def test_gift_that_was_taken_back(world: World) -> None:
    """Its undoing without a gift that can be undone before it is named; after one it is right."""
    held = gift(record=1, undo_until_ms=9_000)
    await world.plant(undone(held, 2))
    _, said = await world.walk()
    assert said == [f"I5: room demo, seq 1: {name_of(held)[5:]} was undone and never told"]
    await world.redis.delete(HISTORY, META)
    await world.plant(held, undone(held, 2))
    assert (await world.walk())[1] == []


async def test_gift_that_is_taken_back_is_looked_for_twice(world: World) -> None:
    """As a gift, and as its undoing; its settlement is told to nobody. An undoing that nobody was told is named."""
    dear = [msgspec.structs.replace(order("ann"), undo_ms=UNDO_MS_MAX) for _ in range(3)]
    for one in dear:
        await world.ledger.give(one)
    await undo(world.ledger, "ann", dear[0].id)
    await world.relay()
    await undo(world.ledger, "ann", dear[1].id)
    await later(world.ledger)
    assert await settle_all(world.ledger) == 1
    await world.flush()
    await world.note_relayed()
    told, said = await world.follow()
    assert told.stats.gifts == 5
    assert len(said) == 1
    assert said[0].startswith(f"I5: room demo: the undoing of {text_of_id(dear[1].id)} of ann (")
    assert (await world.walk())[1] == []
