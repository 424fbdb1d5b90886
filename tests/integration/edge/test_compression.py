"""Compressed and plain receivers of one room: they are told the same, and what is compressed is so once for all."""

import asyncio
import re
import zlib
from typing import Any

import msgspec
import pytest

from gateway.room.facts import GiftFact, RoomBatch
from gateway.wire.codec import SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK
from gateway.wire.messages import Role
from tests.gateways import Gateway
from tests.integration.edge.raw import BINARY, TEXT, Raw, Raws, frame

OFFER = "permessage-deflate; client_max_window_bits"
TAIL = b"\x00\x00\xff\xff"
BATCHES = 5
FACTS = 30


def _packed(content: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (packer.compress(content) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


class Receiver:
    """A client in the room that keeps the bytes it is sent.

    Attributes:
        frames: payloads of messages as they came, and whether they were compressed.
    """

    def __init__(self, raw: Raw, subprotocol: str) -> None:
        self.raw = raw
        self.frames: list[tuple[bytes, bool]] = []
        self._json = subprotocol == SUBPROTOCOL_JSON

    @classmethod
    async def enter(
        cls, gateway: Gateway, raws: Raws, role: Role, subprotocol: str, extensions: str | None
    ) -> "Receiver":
        """In the room `demo`."""
        receiver = cls(await raws.upgraded(subprotocol, extensions=extensions), subprotocol)
        user = "cleo" if role == "overlay" else "ada"
        for command in (
            {"type": "hello", "ref": "h", "token": gateway.token(user, role)},
            {"type": "join", "ref": "j", "room": "demo"},
        ):
            receiver.say(command, compressed=extensions is not None)
            await receiver.until(lambda told, ref=command["ref"]: told.get("ref") == ref)
        return receiver

    def say(self, message: dict[str, Any], *, compressed: bool) -> None:
        content = msgspec.json.encode(message) if self._json else msgspec.msgpack.encode(message)
        opcode = TEXT if self._json else BINARY
        self.raw.write(frame(opcode, _packed(content), reserved=4) if compressed else frame(opcode, content))

    async def until(self, wanted: Any) -> None:
        while True:
            opcode, payload = await self.raw.frame()
            assert opcode == (TEXT if self._json else BINARY)
            self.frames.append((payload, self.raw.compressed))
            if wanted(self.read(payload, self.raw.compressed)):
                return

    def read(self, payload: bytes, compressed: bool) -> dict[str, Any]:
        """Each with a reader that knows nothing of the message before."""
        content = zlib.decompressobj(-15).decompress(payload + TAIL) if compressed else payload
        told: dict[str, Any] = msgspec.json.decode(content) if self._json else msgspec.msgpack.decode(content)
        return told

    def events(self) -> list[tuple[bytes, bool]]:
        """The frames of gifts."""
        return [one for one in self.frames if any("coins" in event for event in self.read(*one).get("events", ()))]


def _blow(gateway: Gateway) -> int:
    """Gifts as the broker would bring them; returns the seq of the last."""
    for batch in range(BATCHES):
        first = batch * FACTS + 1
        facts = [
            GiftFact(
                0, n, n.to_bytes(16, "big"), f"sender{n}", "Sender", 0, False, "cleo", "rose", 1, 1, 1, 1, None, ""
            )
            for n in range(first, first + FACTS)
        ]
        gateway.services.rooms.heard(RoomBatch("demo", 1, first, facts))
    return BATCHES * FACTS


@pytest.mark.parametrize("subprotocol", [SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK])
@pytest.mark.parametrize("role", ["viewer", "overlay"])
async def test_room_is_told_alike_compressed_or_not(gateway: Gateway, raws: Raws, role: Role, subprotocol: str) -> None:
    """Two that agreed on it get the same compressed bytes, the third the same messages as they are."""
    first, second, plain = [
        await Receiver.enter(gateway, raws, role, subprotocol, extensions) for extensions in (OFFER, OFFER, None)
    ]
    last = _blow(gateway)
    for receiver in (first, second, plain):
        async with asyncio.timeout(10):
            await receiver.until(lambda told: told["type"] == "events" and told["seq"] == last)
    assert first.events() == second.events()
    assert all(compressed for _, compressed in first.events())
    assert not any(compressed for _, compressed in plain.frames)
    assert [first.read(*one) for one in first.events()] == [plain.read(*one) for one in plain.events()]
    saved = sum(len(bare[0]) - len(packed[0]) for bare, packed in zip(plain.events(), first.events(), strict=True))
    # The heads of the frames are shorter too, where their payloads are.
    counted = _saved_bytes(gateway)
    assert 2 * saved <= counted <= 2 * (saved + 2 * len(first.events()))


async def test_replies_are_not_compressed(gateway: Gateway, raws: Raws) -> None:
    """They are made for one, and what they say of a wallet stands in no window beside a stranger's words."""
    receiver = await Receiver.enter(gateway, raws, "viewer", SUBPROTOCOL_JSON, OFFER)
    assert [compressed for _, compressed in receiver.frames] == [False] * len(receiver.frames)
    assert {receiver.read(*one)["type"] for one in receiver.frames} >= {"welcome", "joined"}


async def test_bomb_is_refused(gateway: Gateway, raws: Raws) -> None:
    """A message that would be too long once read, in one frame or in many."""
    bomb = _packed(bytes(10_000_000))
    parts = [bomb[start : start + 8] for start in range(0, len(bomb), 8)]
    for content in (
        frame(TEXT, bomb, reserved=4),
        b"".join(frame(0 if n else TEXT, part, final=False, reserved=0 if n else 4) for n, part in enumerate(parts)),
    ):
        raw = await raws.upgraded(extensions=OFFER)
        raw.write(content)
        assert await raw.close_code() == 1009


def _saved_bytes(gateway: Gateway) -> float:
    text = gateway.services.shared_metrics.text().decode()
    found = re.search(r"^giftwire_frame_bytes_saved_total (\S+)$", text, re.MULTILINE)
    assert found is not None
    return float(found[1])
