"""Senders and an overlay that behave as clients should while processes die, and remember what they were promised.

Money is checked from outside: what was accepted, times its price, against wallets, overlay and the server's books.
"""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from ledger.ids import format_id, new_id
from tests.serving import Serve
from tests.waiting import back_off, until

SENDERS: Final = 6
COINS: Final = 100_000
BEFORE_GIFTS: Final = 300
AFTER_GIFTS: Final = 300
PRICE_COINS: Final = 1
REPLY_S_MAX: Final = 4.0
SETTLE_S_MAX: Final = 60.0
_BROKEN: Final = (ConnectionClosed, InvalidHandshake, OSError, TimeoutError)


class Sender:
    """Sends gifts one after another; a reply that does not come is asked for again, with the same id."""

    def __init__(self, serve: Serve, user: str) -> None:
        self.user = user
        self.accepted: set[str] = set()
        self.replays = 0
        self.broken = 0
        self.last_balance: int | None = None
        self._serve = serve
        self._token = serve.signer.token(user, "viewer")
        self._socket: ClientConnection | None = None

    async def send_until(self, stop: asyncio.Event) -> None:
        """Send until told to stop; every gift begun is brought to an end."""
        while not stop.is_set():
            await self._give(_fresh())
        if self._socket is not None:
            await self._socket.close()

    async def _give(self, gift_id: str) -> None:
        deadline_s = time.monotonic() + SETTLE_S_MAX
        while time.monotonic() < deadline_s:
            try:
                reply = await self._ask(gift_id)
            except _BROKEN:
                self.broken += 1
                await self._drop()
                continue
            if reply["type"] == "accepted":
                self.accepted.add(gift_id)
                self.replays += reply["replay"]
                self.last_balance = reply["balance_coins"]
                return
            if not reply["retryable"]:
                raise AssertionError(f"{self.user}: {reply}")
            await back_off()
        raise AssertionError(f"{self.user}: no outcome for {gift_id}")

    async def _ask(self, gift_id: str) -> dict[str, Any]:
        async with asyncio.timeout(REPLY_S_MAX):
            if self._socket is None:
                self._socket = await greeted(self._serve, self._token)
            gift = {"type": "gift", "ref": gift_id, "id": gift_id, "room": "demo", "gift": "rose"}
            await self._socket.send(json.dumps(gift))
            while True:
                reply: dict[str, Any] = json.loads(await self._socket.recv())
                if reply.get("ref") == gift_id:
                    return reply

    async def _drop(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.transport.abort()
        await back_off()


class Overlay:
    """Sees every gift; when its connection breaks it resumes after what it saw."""

    def __init__(self, serve: Serve, creator: str) -> None:
        self.seen: Counter[str] = Counter()
        self.gaps = 0
        self._serve = serve
        self._token = serve.signer.token(creator, "overlay")
        self._position: dict[str, int] | None = None
        self._socket: ClientConnection | None = None
        self._task = asyncio.create_task(self._watch())

    async def until_watching(self) -> None:
        """Wait until it is in the room: what is sent from now on it must see."""
        await until(lambda: self._position is not None, SETTLE_S_MAX)

    async def until_seen(self, ids: set[str]) -> None:
        """Wait until all of these were seen."""
        with contextlib.suppress(AssertionError):
            await until(lambda: ids <= self.seen.keys(), SETTLE_S_MAX)

    async def close(self) -> None:
        """Look away."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(*_BROKEN):
                async with asyncio.timeout(REPLY_S_MAX):
                    socket = await greeted(self._serve, self._token)
                self._socket = socket
                since = {} if self._position is None else {"since": self._position}
                await socket.send(json.dumps({"type": "join", "ref": "j", "room": "demo", **since}))
                async for text in socket:
                    self._heard(json.loads(text))
            await back_off()

    def _heard(self, message: dict[str, Any]) -> None:
        if message["type"] == "joined":
            if self._position is None:
                self._position = {"epoch": message["epoch"], "seq": message["seq"]}
            elif not message["recovered"]:
                self.gaps += 1
        elif message["type"] == "events":
            self.seen.update(event["id"] for event in message["events"] if "id" in event)
            self._position = {"epoch": message["epoch"], "seq": message["seq"]}


async def send_through(serve: Serve, disturb: Callable[[Sequence[Sender]], Awaitable[None]]) -> None:
    """Send gifts before, while and after something goes wrong; each accepted one is paid and shown once."""
    senders = [Sender(serve, f"sender{number}-{_fresh()}") for number in range(SENDERS)]
    _grant_all(serve, senders)
    earned = _live_diamonds(serve)
    overlay = Overlay(serve, "demo-creator")
    await overlay.until_watching()
    stop = asyncio.Event()
    sending = asyncio.gather(*(sender.send_until(stop) for sender in senders))
    try:
        await until(lambda: sending.done() or accepted_by(senders) >= BEFORE_GIFTS, SETTLE_S_MAX)
        await disturb(senders)
        enough = accepted_by(senders) + AFTER_GIFTS
        await until(lambda: sending.done() or accepted_by(senders) >= enough, SETTLE_S_MAX)
    finally:
        stop.set()
        await sending
    accepted = set().union(*(sender.accepted for sender in senders))
    await overlay.until_seen(accepted)
    await overlay.close()
    assert overlay.gaps == 0
    assert set(overlay.seen) == accepted, f"missing {len(accepted - set(overlay.seen))}"
    assert [gift_id for gift_id, times in overlay.seen.items() if times != 1] == []
    for sender in senders:
        with serve.client(sender.user, "viewer") as viewer:
            balance = viewer.get("/v1/wallet").raise_for_status().json()["balance_coins"]
        assert balance == COINS - PRICE_COINS * len(sender.accepted)
    assert _live_diamonds(serve) - earned == 50 * PRICE_COINS * len(accepted)


def accepted_by(senders: Sequence[Sender]) -> int:
    """How many gifts were accepted so far."""
    return sum(len(sender.accepted) for sender in senders)


def _grant_all(serve: Serve, senders: Sequence[Sender]) -> None:
    with serve.client("op", "operator") as operator:
        for sender in senders:
            body = {"id": _fresh(), "user": sender.user, "coins": COINS, "reason": "test"}
            operator.post("/v1/admin/grants", json=body).raise_for_status()


def _live_diamonds(serve: Serve) -> int:
    with serve.client("demo-creator", "creator") as creator:
        earnings = creator.get("/v1/creators/me/earnings").raise_for_status().json()
    return int(earnings["live_diamonds"])


def _fresh() -> str:
    return format_id(new_id(time.time_ns() // 1_000_000))


async def greeted(serve: Serve, token: str) -> ClientConnection:
    """A socket whose hello was answered."""
    socket = await connect(serve.ws_url, proxy=None, max_size=None)
    try:
        await socket.send(json.dumps({"type": "hello", "ref": "h", "token": token}))
        answer = json.loads(await socket.recv())
        if answer["type"] != "welcome":
            raise ConnectionError(str(answer))
    except BaseException:
        socket.transport.abort()
        raise
    return socket
