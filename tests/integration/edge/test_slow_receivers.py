"""Receivers that do not read: they cost a bounded queue, lose no value unsaid, and nobody waits for them."""

import asyncio
import json
import secrets
import socket
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import connect

from gateway.edge.config import EdgeConfig
from gateway.edge.connection import Connection
from gateway.room.config import RoomConfig
from gateway.room.facts import GiftFact, RoomBatch
from gateway.wire.messages import Role
from tests.gateways import Gateway, running_gateway
from tests.waiting import until

QUEUE_BYTES = 8_192
FRAME_BYTES_MAX = 16_384
WAIT_S_MAX = 30.0


@pytest.fixture
async def gateway(valkey_url: str, database_url: str) -> AsyncIterator[Gateway]:
    """A gateway with small queues, and ticks as fast as they come."""
    settings = {
        "edge": EdgeConfig(
            viewer_queue_bytes_max=QUEUE_BYTES,
            overlay_queue_bytes_max=QUEUE_BYTES,
            slow_ms_max=500,
            close_ms_max=50,
            heartbeat_ms=600_000,
        ),
        "rooms": RoomConfig(tick_ms=1, events_per_tick_max=40),
    }
    async with running_gateway(valkey_url, database_url, settings=settings) as running:
        await running.make_room()
        yield running


class Storm:
    """Gifts as the broker would bring them, as many as it takes."""

    def __init__(self, gateway: Gateway, room: str = "demo") -> None:
        self._gateway = gateway
        self._room = room
        self.seq = 0

    async def blow(self, enough: object) -> None:
        """Bring gifts of many senders until `enough()` is true."""
        assert callable(enough)

        def more() -> bool:
            facts = [_fact(self.seq + number, f"sender{number}") for number in range(1, 31)]
            self._gateway.services.rooms.heard(RoomBatch(self._room, 1, self.seq + 1, facts))
            self.seq += len(facts)
            return bool(enough())

        await until(more, WAIT_S_MAX)


def _fact(record: int, sender: str) -> GiftFact:
    gift_id = record.to_bytes(16, "big")
    # Noise, since queues are to be filled: everybody here has agreed on compression.
    message = secrets.token_urlsafe(135)
    return GiftFact(0, record, gift_id, sender, sender, 0, False, "cleo", "rose", 1, 1, 1, 1, None, message)


async def _deaf(gateway: Gateway, user: str, role: Role) -> None:
    """A client in the room that reads nothing any more."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", gateway.port))
    client = await connect(gateway.ws_url, sock=raw, proxy=None, ping_interval=None)
    talker = gateway.adopt(client)
    await talker.ask(type="hello", token=gateway.token(user, role))
    await talker.ask(type="join", room="demo")
    client.transport.pause_reading()
    _narrow(gateway)


def _narrow(gateway: Gateway) -> None:
    """Let the system keep little of what is sent: by itself it keeps megabytes, which nobody sees waiting."""
    for connection in _connections(gateway):
        connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)


def _connections(gateway: Gateway) -> list[Connection]:
    return list(gateway.services.edge.everybody())


def _skipped(gateway: Gateway) -> float:
    name = 'giftwire_shed_total{reason="tick_skipped"} '
    scrape = gateway.services.shared_metrics.text().decode()
    return next((float(line.removeprefix(name)) for line in scrape.splitlines() if line.startswith(name)), 0.0)


async def test_viewer_that_does_not_read_is_skipped_then_closed(gateway: Gateway) -> None:
    """Its queue stays under its bound and one frame, and after a while it is let go."""
    bob = await gateway.enter("bob")
    await _deaf(gateway, "deaf", "viewer")
    most = 0

    def gone() -> bool:
        nonlocal most
        most = max(most, *(connection.waiting_bytes for connection in _connections(gateway)))
        return len(_connections(gateway)) == 1

    storm = Storm(gateway)
    await storm.blow(gone)
    assert 0 < most <= QUEUE_BYTES + 2 * FRAME_BYTES_MAX
    # Bob saw it all: what he was shown adds up to what was given.
    await bob.until(lambda told: told["type"] == "events" and told["seq"] == storm.seq)
    shown = [event for told in bob.heard if told["type"] == "events" for event in told["events"]]
    assert sum(event["coins"] for event in shown if event["kind"] in ("gift", "summary")) == storm.seq


async def test_viewer_that_reads_again_is_told_that_it_missed_something(gateway: Gateway) -> None:
    """After a skipped tick comes a notice and the present state: no silent gap."""
    talker = await gateway.enter("bob")
    talker.socket.transport.pause_reading()
    _narrow(gateway)
    storm = Storm(gateway)
    await storm.blow(lambda: any(connection.slow_since_ms for connection in _connections(gateway)))
    scrape = gateway.services.shared_metrics.text().decode()
    assert f"\ngiftwire_queue_bytes {sum(one.waiting_bytes for one in _connections(gateway)):.1f}\n" in scrape
    assert "giftwire_queue_bytes 0.0" not in scrape
    talker.socket.transport.resume_reading()
    await storm.blow(lambda: any(told["type"] == "notice" for told in talker.heard))
    notice = next(told for told in talker.heard if told["type"] == "notice")
    assert notice["code"] == "resync"
    after = talker.heard[talker.heard.index(notice) + 1]
    assert {event["kind"] for event in after["events"]} == {"leaderboard", "room"}


async def test_viewer_that_reads_again_is_shown_every_room_that_it_is_in(gateway: Gateway) -> None:
    """Ticks of all of them were skipped, and the one that comes first heals all."""
    await gateway.make_room("other")
    bob = await gateway.enter("bob")
    assert (await bob.ask(type="join", room="other"))["type"] == "joined"
    bob.socket.transport.pause_reading()
    _narrow(gateway)
    storm, other = Storm(gateway), Storm(gateway, "other")
    [connection] = _connections(gateway)
    await storm.blow(lambda: connection.slow_since_ms)
    skipped = _skipped(gateway)
    await other.blow(lambda: _skipped(gateway) > skipped)
    bob.socket.transport.resume_reading()
    await storm.blow(lambda: any(told["type"] == "notice" for told in bob.heard))
    notice = next(told for told in bob.heard if told["type"] == "notice")
    after = bob.heard.index(notice) + 1
    await bob.until(lambda told: told in bob.heard[after:] and told.get("room") == "other")
    present = next(told for told in bob.heard[after:] if told["room"] == "other")
    assert ({event["kind"] for event in present["events"]}, present["seq"]) == ({"leaderboard", "room"}, other.seq)


async def test_viewer_that_reads_again_in_a_quiet_room_is_told_that_it_missed_something(gateway: Gateway) -> None:
    """It does not have to wait for the next gift, which may be long in coming."""
    bob = await gateway.enter("bob")
    bob.socket.transport.pause_reading()
    _narrow(gateway)
    storm = Storm(gateway)
    [connection] = _connections(gateway)
    await storm.blow(lambda: connection.slow_since_ms)
    bob.socket.transport.resume_reading()
    notice = await bob.until(lambda told: told["type"] == "notice")
    assert notice["code"] == "resync"
    present = await bob.until(lambda told: told["type"] == "events" and told["seq"] == storm.seq)
    assert {event["kind"] for event in present["events"]} == {"leaderboard", "room"}
    assert not connection.held


async def test_overlay_that_does_not_read_is_closed_to_resume(gateway: Gateway) -> None:
    """An overlay is never skipped: it is closed, and knows where it stopped."""
    overlay = await gateway.enter("cleo", "overlay")
    overlay.socket.transport.pause_reading()
    _narrow(gateway)
    storm = Storm(gateway)
    await storm.blow(lambda: not _connections(gateway))
    overlay.socket.transport.resume_reading()
    await overlay.closed()
    seqs = [event["seq"] for event in overlay.gifts]
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(seqs) < storm.seq


async def test_frames_of_one_tick_are_the_same_bytes_for_all(gateway: Gateway) -> None:
    """Viewers of one encoding see the same."""
    ada, bob = await gateway.enter("ada"), await gateway.enter("bob")
    storm = Storm(gateway)
    await storm.blow(lambda: True)
    for talker in (ada, bob):
        await talker.until(lambda told: told["type"] == "events" and told["seq"] == storm.seq)
    assert json.dumps(ada.gifts) == json.dumps(bob.gifts)
