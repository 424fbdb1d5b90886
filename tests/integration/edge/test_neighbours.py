"""What one client does to the others of its gateway: a flood is read up to its allowance and no further."""

import asyncio
import re
from collections.abc import AsyncIterator

import msgspec
import pytest

from gateway.edge.config import EdgeConfig
from gateway.edge.intake import FRAMES_A_COMMAND, SLICE_BYTES, TURN_FRAMES_MAX
from gateway.room.facts import GiftFact, RoomBatch
from tests.gateways import Gateway, Talker, fresh_id, running_gateway
from tests.integration.edge.raw import PING, PONG, TEXT, Raw, Raws, frame
from tests.waiting import until

BURST = 50
ALLOWED = FRAMES_A_COMMAND * BURST
TURN_MAX = TURN_FRAMES_MAX + SLICE_BYTES // len(frame(PING))
OTHERS_FRAMES = 20
"""More than what the others of these tests send."""
GIFT = b'{"type":"gift","ref":"g","id":"%s","room":"demo","gift":"rose"}' % fresh_id().encode()
FLOODS = {
    "commands": frame(TEXT, b'{"type":"ping","ref":"p"}') * 20_000,
    "acknowledgements": frame(TEXT, b'{"type":"ack","room":"demo","seq":1}') * 20_000,
    "gifts": frame(TEXT, GIFT) * 20_000,
    "pings": frame(PING) * 20_000,
}


@pytest.fixture
async def gateway(valkey_url: str, database_url: str) -> AsyncIterator[Gateway]:
    """A gateway that allows a burst, and next to nothing after it: what is counted does not depend on the time."""
    edge = EdgeConfig(commands_per_s_max=1, commands_burst_max=BURST, idle_frames_max=1_000_000)
    async with running_gateway(valkey_url, database_url, settings={"edge": edge}) as running:
        await running.make_room()
        yield running


async def _greeted(gateway: Gateway, raws: Raws) -> Raw:
    raw = await raws.upgraded()
    raw.write(frame(TEXT, msgspec.json.encode({"type": "hello", "ref": "h", "token": gateway.token("mallory")})))
    assert b'"welcome"' in (await raw.frame())[1]
    return raw


async def _pour(raw: Raw, flood: bytes) -> None:
    """Write for as long as the gateway reads."""
    while True:
        raw.write(flood)
        await raw.writer.drain()


def _counted(gateway: Gateway, metric: str) -> float:
    text = gateway.services.shared_metrics.text().decode()
    found = re.search(rf"^{re.escape(metric)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


@pytest.mark.parametrize("kind", FLOODS)
async def test_flood_of_one_client_is_bounded_for_the_others(gateway: Gateway, raws: Raws, kind: str) -> None:
    """While it goes on, a command is answered and a tick arrives, and no more was read of it than it is allowed."""
    ada = await gateway.enter("ada")
    raw = await _greeted(gateway, raws)
    before = _counted(gateway, "giftwire_frames_read_total")
    pouring = asyncio.create_task(_pour(raw, FLOODS[kind]))
    try:
        await until(lambda: _counted(gateway, 'giftwire_shed_total{reason="paced"}') > 0, 10)
        for seq in range(1, 6):
            assert (await ada.ask(type="ping"))["type"] == "pong"
            gateway.services.rooms.heard(RoomBatch("demo", 1, seq, [_fact(seq)]))
            await _told(ada, seq)
        assert not pouring.done()
        read = _counted(gateway, "giftwire_frames_read_total") - before
        # One frame was the greeting's.
        assert ALLOWED - 1 <= read <= ALLOWED + TURN_MAX + OTHERS_FRAMES
    finally:
        pouring.cancel()
        await asyncio.gather(pouring, return_exceptions=True)


async def test_what_waited_unread_is_read_when_the_allowance_comes_back(gateway: Gateway, raws: Raws) -> None:
    """In order, and nothing of it is lost."""
    raw = await _greeted(gateway, raws)
    for number in range(ALLOWED + 1):
        raw.write(frame(PING, b"%d" % number))
    for number in range(ALLOWED + 1):
        assert await raw.frame() == (PONG, b"%d" % number)
    assert _counted(gateway, 'giftwire_shed_total{reason="paced"}') > 0


async def _told(talker: Talker, seq: int) -> None:
    await talker.until(lambda told: told["type"] == "events" and told["seq"] == seq)


def _fact(seq: int) -> GiftFact:
    gift_id = seq.to_bytes(16, "big")
    return GiftFact(0, seq, gift_id, "bob", "Bob", 0, False, "cleo", "rose", 1, 1, 1, 1, None)
