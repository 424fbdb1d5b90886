"""Between a real process and its Valkey: at the command with a chosen number it stops, and says so.

What the process did up to there has taken effect, and nothing behind it: there it can be killed, without any timing.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final

READ_BYTES: Final = 65_536
_READS: Final = frozenset(
    b"CLIENT CONFIG DBSIZE EXISTS GET HELLO HGET HGETALL HLEN HMGET HSCAN HVALS INFO MGET PING SCAN SCRIPT SELECT"
    b" SMEMBERS STRLEN TIME TTL TYPE XINFO XLEN XRANGE XREAD XREVRANGE ZCARD ZRANGE ZRANGEBYSCORE ZSCORE".split()
)


class StoppingProxy:
    """Listens on a unix socket and passes everything on, in the event loop of whoever starts it.

    Attributes:
        url: of the socket.
        writes: the names of commands that may write, as they were passed on since `stop_before`.
        stopped: set when it stands.
    """

    def __init__(self, upstream: Path, listen: Path) -> None:
        self.url = f"unix://{listen}"
        self.writes: list[bytes] = []
        self.stopped = asyncio.Event()
        self._upstream = upstream
        self._listen = listen
        self._stop_before = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Take connections."""
        self._server = await asyncio.start_unix_server(self._accept, self._listen)

    async def stop(self) -> None:
        """Take no more, and close what is open."""
        if self._server is not None:
            self._server.close()
            for connection in self._open:
                connection.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    def stop_before(self, number: int) -> None:
        """Count from 1 again; pass nothing on from the command with this number that may write, 0 for never."""
        self.writes.clear()
        self.stopped.clear()
        self._stop_before = number

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._serve(reader, writer))
        self._open.add(connection)
        connection.add_done_callback(self._open.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        commands: asyncio.StreamWriter | None = None
        pumps: list[asyncio.Task[None]] = []
        try:
            answers, commands = await asyncio.open_unix_connection(self._upstream)
            pumps = [
                asyncio.create_task(self._pass_commands(reader, commands)),
                asyncio.create_task(_pass_answers(answers, writer)),
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            for end in (writer, commands):
                if end is not None:
                    end.transport.abort()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pass_commands(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
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


async def _pass_answers(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while some := await source.read(READ_BYTES):
        sink.write(some)
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
