"""Between a real process and its Valkey: at the command with a chosen number it stops, and says so.

What the process did up to there has taken effect, and nothing behind it: there it can be killed, without any timing.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.proxy import READ_BYTES, Proxy, to_socket

_READS: Final = frozenset(
    b"CLIENT CONFIG DBSIZE EXISTS GET HELLO HGET HGETALL HLEN HMGET HSCAN HVALS INFO MGET PING SCAN SCRIPT SELECT"
    b" SMEMBERS STRLEN TIME TTL TYPE XINFO XLEN XRANGE XREAD XREVRANGE ZCARD ZRANGE ZRANGEBYSCORE ZSCORE".split()
)


class StoppingProxy(Proxy):
    """Listens on a unix socket.

    Attributes:
        url: of the socket.
        writes: the names of commands that may write, as they were passed on since `stop_before`.
        stopped: set when it stands.
    """

    def __init__(self, upstream: Path, listen: Path) -> None:
        super().__init__(to_socket(upstream))
        self.url = f"unix://{listen}"
        self.writes: list[bytes] = []
        self.stopped = asyncio.Event()
        self._listen = listen
        self._stop_before = 0

    async def start(self) -> None:
        """Take connections."""
        await self.listen_on_socket(self._listen)

    def stop_before(self, number: int) -> None:
        """Count from 1 again; pass nothing on from the command with this number that may write, 0 for never."""
        self.writes.clear()
        self.stopped.clear()
        self._stop_before = number

    async def pass_commands(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Pass on whole commands, and stop before the one with the chosen number."""
        buffer = b""
        while some := await source.read(READ_BYTES):
            buffer += some
            whole = 0
            for name, end in _commands(buffer):
                whole = end
                if name in _READS:
                    continue
                if self.stopped.is_set() or len(self.writes) + 1 == self._stop_before:
                    self.stopped.set()
                    await asyncio.Event().wait()
                self.writes.append(name)
            sink.write(buffer[:whole])
            buffer = buffer[whole:]
            await sink.drain()


def _commands(buffer: bytes) -> Iterator[tuple[bytes, int]]:
    """The name of each whole command, and where it ends."""
    place = 0
    while (line := buffer.find(b"\r\n", place)) >= 0:
        words, here = [], line + 2
        for _ in range(int(buffer[place + 1 : line])):
            line = buffer.find(b"\r\n", here)
            if line < 0:
                return
            size = int(buffer[here + 1 : line])
            words.append(buffer[line + 2 : line + 2 + size])
            here = line + 2 + size + 2
            if here > len(buffer):
                return
        place = here
        yield words[0].upper(), place
