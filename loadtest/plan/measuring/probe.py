"""What hearing of wallets costs, alone: messages that Valkey publishes to gateways on which nobody is.

In a run this drowns in everything else, and in a large deployment it is what every gateway has to hear. The channel is
found as the only one that a server without rooms has; messages hold wallets of viewers who are not connected.
"""

import time
from typing import Any, Final

import msgspec
from msgspec import Struct

from loadtest.plan.measuring.observe import Stand, cpu_of
from loadtest.plan.measuring.reference import Beats
from loadtest.server.procfs import cpu_s

MESSAGES: Final = 1_500
APART_S: Final = 1e-3
"""Between two messages: each is read by itself, as it is where they come from time to time."""
CHANGES: Final = 60
NOBODYS: Final = b"gw:{plan}:nobody"


class ProbeFailed(Exception):
    """The server has not one channel, or a gateway did not hear it."""


class Probed(Struct, frozen=True):
    """Messages in a row.

    Attributes:
        hearers: gateways that heard each of them; 0 for a channel that nobody hears.
        changes: wallets in each.
        published_bytes: that Valkey sent meanwhile, to whomever.
        gateway_cpu: of each gateway that is a process of its own.
        beat_us: of the cores meanwhile, as beside every run.
    """

    messages: int
    hearers: int
    changes: int
    seconds: float
    valkey_cpu: float
    published_bytes: float
    gateway_cpu: list[float]
    beat_us: float = 0.0


def wallets(changes: int) -> bytes:
    """A message of wallets as the relay packs it: viewer, record, coins."""
    return msgspec.msgpack.encode([(f"nobody-{number:06}", 1_000_000 + number, 100_000) for number in range(changes)])


def probe(place: Stand) -> list[Probed]:
    """Publish to nobody, then empty messages, then full ones. The server must have had no rooms.

    Raises:
        ProbeFailed: see there.
    """
    ask = place.stores.ask
    names: Any = ask("PUBSUB", "SHARDCHANNELS")
    if len(names) != 1:
        raise ProbeFailed(f"the server was to have one channel, and has {len(names)}")
    expected = place.gateways + len(place.listeners)
    found = [
        _row(place, NOBODYS, 0, 0),
        _row(place, NOBODYS, 0, CHANGES),
        _row(place, names[0], expected, 0),
        _row(place, names[0], expected, CHANGES),
    ]
    still: Any = ask("PUBSUB", "SHARDNUMSUB", names[0])
    if int(still[1] if isinstance(still, list) else next(iter(still.values()))) != expected:
        raise ProbeFailed("a gateway has left the channel: the message has another shape by now")
    return found


def _row(place: Stand, channel: bytes, hearers: int, changes: int) -> Probed:
    payload, ask = wallets(changes), place.stores.ask
    sent = place.stores.look().published_bytes
    before, each, began_s = cpu_of(place), _gateways(place), time.monotonic()
    with Beats() as beats:
        for _ in range(MESSAGES):
            heard: Any = ask("SPUBLISH", channel, payload)
            if int(heard) != hearers:
                raise ProbeFailed(f"{heard} gateways heard a message, not {hearers}")
            time.sleep(APART_S)
    seconds, after, used = time.monotonic() - began_s, cpu_of(place), _gateways(place)
    return Probed(
        MESSAGES,
        hearers,
        changes,
        seconds,
        after["valkey"] - before["valkey"],
        place.stores.look().published_bytes - sent,
        [now - then for now, then in zip(used, each, strict=True)],
        beats.median_us,
    )


def _gateways(place: Stand) -> list[float]:
    return [cpu_s(listener.pid) for listener in place.listeners]
