"""Between a ledger and its server: loses answers when told to. The command was carried out, and nobody hears it."""

import asyncio
import contextlib
from pathlib import Path

READ_BYTES = 65_536
ARRAY = b"*"
"""With it begins what a script of ours answers, and neither NOSCRIPT nor the answer to SCRIPT LOAD."""


class LosingProxy:
    """Listens on a unix socket and passes everything on, in the event loop of whoever starts it."""

    def __init__(self, upstream: Path, listen: Path) -> None:
        self.url = f"unix://{listen}"
        self.lost = 0
        self._upstream = upstream
        self._listen = listen
        self._to_lose = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Take connections."""
        self._server = await asyncio.start_unix_server(self._accept, self._listen)

    async def stop(self) -> None:
        """Take no more, and wait until the clients have closed what is open."""
        if self._server is not None:
            self._server.close()
            await asyncio.gather(*self._open)
            await self._server.wait_closed()

    def lose_next(self) -> None:
        """Instead of the next script's answer the connection closes."""
        self._to_lose += 1

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._serve(reader, writer))
        self._open.add(connection)
        connection.add_done_callback(self._open.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            answers, commands = await asyncio.open_unix_connection(self._upstream)
            pumps = [
                asyncio.create_task(self._pump(reader, commands, loses=False)),
                asyncio.create_task(self._pump(answers, writer, loses=True)),
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            commands.close()
        writer.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, loses: bool) -> None:
        while some := await source.read(READ_BYTES):
            if loses and self._to_lose and some.startswith(ARRAY):
                self._to_lose -= 1
                self.lost += 1
                return
            sink.write(some)
            await sink.drain()
