"""A silent connection keeps what it needs and nothing else: no handshake, no parser, not even as garbage."""

import gc
from collections import Counter

from tests.gateways import Gateway
from tests.waiting import until

LEFTOVERS = ("Arrival", "HttpRequestParser", "_Handshake", "Protocol", "Inflating")


async def test_silent_connections_hold_no_parser(gateway: Gateway) -> None:
    """What served the upgrade and the hello is freed at once, by reference counts alone.

    Each of these agreed on compression, which leaves nothing behind either.

    It also sees to the one name of uvicorn's that this relies on.
    """
    gc.collect()
    gc.disable()
    try:
        before = _kinds()
        for number in range(5):
            await gateway.greet(f"viewer{number}")
        ours = ("Connection", "Session")
        now = _kinds()
        assert all(now[kind] - before[kind] == 5 for kind in ours)
        await until(lambda: not _left(before), 5, lambda: str(_left(before)))
    finally:
        gc.enable()


def _kinds() -> Counter[str]:
    server_side = (
        "gateway.",
        "uvicorn.",
        "httptools.",
        "websockets.protocol",
        "websockets.streams",
        "websockets.server",
    )
    found: Counter[str] = Counter()
    # Types first: there may be millions of objects.
    for kind, count in Counter(map(type, gc.get_objects())).items():
        if str(kind.__module__).startswith(server_side):
            found[kind.__name__] += count
    return found


def _left(before: Counter[str]) -> dict[str, int]:
    now = _kinds()
    return {kind: now[kind] - before[kind] for kind in LEFTOVERS if now[kind] > before[kind]}
