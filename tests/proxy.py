"""Between a client and its server, in the event loop of whoever starts it: passes everything on and can be cut."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

READ_BYTES: Final = 65_536

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Ends]]


def to_socket(path: Path) -> Connect:
    """Connects with a server on a unix socket."""
    return lambda: asyncio.open_unix_connection(path)


def to_port(port: int) -> Connect:
    """Connects with a server of this machine."""
    return lambda: asyncio.open_connection("127.0.0.1", port)


class Proxy:
    """One place where clients connect. What is passed on, and until when, can be another's rule."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def listen_on_socket(self, path: Path) -> str:
        """Take connections on a unix socket; its URL."""
        self._server = await asyncio.start_unix_server(self._accept, path)
        return f"unix://{path}"

    async def listen_on_port(self) -> int:
        """Take connections on a free port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Take no more, and cut what is open."""
        if self._server is not None:
            self._server.close()
        for connection in self._open:
            connection.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def pass_commands(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Pass on what clients say, until its end or until the connection shall break."""
        await pump(source, sink)

    async def pass_answers(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """The same of what the server says."""
        await pump(source, sink)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._serve(reader, writer))
        self._open.add(connection)
        connection.add_done_callback(self._open.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        commands: asyncio.StreamWriter | None = None
        pumps: list[asyncio.Task[None]] = []
        try:
            answers, commands = await self._connect()
            pumps = [
                asyncio.create_task(self.pass_commands(reader, commands)),
                asyncio.create_task(self.pass_answers(answers, writer)),
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            # The server is gone.
            pass
        finally:
            for passing in pumps:
                passing.cancel()
            for end in (writer, commands):
                if end is not None:
                    end.transport.abort()
            await asyncio.gather(*pumps, return_exceptions=True)


async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Pass on all that comes."""
    while some := await source.read(READ_BYTES):
        sink.write(some)
        await sink.drain()
