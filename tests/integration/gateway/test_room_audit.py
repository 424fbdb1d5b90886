"""The audit of rooms: finds nothing where nothing is wrong, and each planted fault by its number."""

from collections.abc import AsyncIterator, Mapping

import msgspec
import pytest
from redis.asyncio import Redis

from gateway.audits.room_audit import PaidGift, RoomCheck, audit_rooms
from gateway.room.config import RoomConfig
from gateway.room.facts import GiftFact, RoomBatch, encode_batch, encode_fact, end_of, text_of_id
from gateway.rooms.broker import Broker
from gateway.rooms.room_scripts import ComboEnding, Telling
from tests.integration.gateway.rooms import history, opened_broker, telling, told
from tests.unit.gateway.room.room_facts import START, UPDATE, gift, undone

CONFIG = RoomConfig(history_facts_max=6, history_page_entries=2, combo_late_ms_max=1_000)
COMBO = "room:demo|rose|n"


@pytest.fixture
async def redis(valkey_url: str) -> AsyncIterator[Redis]:
    """A connection for planting faults."""
    client = Redis.from_url(valkey_url)
    yield client
    await client.aclose()


@pytest.fixture
async def broker(valkey_url: str) -> AsyncIterator[Broker]:
    """A broker whose histories are short."""
    async with opened_broker(valkey_url, CONFIG) as opened:
        yield opened


def paid_as(facts: list[GiftFact]) -> list[PaidGift]:
    """What the ledger would hold of these facts."""
    gifts = [fact for fact in facts if not fact.ends_combo and not fact.test]
    return [PaidGift(f.partition, f.record, f.id, f.sender, f.count, f.coins, f.undone) for f in gifts]


async def audited(
    redis: Redis, paid: list[PaidGift], *, relayed: int = 100, now_ms: int = 5_000, room: str = "demo"
) -> tuple[RoomCheck, RoomCheck]:
    """The findings about I5 and I8, with `paid` as what the ledger holds of `room`."""

    async def paid_in(name: str, reach: Mapping[int, int]) -> AsyncIterator[PaidGift]:
        for found in paid if name == room else []:
            yield found

    once, ends = await audit_rooms(redis, CONFIG, paid_in, {0: relayed, 1: relayed}, now_ms, rooms=[room])
    assert (once.id, ends.id) == ("I5", "I8")
    return once, ends


def combo_telling(record: int, count: int, *, ended_ms: int = 4_500) -> Telling:
    """A gift of Ann's only combo."""
    fact = gift(record=record, combo=(7, count, count, START if count == 1 else UPDATE))
    return Telling(fact, COMBO, end_of(fact, ended_ms))


async def plant(redis: Redis, seq: int, *facts: GiftFact) -> None:
    """Append facts to the history past every script."""
    batch = RoomBatch("demo", 1, seq - len(facts) + 1, list(facts))
    await redis.xadd("gw:{r:demo}:history", {b"b": encode_batch(batch)}, id=f"1-{seq}")
    await redis.hset("gw:{r:demo}:meta", "seq", seq)


async def test_healthy_rooms(redis: Redis, broker: Broker) -> None:
    """Gifts, tests, an open combo and one that ended are all right."""
    await broker.tell([told("demo", telling(1), combo_telling(2, 1), combo_telling(3, 2), telling(1, partition=1))])
    await broker.test_gift("demo", gift())
    once, ends = await audited(redis, paid_as(await history(broker)))
    assert (once.ok, once.checked, ends.ok, ends.checked) == (True, 4, True, 1)
    await broker.end_combos([ComboEnding("demo", 1, "ann", COMBO, (7).to_bytes(16, "big"))])
    once, ends = await audited(redis, paid_as(await history(broker)), now_ms=10**9)
    assert (once.violations, ends.violations) == ([], [])


async def test_trimmed_history(redis: Redis, broker: Broker) -> None:
    """Only as far back as the history reaches is anything missing; what was not relayed yet is not missing either."""
    paid = [PaidGift(0, n, n.to_bytes(16, "big"), "ann", 1, 1) for n in range(1, 12)]
    for number in range(1, 10):
        await broker.tell([told("demo", telling(number))])
    once, _ = await audited(redis, paid, relayed=9)
    assert once.violations == []
    once, _ = await audited(redis, paid, relayed=10)
    assert len(once.violations) == 1 and once.violations[0].endswith("of ann (0/10) is not in the history")


async def test_room_that_was_never_told(redis: Redis, broker: Broker) -> None:
    """A room without any key misses every gift that was relayed."""
    once, _ = await audited(redis, paid_as([gift(record=1), gift(record=2)]), relayed=1)
    assert once.found == 1


async def test_planted_faults_of_the_history(redis: Redis, broker: Broker) -> None:
    """A gift twice, a gift that was never paid, another content and a hole in the seq are each found."""
    await broker.tell([told("demo", telling(1), telling(2))])
    paid = paid_as(await history(broker))
    once, _ = await audited(redis, [paid[0], PaidGift(0, 2, paid[1].id, "ann", 1, 99)])
    assert once.violations[0].endswith("was told with other content")
    once, _ = await audited(redis, paid[:1])
    assert once.violations[0].endswith("(0/2) was told and never paid")
    await plant(redis, 3, gift(record=2))
    once, _ = await audited(redis, paid)
    assert once.violations == [f"room demo, seq 3: gift {text_of_id(paid[1].id)} of ann: record 0/2 after 0/2"]
    await plant(redis, 5, gift(record=3))
    once, _ = await audited(redis, [*paid, *paid_as([gift(record=3)])])
    assert once.violations[1:] == ["room demo: seq 5 follows 3"]


async def test_planted_faults_of_undone_gifts(redis: Redis, broker: Broker) -> None:
    """One that was taken back is right; not told, told as a gift, told though it was not, or told of a gift that nobody
    saw: each is found."""
    given = gift(record=1, undo_until_ms=9_000)
    await broker.tell([told("demo", Telling(given), Telling(undone(given, 2)))])
    paid = paid_as(await history(broker))
    once, _ = await audited(redis, paid)
    assert (once.violations, once.checked) == ([], 2)
    once, _ = await audited(redis, [*paid, PaidGift(0, 3, given.id, "ann", 1, 1, undone=True)])
    assert [words.split(": ")[1].split()[:3] for words in once.violations] == [["the", "undoing", "of"]]
    once, _ = await audited(redis, [paid[0], msgspec.structs.replace(paid[1], undone=False)])
    assert once.violations[0].endswith("was told with other content")
    once, _ = await audited(redis, paid[:1])
    assert once.violations[0].endswith("(0/2) was told and never paid")
    await plant(redis, 3, undone(gift(record=7), 3))
    once, _ = await audited(redis, [*paid, *paid_as([undone(gift(record=7), 3)])])
    assert [words.rsplit(" of ", 1)[1] for words in once.violations] == ["ann was undone and never told"]


async def test_planted_faults_of_combos(redis: Redis, broker: Broker) -> None:
    """A combo that is open too long, one that vanished, one that goes on after its end: each is found."""
    await broker.tell([told("demo", combo_telling(1, 1))])
    paid = paid_as(await history(broker))
    assert (await audited(redis, paid, now_ms=5_500))[1].ok
    _, late = await audited(redis, paid, now_ms=5_501)
    assert late.violations[0].endswith("of ann is open since 4500")
    await redis.delete("gw:{r:demo}:combos")
    _, vanished = await audited(redis, paid, now_ms=5_501)
    assert vanished.violations[0].endswith("of ann has no end")
    end = end_of(gift(record=1, combo=(7, 1, 1, START)), 4_500)
    await plant(redis, 3, end, end)
    _, twice = await audited(redis, paid, now_ms=5_501)
    assert twice.violations[0].startswith("room demo, seq 3: combo ")
    await redis.hset("gw:{r:demo}:combos", "x", (9).to_bytes(16, "big") + encode_fact(end))
    assert (await audited(redis, paid, now_ms=5_501))[1].found == 2
