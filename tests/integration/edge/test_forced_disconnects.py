"""An overlay whose socket is cut a thousand times, wherever that happens to be, while gifts go on."""

import asyncio
import json
import random
import struct
from collections.abc import AsyncIterator
from typing import Final

import pytest

from gateway.admission.config import AdmissionConfig
from tests.gateways import Gateway, Message, fresh_id, running_gateway
from tests.integration.edge.raw import TEXT, Raw, Raws, frame

CUTS: Final = 1_000
SEED: Final = 20_261
BYTES_READ_MAX: Final = 3_000
PIECE_BYTES_MAX: Final = 500
NO_LIMIT: Final = 1_000_000


class Page:
    """An overlay's page: what it has shown, and where it stopped. A new socket each time, and the position is kept.

    Attributes:
        shown: ids of gifts, in the order in which they came.
        cut_within: how many sockets were cut while a part of a frame had come.

    Args:
        given: ids of gifts that were accepted until now.
    """

    def __init__(self, token: str, given: list[str]) -> None:
        self._given = given
        self.shown: list[str] = []
        self.cut_within = 0
        self.position: Message | None = None
        self._token = token

    async def begin(self, raw: Raw) -> None:
        """Enter the room, and be cut once it is known where it begins."""
        await self._enter(raw)
        while self.position is None:
            self._hear(json.loads((await raw.frame())[1]))
        raw.hang_up()

    async def live(self, raw: Raw, rng: random.Random, cut: str) -> None:
        """Say hello, join, read some bytes, and be cut."""
        if cut == "hello":
            self._say(raw, ref="h", type="hello", token=self._token)
        else:
            await self._enter(raw)
        if cut in ("unacked", "acked"):
            await self._read(raw, rng.randint(1, BYTES_READ_MAX), rng)
        if cut == "acked" and self.position is not None:
            self._say(raw, type="ack", room="demo", seq=self.position["seq"])
        if rng.random() < 0.3:
            # What was written has time to arrive, or it does not.
            await asyncio.sleep(0)
        raw.hang_up()

    async def finish(self, raw: Raw, gift_id: str) -> None:
        """Come back for all that is left, up to this gift."""
        await self._enter(raw)
        while self.shown[-1:] != [gift_id]:
            self._hear(json.loads((await raw.frame())[1]))

    async def _enter(self, raw: Raw) -> None:
        self._say(raw, ref="h", type="hello", token=self._token)
        welcome = json.loads((await raw.frame())[1])
        assert welcome["type"] == "welcome", welcome
        since = {} if self.position is None else {"since": self.position}
        self._say(raw, ref="j", type="join", room="demo", **since)

    async def _read(self, raw: Raw, count: int, rng: random.Random) -> None:
        """Read so many bytes, if there are, in pieces that end anywhere, and show what came whole."""
        unread = b""
        while count > 0 and len(self.shown) < len(self._given):
            piece = await raw.piece(min(count, rng.randint(1, PIECE_BYTES_MAX)))
            count -= len(piece)
            unread = self._take(unread + piece)
        self.cut_within += unread != b""

    def _take(self, content: bytes) -> bytes:
        """Hear all whole frames of these bytes; what is left."""
        while len(content) >= 2:
            size, start = content[1] & 0x7F, 2
            if size >= 126:
                form = ">H" if size == 126 else ">Q"
                start += struct.calcsize(form)
                if len(content) < start:
                    break
                (size,) = struct.unpack(form, content[2:start])
            if len(content) < start + size:
                break
            if content[0] & 0x0F == TEXT:
                self._hear(json.loads(content[start : start + size]))
            content = content[start + size :]
        return content

    def _hear(self, message: Message) -> None:
        if message["type"] == "joined":
            assert message["recovered"] is (self.position is not None), message
            if self.position is None:
                self.position = {"epoch": message["epoch"], "seq": message["seq"]}
        elif message["type"] == "events":
            for event in message["events"]:
                if "seq" not in event:
                    continue
                assert self.position is not None
                assert event["seq"] > self.position["seq"], "nothing comes that it has had"
                if event["kind"] == "gift":
                    self.shown.append(event["id"])
                self.position = {"epoch": message["epoch"], "seq": event["seq"]}

    @staticmethod
    def _say(raw: Raw, **message: object) -> None:
        raw.write(frame(TEXT, json.dumps(message).encode()))


@pytest.fixture
async def gateway(valkey_url: str, database_url: str) -> AsyncIterator[Gateway]:
    """One that refuses nobody for coming back too often."""
    admission = AdmissionConfig(account_commands_per_s_max=NO_LIMIT, account_commands_burst_max=NO_LIMIT)
    async with running_gateway(valkey_url, database_url, settings={"admission": admission}) as running:
        await running.make_room()
        await running.grant("ada", NO_LIMIT)
        yield running


async def test_thousand_forced_disconnects_lose_and_double_nothing(gateway: Gateway, raws: Raws) -> None:
    """After hello or join, within a frame, before or after the acknowledgement: every gift once and in order."""
    rng = random.Random(SEED)
    given: list[str] = []
    page = Page(gateway.services.tokens.mint("overlay", "cleo"), given)
    await page.begin(await raws.upgraded())
    turns = asyncio.Semaphore(0)

    async def give() -> None:
        ada = await gateway.enter("ada")
        for _ in range(CUTS):
            await turns.acquire()
            gift_id = fresh_id()
            reply = await ada.ask(type="gift", id=gift_id, room="demo", gift="rose")
            assert reply["type"] == "accepted", reply
            given.append(gift_id)
            ada.heard.clear()

    giving = asyncio.create_task(give())
    cuts = {"hello": 0, "join": 0, "unacked": 0, "acked": 0}
    for _ in range(CUTS):
        cut = rng.choice(list(cuts))
        cuts[cut] += 1
        raw = await raws.upgraded()
        turns.release()
        await page.live(raw, rng, cut)
        assert not giving.done() or giving.exception() is None
    await giving
    await page.finish(await raws.upgraded(), given[-1])
    assert page.shown == given
    assert min(cuts.values()) > CUTS // 8
    assert page.cut_within > CUTS // 8
