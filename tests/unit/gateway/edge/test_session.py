"""What a session does before anybody has answered: bounds that cannot be hit on purpose over a real socket."""

import time
from collections.abc import Coroutine
from typing import Any, cast

from gateway.admission.accounts import Accounts
from gateway.admission.admission import Admission
from gateway.admission.config import AdmissionConfig
from gateway.auth import Tokens
from gateway.counting.metrics import Metrics
from gateway.edge.config import EdgeConfig
from gateway.edge.session import EARLY_MESSAGES_MAX, Session
from gateway.wire.codec import Encoding

KEY = "k" * 40


class Line:
    """Stands where the connection is, and remembers how it was closed."""

    encoding = Encoding.JSON
    is_closing = False
    address = None

    def __init__(self) -> None:
        self.closed: list[int] = []

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
