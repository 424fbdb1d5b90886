"""A client that keeps no rule: it writes the bytes that a test gives it, and reads what a gateway answers to them."""

import asyncio
import contextlib
import os
import struct
from typing import Final

from gateway.wire.codec import SUBPROTOCOL_JSON

ANSWER_S_MAX: Final = 10.0
KEY_LINE: Final = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE_LINES: Final = (
    *("Host: gateway", "Upgrade: websocket", "Connection: Upgrade"),
    *(KEY_LINE, "Sec-WebSocket-Version: 13"),
)

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


def head(*lines: str, request: str = "GET /v1/ws HTTP/1.1") -> bytes:
    """The head of a request."""
    return "\r\n".join([request, *lines, "", ""]).encode("latin-1")


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    final: bool = True,
    reserved: int = 0,
    mask: bool = True,
    size: int | None = None,
    key: bytes | None = None,
) -> bytes:
    """One frame as RFC 6455, section 5.2 draws it, or as it forbids.

    Args:
        reserved: the three reserved bits.
        size: the length that the frame claims, in eight bytes; the payload's own when None.
        key: what it is masked with; any when None.
    """
    first = bytes(((0x80 if final else 0) | reserved << 4 | opcode,))
    flag = 0x80 if mask else 0
    if size is not None:
        length = struct.pack(">BQ", flag | 127, size)
    elif len(payload) < 126:
        length = bytes((flag | len(payload),))
    elif len(payload) < 2**16:
        length = struct.pack(">BH", flag | 126, len(payload))
    else:
        length = struct.pack(">BQ", flag | 127, len(payload))
    if not mask:
        return first + length + payload
    key = key or os.urandom(4)
    return first + length + key + bytes(byte ^ key[place % 4] for place, byte in enumerate(payload))


class Raw:
    """One TCP connection.

    Attributes:
        compressed: whether the frame that was read last is of a compressed message.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.compressed = False
        self._reader = reader
        self.writer = writer

    def write(self, content: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(content)

    async def status(self) -> int | None:
        """The status of the next response, whose head is read; None when the connection ends without one."""
        async with asyncio.timeout(ANSWER_S_MAX):
            try:
                answer = await self._reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                return None
        return int(answer.split(b" ", 2)[1])

    async def headers(self) -> set[str]:
        """Status line and headers of the next response."""
        async with asyncio.timeout(ANSWER_S_MAX):
            answer = await self._reader.readuntil(b"\r\n\r\n")
        return set(answer.decode("latin-1").split("\r\n"))

    async def frame(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame of the server."""
        async with asyncio.timeout(ANSWER_S_MAX):
            first, length = await self._reader.readexactly(2)
            if length == 126:
                (length,) = struct.unpack(">H", await self._reader.readexactly(2))
            elif length == 127:
                (length,) = struct.unpack(">Q", await self._reader.readexactly(8))
            self.compressed = bool(first & 0x40)
            return first & 0x0F, await self._reader.readexactly(length)

    async def piece(self, count: int) -> bytes:
        """Some bytes, at most so many; an end is an error."""
        async with asyncio.timeout(ANSWER_S_MAX):
            content = await self._reader.read(count)
        assert content, "the server has hung up"
        return content

    async def close_code(self) -> int | None:
        """The code of the server's close frame, read over whatever comes before; None when there is no close frame."""
        try:
            while True:
                opcode, payload = await self.frame()
                if opcode == CLOSE:
                    return struct.unpack(">H", payload[:2])[0] if payload else 1005
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def ended(self) -> None:
        """Wait until the server has let go."""
        async with asyncio.timeout(ANSWER_S_MAX):
            try:
                while await self._reader.read(65_536):
                    pass
            except ConnectionError:
                return

    def hang_up(self) -> None:
        """Let go at once."""
        self.writer.transport.abort()

    async def let_go(self) -> None:
        """Hang up, and wait until the socket is closed."""
        self.hang_up()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


class Raws:
    """Opens connections to one gateway, and closes what is left of them at the end."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._opened: list[Raw] = []

    async def open(self, host: str = "127.0.0.1") -> Raw:
        """Connected from this address, and nothing said."""
        raw = Raw(*await asyncio.open_connection("127.0.0.1", self._port, local_addr=(host, 0)))
        self._opened.append(raw)
        return raw

    async def upgraded(
        self, subprotocol: str = SUBPROTOCOL_JSON, *, extensions: str | None = None, host: str = "127.0.0.1"
    ) -> Raw:
        """A WebSocket that has not said hello."""
        raw = await self.open(host)
        offer = () if extensions is None else (f"Sec-WebSocket-Extensions: {extensions}",)
        raw.write(head(*UPGRADE_LINES, f"Sec-WebSocket-Protocol: {subprotocol}", *offer))
        assert await raw.status() == 101
        return raw

    async def close(self) -> None:
        """Let go of all."""
        for raw in self._opened:
            await raw.let_go()
        self._opened.clear()
