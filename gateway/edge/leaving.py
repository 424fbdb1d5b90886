"""How a gateway that stops sends its clients elsewhere: told first, closed in slices, back at times that are spread.

Clients that were all closed at once would all come back at once, to gateways that have clients of their own. So each is
given a moment of its own: it is closed then, or as long before as the gateway has to be gone by, and told to wait for
the rest.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from gateway.edge.connection import Connection
from gateway.wire.codes import CloseCode, NoticeCode
from gateway.wire.messages import Notice

STEP_S: Final = 0.02
SLICE_MAX: Final = 200
"""Clients that are told or closed before the event loop turns to others."""
_WORDS: Final = "This server is going away: come back and you will meet another."


class Departure(Struct, frozen=True):
    """One client's way out.

    Attributes:
        close_ms: when it is closed, from the beginning of the drain on.
        reconnect_after_ms: how long it should wait then before it comes back.
    """

    close_ms: int
    reconnect_after_ms: int


def departures(clients: int, per_s: int, within_ms: int, draw: Callable[[], float]) -> list[Departure]:
    """The ways out of so many clients, in the order of their closes.

    Args:
        per_s: how many come back in a second, evenly, each at a chance moment of its own turn.
        within_ms: when the last is closed at the latest; later turns are waited for by the clients.
        draw: a chance in [0, 1).
    """
    window_ms = clients * 1000 / per_s
    closing_part = min(1.0, within_ms / window_ms) if clients else 1.0
    found = []
    for number in range(clients):
        back_ms = (number + draw()) * 1000 / per_s
        close_ms = int(back_ms * closing_part)
        found.append(Departure(close_ms, int(back_ms) - close_ms))
    return found


async def send_elsewhere(connections: Sequence[Connection], per_s: int, within_ms: int) -> None:
    """Tell everybody, then close them one slice after another; a gift that is being judged is answered first.

    Overlays and creators come first: they wait the least. Returns when the last close was sent.

    Args:
        within_ms: how long it may take; what was not answered after three quarters of it is closed all the same, and
            its sender asks again.
    """
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    ordered = list(connections)
    random.shuffle(ordered)
    ordered.sort(key=_is_viewer)
    going = deque(zip(ordered, departures(len(ordered), per_s, within_ms // 2, random.random), strict=True))
    await _tell(list(going))
    leaving: list[Connection] = []
    while going or leaving:
        now_ms = (loop.time() - began_s) * 1000
        for _ in range(SLICE_MAX):
            if not going or going[0][1].close_ms > now_ms:
                break
            connection, departure = going.popleft()
            if connection.session is not None:
                connection.session.leave(departure.reconnect_after_ms)
            leaving.append(connection)
        leaving = [connection for connection in leaving if not _closed(connection, late=now_ms > within_ms * 3 / 4)]
        await asyncio.sleep(STEP_S)


async def _tell(going: Sequence[tuple[Connection, Departure]]) -> None:
    for start in range(0, len(going), SLICE_MAX):
        for connection, departure in going[start : start + SLICE_MAX]:
            if connection.session is not None:
                notice = Notice(NoticeCode.DRAIN.value, _WORDS, reconnect_after_ms=departure.reconnect_after_ms)
                connection.session.notify(notice)
        await asyncio.sleep(0)


def _closed(connection: Connection, *, late: bool) -> bool:
    """Close it if nothing of it is being judged, or if it is late."""
    session = connection.session
    if session is not None and session.gifts_in_flight and not late:
        return False
    connection.close(CloseCode.GOING_AWAY, "the server is going away")
    return True


def _is_viewer(connection: Connection) -> bool:
    identity = None if connection.session is None else connection.session.identity
    return identity is None or identity.role == "viewer"
