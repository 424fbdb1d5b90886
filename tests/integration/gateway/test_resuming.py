"""What is found for who comes back, on a real Valkey with facts of chosen times."""

import msgspec
from redis.asyncio import Redis

from gateway.room.config import RoomConfig
from gateway.room.facts import numbered
from gateway.room.room import Room
from gateway.rooms.broker import Broker
from gateway.rooms.overlay_acks import OverlayAcks
from gateway.rooms.resuming import Missed, Resuming
from gateway.rooms.room_scripts import Telling
from gateway.tasks import Tasks
from gateway.wire.messages import Position
from tests.integration.gateway.rooms import opened_broker, told
from tests.unit.gateway.room.room_facts import gift

NOW_MS = 1_000_000


def _given(record: int, at_ms: int) -> Telling:
    return Telling(msgspec.structs.replace(gift("ann", 1, record=record), at_ms=at_ms))


async def _heard(broker: Broker, config: RoomConfig) -> Room:
    """The room as a gateway has it that heard everything."""
    snapshot = await broker.snapshot("demo")
    return Room("demo", config, epoch=snapshot.epoch, seq=snapshot.seq)


async def _nothing_to_read() -> None:
    raise AssertionError("the room has heard everything")


async def _found(broker: Broker, config: RoomConfig, acked: tuple[int, int]) -> Missed | None:
    tasks = Tasks("test")
    acks = OverlayAcks(broker, config, tasks.spawn)
    acks.note("demo", "token", acked)
    try:
        resuming = Resuming(broker, acks, config, lambda: NOW_MS)
        return await resuming.since_ack(await _heard(broker, config), "token", _nothing_to_read)
    finally:
        await tasks.stop()


async def test_facts_that_are_too_old_are_left_out(valkey_url: str) -> None:
    """From the first that is young enough on, in order; that some were left out is said."""
    config = RoomConfig(replay_ms_max=100)
    async with opened_broker(valkey_url, config) as broker:
        times = [NOW_MS - 500, NOW_MS - 101, NOW_MS - 100, NOW_MS - 120, NOW_MS]
        await broker.tell([told("demo", *(_given(record, at_ms) for record, at_ms in enumerate(times, 1)))])
        found = await _found(broker, config, (1, 0))
        assert found is not None
        assert [seq for seq, _ in numbered(found.batches)] == [3, 4, 5]
        assert (found.since, found.whole) == (Position(1, 2), False)


async def test_history_of_which_all_is_too_old_is_nothing(valkey_url: str) -> None:
    """The page goes on at the present, and knows that it was not shown everything."""
    config = RoomConfig(replay_ms_max=100)
    async with opened_broker(valkey_url, config) as broker:
        await broker.tell([told("demo", _given(1, 5), _given(2, 6))])
        assert await _found(broker, config, (1, 1)) == Missed(Position(1, 2), [], whole=False)


async def test_acknowledgement_of_everything_finds_nothing_missing(valkey_url: str) -> None:
    """Nothing came since, so nothing was left out."""
    config = RoomConfig()
    async with opened_broker(valkey_url, config) as broker:
        await broker.tell([told("demo", _given(1, NOW_MS))])
        assert await _found(broker, config, (1, 1)) == Missed(Position(1, 1), [], whole=True)


async def test_acknowledgement_that_the_history_has_left_behind(valkey_url: str) -> None:
    """The oldest that is left is where it begins."""
    config = RoomConfig(history_facts_max=3)
    async with opened_broker(valkey_url, config) as broker:
        for record in range(1, 11):
            await broker.tell([told("demo", _given(record, NOW_MS))])
        found = await _found(broker, config, (1, 2))
        assert found is not None
        assert [seq for seq, _ in numbered(found.batches)] == [8, 9, 10]
        assert (found.since, found.whole) == (Position(1, 7), False)


async def test_acknowledgement_of_another_epoch_counts_for_nothing(valkey_url: str) -> None:
    """Its numbers may mean other gifts."""
    config = RoomConfig()
    async with opened_broker(valkey_url, config) as broker:
        await broker.tell([told("demo", _given(1, NOW_MS), epoch=2)])
        assert await _found(broker, config, (1, 0)) is None


async def _newest(broker: Broker, config: RoomConfig, since: Position) -> Missed | None:
    tasks = Tasks("test")
    resuming = Resuming(broker, OverlayAcks(broker, config, tasks.spawn), config, lambda: NOW_MS)
    core = await _heard(broker, config)

    async def catch_up() -> None:
        """There is nothing that it has not heard."""

    try:
        assert await resuming.since(core, since, catch_up) is None
        return await resuming.newest_since(core, since, catch_up)
    finally:
        await tasks.stop()


async def test_position_that_missed_too_much(valkey_url: str) -> None:
    """The newest that may be shown follow, within both bounds, and it is said that some were left out."""
    config = RoomConfig(resume_facts_max=6, replay_facts_max=5, replay_ms_max=100)
    async with opened_broker(valkey_url, config) as broker:
        for record in range(1, 11):
            at_ms = NOW_MS - (101 if record < 7 else 0)
            await broker.tell([told("demo", _given(record, at_ms))])
        for position, expected in (
            (Position(1, 3), (6, [7, 8, 9, 10])),
            (Position(0, 0), (6, [7, 8, 9, 10])),
            (Position(2, 3), None),
            (Position(1, 11), None),
        ):
            found = await _newest(broker, config, position)
            seqs = None if found is None else (found.since.seq, [seq for seq, _ in numbered(found.batches)])
            assert (seqs, found is not None and found.whole) == (expected, False), position


async def test_position_that_the_history_has_left_behind(valkey_url: str) -> None:
    """The oldest that is left is where it begins, also where more may be replayed than be resumed."""
    for resumed_max, expected in ((5_000, [8, 9, 10]), (2, [9, 10])):
        config = RoomConfig(history_facts_max=3, resume_facts_max=resumed_max)
        async with opened_broker(valkey_url, config) as broker:
            for record in range(1, 11):
                await broker.tell([told("demo", _given(record, NOW_MS))])
            found = await _newest(broker, config, Position(1, 2))
            assert found is not None
            assert ([seq for seq, _ in numbered(found.batches)], found.whole) == (expected, False)


async def test_acknowledgements_that_could_not_be_saved_are_kept(valkey_url: str) -> None:
    """A server that takes nothing, here a full one, takes nothing along; what was newer stays so."""
    config, tasks = RoomConfig(), Tasks("test")
    redis = Redis.from_url(valkey_url)
    async with opened_broker(valkey_url, config) as broker:
        acks = OverlayAcks(broker, config, tasks.spawn)
        acks.note("demo", "token", (1, 7))
        await redis.config_set("maxmemory", 1)
        try:
            await acks.save()
        finally:
            await redis.config_set("maxmemory", 0)
        assert await broker.kept_ack("demo", "token") is None
        acks.note("demo", "token", (1, 6))
        await acks.save()
        assert await broker.kept_ack("demo", "token") == (1, 7)
        await tasks.stop()
    await redis.aclose()
