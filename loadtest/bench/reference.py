"""The reference of the fan-out bench: the least that Python can do to write a frame to many sockets.

It does the WebSocket upgrade, `hello` and `join` as the protocol wants, so that the very same clients read from it;
then it leaves the event loop and writes with a bare `os.write` loop, one call a socket and frame.
"""

import asyncio
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Final

import msgspec
import uvloop
from msgspec import Struct
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

from gateway.wire.messages import (
    ClientMessage,
    Events,
    GiftEvent,
    Hello,
    Join,
    Joined,
    Limits,
    RoomState,
    Sender,
    Welcome,
)
from loadtest.play.agent import raise_files_limit

BACKLOG: Final = 2_048
ENDLESS: Final = 2**62
END_S_MAX: Final = 10
FILES_MAX: Final = 100_000
_decode: Final = msgspec.json.Decoder(ClientMessage).decode
_encode: Final = msgspec.json.Encoder().encode


@contextmanager
def beside(body: Callable[..., None], *arguments: object) -> Iterator[tuple[int, Connection]]:
    """A process of its own that runs `body(*arguments, pipe)`; gives its id and our end of the pipe, which is closed at
    the end: then the process has some seconds to go by itself."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=body, args=(*arguments, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield process.pid or 0, ours
    finally:
        ours.close()
        process.join(END_S_MAX)
        if process.is_alive():
            process.kill()


class WriteOrder(Struct, frozen=True):
    """Write `frames` frames of `payload_bytes` to every socket, `every_s` apart."""

    sockets: int
    frames: int
    every_s: float
    payload_bytes: int


class Written(Struct, frozen=True):
    """What writing cost: CPU seconds of the process and the number of `os.write` calls."""

    cpu_s: float
    writes: int


class _Hall:
    """Who has joined, and whether that is everybody."""

    def __init__(self, sockets: int) -> None:
        self.joined: list[WSTransport] = []
        self.full = asyncio.Event()
        self._sockets = sockets

    def enter(self, transport: WSTransport) -> None:
        self.joined.append(transport)
        if len(self.joined) >= self._sockets:
            self.full.set()


class _Listener(WSListener):
    def __init__(self, hall: _Hall) -> None:
        self._hall = hall

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is not WSMsgType.TEXT:
            return
        match _decode(frame.get_payload_as_memoryview()):
            case Hello(ref=ref):
                limits = Limits(1, 1, 1, 1, 1000, 60_000)
                transport.send(WSMsgType.TEXT, _encode(Welcome(ref, "s", "u", "viewer", 0, limits)))
            case Join(ref=ref, room=room):
                state = RoomState(room, "", "c", "c", 0, [], 5000)
                transport.send(WSMsgType.TEXT, _encode(Joined(ref, room, 1, 0, False, state)))
                self._hall.enter(transport)
            case _:
                pass


def serve_reference(port: int, lead: Connection) -> None:
    """The body of the reference's process: one order, one answer, then the end."""
    try:
        order: WriteOrder = lead.recv()
        raise_files_limit(order.sockets)
        asyncio.run(_serve(port, order, lead))
    except (EOFError, BrokenPipeError):
        return


def serve_answers(port: int, lead: Connection) -> None:
    """The body of a process that answers `hello` and `join`, as often as anybody comes, until the pipe is closed."""

    async def serve() -> None:
        hall = _Hall(ENDLESS)
        server = await ws_create_server(lambda _: _Listener(hall), "127.0.0.1", port, backlog=BACKLOG)
        lead.send("listening")
        loop, closed = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(lead.fileno(), closed.set)
        await closed.wait()
        server.close()

    raise_files_limit(FILES_MAX)
    uvloop.run(serve())


async def _serve(port: int, order: WriteOrder, lead: Connection) -> None:
    hall = _Hall(order.sockets)
    server = await ws_create_server(lambda _: _Listener(hall), "127.0.0.1", port, read_buffer_init_size=1024)
    lead.send("listening")
    await hall.full.wait()
    lead.send("joined")
    # recv blocks the loop on purpose: nothing but the writing shall run from here on.
    lead.recv()
    sockets = [transport.underlying_transport.get_extra_info("socket") for transport in hall.joined]
    handles = [one.fileno() for one in sockets]
    lead.send(_write(handles, order, list(_frames(order))))
    lead.recv()
    server.close()


def _write(handles: list[int], order: WriteOrder, frames: list[bytes]) -> Written:
    began_cpu_s, due_s = time.process_time(), time.monotonic()
    for frame in frames:
        for handle in handles:
            os.write(handle, frame)
        due_s += order.every_s
        time.sleep(max(due_s - time.monotonic(), 0))
    return Written(time.process_time() - began_cpu_s, len(frames) * len(handles))


def _frames(order: WriteOrder) -> Iterator[bytes]:
    for seq in range(1, order.frames + 1):
        event = GiftEvent(seq, Sender("s", "s"), "c", "rose", 1, 1, 1, 0, message="")
        short = len(_encode(Events("r", 1, seq, [event])))
        padded = msgspec.structs.replace(event, message="x" * max(order.payload_bytes - short, 0))
        yield websocket_frame(_encode(Events("r", 1, seq, [padded])))


def websocket_frame(payload: bytes) -> bytes:
    """A text frame as a server sends it: no mask, the shortest length (RFC 6455, section 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload
