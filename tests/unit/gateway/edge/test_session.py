"""What a session does before anybody has answered, and what comes just then: not to be hit on purpose over a socket."""

import asyncio
import json
import time
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any, cast

from gateway.admission.accounts import Accounts
from gateway.admission.admission import Admission
from gateway.admission.config import AdmissionConfig
from gateway.auth import Tokens
from gateway.counting.metrics import Metrics
from gateway.edge.config import EdgeConfig
from gateway.edge.session import EARLY_MESSAGES_MAX, Session
from gateway.room.config import RoomConfig
from gateway.room.facts import WalletChange
from gateway.wallets import Wallets
from gateway.wire.codec import Encoding
from tests.waiting import until

KEY = "k" * 40


class Line:
    """Stands where the connection is, and remembers how it was closed."""

    encoding = Encoding.JSON
    is_closing = False
    address = None

    def __init__(self) -> None:
        self.closed: list[int] = []
        self.written: list[bytes] = []

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What was written, frames of less than 64 KiB."""
        return [json.loads(frame[2 if frame[1] < 126 else 4 :]) for frame in self.written]

    def write(self, frame: bytes) -> None:
        self.written.append(frame)

    def greeted(self) -> None:
        pass

    def close(self, code: int, reason: str = "") -> None:
        self.closed.append(code)


class Waiting:
    """Services in which the answer to a hello never comes."""

    tokens = Tokens(KEY)
    metrics = Metrics()
    admission = Admission(AdmissionConfig(), metrics, time.monotonic)
    accounts = Accounts(AdmissionConfig(), metrics, time.monotonic)

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        work.close()


def _session() -> tuple[Session, Line]:
    line = Line()
    return Session(cast("Any", line), cast("Any", Waiting()), EdgeConfig()), line


def test_messages_that_wait_for_the_welcome_are_bounded() -> None:
    """As many as the bound are kept; one more closes the connection."""
    session, line = _session()
    session.receive(b'{"type":"hello","ref":"h","token":"%s"}' % Tokens(KEY).mint("viewer", "ada").encode())
    for _ in range(EARLY_MESSAGES_MAX):
        session.receive(b'{"type":"ping","ref":"p"}')
    assert line.closed == []
    session.receive(b'{"type":"ping","ref":"p"}')
    assert line.closed == [4502]


def test_hello_with_a_wrong_token_closes_for_good() -> None:
    """4500: coming back with the same token cannot help."""
    session, line = _session()
    session.receive(b'{"type":"hello","ref":"h","token":"nonsense"}')
    assert line.closed == [4500]


class Answering(Waiting):
    """Services in which a wallet is read when the test says so."""

    config = EdgeConfig()

    def __init__(self) -> None:
        self.accounts = Accounts(AdmissionConfig(), self.metrics, time.monotonic)
        self.read = asyncio.Event()
        self.asked: list[str] = []
        self.ledger = self.places = self
        self.wallets = Wallets(self.accounts, self.balance, self.spawn)
        self.desk = SimpleNamespace(config=RoomConfig())
        self.tasks: list[asyncio.Task[None]] = []

    async def balance(self, viewer: str) -> int:
        """1,000 coins, as they were before the test goes on."""
        self.asked.append(viewer)
        await self.read.wait()
        return 1_000

    def now_ms(self) -> int:
        return 1

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        self.tasks.append(asyncio.create_task(work))


async def test_coins_that_come_while_the_wallet_is_read_for_the_welcome_are_told_after_it() -> None:
    """The wallet was read before them and the welcome is written after them."""
    line, services = Line(), Answering()
    session = Session(cast("Any", line), cast("Any", services), EdgeConfig())
    session.receive(b'{"type":"hello","ref":"h","token":"%s"}' % Tokens(KEY).mint("viewer", "ada").encode())
    await until(lambda: bool(services.asked), 10.0)
    services.wallets.changed([WalletChange("ada", 7, 6_000), WalletChange("ben", 3, 1)])
    assert line.written == []
    services.read.set()
    await asyncio.gather(*services.tasks)
    told = [(message["type"], message["balance_coins"]) for message in line.messages]
    assert told == [("welcome", 1_000), ("balance", 6_000)]
    services.wallets.changed([WalletChange("ada", 8, 6_001)])
    assert line.messages[2:] == [{"type": "balance", "balance_coins": 6_001}]
