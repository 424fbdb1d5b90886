"""Clients who make it hard for the others: some who read nothing any more, or one who floods.

They live in a process of their own, on bare sockets, so that they cost the measured ones nothing but what the server
lets them cost.
"""

import contextlib
import multiprocessing
import os
import select
import socket
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Final, Literal

import msgspec
from msgspec import Struct

from gateway.wire.messages import Hello, Join, Ping

Kind = Literal["stalled", "flood"]
SEGMENT_BYTES: Final = 536
"""Small segments, as over a bad line: on loopback's large ones the system keeps 2.5 MB a socket that nobody reads."""
RECEIVE_BYTES: Final = 2_304
STEP_S_MAX: Final = 10.0
FLOOD_BYTES: Final = 64 * 1024
_encode: Final = msgspec.json.Encoder().encode
_UPGRADE: Final = (
    b"GET /v1/ws HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Disturbance(Struct, frozen=True):
    """What is done.

    Attributes:
        tokens: one for each client.
    """

    kind: Kind
    port: int
    room: str
    tokens: list[str]


@contextlib.contextmanager
def disturbed(order: Disturbance) -> Iterator[None]:
    """Disturb for as long as the block lasts; every client is in the room when it begins."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_disturb, args=(order, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        ours.recv()
        yield
    finally:
        ours.close()
        process.join(STEP_S_MAX)
        if process.is_alive():
            process.kill()


def _disturb(order: Disturbance, lead: Connection) -> None:
    clients = [_entered(order, token) for token in order.tokens]
    lead.send("in the room")
    if order.kind == "flood":
        flood = _frame(_encode(Ping("flood"))) * (FLOOD_BYTES // 40)
        for client in clients:
            client.setblocking(False)
        while not lead.poll(0):
            _, ready, _ = select.select([], clients, [], 0.1)
            for client in ready:
                _pour(client, flood)
    # Returns when the other end is closed, and the sockets go with the process.
    with contextlib.suppress(EOFError):
        lead.recv()


def _pour(client: socket.socket, flood: bytes) -> None:
    """Write, and throw away what is answered. A frame cut in two would break a rule, so it is always ended."""
    with contextlib.suppress(BlockingIOError):
        while client.recv(FLOOD_BYTES):
            pass
    sent = 0
    with contextlib.suppress(BlockingIOError):
        sent = client.send(flood)
    if 0 < sent < len(flood):
        client.setblocking(True)
        client.sendall(flood[sent:])
        client.setblocking(False)


def _entered(order: Disturbance, token: str) -> socket.socket:
    client = socket.socket()
    if order.kind == "stalled":
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT_BYTES)
    client.settimeout(STEP_S_MAX)
    client.connect(("127.0.0.1", order.port))
    client.sendall(_UPGRADE)
    _read_until(client, b"\r\n\r\n")
    client.sendall(_frame(_encode(Hello("hello", token))))
    _read_until(client, b'"welcome"')
    client.sendall(_frame(_encode(Join("join", order.room))))
    _read_until(client, b'"joined"')
    return client


def _read_until(client: socket.socket, wanted: bytes) -> None:
    told = b""
    while wanted not in told:
        more = client.recv(4096)
        if not more:
            raise ConnectionError(f"closed before {wanted!r}")
        told += more


def _frame(payload: bytes) -> bytes:
    """A text frame as a client sends it, of up to 64 KiB."""
    size, key = len(payload), os.urandom(4)
    head = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
    return head + key + bytes(byte ^ key[place % 4] for place, byte in enumerate(payload))
