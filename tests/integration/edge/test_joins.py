"""Joins that read the history: what one client asks for costs the others little."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.edge.config import EdgeConfig
from gateway.edge.session import Session
from gateway.room.config import RoomConfig
from gateway.room.facts import RoomBatch
from gateway.wire.messages import Join
from tests.gateways import Gateway, running_gateway
from tests.integration.gateway.rooms import telling, told

JOINS = 30
SINCE = {"epoch": 1, "seq": 1}


@pytest.fixture
async def full(gateway: Gateway) -> Gateway:
    """A gateway whose room has a history."""
    await gateway.services.broker.tell([told("demo", *(telling(record) for record in range(1, 11)))])
    return gateway


async def test_joins_of_one_connection_are_answered_one_after_another(
    full: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many it sends at once, it takes one connection to Valkey; all are answered, in their order."""
    broker, reading, most = full.services.broker, 0, 0
    read = broker.since

    async def counted(room: str, epoch: int, after_seq: int, limit: int) -> list[RoomBatch] | None:
        nonlocal reading, most
        reading += 1
        most = max(most, reading)
        try:
            return await read(room, epoch, after_seq, limit)
        finally:
            reading -= 1

    ada = await full.enter("ada")
    await full.enter("bob")
    monkeypatch.setattr(broker, "since", counted)
    for number in range(JOINS):
        await ada.say(type="join", ref=f"j{number}", room="demo", since=SINCE if number % 5 == 0 else None)
    await ada.until(lambda message: message.get("ref") == f"j{JOINS - 1}")
    assert most == 1
    refs = [message["ref"] for message in ada.heard if message["type"] == "joined"]
    assert refs[1:] == [f"j{number}" for number in range(JOINS)]


async def test_join_that_fails_holds_up_no_other(full: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours ends its own task, where it is told and counted; the joins behind it are answered."""
    rooms = full.services.rooms
    enter = rooms.enter

    async def fails_once(session: Session, join: Join) -> None:
        if join.ref == "j0":
            raise RuntimeError("a fault")
        await enter(session, join)

    ada = await full.enter("ada")
    monkeypatch.setattr(rooms, "enter", fails_once)
    with capture_logs() as logs:
        for number in range(3):
            await ada.say(type="join", ref=f"j{number}", room="demo", since=None)
        await ada.until(lambda message: message.get("ref") == "j2")
    assert [message["ref"] for message in ada.heard if message["type"] == "joined"][1:] == ["j1", "j2"]
    assert [entry["event"] for entry in logs].count("task_failed") == 1


@pytest.fixture
async def strict(valkey_url: str, database_url: str) -> AsyncIterator[Gateway]:
    """One that gives no more than a burst."""
    edge = EdgeConfig(commands_per_s_max=1, commands_burst_max=42, resume_commands=20)
    async with running_gateway(valkey_url, database_url, settings={"edge": edge}) as running:
        await running.make_room()
        yield running


async def test_resume_counts_as_several_commands(strict: Gateway) -> None:
    """It reads the history, which costs as much as many others."""
    ada = await strict.greet("ada")
    joins: list[dict[str, Any]] = [
        await ada.ask(type="join", room="demo", since={"epoch": 0, "seq": 0}) for _ in range(3)
    ]
    assert [joined["type"] for joined in joins] == ["joined", "joined", "refused"]
    assert joins[-1]["code"] == "rate_limited"
    assert 1_000 < joins[-1]["retry_after_ms"] <= 18_000
    assert (await ada.ask(type="join", room="demo"))["type"] == "joined"
    overlay = await strict.greet("cleo", "overlay")
    joins = [await overlay.ask(type="join", room="demo") for _ in range(3)]
    assert joins[-1]["code"] == "rate_limited"


async def test_resume_that_counts_for_more_than_a_burst_takes_all_of_it(valkey_url: str, database_url: str) -> None:
    """It must not be refused for ever."""
    edge = EdgeConfig(commands_per_s_max=1, commands_burst_max=5, resume_commands=20)
    async with running_gateway(valkey_url, database_url, settings={"edge": edge}) as gateway:
        await gateway.make_room()
        ada = await gateway.greet("ada")
        assert (await ada.ask(type="join", room="demo", since={"epoch": 0, "seq": 0}))["type"] == "joined"
        assert (await ada.ask(type="ping"))["code"] == "rate_limited"


async def test_position_that_lies_too_far_back_is_not_read_for(full: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """That it is too much is known without reading it."""
    monkeypatch.setattr(full.services.rooms._resuming, "_config", RoomConfig(resume_facts_max=5))
    bob = await full.enter("bob")
    asked: list[int] = []
    read = full.services.broker.since

    async def counted(room: str, epoch: int, after_seq: int, limit: int) -> list[RoomBatch] | None:
        asked.append(after_seq)
        return await read(room, epoch, after_seq, limit)

    monkeypatch.setattr(full.services.broker, "since", counted)
    joined = await bob.ask(type="join", room="demo", since=SINCE)
    assert (joined["recovered"], asked) == (False, [])
