"""Between a real process and one of its servers: at a chosen write it stops, and says so.

What the process did up to there has taken effect, and nothing behind it: there it can be killed, without any timing.
"""

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from tests.proxy import READ_BYTES, Proxy, to_socket

Whole = Callable[[bytes], Iterator[tuple[bytes, int]]]
"""Of what a client has said so far: the name of each whole message that may write, else nothing, and where it ends."""
_READS: Final = frozenset(
    b"CLIENT CONFIG DBSIZE EXISTS GET HELLO HGET HGETALL HLEN HMGET HSCAN HVALS INFO MGET PING PUBSUB SCAN SCRIPT"
    b" SELECT SMEMBERS STRLEN TIME TTL TYPE XINFO XLEN XRANGE XREAD XREVRANGE ZCARD ZRANGE ZRANGEBYSCORE ZSCORE".split()
)
_CHANGES: Final = frozenset(b"INSERT UPDATE DELETE".split())
_ENDS: Final = frozenset(b"BEGIN COMMIT ROLLBACK".split())
_POSTGRES_SOCKET: Final = ".s.PGSQL.5432"
_STARTUP: Final = b"\x00\x03\x00\x00"


class Stopping(Proxy):
    """Listens on a unix socket.

    Attributes:
        writes: the names of what may write, as it was passed on since `stop_before`.
        stopped: set when it stands.
    """

    def __init__(self, upstream: Path, listen: Path) -> None:
        super().__init__(to_socket(upstream))
        self.writes: list[bytes] = []
        self.stopped = asyncio.Event()
        self._listen = listen
        self._stop_before: tuple[bytes, int] | None = None

    async def start(self) -> None:
        """Take connections."""
        await self.listen_on_socket(self._listen)

    def stop_before(self, write: tuple[bytes, int] | None) -> None:
        """Count from 1 again; pass nothing on from this write of this name on, None for never."""
        self.writes.clear()
        self.stopped.clear()
        self._stop_before = write

    async def pass_commands(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Pass on whole messages, and stop before the chosen one."""
        buffer, whole = b"", self.reader()
        while some := await source.read(READ_BYTES):
            buffer += some
            passed = 0
            for name, end in whole(buffer):
                if name:
                    if self.stopped.is_set() or (name, self.writes.count(name) + 1) == self._stop_before:
                        sink.write(buffer[:passed])
                        await sink.drain()
                        self.stopped.set()
                        # Its end is passed on: what a server has locked for it goes with it.
                        while await source.read(READ_BYTES):
                            pass
                        return
                    self.writes.append(name)
                passed = end
            sink.write(buffer[:passed])
            buffer = buffer[passed:]
            await sink.drain()

    @abstractmethod
    def reader(self) -> Whole:
        """Reads the messages of one connection."""


class StoppingProxy(Stopping):
    """Before Valkey.

    Attributes:
        url: of its socket.
    """

    def __init__(self, upstream: Path, listen: Path) -> None:
        super().__init__(upstream, listen)
        self.url = f"unix://{listen}"

    def reader(self) -> Whole:
        return _commands


class StoppingPostgres(Stopping):
    """Before PostgreSQL. Its writes are named by their first word; a COMMIT is one where something was written.

    Args:
        upstream: the folder of the server's socket.
        listen: a folder of its own.

    Attributes:
        folder: of its socket.
    """

    def __init__(self, upstream: Path, listen: Path) -> None:
        super().__init__(upstream / _POSTGRES_SOCKET, listen / _POSTGRES_SOCKET)
        self.folder = listen

    def reader(self) -> Whole:
        return _Dialogue().whole


def _commands(buffer: bytes) -> Iterator[tuple[bytes, int]]:
    """What clients say to Valkey."""
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
        name = words[0].upper()
        yield b"" if name in _READS else name, place


class _Dialogue:
    """One connection to PostgreSQL: which statement is executed was said some messages before."""

    def __init__(self) -> None:
        self._begun = False
        self._statements: dict[bytes, bytes] = {}
        self._portals: dict[bytes, bytes] = {}
        self._written = False

    def whole(self, buffer: bytes) -> Iterator[tuple[bytes, int]]:
        """What it says."""
        place = 0
        while True:
            head = 1 if self._begun else 0
            end = place + head + int.from_bytes(buffer[place + head : place + head + 4], "big")
            if len(buffer) < place + head + 4 or len(buffer) < end:
                return
            kind, content = buffer[place : place + head], buffer[place + head + 4 : end]
            self._begun = self._begun or content.startswith(_STARTUP)
            place = end
            yield self._executed(kind, content), place

    def _executed(self, kind: bytes, content: bytes) -> bytes:
        match kind:
            case b"P":
                name, statement = content.split(b"\0")[:2]
                self._statements[name] = statement
            case b"B":
                portal, name = content.split(b"\0")[:2]
                self._portals[portal] = self._statements[name]
            case b"E":
                return self._write(self._portals[content.split(b"\0")[0]])
            case b"Q":
                return self._write(content)
        return b""

    def _write(self, statement: bytes) -> bytes:
        word = statement.replace(b";", b" ").replace(b"\0", b" ").split()[0].upper()
        if word in _CHANGES:
            self._written = True
            return word
        if word not in _ENDS:
            return b""
        written, self._written = self._written, False
        return word if written and word == b"COMMIT" else b""
