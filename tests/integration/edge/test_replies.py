"""Replies to gifts that are answered in one moment are written together, each is there, and nothing passes them."""

import asyncio
from typing import Any

import pytest

from tests.gateways import Gateway, fresh_id

GIFTS = 20


class Writes:
    """The transport of a connection, with what was written to it."""

    def __init__(self, transport: Any) -> None:
        self.frames: list[bytes] = []
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """One system call while nothing waits."""
        self.frames.append(data)
        self._transport.write(data)


@pytest.mark.parametrize("then", ["ping", "leave"])
async def test_replies_of_one_moment_are_written_together(gateway: Gateway, then: str) -> None:
    """Gifts that come at once on one socket are answered in a few writes and in their order, and what is asked after
    them is answered too."""
    await gateway.grant("ada", 100)
    ada = await gateway.enter("ada")
    [connection] = gateway.services.edge.everybody()
    writes: Any = Writes(connection._transport)
    connection._transport = writes
    ids = [fresh_id() for _ in range(GIFTS)]
    gifts = [{"type": "gift", "ref": f"g{n}", "id": ids[n], "room": "demo", "gift": "rose"} for n in range(GIFTS)]
    last = {"type": then, "ref": "last"} | ({"room": "demo"} if then == "leave" else {})
    await asyncio.gather(*(ada.say(**message) for message in (*gifts, last)))
    for ref in ("last", *(gift["ref"] for gift in gifts)):
        await ada.until(lambda told, ref=ref: told.get("ref") == ref)  # type: ignore[misc]
    replies = [told for told in ada.heard if str(told.get("ref", "")).startswith("g")]
    assert [(told["type"], told["id"]) for told in replies] == [("accepted", gift_id) for gift_id in ids]
    assert sum(b'"accepted"' in frame for frame in writes.frames) <= GIFTS // 4


async def test_what_is_written_otherwise_does_not_pass_replies(gateway: Gateway) -> None:
    """A reply that waits is written before another message, and before the connection is closed."""
    ada = await gateway.enter("ada")
    [connection] = gateway.services.edge.everybody()
    writes: Any = Writes(connection._transport)
    connection._transport = writes
    for frame in (b"\x81\x02{}", b"\x81\x03{ }"):
        connection.reply(frame)
    connection.write(b"\x81\x04{  }")
    connection.reply(b"\x81\x05{   }")
    connection.close(1000)
    assert writes.frames[:3] == [b"\x81\x02{}\x81\x03{ }", b"\x81\x04{  }", b"\x81\x05{   }"]
    assert writes.frames[3][:2] == b"\x88\x02"
    connection.reply(b"\x81\x02{}")
    assert await ada.closed() == 1000
    assert len(writes.frames) == 4
