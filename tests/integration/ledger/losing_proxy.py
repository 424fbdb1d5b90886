"""Between a ledger and its server: loses answers when told to. The command was carried out, and nobody hears it."""

import asyncio
from pathlib import Path
from typing import Final

from tests.proxy import READ_BYTES, Proxy, to_socket

ARRAY: Final = b"*"
"""With it begins what a script of ours answers, and neither NOSCRIPT nor the answer to SCRIPT LOAD."""


class LosingProxy(Proxy):
    """Listens on a unix socket.

    Attributes:
        url: of the socket.
        lost: answers so far.
    """

    def __init__(self, upstream: Path, listen: Path) -> None:
        super().__init__(to_socket(upstream))
        self.url = f"unix://{listen}"
        self.lost = 0
        self._listen = listen
        self._to_lose = 0

    async def start(self) -> None:
        """Take connections."""
        await self.listen_on_socket(self._listen)

    def lose_next(self) -> None:
        """Instead of the next script's answer the connection closes."""
        self._to_lose += 1

    async def pass_answers(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Pass on what the server says, up to an answer that is to be lost."""
        while some := await source.read(READ_BYTES):
            if self._to_lose and some.startswith(ARRAY):
                self._to_lose -= 1
                self.lost += 1
                return
            sink.write(some)
            await sink.drain()
